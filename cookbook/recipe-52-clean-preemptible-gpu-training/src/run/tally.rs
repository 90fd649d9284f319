//! [`Tally`]: what a worker counts of itself, for its [`WorkerSummary`].

use std::time::Duration;

use fabricbios_core::clock::BootTime;

use super::event::WorkerSummary;

/// How many stalls are kept; the median of a longer run is that of its last part.
const MAX_STALLS: usize = 4096;

/// Counts what happens to a worker.
#[derive(Debug)]
pub(super) struct Tally {
    started_at: BootTime,
    first_step: Option<Duration>,
    stalls: Vec<Duration>,
    longest: Duration,
    summary: WorkerSummary,
}

impl Tally {
    pub(super) fn new(started_at: BootTime) -> Self {
        Self {
            started_at,
            first_step: None,
            stalls: Vec::new(),
            longest: Duration::ZERO,
            summary: WorkerSummary::default(),
        }
    }

    pub(super) fn stepped(&mut self, now: BootTime) {
        self.first_step.get_or_insert_with(|| now.saturating_since(self.started_at));
    }

    pub(super) fn committed(&mut self, steps: u64, stall: Duration) {
        self.summary.steps_committed += steps;
        self.longest = self.longest.max(stall);
        let place = usize::try_from(self.summary.strides).unwrap_or(0) % MAX_STALLS;
        match self.stalls.get_mut(place) {
            Some(old) => *old = stall,
            None => self.stalls.push(stall),
        }
        self.summary.strides += 1;
    }

    pub(super) fn strides(&self) -> u64 {
        self.summary.strides
    }

    pub(super) fn lost_gpu(&mut self, steps: u64) {
        self.summary.leases_lost += 1;
        self.summary.steps_lost += steps;
    }

    pub(super) fn summary(&self, now: BootTime) -> WorkerSummary {
        let mut stalls = self.stalls.clone();
        stalls.sort_unstable();
        WorkerSummary {
            elapsed_ms: millis(now.saturating_since(self.started_at)),
            first_step_ms: self.first_step.map(millis),
            stall_ms_median: stalls.get(stalls.len() / 2).copied().map_or(0.0, millis),
            stall_ms_max: millis(self.longest),
            ..self.summary.clone()
        }
    }
}

/// A time in milliseconds, to the microsecond.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_happened() {
        let at = BootTime::from_millis;
        let mut tally = Tally::new(at(1000));
        assert_eq!(
            tally.summary(at(1000)),
            WorkerSummary { first_step_ms: None, ..WorkerSummary::default() }
        );
        tally.stepped(at(1250));
        tally.stepped(at(1260));
        for stall in [5, 1, 9] {
            tally.committed(10, Duration::from_millis(stall));
        }
        tally.lost_gpu(4);
        let expected = WorkerSummary {
            steps_committed: 30,
            steps_lost: 4,
            strides: 3,
            leases_lost: 1,
            elapsed_ms: 2000.0,
            first_step_ms: Some(250.0),
            stall_ms_median: 5.0,
            stall_ms_max: 9.0,
        };
        assert_eq!(tally.summary(at(3000)), expected);
    }

    #[test]
    fn a_long_run_keeps_no_more_stalls_than_it_should() {
        let mut tally = Tally::new(BootTime::default());
        for stall in 0..=MAX_STALLS as u64 {
            tally.committed(1, Duration::from_millis(stall));
        }
        assert_eq!(
            (tally.stalls.len(), tally.longest),
            (MAX_STALLS, Duration::from_millis(MAX_STALLS as u64))
        );
    }
}
