//! [`in_parallel`]: work on many things, on as many threads as there are processors.
//!
//! Invariant: no thread outlives the call, and none begins with another thing after one has failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// More threads than this gain nothing: they wait for memory and disks.
const MAX_THREADS: usize = 8;

/// How many threads to work on `things`.
pub(crate) fn threads_for(things: usize) -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    if things < 2 {
        return 1;
    }
    let processors = PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
    things.min(*processors).min(MAX_THREADS)
}

/// Does `work` for each of so many `things`, with something of the thread's own.
///
/// # Errors
/// One of those of `work`; what was not begun then is not.
pub(crate) fn in_parallel<T: Send, S: Default, E: Send>(
    count: usize,
    things: impl Iterator<Item = T> + Send,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (things, has_failed) = (Mutex::new(things), AtomicBool::new(false));
    let next = || {
        if has_failed.load(Ordering::Relaxed) {
            return None;
        }
        things.lock().unwrap_or_else(PoisonError::into_inner).next()
    };
    let run = || {
        let mut own = S::default();
        while let Some(thing) = next() {
            work(&mut own, thing).inspect_err(|_| has_failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads_for(count)).map(|_| scope.spawn(run)).collect();
        let mut outcome = run();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = outcome.and(other);
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn everything_is_done_once() {
        let mut done = vec![0; 1000];
        let all = done.iter_mut().enumerate();
        in_parallel(1000, all, |own: &mut usize, (at, done)| {
            *own += 1;
            *done += at;
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(done.iter().enumerate().all(|(at, done)| at == *done));
    }

    #[test]
    fn after_a_failure_nothing_more_is_begun() {
        let begun = AtomicUsize::new(0);
        let failed = in_parallel(1_000_000, 0..1_000_000, |_: &mut (), at| {
            begun.fetch_add(1, Ordering::Relaxed);
            if at == 10 { Err(at) } else { Ok(()) }
        });
        assert_eq!(failed, Err(10));
        assert!(begun.into_inner() < 1_000_000);
    }

    #[test]
    fn one_thing_takes_no_other_thread() {
        let here = thread::current().id();
        let done = in_parallel(1, [()].into_iter(), |_: &mut (), ()| {
            assert_eq!(thread::current().id(), here);
            Ok::<(), ()>(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!((threads_for(0), threads_for(1)), (1, 1));
    }
}
