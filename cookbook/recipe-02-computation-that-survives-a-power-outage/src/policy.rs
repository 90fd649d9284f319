//! When to checkpoint, and what to do after an error: decisions only, nothing here acts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fabricbios_core::lease::{LeaseId, RenewalPolicy};
use fabricbios_core::recovery::Recovery;

use crate::estimator::BATCH_SAMPLES;
use crate::quantity::{ParseQuantityError, parse_count, parse_duration};
use crate::share::Share;

/// How much work may lie between two checkpoints: what a power cut can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// After so many samples, rounded up to whole batches of [`BATCH_SAMPLES`]. Workers divide them among
    /// themselves, so that all of them together lose no more.
    Samples(u64),
    /// After so much time, at the end of the batches that are being computed then.
    Time(Duration),
}

impl Default for CheckpointEvery {
    /// Every second.
    fn default() -> Self {
        Self::Time(Duration::from_secs(1))
    }
}

impl CheckpointEvery {
    /// Where the next checkpoint of a share is due that stands at `position`, if the position decides. Due
    /// positions are the same in every run, whether it was interrupted or not.
    pub(crate) fn next_position(&self, position: u64, share: &Share) -> Option<u64> {
        let Self::Samples(samples) = self else { return None };
        let batch = u64::from(BATCH_SAMPLES);
        let own_batches = samples.div_ceil(u64::from(share.of.max(1))).div_ceil(batch).max(1);
        let interval = own_batches.saturating_mul(batch);
        Some((position / interval).saturating_add(1).saturating_mul(interval))
    }

    /// How long after the last one the next checkpoint is due, if time decides.
    pub(crate) fn period(&self) -> Option<Duration> {
        match self {
            Self::Samples(_) => None,
            Self::Time(period) => Some(*period),
        }
    }
}

impl FromStr for CheckpointEvery {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self::Time).or_else(|_| parse_count(text).map(Self::Samples)).map_err(|_| {
            ParseQuantityError {
                expected: "a number of samples such as 10M, or a time such as 500ms, 30s or 5min; at least 1",
                found: text.chars().take(64).collect(),
            }
        })
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(samples) => write!(f, "{samples}"),
            Self::Time(period) => write!(f, "{}ms", period.as_millis()),
        }
    }
}

/// How often a failed operation is tried again, and after which pause.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many tries in a row may fail before the run gives up. One that succeeds starts the count anew.
    pub max_tries: u32,
    /// The pauses: doubling, with jitter, up to a limit.
    pub backoff: RenewalPolicy,
}

impl Default for Patience {
    /// Eight tries, some 15 seconds in all.
    fn default() -> Self {
        Self { max_tries: 8, backoff: RenewalPolicy::default() }
    }
}

/// What the run does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// The same again, after a pause.
    RetryAfter(Duration),
    /// Take a new lease on the same volume and go on from its last checkpoint, after a pause.
    ReopenAfter(Duration),
    /// Tell the user.
    GiveUp,
}

/// Counts failures in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failures {
    patience: Patience,
    in_a_row: u32,
}

impl Failures {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, in_a_row: 0 }
    }

    /// Something worked.
    pub(crate) fn forget(&mut self) {
        self.in_a_row = 0;
    }

    /// What to do after an error that asks for this recovery.
    ///
    /// A host that can't be reached may come back. A lease that is gone, and a handle that can't be trusted after a
    /// failed write, cost the work since the last checkpoint and nothing more: the volume outlives both. Everything
    /// else needs a person.
    pub(crate) fn next_step(&mut self, recovery: Recovery) -> NextStep {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= self.patience.max_tries {
            return NextStep::GiveUp;
        }
        // The jitter wants a lease id to be different for different leases; one run has no neighbours to avoid.
        let pause = self.patience.backoff.backoff(LeaseId(0), self.in_a_row - 1);
        match recovery {
            Recovery::RetryLater => NextStep::RetryAfter(pause),
            Recovery::Reacquire | Recovery::Reopen => NextStep::ReopenAfter(pause),
            _ => NextStep::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: u64 = BATCH_SAMPLES as u64;

    #[test]
    fn an_interval_in_samples_is_rounded_up_to_whole_batches() {
        for (samples, interval) in
            [(1, BATCH), (BATCH, BATCH), (BATCH + 1, 2 * BATCH), (10 * BATCH, 10 * BATCH)]
        {
            let every = CheckpointEvery::Samples(samples);
            assert_eq!(every.next_position(0, &Share::WHOLE), Some(interval));
            assert_eq!(every.next_position(interval - 1, &Share::WHOLE), Some(interval));
            assert_eq!(every.next_position(interval, &Share::WHOLE), Some(2 * interval));
        }
    }

    #[test]
    fn workers_divide_the_interval_among_themselves() {
        let every = CheckpointEvery::Samples(10 * BATCH);
        assert_eq!(every.next_position(0, &Share { index: 1, of: 5 }), Some(2 * BATCH));
        assert_eq!(every.next_position(0, &Share { index: 1, of: 1000 }), Some(BATCH));
    }

    #[test]
    fn an_endless_interval_does_not_wrap() {
        let every = CheckpointEvery::Samples(u64::MAX);
        assert_eq!(every.next_position(u64::MAX - 1, &Share::WHOLE), Some(u64::MAX));
    }

    #[test]
    fn samples_and_times_are_told_apart() {
        let parsed = |text: &str| text.parse::<CheckpointEvery>().ok();
        assert_eq!(parsed("10M"), Some(CheckpointEvery::Samples(10_000_000)));
        assert_eq!(parsed("250"), Some(CheckpointEvery::Samples(250)));
        assert_eq!(parsed("30s"), Some(CheckpointEvery::Time(Duration::from_secs(30))));
        assert_eq!(parsed("500ms"), Some(CheckpointEvery::Time(Duration::from_millis(500))));
        for text in ["", "0", "0s", "s", "-1", "1.5", "10 M", "5m", "1e6", "99999999999999999999"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_a_retry_or_a_new_lease_can_mend_is_tried_again() {
        let mut failures = Failures::new(Patience::default());
        assert!(matches!(failures.next_step(Recovery::RetryLater), NextStep::RetryAfter(_)));
        assert!(matches!(failures.next_step(Recovery::Reacquire), NextStep::ReopenAfter(_)));
        assert!(matches!(failures.next_step(Recovery::Reopen), NextStep::ReopenAfter(_)));
        for recovery in
            [Recovery::StopWriting, Recovery::FixCaller, Recovery::RestoreElsewhere, Recovery::ReportBug]
        {
            assert_eq!(
                Failures::new(Patience::default()).next_step(recovery),
                NextStep::GiveUp,
                "{recovery:?}"
            );
        }
    }

    #[test]
    fn patience_ends_unless_something_works_in_between() {
        let patience = Patience { max_tries: 3, ..Patience::default() };
        let mut failures = Failures::new(patience);
        for _ in 0..2 {
            assert!(matches!(failures.next_step(Recovery::RetryLater), NextStep::RetryAfter(_)));
        }
        assert_eq!(failures.next_step(Recovery::RetryLater), NextStep::GiveUp);
        failures.forget();
        assert!(matches!(failures.next_step(Recovery::RetryLater), NextStep::RetryAfter(_)));
    }
}
