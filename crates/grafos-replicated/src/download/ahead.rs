//! [`in_order`]: chunks are read ahead on several threads and written one after the other.
//!
//! Invariant: at most [`AHEAD`] chunks and the two at hand are in memory for each thread, however slow the writer is.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use crate::error::{ReplicatedError, StoreError};

/// How many chunks of one thread may wait to be written.
const AHEAD: usize = 2;

/// Reads the chunks 0 to `count` on so many `threads`, and writes them in this order on the caller's. `read` fills its
/// first vector; the other one is the thread's own.
///
/// # Errors
/// The first one in the order of chunks.
pub(super) fn in_order(
    count: usize,
    threads: usize,
    read: impl Fn(usize, &mut Vec<u8>, &mut Vec<u8>) -> Result<(), ReplicatedError> + Sync,
    mut write: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), ReplicatedError> {
    if threads < 2 {
        let (mut chunk, mut own) = (Vec::new(), Vec::new());
        for index in 0..count {
            read(index, &mut chunk, &mut own)?;
            write(&chunk)?;
        }
        return Ok(());
    }
    let read = &read;
    thread::scope(|scope| {
        // Each thread has every so-manieth chunk. When this returns early, they find nobody to give theirs to.
        let lanes: Vec<_> = (0..threads)
            .map(|first| {
                let ((give, given), (back, empty)) = (sync_channel(AHEAD), channel());
                scope.spawn(move || read_every(first, threads, count, read, &give, &empty));
                (given, back)
            })
            .collect();
        for (_, (given, back)) in (0..count).zip(lanes.iter().cycle()) {
            let chunk = given.recv().map_err(|_| StoreError::Unavailable {
                reason: "the thread that reads ahead panicked".to_owned(),
            })??;
            write(&chunk)?;
            // Whoever has read his last chunk needs no memory any more.
            let _ = back.send(chunk);
        }
        Ok(())
    })
}

fn read_every(
    first: usize,
    threads: usize,
    count: usize,
    read: &(impl Fn(usize, &mut Vec<u8>, &mut Vec<u8>) -> Result<(), ReplicatedError> + Sync),
    give: &SyncSender<Result<Vec<u8>, ReplicatedError>>,
    empty: &Receiver<Vec<u8>>,
) {
    let mut own = Vec::new();
    for index in (first..count).step_by(threads) {
        let mut chunk = empty.try_recv().unwrap_or_default();
        let chunk = read(index, &mut chunk, &mut own).map(|()| chunk);
        let is_last = chunk.is_err();
        if give.send(chunk).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn broken() -> ReplicatedError {
        StoreError::Unavailable { reason: "broken".to_owned() }.into()
    }

    #[test]
    fn chunks_come_in_order_whatever_the_number_of_threads() {
        for threads in 1..6 {
            for count in [0, 1, 2, 7, 100] {
                let mut seen = Vec::new();
                let read = |index: usize, chunk: &mut Vec<u8>, _: &mut Vec<u8>| {
                    *chunk = vec![u8::try_from(index).unwrap(); 3];
                    Ok(())
                };
                in_order(count, threads, read, |chunk| {
                    assert_eq!(chunk.len(), 3);
                    seen.push(usize::from(chunk[0]));
                    Ok(())
                })
                .unwrap();
                assert_eq!(seen, (0..count).collect::<Vec<_>>(), "threads={threads}");
            }
        }
    }

    #[test]
    fn the_first_failure_in_the_order_of_chunks_ends_it_and_what_is_before_it_is_written() {
        for threads in 1..4 {
            let mut written = 0;
            let read = |index: usize, _: &mut Vec<u8>, _: &mut Vec<u8>| {
                if index == 10 || index == 11 { Err(broken()) } else { Ok(()) }
            };
            let failed = in_order(1000, threads, read, |_| {
                written += 1;
                Ok(())
            });
            assert_eq!((failed, written), (Err(broken()), 10));
            let refused =
                in_order(1000, threads, |_, _, _| Ok(()), |_| Err(StoreError::Full { what: "x".to_owned() }));
            assert_eq!(refused, Err(StoreError::Full { what: "x".to_owned() }.into()));
        }
    }

    #[test]
    fn a_slow_writer_is_not_overrun() {
        let (read, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = 3;
        in_order(
            200,
            threads,
            |_, _, _| {
                let ahead = read.fetch_add(1, Ordering::SeqCst) + 1 - written.load(Ordering::SeqCst).min(200);
                assert!(ahead <= threads * (AHEAD + 2), "ahead={ahead}");
                Ok(())
            },
            |_| {
                thread::yield_now();
                written.fetch_add(1, Ordering::SeqCst);
                Ok(())
            },
        )
        .unwrap();
    }
}
