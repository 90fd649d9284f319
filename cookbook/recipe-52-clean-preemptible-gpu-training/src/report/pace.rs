//! [`Pace`]: how fast a run is, and how long it will still take.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};

/// Measures the rate over the last few seconds of one worker; steps of earlier workers don't count.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    /// Where the measuring window begins.
    from: Option<(BootTime, u64)>,
    per_sec: f64,
}

impl Pace {
    const WINDOW: Duration = Duration::from_secs(2);

    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, from: None, per_sec: 0.0 }
    }

    /// The run stands at `step`, which was done elsewhere.
    pub(super) fn start_at(&mut self, step: u64) {
        self.from = Some((self.clock.now(), step));
    }

    /// The run has come to `step`.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(super) fn reached(&mut self, step: u64) {
        let now = self.clock.now();
        let (since, start) = *self.from.get_or_insert((now, step));
        let elapsed = now.saturating_since(since);
        if elapsed > Duration::from_millis(100) || self.per_sec == 0.0 {
            let window = elapsed.as_secs_f64().max(1e-3);
            self.per_sec = step.saturating_sub(start) as f64 / window;
        }
        if elapsed >= Self::WINDOW {
            self.from = Some((now, step));
        }
    }

    /// Steps a second.
    pub(super) fn per_sec(&self) -> f64 {
        self.per_sec
    }

    /// How long the rest will take at this rate, if that can be said.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(super) fn time_left(&self, step: u64, goal: u64) -> Option<Duration> {
        let left = goal.saturating_sub(step) as f64;
        Duration::try_from_secs_f64(left / self.per_sec).ok().filter(|left| left.as_secs() < 1_000_000_000)
    }

    pub(super) fn now(&self) -> BootTime {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;

    use super::*;

    #[test]
    fn the_rate_is_that_of_this_run_alone() {
        let clock = Arc::new(ManualClock::default());
        let mut pace = Pace::new(clock.clone());
        pace.start_at(1_000_000);
        assert_eq!(pace.time_left(1_000_000, 2_000_000), None);
        clock.advance(Duration::from_secs(1));
        pace.reached(1_000_500);
        assert_eq!(pace.per_sec(), 500.0);
        assert_eq!(pace.time_left(1_000_500, 1_001_500), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_run_without_time_or_progress_promises_nothing() {
        let clock = Arc::new(ManualClock::default());
        let mut pace = Pace::new(clock.clone());
        pace.reached(5);
        pace.reached(5);
        assert_eq!(pace.time_left(5, 10), None);
        clock.advance(Duration::from_secs(3));
        pace.reached(5);
        assert_eq!(pace.time_left(5, u64::MAX), None);
    }
}
