//! What every kind of lease shares: [`LeaseState`], who holds it until when, and [`Leased`], the resource itself.
//!
//! Invariant: a status that is not `Active` is latched by the first look that sees it, whichever thread looks, and
//! stays. Nothing flips it in the background; it is computed when somebody asks.

mod leased;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::{FenceEpoch, LeaseId, LeaseTerm, LeaseTiming, RenewalPolicy};
use fabricbios_core::resource::ResourceId;
use fabricbios_core::state::LeaseStatus;

use crate::host::LeaseGrant;
pub(crate) use leased::Leased;

/// Identity, term and status of one lease.
#[derive(Debug)]
pub(crate) struct LeaseState {
    lease_id: LeaseId,
    epoch: FenceEpoch,
    resource: ResourceId,
    lease_secs: u64,
    timing: LeaseTiming,
    clock: Arc<dyn Clock>,
    latched: AtomicU8,
    held: Mutex<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    term: LeaseTerm,
    expires_at_unix_ms: u64,
    renewals: u32,
}

impl LeaseState {
    /// `requested_at` is the time before the host was asked.
    pub(crate) fn new(
        grant: &LeaseGrant,
        resource: ResourceId,
        lease_secs: u64,
        requested_at: BootTime,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let term = grant.timing.term(requested_at, grant.granted);
        let expires_at_unix_ms = expiry_unix_ms(&term, clock.as_ref());
        Self {
            lease_id: grant.lease_id,
            epoch: grant.epoch,
            resource,
            lease_secs,
            timing: grant.timing,
            clock,
            latched: AtomicU8::new(LeaseStatus::Active.code()),
            held: Mutex::new(Held { term, expires_at_unix_ms, renewals: 0 }),
        }
    }

    pub(crate) fn lease_id(&self) -> LeaseId {
        self.lease_id
    }

    pub(crate) fn epoch(&self) -> FenceEpoch {
        self.epoch
    }

    pub(crate) fn resource(&self) -> &ResourceId {
        &self.resource
    }

    pub(crate) fn lease_secs(&self) -> u64 {
        self.lease_secs
    }

    pub(crate) fn expires_at_unix_secs(&self) -> u64 {
        self.held().expires_at_unix_ms / 1000
    }

    pub(crate) fn now(&self) -> BootTime {
        self.clock.now()
    }

    pub(crate) fn unix_ms_now(&self) -> u64 {
        self.clock.unix_ms()
    }

    /// Where the lease stands now. `host_says` is asked only while nothing else has ended the lease.
    pub(crate) fn status(&self, host_says: impl FnOnce() -> LeaseStatus) -> LeaseStatus {
        let latched = self.latched();
        if latched.is_terminal() {
            return latched;
        }
        if self.held().term.is_over(self.clock.now()) {
            return self.end(LeaseStatus::Expired);
        }
        match host_says() {
            LeaseStatus::Active => self.latched(),
            ended => self.end(ended),
        }
    }

    /// Ends the lease, unless it has ended already: the first end stands. Returns the one that stands.
    pub(crate) fn end(&self, status: LeaseStatus) -> LeaseStatus {
        let active = LeaseStatus::Active.code();
        // A failed exchange means that another end came first.
        let _ = self.latched.compare_exchange(active, status.code(), Ordering::SeqCst, Ordering::SeqCst);
        self.latched()
    }

    /// Whether an end has been seen; asks neither clock nor host.
    pub(crate) fn has_ended(&self) -> bool {
        self.latched().is_terminal()
    }

    /// A renewal that was asked for at `requested_at` was granted. A term never gets shorter.
    pub(crate) fn renewed(&self, requested_at: BootTime, granted: Duration) {
        let term = self.timing.term(requested_at, granted);
        let mut held = self.held();
        if term.deadline > held.term.deadline {
            held.term = term;
            held.expires_at_unix_ms = expiry_unix_ms(&term, self.clock.as_ref());
        }
        held.renewals = held.renewals.saturating_add(1);
    }

    /// Whether the time to renew has come.
    pub(crate) fn renewal_due(&self, policy: &RenewalPolicy) -> bool {
        let held = *self.held();
        self.clock.now() >= policy.renewal_point(&held.term, self.lease_id, held.renewals)
    }

    fn latched(&self) -> LeaseStatus {
        LeaseStatus::from_code(self.latched.load(Ordering::SeqCst)).unwrap_or(LeaseStatus::Fenced)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change of `Held` is a plain assignment, so a panic elsewhere can't leave half of one.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expiry_unix_ms(term: &LeaseTerm, clock: &dyn Clock) -> u64 {
    let remaining_ms = u64::try_from(term.remaining(clock.now()).as_millis()).unwrap_or(u64::MAX);
    clock.unix_ms().saturating_add(remaining_ms)
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;
    use fabricbios_core::resource::ResourceKind;

    use super::*;

    fn state(secs: u64) -> (LeaseState, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let grant = LeaseGrant {
            lease_id: LeaseId(1),
            epoch: FenceEpoch(1),
            granted: Duration::from_secs(secs),
            timing: LeaseTiming::SAME_CLOCK,
        };
        let resource = ResourceId::new(ResourceKind::Block, "v");
        let shared: Arc<dyn Clock> = clock.clone();
        (LeaseState::new(&grant, resource, secs, clock.now(), shared), clock)
    }

    #[test]
    fn the_first_end_stands_whatever_comes_later() {
        let (lease, clock) = state(10);
        assert_eq!(lease.status(|| LeaseStatus::Revoked), LeaseStatus::Revoked);
        clock.advance(Duration::from_secs(20));
        assert_eq!(lease.status(|| LeaseStatus::Active), LeaseStatus::Revoked);
        assert_eq!(lease.end(LeaseStatus::Released), LeaseStatus::Revoked);
    }

    #[test]
    fn a_lease_ends_at_its_deadline_though_the_host_says_active() {
        let (lease, clock) = state(10);
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(lease.status(|| LeaseStatus::Active), LeaseStatus::Active);
        clock.advance(Duration::from_millis(1));
        assert_eq!(lease.status(|| LeaseStatus::Active), LeaseStatus::Expired);
        lease.renewed(clock.now(), Duration::from_secs(100));
        assert_eq!(lease.status(|| LeaseStatus::Active), LeaseStatus::Expired);
    }

    #[test]
    fn renewal_moves_the_deadline_and_never_back() {
        let (lease, clock) = state(100);
        assert!(!lease.renewal_due(&RenewalPolicy::default()));
        clock.advance(Duration::from_secs(75));
        assert!(lease.renewal_due(&RenewalPolicy::default()));
        let before = lease.expires_at_unix_secs();
        lease.renewed(clock.now(), Duration::from_secs(100));
        assert_eq!(lease.expires_at_unix_secs(), before + 75);
        lease.renewed(clock.now(), Duration::from_secs(1));
        assert_eq!(lease.expires_at_unix_secs(), before + 75);
    }
}
