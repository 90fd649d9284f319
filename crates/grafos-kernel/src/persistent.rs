//! Persistent kernels on a GPU: their memory, and how it is taken and put back while they go on.
//!
//! A *persistent kernel* is one whose state stays on the device: a [control block](ControlBlock), [queues](Queue) to and
//! from the host, and regions of device memory. The host submits steps as launches on the session's default stream, many
//! at a time; the device decides between two steps, by the control block, whether there is another one. So the host can
//! stop a kernel that has hundreds of steps before it ([`request_stop`](PersistentKernel::request_stop)), and a step is
//! done whole or not at all.
//!
//! What it is not: one launch that runs for ever. Such a kernel must meet with itself across all blocks of its grid
//! between steps, which neither host promises: CUDA only to cooperative launches, which sessions don't have, and the
//! local host runs blocks one after the other. On a CUDA device it would also keep a revoked lease from ending, since
//! nothing stops a running kernel there. Launches in a row meet at their ends, cost some microseconds each, and end soon.
//!
//! A [`Snapshot`] is a copy within the device, in the order of the launches: the steps that were submitted before it are
//! in it, and those submitted after it wait for that copy and for nothing else. It is drained through a few staging
//! buffers, that are used again, on a stream of its own, while the kernel goes on.
//!
//! ```
//! use grafos_kernel::checkpoint::CheckpointableKernel;
//! use grafos_kernel::persistent::PersistentKernel;
//! use grafos_std::gpu::{GpuBuilder, GpuSession};
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> Result<(), grafos_kernel::persistent::KernelError> {
//!
//! let kernel = || {
//!     let lease = GpuBuilder::new().acquire()?;
//!     let builder = PersistentKernel::builder("sim-1", "fdtd_3d").region("pressure", 4096);
//!     Ok::<_, grafos_kernel::persistent::KernelError>((builder.build(GpuSession::new(&lease))?, lease))
//! };
//! let (here, lease) = kernel()?;
//! here.write("pressure", 100, &[7; 3])?;
//! let checkpoint = here.create_checkpoint()?;
//! lease.release()?; // everything on the device is gone
//!
//! let (mut there, _lease) = kernel()?;
//! there.restore_from_checkpoint(&checkpoint)?;
//! assert_eq!(there.read("pressure", 99, 5)?, [0, 7, 7, 7, 0]);
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: what is drained is the state between two steps; of a drain that fails no checkpoint is made.

mod builder;
mod control;
mod error;
mod queue;
mod region;
mod restore;
mod snapshot;
mod staging;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use grafos_std::gpu::{GpuMemHandle, GpuSession, GpuStream, StagingBuffer};

pub use builder::PersistentKernelBuilder;
pub use control::{APPLICATION_BYTES, CONTROL_BLOCK_BYTES, ControlBlock};
pub use error::KernelError;
pub use queue::{QUEUE_HEADER_BYTES, Queue};
pub use snapshot::Snapshot;

use crate::checkpoint::{Checkpoint, CheckpointableKernel};
use queue::DeviceQueue;
use region::Region;
use staging::Ring;

/// A persistent kernel in a session: its memory, and a second copy of it for snapshots. What the kernel computes is the
/// launches' matter; they go to the session's default stream.
///
/// Device memory: twice the state. Memory of the program: the staging buffers.
///
/// See the [module](self) for an example.
pub struct PersistentKernel {
    kernel_id: String,
    kernel_type: String,
    grid_size: (u32, u32, u32),
    tile_size: (u32, u32, u32),
    /// The first one is the control block.
    regions: Vec<Region>,
    /// What is drained, and restored.
    staging: Mutex<Ring>,
    drain: GpuStream,
    /// What is not to wait for the launches.
    control: GpuStream,
    stop_word: Mutex<Option<StagingBuffer>>,
    snapshot_under_way: AtomicBool,
    restored_in_part: bool,
    session: GpuSession,
}

impl PersistentKernel {
    /// Begins to describe a kernel.
    pub fn builder(kernel_id: impl Into<String>, kernel_type: impl Into<String>) -> PersistentKernelBuilder {
        PersistentKernelBuilder::new(kernel_id, kernel_type)
    }

    /// The session, to launch in.
    #[must_use]
    pub fn session(&self) -> &GpuSession {
        &self.session
    }

    /// The memory of the control block, as an argument of launches.
    #[must_use]
    pub fn control_memory(&self) -> &GpuMemHandle {
        &self.regions[0].memory
    }

    /// The memory of a region, or of a queue (`H2KQueue`, `K2HQueue`), as an argument of launches.
    ///
    /// # Errors
    /// [`NoSuchRegion`](KernelError::NoSuchRegion).
    pub fn memory(&self, region: &str) -> Result<&GpuMemHandle, KernelError> {
        self.region(region).map(|region| &region.memory)
    }

    /// How large the state is, in bytes.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.regions.iter().map(Region::len_bytes).sum()
    }

    /// The control block, behind all steps that were submitted.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric).
    pub fn control_block(&self) -> Result<ControlBlock, KernelError> {
        let mut bytes = [0; CONTROL_BLOCK_BYTES];
        self.session.mem_read_into(self.control_memory(), 0, &mut bytes)?;
        Ok(ControlBlock::from_bytes(&bytes))
    }

    /// Writes the control block, behind all steps that were submitted.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric).
    pub fn set_control_block(&self, block: &ControlBlock) -> Result<(), KernelError> {
        Ok(self.session.mem_write(self.control_memory(), 0, &block.to_bytes())?)
    }

    /// Lets the kernel do steps until it has done `steps` of them, counted from its beginning: those that are submitted
    /// from now on. An earlier [`request_stop`](Self::request_stop) is forgotten. Says how many it has done.
    ///
    /// # Errors
    /// [`RestoredInPart`](KernelError::RestoredInPart), [`Fabric`](KernelError::Fabric).
    pub fn run_until(&self, steps: u64) -> Result<u64, KernelError> {
        self.check_whole()?;
        let block = self.control_block()?;
        let running = block.steps_done < steps;
        self.set_control_block(&ControlBlock { stop_at: steps, running, stop: false, ..block })?;
        Ok(block.steps_done)
    }

    /// Asks the kernel to stop behind the step that it is at, whatever else was submitted. Returns when the device has
    /// been told; [`control_block`](Self::control_block) waits for the end, and says where it stopped.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric).
    pub fn request_stop(&self) -> Result<(), KernelError> {
        let mut word = self.stop_word.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut staged) = word.take() else { return Err(staging::lost()) };
        staged[..4].copy_from_slice(&1_u32.to_le_bytes());
        let stop_at = control::STOP_AT as u64;
        let copy =
            self.session.copy_from_staging(&self.control, self.control_memory(), stop_at, staged, 4)?;
        *word = Some(copy.wait()?);
        Ok(())
    }

    /// Writes into a region, behind all steps that were submitted.
    ///
    /// # Errors
    /// [`NoSuchRegion`](KernelError::NoSuchRegion), [`Fabric`](KernelError::Fabric).
    pub fn write(&self, region: &str, offset: u64, bytes: &[u8]) -> Result<(), KernelError> {
        Ok(self.session.mem_write(self.memory(region)?, offset, bytes)?)
    }

    /// Reads from a region, behind all steps that were submitted.
    ///
    /// # Errors
    /// [`NoSuchRegion`](KernelError::NoSuchRegion), [`Fabric`](KernelError::Fabric).
    pub fn read(&self, region: &str, offset: u64, len: u64) -> Result<Vec<u8>, KernelError> {
        Ok(self.session.mem_read(self.memory(region)?, offset, len)?)
    }

    /// Sends messages to the kernel, behind all steps that were submitted: all of them, or none. Shorter ones are filled
    /// up with zeros.
    ///
    /// # Errors
    /// [`NoSuchRegion`](KernelError::NoSuchRegion) without such a queue, [`QueueFull`](KernelError::QueueFull),
    /// [`MessageSize`](KernelError::MessageSize), [`QueueDamaged`](KernelError::QueueDamaged),
    /// [`Fabric`](KernelError::Fabric).
    pub fn send(&self, messages: &[&[u8]]) -> Result<(), KernelError> {
        self.queue(region::H2K)?.send(&self.session, messages)
    }

    /// Takes what the kernel has sent until the last step that was submitted, in order, and says how many messages it
    /// had no room for since its beginning.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn receive(&self) -> Result<(Vec<Vec<u8>>, u64), KernelError> {
        self.queue(region::K2H)?.receive(&self.session)
    }

    /// Copies the state within the device, behind all steps that were submitted. It does not wait for them; steps that
    /// are submitted from now on do not wait for more than that copy.
    ///
    /// # Errors
    /// [`SnapshotUnderWay`](KernelError::SnapshotUnderWay), [`RestoredInPart`](KernelError::RestoredInPart),
    /// [`Fabric`](KernelError::Fabric).
    pub fn snapshot(&self) -> Result<Snapshot<'_>, KernelError> {
        self.check_whole()?;
        if self.snapshot_under_way.swap(true, Ordering::Acquire) {
            return Err(KernelError::SnapshotUnderWay);
        }
        Snapshot::take(self)
    }

    fn check_whole(&self) -> Result<(), KernelError> {
        if self.restored_in_part { Err(KernelError::RestoredInPart) } else { Ok(()) }
    }

    fn region(&self, name: &str) -> Result<&Region, KernelError> {
        let found = self.regions.iter().find(|region| region.name == name);
        found.ok_or_else(|| KernelError::NoSuchRegion { region: name.to_owned() })
    }

    fn queue(&self, name: &'static str) -> Result<DeviceQueue<'_>, KernelError> {
        let region = self.region(name)?;
        let shape = region.queue.ok_or_else(|| KernelError::NoSuchRegion { region: name.to_owned() })?;
        Ok(DeviceQueue { name, shape, memory: &region.memory })
    }
}

impl CheckpointableKernel for PersistentKernel {
    fn create_checkpoint(&self) -> Result<Checkpoint, KernelError> {
        self.snapshot()?.into_checkpoint()
    }

    fn restore_from_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), KernelError> {
        self.restore(checkpoint)
    }

    fn checkpoint_kernel_id(&self) -> &str {
        &self.kernel_id
    }

    fn checkpoint_kernel_type(&self) -> &str {
        &self.kernel_type
    }

    /// The state is drained whole and compared here: what a delta saves is room in the storage, not the copy.
    fn supports_incremental(&self) -> bool {
        true
    }
}

impl fmt::Debug for PersistentKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentKernel")
            .field("kernel_id", &self.kernel_id)
            .field("kernel_type", &self.kernel_type)
            .field("regions", &self.regions)
            .finish_non_exhaustive()
    }
}
