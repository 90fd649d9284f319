//! When a holder renews: early enough to try again, and not in step with everybody else.

use std::time::Duration;

use super::{LeaseId, LeaseTerm};
use crate::clock::BootTime;

/// Renewal at a fraction of the time to live, with jitter that depends only on the seed, the lease and how often
/// it was renewed, so that a run can be repeated.
///
/// ```
/// use std::time::Duration;
/// use fabricbios_core::{clock::BootTime, lease::{LeaseId, LeaseTiming, RenewalPolicy}};
///
/// let term = LeaseTiming::SAME_CLOCK.term(BootTime::from_secs(0), Duration::from_secs(1000));
/// let point = RenewalPolicy::default().renewal_point(&term, LeaseId(1), 0);
/// assert!(point >= BootTime::from_secs(675) && point <= BootTime::from_secs(750));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalPolicy {
    /// Where in the usable time to renew, in thousandths; 750 when nothing is said. Above 1000 counts as 1000.
    pub at_permille: u16,
    /// How much earlier it may be, in thousandths of that point; 100 when nothing is said.
    pub jitter_permille: u16,
    /// Never sooner than this after the last renewal, unless the lease is too short for it; 30 s.
    pub min_interval: Duration,
    /// The longest pause between two tries; 5 s.
    pub max_backoff: Duration,
    /// Decides the jitter.
    pub seed: u64,
}

impl Default for RenewalPolicy {
    fn default() -> Self {
        Self {
            at_permille: 750,
            jitter_permille: 100,
            min_interval: Duration::from_secs(30),
            max_backoff: Duration::from_secs(5),
            seed: 0,
        }
    }
}

impl RenewalPolicy {
    const FIRST_BACKOFF: Duration = Duration::from_millis(100);

    /// When to renew a lease that was renewed `renewals` times so far: never after its deadline, and before it
    /// unless the term is empty.
    #[must_use]
    pub fn renewal_point(&self, term: &LeaseTerm, lease: LeaseId, renewals: u32) -> BootTime {
        let latest = thousandths(term.usable(), u64::from(self.at_permille.min(1000)));
        let early = thousandths(latest, u64::from(self.jitter_permille.min(1000)));
        let jitter = thousandths(early, self.random(lease, renewals) % 1000);
        let interval = latest.saturating_sub(jitter).max(self.min_interval).min(latest);
        term.requested_at.saturating_add(interval)
    }

    /// How long to wait before try number `attempt` (the first is 0): doubling, capped, with jitter of up to half.
    #[must_use]
    pub fn backoff(&self, lease: LeaseId, attempt: u32) -> Duration {
        let doubled = Self::FIRST_BACKOFF.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        let whole = doubled.min(self.max_backoff);
        whole - thousandths(whole / 2, self.random(lease, attempt) % 1000)
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014) over seed, lease and count.
    fn random(&self, lease: LeaseId, count: u32) -> u64 {
        let bytes = lease.0.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        let half = |part: &[u8]| part.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        [half(low), half(high), u64::from(count)]
            .iter()
            .fold(self.seed, |state, word| splitmix64(state ^ word))
    }
}

fn splitmix64(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `count` thousandths of `whole`, without overflow for a count of at most 1000.
fn thousandths(whole: Duration, count: u64) -> Duration {
    let nanos = whole.as_nanos() * u128::from(count) / 1000;
    let secs = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(secs, u32::try_from(nanos % 1_000_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lease::LeaseTiming;

    #[test]
    fn two_leases_do_not_renew_in_step() {
        let term = LeaseTiming::SAME_CLOCK.term(BootTime::from_secs(0), Duration::from_secs(3600));
        let policy = RenewalPolicy::default();
        let points: std::collections::BTreeSet<_> =
            (0..100).map(|id| policy.renewal_point(&term, LeaseId(id), 0)).collect();
        assert!(points.len() > 50, "only {} different points", points.len());
    }

    #[test]
    fn a_lease_shorter_than_the_least_interval_is_still_renewed_in_time() {
        let term = LeaseTiming::SAME_CLOCK.term(BootTime::from_secs(100), Duration::from_secs(8));
        let point = RenewalPolicy::default().renewal_point(&term, LeaseId(3), 0);
        assert_eq!(point, BootTime::from_secs(106));
    }

    proptest! {
        #[test]
        fn renewal_comes_before_the_deadline(
            start in any::<u64>(), granted in any::<u64>(), id in any::<u128>(), renewals in any::<u32>(),
            at_permille in any::<u16>(), jitter_permille in any::<u16>(), seed in any::<u64>(),
        ) {
            let policy = RenewalPolicy { at_permille, jitter_permille, seed, ..RenewalPolicy::default() };
            let start = BootTime::from_duration(Duration::from_nanos(start));
            let term = LeaseTiming::SAME_CLOCK.term(start, Duration::from_nanos(granted));
            let point = policy.renewal_point(&term, LeaseId(id), renewals);
            prop_assert!(point >= start && point <= term.deadline);
            if at_permille < 1000 && term.usable() > Duration::ZERO {
                prop_assert!(point < term.deadline);
            }
            prop_assert_eq!(point, policy.renewal_point(&term, LeaseId(id), renewals), "the seed decides");
        }

        #[test]
        fn backoff_grows_to_its_cap(id in any::<u128>(), attempt in any::<u32>()) {
            let pause = RenewalPolicy::default().backoff(LeaseId(id), attempt);
            prop_assert!(pause >= Duration::from_millis(50) && pause <= Duration::from_secs(5));
        }
    }
}
