//! [`Limits`]: how much memory a file may ask for.

use super::error::CheckpointError;
use super::header::MAX_CHECKPOINT_SIZE;

/// How large a checkpoint may be that is read.
///
/// A file never takes more memory than its own length, or this much if it is shorter and compressed. And since a file
/// with holes is as long as somebody says, opening one takes no more than a small multiple of its index.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointError, Compression, Limits, WriteOptions};
///
/// let zeros = CheckpointBuilder::new("k", "t").device_memory("field", vec![0; 9 << 20]).build();
/// let bytes = zeros.encode(&WriteOptions::new().compression(Compression::zstd()))?;
/// let limits = Limits { state_bytes: 8 << 20, ..Limits::default() };
/// assert!(matches!(Checkpoint::decode(&bytes, &limits), Err(CheckpointError::TooLarge { .. })));
/// # Ok::<(), CheckpointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all chunks together, decompressed. Chunks that are not compressed need no limit: they are as long
    /// as the file at most.
    pub state_bytes: u64,
    /// Most bytes of metadata and table of chunks, which are read when a file is opened. A segment of
    /// [`SEGMENT_BYTES`](super::SEGMENT_BYTES) takes 40 or 72 of them.
    pub index_bytes: u64,
}

impl Default for Limits {
    /// A state of [`MAX_CHECKPOINT_SIZE`], and an index of 64 MiB: that of a state of almost a TiB.
    fn default() -> Self {
        Self { state_bytes: MAX_CHECKPOINT_SIZE as u64, index_bytes: 64 << 20 }
    }
}

impl Limits {
    /// Any size that fits the memory: for files that one has written oneself.
    #[must_use]
    pub const fn none() -> Self {
        Self { state_bytes: u64::MAX, index_bytes: u64::MAX }
    }

    /// Whether so many bytes of an index may be read.
    pub(super) fn check_index(&self, index_bytes: u64, offset: u64) -> Result<(), CheckpointError> {
        if index_bytes <= self.index_bytes {
            return Ok(());
        }
        let limit = self.index_bytes;
        Err(CheckpointError::TooLarge { what: "index", offset, limit, found: index_bytes })
    }

    pub(super) fn check(
        &self,
        state_bytes: u64,
        file_bytes: u64,
        offset: u64,
    ) -> Result<(), CheckpointError> {
        let limit = self.state_bytes.max(file_bytes);
        if state_bytes <= limit {
            return Ok(());
        }
        Err(CheckpointError::TooLarge { what: "state", offset, limit, found: state_bytes })
    }
}

/// So many zeros, without touching them: the system gives such pages when they are written to.
pub(super) fn zeros(len: u64) -> Result<Vec<u8>, CheckpointError> {
    let too_much = CheckpointError::OutOfMemory { bytes: len };
    let Ok(len) = usize::try_from(len) else { return Err(too_much) };
    match bytemuck::allocation::try_zeroed_slice_box::<u8>(len) {
        Ok(zeros) => Ok(zeros.into_vec()),
        Err(()) => Err(too_much),
    }
}
