//! [`Limits`]: how much memory a file may ask for.

use super::error::CheckpointError;
use super::header::MAX_CHECKPOINT_SIZE;

/// How large a checkpoint may be that is read.
///
/// A file never takes more memory than its own length, or this much if it is shorter and compressed.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointError, Compression, Limits, WriteOptions};
///
/// let zeros = CheckpointBuilder::new("k", "t").device_memory("field", vec![0; 9 << 20]).build();
/// let bytes = zeros.encode(&WriteOptions::new().compression(Compression::zstd()))?;
/// let limits = Limits { state_bytes: 8 << 20 };
/// assert!(matches!(Checkpoint::decode(&bytes, &limits), Err(CheckpointError::TooLarge { .. })));
/// # Ok::<(), CheckpointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all chunks together, decompressed. Chunks that are not compressed need no limit: they are as long
    /// as the file at most.
    pub state_bytes: u64,
}

impl Default for Limits {
    /// [`MAX_CHECKPOINT_SIZE`].
    fn default() -> Self {
        Self { state_bytes: MAX_CHECKPOINT_SIZE as u64 }
    }
}

impl Limits {
    /// Any size that fits the memory: for files that one has written oneself.
    #[must_use]
    pub const fn none() -> Self {
        Self { state_bytes: u64::MAX }
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
