//! [`GpuHost`]: the trait of a backend that leases GPUs, and [`DeviceSession`], what a session does on a device.
//!
//! Who uses a GPU does not come here: see [`crate::gpu`]. Everything in this file is synchronous to call and
//! object-safe; what runs on a device in the meantime is ordered by streams.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::{LeaseGrant, RevokeOutcome, StagingMemory};
use crate::error::Result;
use crate::gpu::{GpuDeviceInfo, GpuExclusivityClass};

/// What a [`GpuBuilder`](crate::gpu::GpuBuilder) asks for. Already checked: at least one byte, at least one second, a
/// class that is not reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuRequest {
    /// Which device, counted from 0; `None` for any that can serve the request.
    pub device: Option<u32>,
    /// How much of the device's memory at least, in bytes.
    pub min_vram_bytes: u64,
    /// For how long, in seconds.
    pub lease_secs: u64,
    /// How far others are kept out; `None` for the host's default, which is an exclusive one.
    pub exclusivity: Option<GpuExclusivityClass>,
}

/// A granted GPU.
#[derive(Debug)]
pub struct GpuGrant {
    /// Identity, epoch and time.
    pub lease: LeaseGrant,
    /// The device.
    pub device: GpuDeviceInfo,
    /// How far others are kept out: what was asked for, never less.
    pub exclusivity: GpuExclusivityClass,
    /// How much of the device's memory all sessions of the lease together may allocate, in bytes.
    pub vram_bytes: u64,
    /// The lease in the hands of its holder.
    pub gpu: Box<dyn LeasedGpu>,
}

/// What is alive on a host, over all leases and devices: the proof that nothing was left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuUsage {
    /// Leases that have not ended.
    pub leases: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Loaded modules.
    pub modules: u64,
    /// Allocations of device memory that were asked for, variables of modules not counted.
    pub allocations: u64,
    /// Bytes of device memory in use, variables of modules included where the driver tells how much they take.
    pub bytes: u64,
    /// Streams, default ones not counted.
    pub streams: u64,
    /// Recorded events that were not destroyed.
    pub events: u64,
    /// Launches that were submitted since the host was made. Never falls.
    pub launches: u64,
}

impl GpuUsage {
    /// Whether nothing is alive. Past launches don't count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self { launches: self.launches, ..Self::default() }
    }
}

/// A backend that leases GPUs.
///
/// # Contract
/// - [`GpuExclusivityClass`] says who is kept out; a host enforces it or refuses, and never weakens it.
/// - The memory that leases of a device may use, taken together, is never more than the device has.
/// - Every grant has an epoch higher than all before it on that device.
/// - When a lease ends, everything that its sessions have is freed, and device memory is zeroed: on drop of the
///   [`LeasedGpu`], on revocation, and at the latest when anybody asks the host for its [`usage`](Self::usage) or for
///   a lease after the deadline. What outlives that in the program's hands (an `Arc<dyn DeviceSession>`) answers
///   with errors.
/// - `revoke` is known to the holder at its next operation, and an operation that waits stops waiting.
///
/// `testing::gpu_host_suite` checks it.
pub trait GpuHost: fmt::Debug + Send + Sync {
    /// The devices, by index.
    ///
    /// # Errors
    /// `Gpu(Unavailable)` with the reason if there is no driver or no device.
    fn devices(&self) -> Result<Vec<GpuDeviceInfo>>;

    /// Grants a lease.
    ///
    /// # Errors
    /// `Held` while the class, or that of another lease, keeps the two apart; `CapacityExceeded` (not enough device
    /// memory is left); `Gpu(Unavailable)` (no such device, no driver); `Unsupported` for a class that the host can't
    /// enforce; `Disconnected`.
    fn acquire(&self, request: &GpuRequest) -> Result<GpuGrant>;

    /// Takes a lease away from its holder. When it returns, everything the lease had is freed and zeroed, except for
    /// a kernel that can't be stopped: then that happens once it has ended.
    ///
    /// # Errors
    /// `Disconnected`: it is unknown then whether the lease was taken.
    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome>;

    /// What is alive now. Leases past their deadline are ended first.
    ///
    /// # Errors
    /// `Disconnected`.
    fn usage(&self) -> Result<GpuUsage>;
}

