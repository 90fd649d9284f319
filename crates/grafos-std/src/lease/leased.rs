//! [`Leased`]: a resource while its lease lasts, shared by the lease and its handles.
//!
//! Invariants: every operation goes through [`Leased::with`], so none starts after the lease has ended; once the
//! end has been seen the backend's resource is dropped, so that the next holder can have it.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use fabricbios_core::lease::RenewalPolicy;
use fabricbios_core::state::LeaseStatus;

use super::LeaseState;
use crate::error::{FabricError, Result};
use crate::host::{LeasedBlocks, LeasedGpu, LeasedMemory};

/// What the backends of all kinds of resource answer.
pub(crate) trait HostSide {
    fn host_status(&self) -> LeaseStatus;
    fn renew(&self, lease_secs: u64) -> Result<Duration>;
}

impl HostSide for dyn LeasedBlocks {
    fn host_status(&self) -> LeaseStatus {
        LeasedBlocks::host_status(self)
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        LeasedBlocks::renew(self, lease_secs)
    }
}

impl HostSide for dyn LeasedMemory {
    fn host_status(&self) -> LeaseStatus {
        LeasedMemory::host_status(self)
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        LeasedMemory::renew(self, lease_secs)
    }
}

impl HostSide for dyn LeasedGpu {
    fn host_status(&self) -> LeaseStatus {
        LeasedGpu::host_status(self)
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        LeasedGpu::renew(self, lease_secs)
    }
}

#[derive(Debug)]
pub(crate) struct Leased<R: HostSide + ?Sized> {
    state: LeaseState,
    /// `None` once the end of the lease has been seen.
    resource: RwLock<Option<Box<R>>>,
}

impl<R: HostSide + ?Sized> Leased<R> {
    pub(crate) fn new(state: LeaseState, resource: Box<R>) -> Self {
        Self { state, resource: RwLock::new(Some(resource)) }
    }

    pub(crate) fn state(&self) -> &LeaseState {
        &self.state
    }

    pub(crate) fn status(&self) -> LeaseStatus {
        let status = {
            let resource = self.resource.read().unwrap_or_else(PoisonError::into_inner);
            self.status_given(resource.as_deref())
        };
        if status.is_terminal() {
            self.let_go();
        }
        status
    }

    /// Runs `work` on the resource if the lease is active.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&R) -> Result<T>) -> Result<T> {
        let status = {
            let resource = self.resource.read().unwrap_or_else(PoisonError::into_inner);
            match (self.status_given(resource.as_deref()), resource.as_deref()) {
                (LeaseStatus::Active, Some(resource)) => return work(resource),
                (status, _) => status,
            }
        };
        self.let_go();
        Err(self.state.ended_error(status))
    }

    pub(crate) fn renew(&self) -> Result<()> {
        let requested_at = self.state.now();
        let granted = self.with(|resource| resource.renew(self.state.lease_secs()))?;
        self.state.renewed(requested_at, granted);
        Ok(())
    }

    pub(crate) fn renew_if_due(&self) -> Result<()> {
        if self.state.renewal_due(&RenewalPolicy::default()) { self.renew() } else { Ok(()) }
    }

    /// Ends the lease and lets the resource go, whatever `tell_host` answers.
    pub(crate) fn release(&self, tell_host: impl FnOnce(&R) -> Result<()>) -> Result<()> {
        let told = self.with(tell_host);
        self.state.end(LeaseStatus::Released);
        self.let_go();
        told
    }

    /// Whether the end of the lease has been seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.has_ended()
    }

    fn status_given(&self, resource: Option<&R>) -> LeaseStatus {
        // A resource that is gone belongs to a lease whose end is latched, so `Released` is not what is answered.
        self.state.status(|| resource.map_or(LeaseStatus::Released, HostSide::host_status))
    }

    /// Waits for operations that run, then drops the resource.
    fn let_go(&self) {
        *self.resource.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl LeaseState {
    /// The error of every operation on a lease that has ended with this status.
    fn ended_error(&self, status: LeaseStatus) -> FabricError {
        FabricError::lease_ended(
            status,
            self.lease_id(),
            self.resource(),
            self.epoch(),
            self.expires_at_unix_secs(),
        )
    }
}
