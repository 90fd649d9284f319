//! [`GpuLease`]: the right to use a GPU.

use std::fmt;
use std::sync::Arc;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use super::{GpuDeviceInfo, GpuExclusivityClass};
use crate::error::Result;
use crate::host::{GpuGrant, LeasedGpu};
use crate::lease::{LeaseState, Leased};

/// The right to use a GPU, until it is released, runs out, or is taken away. Everything that its sessions have on the
/// device is zeroed and freed then.
///
/// Dropping it releases it.
///
/// ```
/// use fabricbios_core::state::LeaseStatus;
/// use grafos_std::gpu::{GpuBuilder, GpuSession};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> grafos_std::Result<()> {
///
/// let lease = GpuBuilder::new().acquire()?;
/// let mut session = GpuSession::new(&lease);
/// let memory = session.mem_alloc(64)?;
/// assert_eq!(lease.status(), LeaseStatus::Active);
///
/// lease.release()?;
/// assert!(session.mem_write(&memory, 0, &[1]).is_err(), "fails closed");
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GpuLease {
    held: Arc<HeldGpu>,
}

#[derive(Debug)]
pub(super) struct HeldGpu {
    pub(super) leased: Leased<dyn LeasedGpu>,
    pub(super) device: GpuDeviceInfo,
    exclusivity: GpuExclusivityClass,
    vram_bytes: u64,
}

impl GpuLease {
    pub(super) fn new(
        grant: GpuGrant,
        lease_secs: u64,
        requested_at: BootTime,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let GpuGrant { lease, device, exclusivity, vram_bytes, gpu } = grant;
        let resource = resource(device.index);
        let state = LeaseState::new(&lease, resource, lease_secs, requested_at, clock);
        Self { held: Arc::new(HeldGpu { leased: Leased::new(state, gpu), device, exclusivity, vram_bytes }) }
    }

    pub(super) fn held(&self) -> &Arc<HeldGpu> {
        &self.held
    }

    /// Names this lease.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        self.held.leased.state().lease_id()
    }

    /// The epoch of this holder: higher than that of every earlier lease on the device.
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

    /// The device.
    #[must_use]
    pub fn device_info(&self) -> &GpuDeviceInfo {
        &self.held.device
    }

    /// How far others are kept out.
    #[must_use]
    pub fn exclusivity(&self) -> GpuExclusivityClass {
        self.held.exclusivity
    }

    /// How much device memory all sessions of this lease together may allocate, in bytes: at least what was asked
    /// for.
    #[must_use]
    pub fn vram_bytes(&self) -> u64 {
        self.held.vram_bytes
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

    /// Gives the GPU back. Sessions are closed; a kernel that runs is stopped where that is
    /// [possible](GpuDeviceInfo::stops_running_kernels).
    ///
    /// # Errors
    /// That the lease had ended before.
    pub fn release(self) -> Result<()> {
        self.held.leased.release(|_| Ok(()))
    }
}

/// How the devices of a host are named as resources.
pub(crate) fn resource(device: u32) -> ResourceId {
    ResourceId::new(ResourceKind::Gpu, format!("device-{device}"))
}

impl Drop for GpuLease {
    fn drop(&mut self) {
        if !self.held.leased.has_ended()
            && let Err(error) = self.held.leased.release(|_| Ok(()))
        {
            tracing::debug!(lease_id = %self.lease_id(), %error, "the lease had ended before it was dropped");
        }
    }
}

impl fmt::Debug for GpuLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuLease")
            .field("lease_id", &self.lease_id())
            .field("device", &self.held.device.index)
            .field("exclusivity", &self.held.exclusivity)
            .finish_non_exhaustive()
    }
}
