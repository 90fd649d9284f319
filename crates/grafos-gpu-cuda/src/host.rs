//! [`CudaHost`]: leases the CUDA devices of this machine.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::clock::{Clock, SystemClock};
use fabricbios_core::lease::{LeaseId, LeaseTiming};
use fabricbios_core::state::LeaseStatus;
use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::{GpuDeviceInfo, GpuError, GpuExclusivityClass, UnavailableReason};
use grafos_std::host::{GpuGrant, GpuHost, GpuRequest, GpuUsage, LeaseGrant, RevokeOutcome};

use crate::device::Device;
use crate::driver::Driver;
use crate::lease::{CudaLease, Lease};
use crate::probe;
use crate::term::Term;

/// The backend for CUDA devices. Clones share the leases.
///
/// Hosts of one process share the book of each device, so they keep each other out as the classes of their leases say.
/// Other processes don't know of that book: between processes a class has no force, and the driver shares the device
/// among them.
///
/// ```
/// use grafos_gpu_cuda::CudaHost;
/// use grafos_std::gpu::GpuError;
///
/// match CudaHost::open(0) {
///     Ok(host) => println!("{host:?}"),
///     Err(GpuError::Unavailable { reason, message }) => println!("no GPU here, {reason}: {message}"),
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone)]
pub struct CudaHost {
    shared: Arc<Shared>,
}

/// Opens a [`CudaHost`].
#[derive(Debug, Default)]
#[must_use = "nothing is opened before `open`"]
pub struct CudaHostBuilder {
    device: Option<u32>,
    clock: Option<Arc<dyn Clock>>,
}

/// What a host and its leases share.
pub(crate) struct Shared {
    pub(crate) driver: &'static Driver,
    devices: Vec<Arc<Device>>,
    clock: Arc<dyn Clock>,
    leases: Mutex<HashMap<LeaseId, Arc<Lease>>>,
    pub(crate) launches: AtomicU64,
    pub(crate) lost_contexts: AtomicU64,
}

impl CudaHost {
    /// A host of one device, counted from 0 as the driver counts.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`] with what is missing: library, function, version, device.
    pub fn open(device: u32) -> Result<Self, GpuError> {
        Self::builder().device(device).open()
    }

    /// For a host of all devices, or with a clock of its own.
    pub fn builder() -> CudaHostBuilder {
        CudaHostBuilder::default()
    }

    /// How many contexts could not be destroyed since the host was opened. Their memory is not lent again by this
    /// process; its end frees them.
    #[must_use]
    pub fn lost_contexts(&self) -> u64 {
        self.shared.lost_contexts.load(Ordering::SeqCst)
    }
}

impl CudaHostBuilder {
    /// This device and no other. When nothing is said, all that there are.
    pub fn device(mut self, index: u32) -> Self {
        self.device = Some(index);
        self
    }

    /// Judges leases by this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Loads and starts the driver, once per process, and looks for the devices.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`], as [`CudaHost::open`].
    pub fn open(self) -> Result<CudaHost, GpuError> {
        let driver = probe::driver()?;
        let devices = match self.device {
            Some(index) => vec![Device::open(driver, index)?],
            None => all_devices(driver)?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let leases = Mutex::default();
        let (launches, lost_contexts) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(CudaHost { shared: Arc::new(Shared { driver, devices, clock, leases, launches, lost_contexts }) })
    }
}

fn all_devices(driver: &Driver) -> Result<Vec<Arc<Device>>, GpuError> {
    let first = Device::open(driver, 0)?;
    let count = driver.device_count().ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let others = (1..count).map(|index| Device::open(driver, index));
    std::iter::once(Ok(first)).chain(others).collect()
}

impl Shared {
    fn leases(&self) -> MutexGuard<'_, HashMap<LeaseId, Arc<Lease>>> {
        // Each change is one insertion or removal.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Lease>> {
        self.leases().values().cloned().collect()
    }

