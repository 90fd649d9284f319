//! SIGINT and SIGTERM: the first asks the run to save what it has and end, the second ends the process at once.
//!
//! The handlers do nothing but set a flag. [`Watch`] sees to it that the process is gone when its notice is over, saved or
//! not: a checkpoint is all or nothing, so the one before it is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fabricbios_core::clock::Clock;
use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::RunError;

/// How often the watch looks whether the process was asked to end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Raises `stop` at the first signal, and restores the default at the second: the process then dies of it.
pub(crate) fn stop_on_signals(stop: &Arc<AtomicBool>) -> Result<(), RunError> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, so only the second one is deadly.
        flag::register_conditional_default(signal, Arc::clone(stop)).map_err(RunError::Signals)?;
        flag::register(signal, Arc::clone(stop)).map_err(RunError::Signals)?;
    }
    Ok(())
}

/// Calls `overrun` when a notice is over, unless it is dropped before.
pub(crate) struct Watch {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start(
        stop: Arc<AtomicBool>,
        clock: Arc<dyn Clock>,
        notice: Duration,
        overrun: impl FnOnce() + Send + 'static,
    ) -> Result<Self, RunError> {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&over);
        let watch = move || {
            while !stop.load(Ordering::Relaxed) {
                if is_over_within(&shared, LOOK_AGAIN) {
                    return;
                }
            }
            let deadline = clock.now().saturating_add(notice);
            while clock.now() < deadline {
                if is_over_within(&shared, deadline.saturating_since(clock.now()).min(LOOK_AGAIN)) {
                    return;
                }
            }
            if !is_over_within(&shared, Duration::ZERO) {
                overrun();
            }
        };
        let thread =
            thread::Builder::new().name("notice".to_owned()).spawn(watch).map_err(RunError::Signals)?;
        Ok(Self { over, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// Whether the watch is over, after waiting for so long or until it is.
fn is_over_within((over, changed): &(Mutex<bool>, Condvar), time: Duration) -> bool {
    let over = over.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(over, time, |over| !*over);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::SystemClock;

    use super::*;

    fn watch(is_asked: bool, notice: Duration) -> (Watch, std::sync::mpsc::Receiver<()>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let stop = Arc::new(AtomicBool::new(is_asked));
        let overrun = move || sender.send(()).unwrap();
        (Watch::start(stop, Arc::new(SystemClock), notice, overrun).unwrap(), receiver)
    }

    #[test]
    fn a_notice_that_is_over_is_told() {
        let (_watch, told) = watch(true, Duration::ZERO);
        assert_eq!(told.recv(), Ok(()));
    }

    #[test]
    fn a_run_that_ends_in_time_is_left_alone() {
        for is_asked in [false, true] {
            let (watch, told) = watch(is_asked, Duration::from_secs(3600));
            drop(watch);
            assert!(told.recv().is_err());
        }
    }
}
