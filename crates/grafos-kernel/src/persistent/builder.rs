//! [`PersistentKernelBuilder`]: what a persistent kernel has in device memory. Allocates when all of it is known.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use grafos_std::gpu::GpuSession;

use super::control::CONTROL_BLOCK_BYTES;
use super::error::KernelError;
use super::queue::Queue;
use super::region::{CONTROL, Description, Region};
use super::staging::Ring;
use super::{ControlBlock, PersistentKernel};
use crate::checkpoint::{ChunkLabel, ChunkType};

/// Describes a persistent kernel. It has a control block; queues and regions are what is asked for.
///
/// See [`super`] for an example.
#[derive(Clone, Debug)]
#[must_use = "nothing is allocated before `build`"]
pub struct PersistentKernelBuilder {
    kernel_id: String,
    kernel_type: String,
    grid_size: (u32, u32, u32),
    tile_size: (u32, u32, u32),
    regions: Vec<Description>,
    staging_bytes: usize,
}

impl PersistentKernelBuilder {
    /// How large a staging buffer is when nothing else is asked for: 8 MiB. There are two.
    pub const DEFAULT_STAGING_BYTES: usize = 8 << 20;

    pub(super) fn new(kernel_id: impl Into<String>, kernel_type: impl Into<String>) -> Self {
        let control = Description::new(ChunkLabel::of(ChunkType::ControlBlock), CONTROL_BLOCK_BYTES as u64);
        Self {
            kernel_id: kernel_id.into(),
            kernel_type: kernel_type.into(),
            grid_size: (0, 0, 0),
            tile_size: (0, 0, 0),
            regions: vec![control],
            staging_bytes: Self::DEFAULT_STAGING_BYTES,
        }
    }

    /// The size of its grid, as checkpoints say it.
    pub fn grid_size(mut self, width: u32, height: u32, depth: u32) -> Self {
        self.grid_size = (width, height, depth);
        self
    }

    /// The size of a tile, as checkpoints say it.
    pub fn tile_size(mut self, x: u32, y: u32, z: u32) -> Self {
        self.tile_size = (x, y, z);
        self
    }

    /// A queue from host to kernel.
    pub fn h2k_queue(self, queue: Queue) -> Self {
        self.with(Description::queue(ChunkType::H2KQueue, queue))
    }

    /// A queue from kernel to host.
    pub fn k2h_queue(self, queue: Queue) -> Self {
        self.with(Description::queue(ChunkType::K2HQueue, queue))
    }

    /// A region of device memory. It begins as zeros.
    pub fn region(self, name: impl Into<String>, len_bytes: u64) -> Self {
        self.chunk(ChunkLabel::region(name), len_bytes)
    }

    /// Buffers of the halo exchange. They begin as zeros.
    pub fn halo_buffers(self, name: impl Into<String>, len_bytes: u64) -> Self {
        self.chunk(ChunkLabel::named(ChunkType::HaloBuffers, name), len_bytes)
    }

    /// Any other region, with its label in checkpoints. It begins as zeros.
    pub fn chunk(self, label: ChunkLabel, len_bytes: u64) -> Self {
        self.with(Description::new(label, len_bytes))
    }

    /// How large each of the two staging buffers is at most, in bytes. A multiple of 1 MiB serves the format best.
    pub fn staging_bytes(mut self, bytes: usize) -> Self {
        self.staging_bytes = bytes;
        self
    }

    fn with(mut self, region: Description) -> Self {
        self.regions.push(region);
        self
    }

    /// Allocates everything, twice: once to work on, once for snapshots. The kernel owns the session; load modules
    /// before. The lease stays with the caller.
    ///
    /// # Errors
    /// [`InvalidRegion`](KernelError::InvalidRegion) for two regions of the same name, an empty one, a queue that holds
    /// nothing, no staging buffer; [`Fabric`](KernelError::Fabric), `CapacityExceeded` above all.
    pub fn build(self, mut session: GpuSession) -> Result<PersistentKernel, KernelError> {
        self.check()?;
        let mut regions = Vec::with_capacity(self.regions.len());
        for Description { label, name, len_bytes, queue } in self.regions {
            let (memory, shadow) = (session.mem_alloc(len_bytes)?, session.mem_alloc(len_bytes)?);
            if let Some(queue) = queue {
                session.mem_write(&memory, 0, &queue.header())?;
            }
            regions.push(Region { label, name, queue, memory, shadow });
        }
        let largest = regions.iter().map(Region::len_bytes).max().unwrap_or(0);
        let staging_bytes = usize::try_from(largest).unwrap_or(usize::MAX).min(self.staging_bytes);
        let kernel = PersistentKernel {
            kernel_id: self.kernel_id,
            kernel_type: self.kernel_type,
            grid_size: self.grid_size,
            tile_size: self.tile_size,
            regions,
            staging: Mutex::new(Ring::new(&mut session, staging_bytes)?),
            drain: session.stream_create()?,
            control: session.stream_create()?,
            stop_word: Mutex::new(Some(session.staging_alloc(4)?)),
            snapshot_under_way: AtomicBool::new(false),
            restored_in_part: false,
            session,
        };
        kernel.set_control_block(&ControlBlock::default())?;
        Ok(kernel)
    }

    fn check(&self) -> Result<(), KernelError> {
        let mut names = HashSet::new();
        for Description { name, len_bytes, queue, label } in &self.regions {
            let invalid = |what, limit, found| {
                Err(KernelError::InvalidRegion { what, region: name.clone(), limit, found })
            };
            if !names.insert(name) || self.regions.iter().filter(|other| other.label == *label).count() > 1 {
                return invalid("two regions can't have the same name", 1, 2);
            }
            if *len_bytes == 0 {
                return invalid("a region must have a byte at least", 1, 0);
            }
            queue.map_or(Ok(()), |queue| queue.check(name))?;
        }
        // Less would do, and be slower than anything that is drained.
        if self.staging_bytes < CONTROL_BLOCK_BYTES {
            return Err(KernelError::InvalidRegion {
                what: "a staging buffer must hold a control block",
                region: CONTROL.to_owned(),
                limit: CONTROL_BLOCK_BYTES as u64,
                found: self.staging_bytes as u64,
            });
        }
        Ok(())
    }
}
