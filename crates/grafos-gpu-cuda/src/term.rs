//! [`Term`]: until when a lease lasts, and how it ended.
//!
//! Invariant: an end stays, and the first one stands. Takes no lock, since every poll of a waiting call asks here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;
use grafos_std::FabricError;

/// The time of a lease.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) lease_id: LeaseId,
    clock: Arc<dyn Clock>,
    /// On the boot clock.
    deadline_ms: AtomicU64,
    ended: AtomicU8,
}

impl Term {
    /// From now on, for so many seconds.
    pub(crate) fn new(lease_id: LeaseId, clock: Arc<dyn Clock>, lease_secs: u64) -> Self {
        let ended = AtomicU8::new(LeaseStatus::Active.code());
        let term = Self { lease_id, clock, deadline_ms: AtomicU64::new(0), ended };
        term.extend(lease_secs);
        term
    }

    /// For so many seconds from now, or until the old deadline if that is later.
    pub(crate) fn extend(&self, lease_secs: u64) {
        let deadline = self.clock.now().saturating_add(Duration::from_secs(lease_secs)).since_boot();
        // Up to a millisecond later than exact: who holds the lease stops first.
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        self.deadline_ms.fetch_max(deadline_ms, Ordering::SeqCst);
    }

    /// Where it stands. A deadline that has passed is an end from the first look on.
    pub(crate) fn status(&self) -> LeaseStatus {
        if self.latched() == LeaseStatus::Active && self.now_ms() >= self.deadline_ms.load(Ordering::SeqCst) {
            self.end(LeaseStatus::Expired);
        }
        self.latched()
    }

    /// Ends it; `false` if it had ended before.
    pub(crate) fn end(&self, status: LeaseStatus) -> bool {
        let active = LeaseStatus::Active.code();
        self.ended.compare_exchange(active, status.code(), Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// An error once it has ended.
    pub(crate) fn check(&self) -> Result<(), FabricError> {
        let lease_id = self.lease_id;
        Err(match self.status() {
            LeaseStatus::Active => return Ok(()),
            LeaseStatus::Expired => {
                let overdue = self.now_ms().saturating_sub(self.deadline_ms.load(Ordering::SeqCst));
                let expires_at_unix_secs = self.clock.unix_ms().saturating_sub(overdue) / 1000;
                FabricError::LeaseExpired { lease_id, expires_at_unix_secs }
            }
            LeaseStatus::Released => FabricError::Released { lease_id },
            _ => FabricError::Revoked { lease_id },
        })
    }

    fn latched(&self) -> LeaseStatus {
        LeaseStatus::from_code(self.ended.load(Ordering::SeqCst)).unwrap_or(LeaseStatus::Fenced)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().since_boot().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;

    use super::*;

    fn term(secs: u64) -> (Term, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        (Term::new(LeaseId(1), shared, secs), clock)
    }

    #[test]
    fn a_term_ends_at_its_deadline_and_never_begins_again() {
        let (term, clock) = term(10);
        clock.advance(Duration::from_secs(10));
        assert_eq!(term.status(), LeaseStatus::Active, "the holder stops first");
        clock.advance(Duration::from_millis(1));
        assert!(matches!(term.check(), Err(FabricError::LeaseExpired { lease_id: LeaseId(1), .. })));
        term.extend(100);
        assert_eq!(term.status(), LeaseStatus::Expired);
    }

    #[test]
    fn renewal_moves_the_deadline_and_never_back() {
        let (term, clock) = term(10);
        clock.advance(Duration::from_secs(5));
        term.extend(10);
        term.extend(1);
        clock.advance(Duration::from_secs(10));
        assert!(term.check().is_ok());
    }

    #[test]
    fn the_first_end_stands() {
        let (term, _) = term(10);
        assert!(term.end(LeaseStatus::Revoked));
        assert!(!term.end(LeaseStatus::Released));
        assert!(matches!(term.check(), Err(FabricError::Revoked { .. })));
    }
}
