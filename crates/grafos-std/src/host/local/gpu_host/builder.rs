//! [`LocalGpuHostBuilder`]: how many local devices there are, and of what kind.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use fabricbios_core::clock::{Clock, SystemClock};
use grafos_ptx::Limits;

use super::LocalGpuHost;
use super::context::{Context, Print};
use super::device::Device;
use crate::block::at_least_one;
use crate::error::{FabricError, Result};
use crate::gpu::GpuDeviceInfo;

/// How many devices there may be.
const MAX_DEVICES: u32 = 64;
/// Shared memory of a block, and the compute capability that has so much.
const MAX_SHARED_BYTES: u32 = 163 << 10;
const COMPUTE_CAPABILITY: (u32, u32) = (8, 0);

/// Describes a [`LocalGpuHost`].
///
/// ```
/// use grafos_std::host::{GpuHost, LocalGpuHost};
///
/// let host = LocalGpuHost::builder().devices(2).vram_bytes(1 << 30).name("test GPU").build()?;
/// assert_eq!(host.devices()?[1].name, "test GPU");
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "there is no host before `build`"]
pub struct LocalGpuHostBuilder {
    devices: Option<u32>,
    vram_bytes: Option<u64>,
    name: Option<String>,
    home: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
    print: Option<Print>,
    threads: Option<NonZeroUsize>,
    max_instructions: Option<u64>,
}

impl LocalGpuHostBuilder {
    /// How many devices there are: 1 to 64. They share the processor.
    pub fn devices(mut self, count: u32) -> Self {
        self.devices = Some(count);
        self
    }

    /// The memory of each device, in bytes.
    pub fn vram_bytes(mut self, bytes: u64) -> Self {
        self.vram_bytes = Some(bytes);
        self
    }

    /// What the devices call themselves.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps other processes with the same home directory out, as the classes of leases say, and keeps epochs there.
    /// `gpu` is made in it with the first lease.
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.home = Some(path.into());
        self
    }

    /// Judges leases by this clock and not the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Hands what kernels print to `print`, launch by launch, and not to standard output. It is called while other
    /// work of the stream waits, and may come from several threads.
    pub fn print_to(mut self, print: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.print = Some(Arc::new(print));
        self
    }

    /// How many processor cores a kernel uses at most; all of them when nothing is said.
    pub fn threads(mut self, count: NonZeroUsize) -> Self {
        self.threads = Some(count);
        self
    }

    /// How many instructions all threads of one launch together may execute, for kernels that nobody vouches for.
    /// More fail the session with [`GpuFault::Limit`](crate::gpu::GpuFault::Limit). Any number when nothing is said.
    pub fn max_instructions(mut self, count: u64) -> Self {
        self.max_instructions = Some(count);
        self
    }

    pub(in super::super) fn default_home(mut self, path: PathBuf) -> Self {
        self.home.get_or_insert(path);
        self
    }

    pub(crate) fn default_clock(mut self, clock: &Arc<dyn Clock>) -> Self {
        self.clock.get_or_insert_with(|| Arc::clone(clock));
        self
    }

    /// The host. Nothing is allocated and no file is made before the first lease.
    ///
    /// # Errors
    /// [`FabricError::InvalidRequest`] for no devices or more than 64, or for devices without memory.
    pub fn build(self) -> Result<LocalGpuHost> {
        let count = self.devices.unwrap_or(1);
        let vram_bytes = self.vram_bytes.unwrap_or(LocalGpuHost::DEFAULT_VRAM_BYTES);
        at_least_one("local GPUs", u64::from(count))?;
        at_least_one("bytes of device memory", vram_bytes)?;
        if count > MAX_DEVICES {
            let (requested, available) = (u64::from(count), u64::from(MAX_DEVICES));
            return Err(FabricError::CapacityExceeded { what: "local GPUs", requested, available });
        }
        let name = self.name.as_deref().unwrap_or(LocalGpuHost::DEFAULT_NAME);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = self.threads.map_or(cores, NonZeroUsize::get);
        let mut limits = Limits::default();
        limits.threads = self.threads.map(NonZeroUsize::get);
        limits.instructions = self.max_instructions;
        let launches = Arc::default();
        let devices = (0..count).map(|index| {
            let mut info = GpuDeviceInfo::new(index, name, vram_bytes);
            info.compute_capability = COMPUTE_CAPABILITY;
            info.multiprocessors = u32::try_from(threads).unwrap_or(u32::MAX);
            info.max_shared_bytes = MAX_SHARED_BYTES;
            info.driver = concat!("grafos-std ", env!("CARGO_PKG_VERSION")).to_owned();
            info.stops_running_kernels = true;
            let context = Context::new(info, limits, self.print.clone(), &launches);
            Arc::new(Device::new(context, self.home.clone()))
        });
        Ok(LocalGpuHost {
            devices: devices.collect(),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            launches: Arc::clone(&launches),
        })
    }
}

impl fmt::Debug for LocalGpuHostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalGpuHostBuilder")
            .field("devices", &self.devices)
            .field("vram_bytes", &self.vram_bytes)
            .field("name", &self.name)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