/// A GPU in the hands of its holder. Dropping it ends the lease: sessions are closed, memory is zeroed and freed, a
/// kernel that runs is stopped where that is [possible](GpuDeviceInfo::stops_running_kernels).
pub trait LeasedGpu: fmt::Debug + Send + Sync {
    /// Opens a session: a context of its own on the device, with nothing in it.
    ///
    /// # Errors
    /// `Held` if the exclusivity of this lease or of another open session keeps it out; `CapacityExceeded`;
    /// `GpuSessionFailed` (the device is lost); `Revoked`, `LeaseExpired`.
    fn open_session(&self) -> Result<Arc<dyn DeviceSession>>;

    /// What the host says of the lease, its deadline left aside: `Active`, `Revoked`, or `Fenced` if it can't tell.
    /// Cheap: it is asked before every operation.
    fn host_status(&self) -> LeaseStatus;

    /// Extends the lease to `lease_secs` from now and returns the time that was granted.
    ///
    /// # Errors
    /// `Disconnected`, `Revoked`, `LeaseExpired`; the old deadline stands then.
    fn renew(&self, lease_secs: u64) -> Result<Duration>;
}

/// An address in the memory of a device, as kernels see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DevicePtr(pub u64);

/// A module of one session. Never used again within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModuleId(pub u64);

/// A kernel of one session. Valid as long as its module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelId(pub u64);

/// A stream of one session. Never used again within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The stream that every session has from the start.
    pub const DEFAULT: Self = Self(0);
}

/// An event of one session. Never used again within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(pub u64);

/// A parameter of a kernel: where it lies in the block of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelParam {
    /// Where it starts, in bytes.
    pub offset: u32,
    /// How many bytes it has.
    pub size: u32,
}

/// What has to be known of a kernel to launch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLayout {
    /// The kernel.
    pub id: KernelId,
    /// Its parameters in order, ascending and without overlap; there may be gaps between them.
    pub params: Vec<KernelParam>,
    /// How many threads a block may have on this device.
    pub max_threads: u32,
    /// How many bytes of dynamic shared memory a launch may ask for.
    pub max_dynamic_shared_bytes: u32,
}

impl KernelLayout {
    /// The size of the block of parameters: the end of the last one.
    #[must_use]
    pub fn param_bytes(&self) -> u32 {
        self.params.last().map_or(0, |last| last.offset.saturating_add(last.size))
    }
}

/// One launch. Already checked against the [`KernelLayout`] and the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceLaunch<'a> {
    /// The kernel.
    pub kernel: KernelId,
    /// How many blocks, along x, y and z; at least one each.
    pub grid: [u32; 3],
    /// How many threads a block has, along x, y and z; at least one each.
    pub block: [u32; 3],
    /// Dynamic shared memory of each block, in bytes.
    pub shared_bytes: u32,
    /// The parameters, laid out as [`KernelLayout::params`] says: exactly
    /// [`param_bytes`](KernelLayout::param_bytes) bytes, zeros in the gaps.
    pub params: &'a [u8],
}

/// A session on a device: allocations, modules, streams and events of its own, gone when it is closed.
///
/// # Contract
/// - **Order.** What is submitted to one stream happens in order. Streams order nothing among each other: the
///   default stream is a stream like the others, and only [`wait_event`](Self::wait_event) makes one stream wait for
///   another. (On CUDA: streams that don't block with the default one.)
/// - **Failure.** A kernel that faults, or a device that does, fails the session and nothing else: from then on every
///   method answers `GpuSessionFailed` with the first fault, work that was submitted is given up, and
///   [`close`](Self::close) still frees everything. A mistake of the caller's fails nothing.
/// - **The end of the lease** closes the session. Methods then answer `Revoked`, `LeaseExpired` or
///   `Gpu(SessionClosed)`, and those that wait stop waiting at once. The caller asks its lease what it was.
/// - **Callers are checked before they get here**: pointers and ranges lie inside live allocations of this session,
///   ids are of this session and live, lengths are not zero. An implementation must stay memory-safe if they are not,
///   and answers with any error then.
/// - All methods may be called from any thread, several at a time.
///
/// # Errors
/// Of every method, beside its own: `GpuSessionFailed`, and those of an ended lease.
pub trait DeviceSession: fmt::Debug + Send + Sync {
    /// Allocates `bytes` bytes of device memory, aligned to 256 bytes. They read as zeros.
    ///
    /// # Errors
    /// `CapacityExceeded` if the lease or the device has no more.
    fn alloc(&self, bytes: u64) -> Result<DevicePtr>;

