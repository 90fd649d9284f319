//! When a holder must stop: the arithmetic of lease deadlines.
//!
//! A holder counts from *before* it asked, the granter from *after* it granted, so the holder stops first. Two
//! different clocks may also run at different speeds; drift and margin are taken off for that. Nothing here
//! overflows: every sum saturates, and a saturated deadline is the earlier one.

use std::time::Duration;

use crate::clock::BootTime;

/// How far a holder's clock may be off from the clock of whoever granted the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How much faster or slower one clock may run, in parts per million of the granted time.
    pub drift_ppm: u32,
    /// Time taken off in any case, for scheduling and delivery.
    pub margin: Duration,
}

impl LeaseTiming {
    /// Holder and granter read the same clock: nothing is taken off.
    pub const SAME_CLOCK: Self = Self { drift_ppm: 0, margin: Duration::ZERO };

    /// Two machines with ordinary quartz clocks: 200 parts per million, and 250 ms.
    pub const TWO_MACHINES: Self = Self { drift_ppm: 200, margin: Duration::from_millis(250) };

    /// The part of `granted` that a holder may use: less drift and margin, at least zero.
    #[must_use]
    pub fn usable(&self, granted: Duration) -> Duration {
        let drift_nanos = granted.as_nanos().saturating_mul(u128::from(self.drift_ppm)) / 1_000_000;
        let drift = u64::try_from(drift_nanos).map_or(Duration::MAX, Duration::from_nanos);
        granted.saturating_sub(drift).saturating_sub(self.margin)
    }

    /// The term of a lease that was asked for at `requested_at` and granted for `granted`.
    #[must_use]
    pub fn term(&self, requested_at: BootTime, granted: Duration) -> LeaseTerm {
        LeaseTerm { requested_at, deadline: requested_at.saturating_add(self.usable(granted)) }
    }
}

/// From when until when a holder may use its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerm {
    /// The time before the request that granted or renewed the lease.
    pub requested_at: BootTime,
    /// From here on every operation fails closed.
    pub deadline: BootTime,
}

impl LeaseTerm {
    /// Whether the deadline has come.
    #[must_use]
    pub fn is_over(&self, now: BootTime) -> bool {
        now >= self.deadline
    }

    /// What is left, zero when over.
    #[must_use]
    pub fn remaining(&self, now: BootTime) -> Duration {
        self.deadline.saturating_since(now)
    }

    /// The whole usable time, from request to deadline.
    #[must_use]
    pub fn usable(&self) -> Duration {
        self.deadline.saturating_since(self.requested_at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_margin_and_drift_come_off() {
        let timing = LeaseTiming { drift_ppm: 1_000, margin: Duration::from_millis(500) };
        assert_eq!(timing.usable(Duration::from_secs(100)), Duration::from_millis(99_400));
        let term = timing.term(BootTime::from_secs(10), Duration::from_secs(100));
        assert_eq!(term.deadline, BootTime::from_millis(109_400));
        assert!(!term.is_over(BootTime::from_millis(109_399)));
        assert!(term.is_over(BootTime::from_millis(109_400)));
    }

    #[test]
    fn a_grant_shorter_than_the_margin_is_over_at_once() {
        let term = LeaseTiming::TWO_MACHINES.term(BootTime::from_secs(1), Duration::from_millis(200));
        assert!(term.is_over(BootTime::from_secs(1)));
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            any::<u64>().prop_map(Duration::from_secs),
            any::<u64>().prop_map(Duration::from_nanos),
            Just(Duration::MAX),
        ]
    }

    proptest! {
        #[test]
        fn no_deadline_overflows_and_none_is_late(
            start in any_duration(), granted in any_duration(), margin in any_duration(), drift_ppm in any::<u32>(),
        ) {
            let timing = LeaseTiming { drift_ppm, margin };
            let start = BootTime::from_duration(start);
            let term = timing.term(start, granted);
            prop_assert!(term.deadline >= start);
            prop_assert!(term.usable() <= granted);
            let exact = LeaseTiming::SAME_CLOCK.term(start, granted);
            prop_assert!(term.deadline <= exact.deadline, "drift and margin only take away");
            prop_assert_eq!(term.remaining(term.deadline), Duration::ZERO);
        }
    }
}
