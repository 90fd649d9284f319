//! [`WriteOptions`]: how a checkpoint is written. What is in it they don't change.

use super::compression::Compression;
use super::error::CheckpointError;

/// How a checkpoint of version 2 is written.
///
/// ```
/// use grafos_kernel::checkpoint::{CheckpointBuilder, Compression, WriteOptions};
///
/// let checkpoint = CheckpointBuilder::new("k", "t").device_memory("field", vec![7; 100_000]).build();
/// let options = WriteOptions::new().compression(Compression::Lz4).alignment(64);
/// assert!(checkpoint.encode(&options)?.len() < 2000);
/// # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    compression: Compression,
    alignment: u32,
    threads: usize,
}

impl WriteOptions {
    /// Smallest alignment in bytes.
    pub const MIN_ALIGNMENT: u32 = 64;
    /// Largest alignment in bytes.
    pub const MAX_ALIGNMENT: u32 = 1 << 20;

    /// Not compressed, chunks aligned to 4096 bytes, as many threads as the machine has, at most 8.
    #[must_use]
    pub fn new() -> Self {
        Self { compression: Compression::None, alignment: 4096, threads: default_threads() }
    }

    /// Compress chunks. A segment that does not shrink is stored as it is.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Let each chunk, and the file itself, begin and end at a multiple of so many bytes: a power of two from
    /// [`MIN_ALIGNMENT`](Self::MIN_ALIGNMENT) to [`MAX_ALIGNMENT`](Self::MAX_ALIGNMENT). 4096 suits direct I/O; 64
    /// makes small checkpoints short.
    #[must_use]
    pub fn alignment(mut self, bytes: u32) -> Self {
        self.alignment = bytes;
        self
    }

    /// Hash and compress on so many threads; 0 counts as 1: the caller's own.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    pub(super) fn checked(self) -> Result<Self, CheckpointError> {
        let Self { alignment, .. } = self;
        let range = Self::MIN_ALIGNMENT..=Self::MAX_ALIGNMENT;
        if alignment.is_power_of_two() && range.contains(&alignment) {
            return self.compression.checked().map(|_| self);
        }
        Err(CheckpointError::InvalidOption {
            option: "alignment (a power of two)",
            least: u64::from(*range.start()),
            most: u64::from(*range.end()),
            found: u64::from(alignment),
        })
    }

    pub(super) fn parts(&self) -> (Compression, u32, usize) {
        (self.compression, self.alignment, self.threads)
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// More threads than this only wait for memory.
const MOST_THREADS: usize = 8;

pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().min(MOST_THREADS))
}