    /// Zeroes an allocation, given its start, and frees it. Waits until everything that was submitted before on any
    /// stream of the session is done.
    ///
    /// # Errors
    /// Those of every method.
    fn free(&self, ptr: DevicePtr) -> Result<()>;

    /// Copies `from` to the device, in the order of the stream. Done when it returns.
    ///
    /// # Errors
    /// Those of every method.
    fn write(&self, stream: StreamId, to: DevicePtr, from: &[u8]) -> Result<()>;

    /// Copies from the device, in the order of the stream. Done when it returns.
    ///
    /// # Errors
    /// Those of every method; what `into` holds is unknown then.
    fn read(&self, stream: StreamId, from: DevicePtr, into: &mut [u8]) -> Result<()>;

    /// Submits a copy within the device. The ranges don't overlap.
    ///
    /// # Errors
    /// Those of every method.
    fn copy(&self, stream: StreamId, to: DevicePtr, from: DevicePtr, bytes: u64) -> Result<()>;

    /// Submits setting each of `bytes` bytes to `byte`.
    ///
    /// # Errors
    /// Those of every method.
    fn fill(&self, stream: StreamId, ptr: DevicePtr, byte: u8, bytes: u64) -> Result<()>;

    /// Loads a module: PTX text, with or without a NUL at its end, or what else the device takes (a cubin).
    ///
    /// # Errors
    /// `Gpu(ModuleRefused)` with what the loader says; `CapacityExceeded` for its variables.
    fn load_module(&self, image: &[u8]) -> Result<ModuleId>;

    /// Unloads a module and frees its variables. Waits as [`free`](Self::free) does.
    ///
    /// # Errors
    /// Those of every method.
    fn unload_module(&self, module: ModuleId) -> Result<()>;

    /// Finds a kernel of a module. Callers keep the answer.
    ///
    /// # Errors
    /// `Gpu(UnknownKernel)`.
    fn kernel(&self, module: ModuleId, name: &str) -> Result<KernelLayout>;

    /// Submits a launch and counts it in [`GpuUsage::launches`].
    ///
    /// # Errors
    /// `Gpu(InvalidLaunch)` for what only the device can see.
    fn launch(&self, stream: StreamId, launch: &DeviceLaunch<'_>) -> Result<()>;

    /// Makes a stream.
    ///
    /// # Errors
    /// `CapacityExceeded`.
    fn create_stream(&self) -> Result<StreamId>;

    /// Waits until everything on a stream is done, and destroys it.
    ///
    /// # Errors
    /// Those of every method.
    fn destroy_stream(&self, stream: StreamId) -> Result<()>;

    /// Waits until everything that was submitted before is done: on one stream, or on all of them.
    ///
    /// # Errors
    /// Those of every method.
    fn synchronize(&self, stream: Option<StreamId>) -> Result<()>;

    /// Makes an event that happens when everything submitted to the stream before is done.
    ///
    /// # Errors
    /// `CapacityExceeded`.
    fn record_event(&self, stream: StreamId) -> Result<EventId>;

    /// Makes everything that is submitted to the stream from now on wait for the event.
    ///
    /// # Errors
    /// Those of every method.
    fn wait_event(&self, stream: StreamId, event: EventId) -> Result<()>;

    /// Whether the event has happened.
    ///
    /// # Errors
    /// Those of every method.
    fn event_is_done(&self, event: EventId) -> Result<bool>;

    /// Waits until the event has happened.
    ///
    /// # Errors
    /// Those of every method.
    fn synchronize_event(&self, event: EventId) -> Result<()>;

    /// Destroys an event. Streams that wait for it go on waiting for what it stood for.
    ///
    /// # Errors
    /// Those of every method.
    fn destroy_event(&self, event: EventId) -> Result<()>;

    /// Allocates `bytes` bytes of memory of the program that the device can copy from and to at full speed; zeros.
    ///
    /// # Errors
    /// `CapacityExceeded`.
    fn staging(&self, bytes: usize) -> Result<Box<dyn StagingMemory>>;

    /// Stops what can be stopped, zeroes and frees everything, and closes the session; nothing the second time.
    /// Dropping the last reference does the same.
    ///
    /// # Errors
    /// What made the session fail is no error here. `Disconnected`.
    fn close(&self) -> Result<()>;
}
