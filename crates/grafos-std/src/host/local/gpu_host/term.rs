//! [`Term`]: until when a lease on a local device lasts, and how it ended.
//!
//! Invariant: an end stays; the first one stands. Running kernels ask here whether to go on, so it takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;

use crate::error::FabricError;
use crate::gpu::resource;

#[derive(Debug)]
pub(super) struct Term {
    pub(super) lease_id: LeaseId,
    pub(super) epoch: FenceEpoch,
    pub(super) device: u32,
    clock: Arc<dyn Clock>,
    /// On the boot clock.
    deadline_ms: AtomicU64,
    ended: AtomicU8,
}

impl Term {
    pub(super) fn new(
        lease_id: LeaseId,
        epoch: FenceEpoch,
        device: u32,
        clock: &Arc<dyn Clock>,
        lease_secs: u64,
    ) -> Self {
        let term = Self {
            lease_id,
            epoch,
            device,
            clock: Arc::clone(clock),
            deadline_ms: AtomicU64::new(0),
            ended: AtomicU8::new(LeaseStatus::Active.code()),
        };
        term.extend(lease_secs);
        term
    }

    /// The lease lasts so many seconds from now, or until its old deadline if that is later.
    pub(super) fn extend(&self, lease_secs: u64) {
        // Up to a millisecond later than exact: who holds the lease stops first.
        let deadline = self.clock.now().saturating_add(Duration::from_secs(lease_secs)).since_boot();
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        self.deadline_ms.fetch_max(deadline_ms, Ordering::SeqCst);
    }

    /// Where the lease stands. A deadline that has passed is an end from the first look on.
    pub(super) fn status(&self) -> LeaseStatus {
        let ended = self.ended();
        if ended == LeaseStatus::Active && self.is_past_deadline() {
            self.end(LeaseStatus::Expired);
            return self.ended();
        }
        ended
    }

    pub(super) fn is_active(&self) -> bool {
        self.status() == LeaseStatus::Active
    }

    /// Ends the lease; `false` if it had ended before.
    pub(super) fn end(&self, status: LeaseStatus) -> bool {
        let active = LeaseStatus::Active.code();
        self.ended.compare_exchange(active, status.code(), Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// What every operation answers once the lease has ended.
    pub(super) fn ended_error(&self) -> FabricError {
        let left = self.deadline_ms.load(Ordering::SeqCst).saturating_sub(self.now_ms());
        let overdue = self.now_ms().saturating_sub(self.deadline_ms.load(Ordering::SeqCst));
        let expires_at_unix_ms = self.clock.unix_ms().saturating_add(left).saturating_sub(overdue);
        FabricError::lease_ended(
            self.status(),
            self.lease_id,
            &resource(self.device),
            self.epoch,
            expires_at_unix_ms / 1000,
        )
    }

    fn is_past_deadline(&self) -> bool {
        self.now_ms() >= self.deadline_ms.load(Ordering::SeqCst)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().since_boot().as_millis()).unwrap_or(u64::MAX)
    }

    fn ended(&self) -> LeaseStatus {
        LeaseStatus::from_code(self.ended.load(Ordering::SeqCst)).unwrap_or(LeaseStatus::Fenced)
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;

    use super::*;

    fn term(secs: u64) -> (Term, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = clock.clone();
        (Term::new(LeaseId(1), FenceEpoch(1), 0, &shared, secs), clock)
    }

    #[test]
    fn a_term_ends_at_its_deadline_and_not_a_second_time() {
        let (term, clock) = term(10);
        clock.advance(Duration::from_secs(10));
        assert!(term.is_active(), "the holder stops first");
        clock.advance(Duration::from_millis(1));
        assert_eq!(term.status(), LeaseStatus::Expired);
        assert!(!term.end(LeaseStatus::Revoked));
        term.extend(1000);
        assert_eq!(term.status(), LeaseStatus::Expired, "no lease comes back to life");
        assert!(matches!(term.ended_error(), FabricError::LeaseExpired { .. }));
    }

    #[test]
    fn an_extension_never_shortens_and_never_overflows() {
        let (term, clock) = term(100);
        term.extend(1);
        clock.advance(Duration::from_secs(99));
        assert!(term.is_active());
        term.extend(u64::MAX);
        clock.advance(Duration::from_secs(u64::MAX / 2_000_000));
        assert!(term.is_active());
        assert!(term.end(LeaseStatus::Revoked));
        assert!(matches!(term.ended_error(), FabricError::Revoked { lease_id: LeaseId(1) }));
    }

    #[test]
    fn the_error_of_an_expired_term_says_when_it_ran_out() {
        let (term, clock) = term(10);
        clock.advance(Duration::from_secs(500));
        let FabricError::LeaseExpired { expires_at_unix_secs, .. } = term.ended_error() else {
            panic!("another error")
        };
        assert_eq!(expires_at_unix_secs, ManualClock::START_UNIX_MS / 1000 + 10);
    }
}
