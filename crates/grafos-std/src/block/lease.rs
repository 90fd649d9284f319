//! [`BlockLease`]: the right to use a volume.

use std::fmt;
use std::sync::Arc;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use super::BlockHandle;
use super::held::HeldVolume;
use crate::error::Result;
use crate::host::{BlockGrant, VolumeName};
use crate::lease::LeaseState;

/// The right to use a block volume, until it is released, runs out, or is taken away.
///
/// Dropping it releases it, best effort; [`release`](Self::release) reports. The volume keeps its contents in
/// every case and can be leased again by its [name](Self::volume). After a crash the lease stays active until its
/// deadline: either [attach](super::BlockBuilder::attach) to it, or take a new one on the same volume.
pub struct BlockLease {
    held: Arc<HeldVolume>,
    volume: VolumeName,
}

impl BlockLease {
    pub(super) fn new(
        grant: BlockGrant,
        lease_secs: u64,
        requested_at: BootTime,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let resource = ResourceId::new(ResourceKind::Block, grant.volume.as_str());
        let lease = LeaseState::new(&grant.lease, resource, lease_secs, requested_at, clock);
        tracing::debug!(lease_id = %lease.lease_id(), epoch = %lease.epoch(), volume = %grant.volume, "leased");
        Self { held: Arc::new(HeldVolume::new(lease, grant.blocks)), volume: grant.volume }
    }

    /// Names this lease. Keep it somewhere stable to [attach](super::BlockBuilder::attach) after a crash.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        self.held.lease().lease_id()
    }

    /// The epoch of this holder: higher than that of every earlier one on the same volume.
    #[must_use]
    pub fn epoch(&self) -> FenceEpoch {
        self.held.lease().epoch()
    }

    /// The name of the volume, under which it can be leased again.
    #[must_use]
    pub fn volume(&self) -> &VolumeName {
        &self.volume
    }

    /// Where the lease stands now. Whatever is not [`Active`](LeaseStatus::Active) stays.
    #[must_use]
    pub fn status(&self) -> LeaseStatus {
        self.held.leased.status()
    }

    /// When the lease runs out, in seconds since 1970. The deadline itself is kept on a clock that nobody sets, so
    /// this is for people.
    #[must_use]
    pub fn expires_at_unix_secs(&self) -> u64 {
        self.held.lease().expires_at_unix_secs()
    }

    /// Wall-clock time in milliseconds since 1970, by the clock of the lease's host.
    #[must_use]
    pub fn unix_ms_now(&self) -> u64 {
        self.held.lease().unix_ms_now()
    }

    /// Extends the lease by the time that it was asked for, from now.
    ///
    /// # Errors
    /// [`LeaseExpired`](crate::FabricError::LeaseExpired) and the like once it has ended: no lease comes back to
    /// life. Those of the host, and then the old deadline stands.
    pub fn renew(&self) -> Result<()> {
        self.held.leased.renew()
    }

    /// [Renews](Self::renew) if three quarters of the time, less some jitter, have gone by
    /// ([`RenewalPolicy`](fabricbios_core::lease::RenewalPolicy)). Cheap otherwise.
    ///
    /// # Errors
    /// Those of [`renew`](Self::renew).
    pub fn renew_if_due(&self) -> Result<()> {
        self.held.leased.renew_if_due()
    }

    /// The handle that reads and writes. Handles can be cloned and sent to other threads; all of them are refused
    /// once the lease has ended.
    #[must_use]
    pub fn block(&self) -> BlockHandle {
        BlockHandle::new(Arc::clone(&self.held))
    }

    /// Gives the lease back. It has ended for this process whatever the outcome.
    ///
    /// # Errors
    /// That the lease had ended before, or that the host could not be told and will keep it until its deadline.
    pub fn release(self) -> Result<()> {
        self.held.leased.release(|blocks| blocks.release())
    }
}

impl Drop for BlockLease {
    fn drop(&mut self) {
        if self.held.leased.has_ended() {
            return;
        }
        if let Err(error) = self.held.leased.release(|blocks| blocks.release()) {
            tracing::warn!(lease_id = %self.lease_id(), %error, "the lease could not be released");
        }
    }
}

impl fmt::Debug for BlockLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockLease")
            .field("lease_id", &self.lease_id())
            .field("epoch", &self.epoch())
            .field("volume", &self.volume)
            .finish_non_exhaustive()
    }
}