    /// Tears down what is past its deadline.
    fn sweep(&self) {
        for lease in self.all() {
            if lease.term.status() != LeaseStatus::Active {
                lease.tear_down();
            }
        }
    }

    /// Forgets a lease of which nothing is left.
    pub(crate) fn forget_if_gone(&self, lease: &Lease) {
        if lease.is_gone() {
            self.leases().remove(&lease.term.lease_id);
        }
    }
}

impl GpuHost for CudaHost {
    fn devices(&self) -> Result<Vec<GpuDeviceInfo>> {
        Ok(self.shared.devices.iter().map(|device| device.info.clone()).collect())
    }

    fn acquire(&self, request: &GpuRequest) -> Result<GpuGrant> {
        self.shared.sweep();
        let is_wanted = |device: &&Arc<Device>| request.device.is_none_or(|index| index == device.info.index);
        let mut refused = None;
        for device in self.shared.devices.iter().filter(is_wanted) {
            match self.grant(device, request) {
                Ok(grant) => return Ok(grant),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let message = format!("this host has no device of that number: {:?}", request.device);
            GpuError::Unavailable { reason: UnavailableReason::NoDevice, message }.into()
        }))
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let Some(lease) = self.shared.leases().get(&lease_id).cloned() else {
            return Ok(RevokeOutcome::NotFound);
        };
        if lease.term.status() != LeaseStatus::Active {
            lease.tear_down();
            return Ok(RevokeOutcome::NotFound);
        }
        let all = lease.end(LeaseStatus::Revoked);
        Ok(if all { RevokeOutcome::TornDown } else { RevokeOutcome::Fenced })
    }

    fn usage(&self) -> Result<GpuUsage> {
        self.shared.sweep();
        let mut usage =
            GpuUsage { launches: self.shared.launches.load(Ordering::SeqCst), ..GpuUsage::default() };
        for lease in self.shared.all() {
            lease.count_in(&mut usage);
        }
        Ok(usage)
    }
}

impl CudaHost {
    fn grant(&self, device: &Arc<Device>, request: &GpuRequest) -> Result<GpuGrant> {
        let class = request.exclusivity.unwrap_or(GpuExclusivityClass::DeviceExclusive);
        let lease_id = new_lease_id()?;
        let (index, bytes) = (device.info.index, device.info.vram_bytes);
        let granted = device.book().grant(lease_id, class, request.min_vram_bytes, bytes);
        let (epoch, vram_bytes) = granted.map_err(|refused| refused.on_device(index))?;
        let clock = Arc::clone(&self.shared.clock);
        let term = Term::new(lease_id, clock, request.lease_secs);
        let lease = Arc::new(Lease::new(term, Arc::clone(device), vram_bytes, Arc::clone(&self.shared)));
        self.shared.leases().insert(lease_id, Arc::clone(&lease));
        let granted = Duration::from_secs(request.lease_secs);
        Ok(GpuGrant {
            lease: LeaseGrant { lease_id, epoch, granted, timing: LeaseTiming::SAME_CLOCK },
            device: device.info.clone(),
            exclusivity: class,
            vram_bytes,
            gpu: Box::new(CudaLease(lease)),
        })
    }
}

/// 128 random bits, which makes it one that was never used.
fn new_lease_id() -> Result<LeaseId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let source = error
            .raw_os_error()
            .map_or_else(|| std::io::Error::other(error), std::io::Error::from_raw_os_error);
        FabricError::io("read random bytes", std::path::Path::new("getrandom"), source)
    })?;
    Ok(LeaseId(u128::from_le_bytes(bytes)))
}

impl fmt::Debug for CudaHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaHost")
            .field("driver", &self.shared.driver.version())
            .field("devices", &self.shared.devices.iter().map(|device| &device.info).collect::<Vec<_>>())
            .field("leases", &self.shared.leases().len())
            .finish()
    }
}
