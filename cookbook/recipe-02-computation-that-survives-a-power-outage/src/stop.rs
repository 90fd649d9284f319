//! [`StopFlag`]: how a run is asked to end early, cleanly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Raised once, from anywhere; the run then takes a last checkpoint and returns. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks the run to end.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run was asked to end.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for a signal handler to set.
    pub(crate) fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Waits for `pause`, or until the flag is raised.
    pub(crate) fn wait(&self, pause: Duration) {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut left = pause;
        while !left.is_zero() && !self.is_raised() {
            let step = left.min(LOOK_AGAIN);
            thread::park_timeout(step);
            left -= step;
        }
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_raised_flag_ends_the_longest_wait() {
        let flag = StopFlag::default();
        let other = flag.clone();
        let raiser = thread::spawn(move || other.raise());
        flag.wait(Duration::from_secs(3600));
        raiser.join().unwrap();
        assert!(flag.is_raised());
    }

    #[test]
    fn a_wait_lasts_as_long_as_it_should() {
        let before = SystemClock.now();
        StopFlag::default().wait(Duration::from_millis(30));
        assert!(SystemClock.now().saturating_since(before) >= Duration::from_millis(30));
    }
}
