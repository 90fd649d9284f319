//! [`GpuSession`]: device memory, modules and launches within a lease.
//!
//! What is checked here, so that no backend has to: the lease, ranges, sizes of arguments and launches, and that every
//! handle belongs to this session and is still good.

mod streams;

use std::fmt;
use std::sync::Arc;

use super::args::pack;
use super::open_session::OpenSession;
use super::{GpuFault, GpuLease, GpuMemHandle, GpuModule, KernelArgs, LaunchConfig};
use crate::block::at_least_one;
use crate::error::{FabricError, Result};
use crate::host::{DeviceLaunch, KernelLayout, StreamId};

/// A session on a leased GPU: it owns what is allocated and loaded in it, and takes it along when it is dropped.
///
/// Launches are asynchronous: they return when they are submitted, and what goes wrong with them is the answer of the
/// next operation, or of [`sync`](Self::sync). Operations that say nothing else are ordered by the
/// [default stream](Self::default_stream).
///
/// What makes or destroys something takes `&mut self`; copies and launches take `&self` and may come from several
/// threads.
///
/// # Errors
/// Of every operation, beside its own:
/// - the lease has ended: [`LeaseExpired`](FabricError::LeaseExpired), [`Revoked`](FabricError::Revoked),
///   [`Released`](FabricError::Released). An operation that waits stops waiting then;
/// - an earlier kernel, or the device, has failed: [`GpuSessionFailed`](FabricError::GpuSessionFailed), from then on
///   always the same one. Open a new session;
/// - a handle of another session, or of something that was freed: [`ForeignHandle`](crate::gpu::GpuError::ForeignHandle),
///   [`FreedHandle`](crate::gpu::GpuError::FreedHandle);
/// - a range past the end of an allocation: [`CapacityExceeded`](FabricError::CapacityExceeded);
/// - the first one opens the session, and meets the errors of
///   [`LeasedGpu::open_session`](crate::host::LeasedGpu::open_session): [`Held`](FabricError::Held) if another session
///   keeps it out.
///
/// ```
/// use grafos_std::gpu::{GpuBuilder, GpuSession, KernelArgs};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> grafos_std::Result<()> {
///
/// // Adds 1 to the byte of each thread.
/// let ptx = r"
/// .version 6.3
/// .target sm_70
/// .address_size 64
/// .visible .entry add_one(.param .u64 bytes)
/// {
///     .reg .b16 %rs<3>;
///     .reg .b32 %r<2>;
///     .reg .b64 %rd<4>;
///     ld.param.u64 %rd1, [bytes];
///     mov.u32 %r1, %tid.x;
///     cvt.u64.u32 %rd2, %r1;
///     add.u64 %rd3, %rd1, %rd2;
///     ld.global.u8 %rs1, [%rd3];
///     add.u16 %rs2, %rs1, 1;
///     st.global.u8 [%rd3], %rs2;
///     ret;
/// }";
///
/// let lease = GpuBuilder::new().acquire()?;
/// let mut session = GpuSession::new(&lease);
/// let bytes = session.mem_alloc(4)?;
/// session.mem_write(&bytes, 0, &[1, 2, 3, 4])?;
/// let module = session.module_load(ptx)?;
/// session.launch_with_args(&module, "add_one", [1; 3], [4, 1, 1], KernelArgs::new().push_buffer(&bytes))?;
/// assert_eq!(session.mem_read(&bytes, 0, bytes.len_bytes())?, [2, 3, 4, 5]);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GpuSession {
    open: Arc<OpenSession>,
}

/// A number of bytes to read, as programs have it at hand. Sealed: `u32`, `u64`, `usize`, and `i32`, which is what a
/// bare literal is; a negative one is refused.
pub trait ByteCount: sealed::Sealed + Copy + fmt::Display {
    /// The number, if it is one.
    fn to_bytes(self) -> Option<u64>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! byte_counts {
    ($($number:ty),+) => {
        $(
            impl sealed::Sealed for $number {}
            impl ByteCount for $number {
                fn to_bytes(self) -> Option<u64> {
                    u64::try_from(self).ok()
                }
            }
        )+
    };
}

byte_counts!(u32, u64, usize, i32);

impl GpuSession {
    /// A session of this lease. Nothing happens on the device before the first operation, which opens it.
    #[must_use]
    pub fn new(lease: &GpuLease) -> Self {
        Self { open: OpenSession::new(lease.held()) }
    }

