//! [`CheckpointBuilder`]: a checkpoint from its parts, in memory.

use super::Checkpoint;
use super::chunk::{ChunkType, DataChunk};
use super::header::CheckpointHeader;
use super::hlc::HlcTimestamp;
use super::metadata::CheckpointMetadata;

/// Puts a checkpoint together.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder};
///
/// let checkpoint = CheckpointBuilder::new("sim-1", "fdtd_3d")
///     .step(1000)
///     .grid_size(64, 64, 64)
///     .control_block(vec![0; 256])
///     .device_memory("pressure", vec![0; 64 * 64 * 64 * 4])
///     .build();
/// let again = Checkpoint::from_bytes(&checkpoint.to_bytes())?;
/// assert_eq!(again.metadata.current_step, 1000);
/// assert_eq!(again.region("pressure")?.unwrap().data.len(), 1 << 20);
/// # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointBuilder {
    checkpoint: Checkpoint,
}

impl CheckpointBuilder {
    /// Begins the checkpoint of a kernel.
    #[must_use]
    pub fn new(kernel_id: impl Into<String>, kernel_type: impl Into<String>) -> Self {
        Self { checkpoint: Checkpoint::new(CheckpointMetadata::new(kernel_id, kernel_type)) }
    }

    /// How many steps the kernel has done.
    #[must_use]
    pub fn step(mut self, step: u64) -> Self {
        self.checkpoint.metadata.current_step = step;
        self
    }

    /// The size of its grid.
    #[must_use]
    pub fn grid_size(mut self, width: u32, height: u32, depth: u32) -> Self {
        self.checkpoint.metadata.grid_size = (width, height, depth);
        self
    }

    /// The size of a tile.
    #[must_use]
    pub fn tile_size(mut self, x: u32, y: u32, z: u32) -> Self {
        self.checkpoint.metadata.tile_size = (x, y, z);
        self
    }

    /// When the state was taken, on the kernel's clock.
    #[must_use]
    pub fn hlc(mut self, hlc: HlcTimestamp) -> Self {
        self.checkpoint.metadata.hlc_timestamp = hlc;
        self
    }

    /// One more value in the metadata.
    #[must_use]
    pub fn custom(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.checkpoint.metadata.custom.insert(key.into(), value.into());
        self
    }

    /// When the checkpoint is made, in microseconds since 1970, if it is not now.
    #[must_use]
    pub fn created_at(mut self, created_at: u64) -> Self {
        self.checkpoint.header = CheckpointHeader { created_at, ..self.checkpoint.header };
        self
    }

    /// The control block.
    #[must_use]
    pub fn control_block(self, data: Vec<u8>) -> Self {
        self.chunk(DataChunk::new(ChunkType::ControlBlock, data))
    }

    /// The queue from host to kernel.
    #[must_use]
    pub fn h2k_queue(self, data: Vec<u8>) -> Self {
        self.chunk(DataChunk::new(ChunkType::H2KQueue, data))
    }

    /// The queue from kernel to host.
    #[must_use]
    pub fn k2h_queue(self, data: Vec<u8>) -> Self {
        self.chunk(DataChunk::new(ChunkType::K2HQueue, data))
    }

    /// A region of device memory.
    #[must_use]
    pub fn device_memory(self, name: &str, data: Vec<u8>) -> Self {
        self.chunk(DataChunk::region(name, data))
    }

    /// Any chunk.
    #[must_use]
    pub fn chunk(mut self, chunk: DataChunk) -> Self {
        self.checkpoint.chunks.push(chunk);
        self
    }

    /// The checkpoint.
    #[must_use]
    pub fn build(self) -> Checkpoint {
        self.checkpoint
    }
}
