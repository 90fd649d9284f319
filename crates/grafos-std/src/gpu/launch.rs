//! [`LaunchConfig`]: the shape of a launch, checked against kernel and device.

use super::{GpuDeviceInfo, GpuError, GpuStream};
use crate::error::Result;
use crate::host::KernelLayout;

/// The shape of a launch: how many blocks of how many threads, with how much dynamic shared memory, on which stream.
///
/// ```
/// use grafos_std::gpu::LaunchConfig;
///
/// let config = LaunchConfig::new([64, 1, 1], [256, 1, 1]).shared_bytes(1024);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a shape does nothing without a launch"]
pub struct LaunchConfig {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) shared_bytes: u32,
    pub(super) stream: Option<GpuStream>,
}

impl LaunchConfig {
    /// `grid` blocks of `block` threads, along x, y and z; no dynamic shared memory, on the default stream.
    pub fn new(grid: [u32; 3], block: [u32; 3]) -> Self {
        Self { grid, block, shared_bytes: 0, stream: None }
    }

    /// So many bytes of dynamic shared memory for each block.
    pub fn shared_bytes(mut self, bytes: u32) -> Self {
        self.shared_bytes = bytes;
        self
    }

    /// On this stream.
    pub fn stream(mut self, stream: &GpuStream) -> Self {
        self.stream = Some(stream.clone());
        self
    }

    /// Refuses what no device of this kind, or this kernel, can do.
    pub(super) fn check(&self, device: &GpuDeviceInfo, layout: &KernelLayout, kernel: &str) -> Result<()> {
        let out_of_range = |what, limit, found| {
            Err(GpuError::LaunchOutOfRange { kernel: kernel.to_owned(), what, limit, found }.into())
        };
        const GRID: [&str; 3] = ["blocks along x", "blocks along y", "blocks along z"];
        const BLOCK: [&str; 3] =
            ["threads of a block along x", "threads of a block along y", "threads of a block along z"];
        let axes = [(GRID, self.grid, device.max_grid), (BLOCK, self.block, device.max_block)];
        for (names, counts, limits) in axes {
            for ((what, count), limit) in names.into_iter().zip(counts).zip(limits) {
                if count == 0 || count > limit {
                    return out_of_range(what, u64::from(limit), u64::from(count));
                }
            }
        }
        // Each factor is at most that of the device, so this is far from overflowing.
        let threads =
            self.block.iter().fold(1_u64, |product, count| product.saturating_mul(u64::from(*count)));
        if threads > u64::from(layout.max_threads) {
            return out_of_range("threads of a block", u64::from(layout.max_threads), threads);
        }
        if self.shared_bytes > layout.max_dynamic_shared_bytes {
            let limit = u64::from(layout.max_dynamic_shared_bytes);
            return out_of_range("bytes of dynamic shared memory", limit, u64::from(self.shared_bytes));
        }
        Ok(())
    }
}
