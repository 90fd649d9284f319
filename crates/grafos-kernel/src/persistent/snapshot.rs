//! [`Snapshot`]: the state of a kernel between two steps, still on the device, and its way from there.
//!
//! Invariant: while a snapshot is alive nobody writes to the copy that it stands for.

use std::io::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use grafos_std::gpu::GpuEvent;

use super::PersistentKernel;
use super::control::{CONTROL_BLOCK_BYTES, STEPS_DONE_AT, u64_at};
use super::error::KernelError;
use super::region::Region;
use super::staging::{Piece, pieces};
use crate::checkpoint::{
    Checkpoint, CheckpointMetadata, CheckpointWriter, DataChunk, HlcTimestamp, WriteOptions, Written,
};

/// A copy of a kernel's state on the device. Steps that were submitted after it change nothing in it. A kernel has one
/// at a time; its drop makes room for the next.
///
/// ```
/// use grafos_kernel::checkpoint::{CheckpointReader, WriteOptions};
/// use grafos_kernel::persistent::PersistentKernel;
/// use grafos_std::gpu::{GpuBuilder, GpuSession};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), grafos_kernel::persistent::KernelError> {
///
/// let lease = GpuBuilder::new().acquire()?;
/// let kernel = PersistentKernel::builder("sim-1", "fdtd_3d").region("pressure", 1 << 20).build(GpuSession::new(&lease))?;
/// let snapshot = kernel.snapshot()?;
/// kernel.write("pressure", 0, &[1; 4])?; // the kernel goes on
/// let mut file = Vec::new();
/// snapshot.write_to(&mut file, &WriteOptions::new())?;
/// let reader = CheckpointReader::open(file)?;
/// assert_eq!(reader.read_chunk(1)?[..4], [0; 4]);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a snapshot does nothing until it is drained"]
pub struct Snapshot<'a> {
    kernel: &'a PersistentKernel,
    copied: Option<GpuEvent>,
}

impl<'a> Snapshot<'a> {
    /// The caller has made sure that there is no other one.
    pub(super) fn take(kernel: &'a PersistentKernel) -> Result<Self, KernelError> {
        // From here on its drop says that it is over, also if the copies fail.
        let mut snapshot = Self { kernel, copied: None };
        let session = &kernel.session;
        for Region { memory, shadow, .. } in &kernel.regions {
            session.mem_copy(shadow, 0, memory, 0, memory.len_bytes())?;
        }
        let copied = session.event_record(&session.default_stream())?;
        session.stream_wait(&kernel.drain, &copied)?;
        snapshot.copied = Some(copied);
        Ok(snapshot)
    }

    /// Waits until the copy is made: until then the kernel's later steps wait too.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric).
    pub fn wait(&self) -> Result<(), KernelError> {
        match &self.copied {
            Some(copied) => Ok(self.kernel.session.event_sync(copied)?),
            None => Ok(()),
        }
    }

    /// Whose state it is, and how many steps it has done: what the control block of the snapshot says. Waits for the
    /// copy.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric).
    pub fn metadata(&self) -> Result<CheckpointMetadata, KernelError> {
        let mut steps = 0;
        self.drain(1, |_, bytes| {
            steps = u64_at(bytes, STEPS_DONE_AT);
            Ok(())
        })?;
        let PersistentKernel { kernel_id, kernel_type, grid_size, tile_size, .. } = self.kernel;
        let (grid, tile) = (*grid_size, *tile_size);
        Ok(CheckpointMetadata::new(kernel_id, kernel_type)
            .with_step(steps)
            .with_grid_size(grid.0, grid.1, grid.2)
            .with_tile_size(tile.0, tile.1, tile.2)
            .with_hlc(HlcTimestamp::now(0)))
    }

    /// Drains the state into a writer, chunk by chunk: for a storage that begins and commits the checkpoint itself. On
    /// an error the writer can't become a checkpoint.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric) if the lease ends meanwhile, [`Checkpoint`](KernelError::Checkpoint) if the sink
    /// fails.
    pub fn write_chunks<W: Write>(self, writer: &mut CheckpointWriter<W>) -> Result<(), KernelError> {
        let regions = &self.kernel.regions;
        let mut done = 0;
        for (index, region) in regions.iter().enumerate() {
            let mut chunk = writer.begin_chunk(region.label.clone())?;
            self.drain_one(index, |_, bytes| {
                done += bytes.len() as u64;
                Ok(chunk.push(bytes)?)
            })?;
            chunk.finish()?;
        }
        debug_assert_eq!(done, self.kernel.state_bytes());
        Ok(())
    }

    /// Drains the state into a sink, as a checkpoint of version 2. The program holds no more of it than the staging
    /// buffers and a few segments.
    ///
    /// # Errors
    /// Those of [`write_chunks`](Self::write_chunks). What was written is no checkpoint then.
    pub fn write_to(self, sink: impl Write, options: &WriteOptions) -> Result<Written, KernelError> {
        let mut writer = CheckpointWriter::new(sink, &self.metadata()?, options)?;
        self.write_chunks(&mut writer)?;
        Ok(writer.finish().map(|(_, written)| written)?)
    }

    /// Drains the state into memory.
    ///
    /// # Errors
    /// [`Fabric`](KernelError::Fabric) if the lease ends meanwhile.
    pub fn into_checkpoint(self) -> Result<Checkpoint, KernelError> {
        let mut checkpoint = Checkpoint::new(self.metadata()?);
        for region in &self.kernel.regions {
            let len = usize::try_from(region.len_bytes()).unwrap_or(0);
            checkpoint.add_chunk(DataChunk::labelled(region.label.clone(), Vec::with_capacity(len)));
        }
        self.drain(self.kernel.regions.len(), |piece, bytes| {
            checkpoint.chunks[piece.region].data.extend_from_slice(bytes);
            Ok(())
        })?;
        for chunk in &mut checkpoint.chunks {
            *chunk = DataChunk::labelled(chunk.label(), std::mem::take(&mut chunk.data));
        }
        Ok(checkpoint)
    }

    /// The first `count` regions.
    fn drain(
        &self,
        count: usize,
        take: impl FnMut(Piece, &[u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let PersistentKernel { regions, session, drain, staging, .. } = self.kernel;
        let mut ring = staging.lock().unwrap_or_else(PoisonError::into_inner);
        let lens = regions.iter().take(count).map(Region::len_bytes);
        let pieces = pieces(lens, ring.piece_bytes());
        ring.drain(session, drain, pieces, |region| &regions[region].shadow, take)
    }

    fn drain_one(
        &self,
        index: usize,
        take: impl FnMut(Piece, &[u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let PersistentKernel { regions, session, drain, staging, .. } = self.kernel;
        let mut ring = staging.lock().unwrap_or_else(PoisonError::into_inner);
        let region = &regions[index];
        let pieces = pieces([region.len_bytes()], ring.piece_bytes());
        ring.drain(session, drain, pieces, |_| &region.shadow, take)
    }
}

const _: () = assert!(CONTROL_BLOCK_BYTES > STEPS_DONE_AT + 8);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        self.kernel.snapshot_under_way.store(false, Ordering::Release);
    }
}
