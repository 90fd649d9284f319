//! [`MemLease`]: the right to use memory.

use std::fmt;
use std::sync::Arc;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use super::MemHandle;
use crate::error::Result;
use crate::host::{LeasedMemory, MemGrant};
use crate::lease::{LeaseState, Leased};

/// The right to use memory, until it is released, runs out, or is taken away; the contents are gone then.
///
/// Dropping it releases it.
pub struct MemLease {
    held: Arc<HeldMemory>,
}

#[derive(Debug)]
pub(super) struct HeldMemory {
    pub(super) leased: Leased<dyn LeasedMemory>,
    pub(super) num_bytes: u64,
}

impl MemLease {
    pub(super) fn new(
        grant: MemGrant,
        lease_secs: u64,
        requested_at: BootTime,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let resource = ResourceId::new(ResourceKind::Memory, grant.lease.lease_id.to_string());
        let state = LeaseState::new(&grant.lease, resource, lease_secs, requested_at, clock);
        let num_bytes = grant.memory.num_bytes();
        Self { held: Arc::new(HeldMemory { leased: Leased::new(state, grant.memory), num_bytes }) }
    }

    /// Names this lease.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        self.held.leased.state().lease_id()
    }

    /// The epoch of this holder.
    #[must_use]
    pub fn epoch(&self) -> FenceEpoch {
        self.held.leased.state().epoch()
    }

    /// Where the lease stands now. Whatever is not [`Active`](LeaseStatus::Active) stays.
    #[must_use]
    pub fn status(&self) -> LeaseStatus {
        self.held.leased.status()
    }

    /// When the lease runs out, in seconds since 1970, for people.
    #[must_use]
    pub fn expires_at_unix_secs(&self) -> u64 {
        self.held.leased.state().expires_at_unix_secs()
    }

    /// Extends the lease by the time that it was asked for, from now.
    ///
    /// # Errors
    /// [`LeaseExpired`](crate::FabricError::LeaseExpired) and the like once it has ended; those of the host.
    pub fn renew(&self) -> Result<()> {
        self.held.leased.renew()
    }

    /// [Renews](Self::renew) if the time to renew has come. Cheap otherwise.
    ///
    /// # Errors
    /// Those of [`renew`](Self::renew).
    pub fn renew_if_due(&self) -> Result<()> {
        self.held.leased.renew_if_due()
    }

    /// The handle that reads and writes. Clones can go to other threads; all are refused once the lease has ended.
    #[must_use]
    pub fn mem(&self) -> MemHandle {
        MemHandle::new(Arc::clone(&self.held))
    }

    /// Gives the memory back, zeroed.
    ///
    /// # Errors
    /// That the lease had ended before.
    pub fn release(self) -> Result<()> {
        self.held.leased.release(|_| Ok(()))
    }
}

impl Drop for MemLease {
    fn drop(&mut self) {
        if !self.held.leased.has_ended()
            && let Err(error) = self.held.leased.release(|_| Ok(()))
        {
            tracing::debug!(lease_id = %self.lease_id(), %error, "the lease had ended before it was dropped");
        }
    }
}

impl fmt::Debug for MemLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemLease")
            .field("lease_id", &self.lease_id())
            .field("num_bytes", &self.held.num_bytes)
            .finish_non_exhaustive()
    }
}
