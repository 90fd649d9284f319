//! [`LocalGpuHost`]: leases GPUs that are the processors of this machine.
//!
//! A device is a table of leases (`device`), a lease a set of sessions (`lease`), a session a memory, modules and
//! streams (`session`, `streams`; `held_session` is what the front has of it). Kernels run in the virtual machine of
//! `grafos-ptx`. Other processes are kept out by locks on files (`device_files`).
//!
//! Invariant: when a lease has ended nothing of it runs, and its memory is zeroed and freed.

mod builder;
mod context;
mod device;
mod device_files;
mod faults;
mod held_session;
mod lease;
mod session;
mod staging;
mod streams;
mod term;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

pub use builder::LocalGpuHostBuilder;
use device::Device;

use crate::error::{FabricError, Result};
use crate::gpu::{GpuDeviceInfo, GpuError, GpuExclusivityClass, UnavailableReason};
use crate::host::{GpuGrant, GpuHost, GpuRequest, GpuUsage, RevokeOutcome};

/// The backend for GPUs of this machine that are not there: kernels in PTX run on the processor, every access checked.
///
/// One device with 16 GiB when nothing else is said. Memory is taken from the machine only as it is written. A lease
/// that ends stops its kernels within a millisecond. A lease that names no exclusivity has the device for itself.
///
/// Clones share devices and leases. With a [home](LocalGpuHostBuilder::home) other processes with the same home are
/// kept out as well; without one, only leases of this host know of each other.
///
/// ```
/// use grafos_std::host::{GpuHost, GpuRequest, LocalGpuHost};
///
/// let host = LocalGpuHost::builder().vram_bytes(1 << 20).build()?;
/// let request = GpuRequest { device: None, min_vram_bytes: 1 << 10, lease_secs: 60, exclusivity: None };
/// let grant = host.acquire(&request)?;
/// assert_eq!(host.usage()?.leases, 1);
/// drop(grant);
/// assert!(host.usage()?.is_idle());
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone)]
pub struct LocalGpuHost {
    devices: Arc<[Arc<Device>]>,
    clock: Arc<dyn Clock>,
    launches: Arc<AtomicU64>,
}

impl LocalGpuHost {
    /// The memory of a device when nothing else is said: 16 GiB.
    pub const DEFAULT_VRAM_BYTES: u64 = 16 << 30;

    /// The name of a device when nothing else is said.
    pub const DEFAULT_NAME: &str = "grafos local GPU";

    /// What a lease gets that names no class.
    pub const DEFAULT_EXCLUSIVITY: GpuExclusivityClass = GpuExclusivityClass::DeviceExclusive;

    /// A host with choices of the program's own.
    pub fn builder() -> LocalGpuHostBuilder {
        LocalGpuHostBuilder::default()
    }

    /// Ends the leases that are past their deadline, since nobody else may ever look.
    fn end_expired(&self) {
        let leases = self.devices.iter().flat_map(|device| device.leases());
        for lease in leases.filter(|lease| !lease.term.is_active()) {
            lease.end(LeaseStatus::Expired);
        }
    }

    fn device(&self, index: u32) -> Result<&Arc<Device>> {
        let found = usize::try_from(index).ok().and_then(|index| self.devices.get(index));
        found.ok_or_else(|| {
            GpuError::Unavailable {
                reason: UnavailableReason::NoDevice,
                message: format!("device={index}, devices={}", self.devices.len()),
            }
            .into()
        })
    }
}

impl GpuHost for LocalGpuHost {
    fn devices(&self) -> Result<Vec<GpuDeviceInfo>> {
        Ok(self.devices.iter().map(|device| device.info().clone()).collect())
    }

    fn acquire(&self, request: &GpuRequest) -> Result<GpuGrant> {
        let class = request.exclusivity.unwrap_or(Self::DEFAULT_EXCLUSIVITY);
        if class == GpuExclusivityClass::PartitionExclusive {
            return Err(FabricError::Unsupported { what: "partitions of local devices" });
        }
        self.end_expired();
        if let Some(index) = request.device {
            return self.device(index)?.grant(request, class, &self.clock);
        }
        let mut refusal = None;
        for device in self.devices.iter() {
            match device.grant(request, class, &self.clock) {
                Ok(grant) => return Ok(grant),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| FabricError::Unsupported { what: "a lease on a host without devices" }))
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let lease = self.devices.iter().find_map(|device| device.lease(lease_id));
        let taken = lease.is_some_and(|lease| lease.end(LeaseStatus::Revoked));
        Ok(if taken { RevokeOutcome::TornDown } else { RevokeOutcome::NotFound })
    }

    fn usage(&self) -> Result<GpuUsage> {
        self.end_expired();
        let mut usage = GpuUsage { launches: self.launches.load(Ordering::SeqCst), ..GpuUsage::default() };
        for lease in self.devices.iter().flat_map(|device| device.leases()) {
            lease.count_in(&mut usage);
        }
        Ok(usage)
    }
}

impl fmt::Debug for LocalGpuHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leases: usize = self.devices.iter().map(|device| device.leases().len()).sum();
        f.debug_struct("LocalGpuHost").field("devices", &self.devices.len()).field("leases", &leases).finish()
    }
}
