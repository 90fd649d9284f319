//! [`Patience`]: how often what failed is tried again. Decisions only, nothing here acts.
//!
//! A GPU that is taken away is no failure: that is what a preemptible one is for, and it may be lost as often as it
//! likes.

use std::time::Duration;

use fabricbios_core::lease::{LeaseId, RenewalPolicy};
use fabricbios_core::recovery::Recovery;

/// How often a failed operation is tried again, and after which pause.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many tries in a row may fail before the worker gives up. A commit starts the count anew.
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

/// Counts failures in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failures {
    patience: Patience,
    in_a_row: u32,
}

impl Failures {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, in_a_row: 0 }
    }

    /// Something worked.
    pub(super) fn forget(&mut self) {
        self.in_a_row = 0;
    }

    /// How long to wait before the next try, after an error that asks for this recovery. `None`: give up, now.
    pub(super) fn pause(&mut self, recovery: Recovery) -> Option<Duration> {
        let can_pass = matches!(
            recovery,
            Recovery::RetryLater
                | Recovery::RetrySameKey
                | Recovery::RefreshAndRetry
                | Recovery::Reopen
                | Recovery::Reacquire
        );
        self.in_a_row = self.in_a_row.saturating_add(1);
        if !can_pass || self.in_a_row >= self.patience.max_tries {
            return None;
        }
        // The jitter wants a lease id to be different for different leases; one worker has no neighbours to avoid.
        Some(self.patience.backoff.backoff(LeaseId(0), self.in_a_row - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_is_tried_again() {
        let pause = |recovery| Failures::new(Patience::default()).pause(recovery);
        for recovery in [
            Recovery::RetryLater,
            Recovery::RetrySameKey,
            Recovery::RefreshAndRetry,
            Recovery::Reopen,
            Recovery::Reacquire,
        ] {
            assert!(pause(recovery).is_some(), "{recovery:?}");
        }
        for recovery in
            [Recovery::StopWriting, Recovery::FixCaller, Recovery::RestoreElsewhere, Recovery::ReportBug]
        {
            assert_eq!(pause(recovery), None, "{recovery:?}");
        }
    }

    #[test]
    fn patience_ends_unless_something_works_in_between() {
        let mut failures = Failures::new(Patience { max_tries: 3, ..Patience::default() });
        for _ in 0..2 {
            assert!(failures.pause(Recovery::RetryLater).is_some());
        }
        assert_eq!(failures.pause(Recovery::RetryLater), None);
        failures.forget();
        assert!(failures.pause(Recovery::RetryLater).is_some());
    }
}