    /// Allocates `bytes` bytes on the device. They read as zeros.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`CapacityExceeded`](FabricError::CapacityExceeded) if lease or device have no more,
    /// [`InvalidRequest`](FabricError::InvalidRequest) for no bytes.
    pub fn mem_alloc(&mut self, bytes: u64) -> Result<GpuMemHandle> {
        at_least_one("bytes of a device allocation", bytes)?;
        let ptr = self.open.run(|device| device.alloc(bytes))?;
        Ok(GpuMemHandle::new(&self.open, ptr, bytes))
    }

    /// Allocates `bytes` zero bytes on the device: [`mem_alloc`](Self::mem_alloc) by the name of those who rely on the
    /// zeros.
    ///
    /// # Errors
    /// Those of [`mem_alloc`](Self::mem_alloc).
    pub fn mem_alloc_zeroed(&mut self, bytes: u64) -> Result<GpuMemHandle> {
        self.mem_alloc(bytes)
    }

    /// Zeroes and frees device memory, whoever else has a clone of the handle. Waits for what was submitted before.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn mem_free(&mut self, memory: GpuMemHandle) -> Result<()> {
        memory.into_owned().give_back(&self.open)
    }

    /// Copies `from` to the device, to `offset` on.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn mem_write(&self, memory: &GpuMemHandle, offset: u64, from: &[u8]) -> Result<()> {
        self.open.check()?;
        let to = memory.range(&self.open, offset, from.len() as u64)?;
        if from.is_empty() {
            return Ok(());
        }
        self.open.run(|device| device.write(StreamId::DEFAULT, to, from))
    }

    /// Copies `len` bytes from the device, from `offset` on. `len` is a `u32`, `u64` or `usize`.
    ///
    /// # Errors
    /// See [`GpuSession`]. Nothing is allocated for a range that does not exist.
    pub fn mem_read(&self, memory: &GpuMemHandle, offset: u64, len: impl ByteCount) -> Result<Vec<u8>> {
        self.open.check()?;
        let invalid = || FabricError::InvalidRequest {
            what: "bytes to read",
            expected: "a number that is not negative, and fits into memory",
            found: len.to_string(),
        };
        let bytes = len.to_bytes().ok_or_else(invalid)?;
        memory.range(&self.open, offset, bytes)?;
        let mut into = vec![0; usize::try_from(bytes).map_err(|_| invalid())?];
        self.mem_read_into(memory, offset, &mut into)?;
        Ok(into)
    }

    /// Fills `into` from the device, from `offset` on.
    ///
    /// # Errors
    /// See [`GpuSession`]; what `into` holds is unknown then.
    pub fn mem_read_into(&self, memory: &GpuMemHandle, offset: u64, into: &mut [u8]) -> Result<()> {
        self.open.check()?;
        let from = memory.range(&self.open, offset, into.len() as u64)?;
        if into.is_empty() {
            return Ok(());
        }
        self.open.run(|device| device.read(StreamId::DEFAULT, from, into))
    }

    /// Copies `len` bytes within the device. Asynchronous, as a launch is.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`InvalidRequest`](FabricError::InvalidRequest) for ranges that overlap.
    pub fn mem_copy(
        &self,
        to: &GpuMemHandle,
        to_offset: u64,
        from: &GpuMemHandle,
        from_offset: u64,
        len: u64,
    ) -> Result<()> {
        self.mem_copy_on(&self.default_stream(), to, to_offset, from, from_offset, len)
    }

    /// Sets `len` bytes from `offset` on to zero. Asynchronous, as a launch is.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn mem_zero(&self, memory: &GpuMemHandle, offset: u64, len: u64) -> Result<()> {
        self.mem_fill(memory, offset, 0, len)
    }

    /// Sets `len` bytes from `offset` on to `byte`. Asynchronous, as a launch is.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn mem_fill(&self, memory: &GpuMemHandle, offset: u64, byte: u8, len: u64) -> Result<()> {
        self.open.check()?;
        let ptr = memory.range(&self.open, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        self.open.run(|device| device.fill(StreamId::DEFAULT, ptr, byte, len))
    }

    /// Loads a module: PTX text, or what else the device takes.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`ModuleRefused`](crate::gpu::GpuError::ModuleRefused) with what the loader says,
    /// [`CapacityExceeded`](FabricError::CapacityExceeded) for its variables.
    pub fn module_load(&mut self, image: impl AsRef<[u8]>) -> Result<GpuModule> {
        let id = self.open.run(|device| device.load_module(image.as_ref()))?;
        Ok(GpuModule::new(&self.open, id))
    }

    /// Unloads a module, whoever else has a clone of the handle. Waits for what was submitted before.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn module_unload(&mut self, module: GpuModule) -> Result<()> {
        module.into_owned().give_back(&self.open)
    }

    /// Launches a kernel with arguments that lie in `args` one after the other, as little-endian bytes, each as long
    /// as `arg_sizes` says. A buffer is its 8-byte [address](GpuMemHandle::raw), which nobody checks: prefer
    /// [`launch_with_args`](Self::launch_with_args).
    ///
    /// # Errors
    /// Those of [`launch_with_args`](Self::launch_with_args); [`InvalidRequest`](FabricError::InvalidRequest) if the
    /// sizes don't add up.
    pub fn launch(
        &self,
        module: &GpuModule,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        args: &[u8],
        arg_sizes: &[u32],
    ) -> Result<()> {
        self.open.check()?;
        let layout = module.kernel(&self.open, kernel)?;
        let params = pack(kernel, &layout, args, arg_sizes)?;
        self.submit(&layout, kernel, &LaunchConfig::new(grid, block), &params)
    }

    /// Launches a kernel: `grid` blocks of `block` threads each.
    ///
    /// # Errors
    /// See [`GpuSession`]; [`UnknownKernel`](crate::gpu::GpuError::UnknownKernel);
    /// [`ArgumentCount`](crate::gpu::GpuError::ArgumentCount) and
    /// [`ArgumentSize`](crate::gpu::GpuError::ArgumentSize) if the arguments are not those of the kernel;
    /// [`LaunchOutOfRange`](crate::gpu::GpuError::LaunchOutOfRange),
    /// [`LaunchRefused`](crate::gpu::GpuError::LaunchRefused). Nothing was launched then.
    pub fn launch_with_args(
        &self,
        module: &GpuModule,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        args: KernelArgs,
    ) -> Result<()> {
        self.launch_with_config(module, kernel, &LaunchConfig::new(grid, block), args)
    }

    /// Launches a kernel with everything that can be said of a launch: dynamic shared memory, a stream.
    ///
    /// # Errors
    /// Those of [`launch_with_args`](Self::launch_with_args).
    pub fn launch_with_config(
        &self,
        module: &GpuModule,
        kernel: &str,
        config: &LaunchConfig,
        args: KernelArgs,
    ) -> Result<()> {
        self.open.check()?;
        let layout = module.kernel(&self.open, kernel)?;
        let (params, _until_submitted) = args.into_params(&self.open, kernel, &layout)?;
        self.submit(&layout, kernel, config, &params)
    }

    fn submit(
        &self,
        layout: &KernelLayout,
        kernel: &str,
        config: &LaunchConfig,
        params: &[u8],
    ) -> Result<()> {
        config.check(&self.open.held.device, layout, kernel)?;
        let stream = config.stream.as_ref().map_or(Ok(StreamId::DEFAULT), |stream| stream.id(&self.open))?;
        let launch = DeviceLaunch {
            kernel: layout.id,
            grid: config.grid,
            block: config.block,
            shared_bytes: config.shared_bytes,
            params,
        };
        self.open.run(|device| device.launch(stream, &launch))
    }

    /// Waits until everything that was submitted before is done, on all streams.
    ///
    /// # Errors
    /// See [`GpuSession`].
    pub fn sync(&self) -> Result<()> {
        self.open.run(|device| device.synchronize(None))
    }

    /// What made the session fail, if anything was seen to.
    #[must_use]
    pub fn fault(&self) -> Option<&GpuFault> {
        self.open.fault()
    }

    /// Closes the session: what is in it is zeroed and freed, a kernel that runs is stopped where that is possible.
    /// Dropping it does the same, but does not report.
    ///
    /// # Errors
    /// [`Disconnected`](FabricError::Disconnected). Whatever ended session or lease before is none.
    pub fn close(self) -> Result<()> {
        self.open.close()
    }

    fn check_overlap(
        to: &GpuMemHandle,
        to_offset: u64,
        from: &GpuMemHandle,
        from_offset: u64,
        len: u64,
    ) -> Result<()> {
        if to.is_same_memory(from) && to_offset.abs_diff(from_offset) < len {
            return Err(FabricError::InvalidRequest {
                what: "ranges of a copy within the device",
                expected: "two that don't overlap",
                found: format!("{len} bytes from {from_offset} to {to_offset}"),
            });
        }
        Ok(())
    }
}

impl Drop for GpuSession {
    fn drop(&mut self) {
        if let Err(error) = self.open.close() {
            let lease_id = self.open.held.leased.state().lease_id();
            tracing::debug!(%lease_id, %error, "a session was not closed by its drop");
        }
    }
}

impl fmt::Debug for GpuSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuSession")
            .field("lease_id", &self.open.held.leased.state().lease_id())
            .field("open", &self.open)
            .finish()
    }
}
