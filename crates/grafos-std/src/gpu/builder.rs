//! [`GpuBuilder`]: how a program asks for a GPU.

use std::sync::Arc;

use super::{GpuExclusivityClass, GpuLease};
use crate::block::at_least_one;
use crate::error::{FabricError, Result};
use crate::host::{GpuGrant, GpuRequest, Host};

/// Asks for a lease on a GPU.
///
/// ```
/// use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> grafos_std::Result<()> {
///
/// let lease = GpuBuilder::new()
///     .min_vram(1 << 30)
///     .lease_secs(120)
///     .exclusivity(GpuExclusivityClass::SessionExclusive)
///     .acquire()?;
/// assert!(lease.vram_bytes() >= 1 << 30);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is leased before `acquire`"]
pub struct GpuBuilder {
    host: Option<Host>,
    device: Option<u32>,
    min_vram: u64,
    lease_secs: u64,
    exclusivity: Option<GpuExclusivityClass>,
}

impl GpuBuilder {
    /// How long a lease is when nothing else is asked for: an hour, in seconds.
    pub const DEFAULT_LEASE_SECS: u64 = 60 * 60;

    /// How much device memory a lease has at least when nothing else is asked for: 1 GiB.
    pub const DEFAULT_MIN_VRAM: u64 = 1 << 30;

    /// 1 GiB of device memory at least, for an hour, on any device of the ambient host, as exclusively as the host
    /// thinks right.
    pub fn new() -> Self {
        Self {
            host: None,
            device: None,
            min_vram: Self::DEFAULT_MIN_VRAM,
            lease_secs: Self::DEFAULT_LEASE_SECS,
            exclusivity: None,
        }
    }

    /// Asks this host and not the ambient one.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// This device and no other, counted from 0.
    pub fn device(mut self, index: u32) -> Self {
        self.device = Some(index);
        self
    }

    /// How much device memory at least, in bytes. So much is reserved for the sessions of the lease; a lease that has
    /// the device for itself has all of its memory.
    pub fn min_vram(mut self, bytes: u64) -> Self {
        self.min_vram = bytes;
        self
    }

    /// For how long, in seconds.
    pub fn lease_secs(mut self, secs: u64) -> Self {
        self.lease_secs = secs;
        self
    }

    /// How far others are kept out. When nothing is said, the host decides; the local host and CUDA take
    /// [`DeviceExclusive`](GpuExclusivityClass::DeviceExclusive).
    pub fn exclusivity(mut self, class: GpuExclusivityClass) -> Self {
        self.exclusivity = Some(class);
        self
    }

    /// Takes the lease.
    ///
    /// # Errors
    /// [`InvalidRequest`](FabricError::InvalidRequest) for no memory or no time;
    /// [`Unsupported`](FabricError::Unsupported) for a class that is reserved or that the host can't enforce;
    /// [`Held`](FabricError::Held) while another lease keeps this one out;
    /// [`CapacityExceeded`](FabricError::CapacityExceeded); [`Gpu`](FabricError::Gpu) with
    /// [`Unavailable`](super::GpuError::Unavailable); those of
    /// [`GpuHost::acquire`](crate::host::GpuHost::acquire).
    pub fn acquire(self) -> Result<GpuLease> {
        at_least_one("min_vram", self.min_vram)?;
        at_least_one("lease_secs", self.lease_secs)?;
        if self.exclusivity == Some(GpuExclusivityClass::PartitionExclusive) {
            return Err(FabricError::Unsupported {
                what: "partition-exclusive GPU leases, which are reserved",
            });
        }
        let host = self.host.map_or_else(Host::current, Ok)?;
        let request = GpuRequest {
            device: self.device,
            min_vram_bytes: self.min_vram,
            lease_secs: self.lease_secs,
            exclusivity: self.exclusivity,
        };
        let requested_at = host.clock().now();
        let grant = host.gpu_host().acquire(&request)?;
        check_grant(&request, &grant)?;
        Ok(GpuLease::new(grant, self.lease_secs, requested_at, Arc::clone(host.clock())))
    }
}

/// A host that grants less than was asked for is not believed: its grant is dropped.
fn check_grant(request: &GpuRequest, grant: &GpuGrant) -> Result<()> {
    if request.exclusivity.is_some_and(|class| class != grant.exclusivity) {
        return Err(FabricError::Unsupported {
            what: "this exclusivity class; the host granted another one",
        });
    }
    if grant.vram_bytes < request.min_vram_bytes {
        return Err(FabricError::CapacityExceeded {
            what: "bytes of device memory",
            requested: request.min_vram_bytes,
            available: grant.vram_bytes,
        });
    }
    Ok(())
}

impl Default for GpuBuilder {
    fn default() -> Self {
        Self::new()
    }
}
