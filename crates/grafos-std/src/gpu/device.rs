//! [`GpuDeviceInfo`]: what a host says of one of its devices.

/// A device of a host. Limits are those that a launch is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuDeviceInfo {
    /// Counted from 0.
    pub index: u32,
    /// What it calls itself.
    pub name: String,
    /// Its memory, in bytes.
    pub vram_bytes: u64,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
    /// How many threads a warp has.
    pub warp_size: u32,
    /// How many threads a block may have.
    pub max_threads_per_block: u32,
    /// How many threads a block may have along x, y and z.
    pub max_block: [u32; 3],
    /// How many blocks a grid may have along x, y and z.
    pub max_grid: [u32; 3],
    /// How much shared memory a block may have, static and dynamic together, in bytes.
    pub max_shared_bytes: u32,
    /// The driver, or what stands in for one, with its version.
    pub driver: String,
    /// Whether the end of a lease stops a kernel that runs. If not, the kernel ends by itself first.
    pub stops_running_kernels: bool,
}

impl GpuDeviceInfo {
    /// A device with the limits that every CUDA device since compute capability 3.0 has. Change what is known better.
    #[must_use]
    pub fn new(index: u32, name: impl Into<String>, vram_bytes: u64) -> Self {
        Self {
            index,
            name: name.into(),
            vram_bytes,
            compute_capability: (7, 0),
            multiprocessors: 1,
            warp_size: 32,
            max_threads_per_block: 1024,
            max_block: [1024, 1024, 64],
            max_grid: [i32::MAX.unsigned_abs(), 65_535, 65_535],
            max_shared_bytes: 48 << 10,
            driver: String::new(),
            stops_running_kernels: false,
        }
    }
}
