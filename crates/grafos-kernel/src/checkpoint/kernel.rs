//! [`CheckpointableKernel`]: what a kernel does to be checkpointed. Knows no device: see [`crate::persistent`] for kernels
//! on a GPU.

use super::{Checkpoint, DeltaOptions};
use crate::persistent::KernelError;

/// A kernel whose state can be taken and put back.
///
/// # Contract
/// - A checkpoint holds the state between two steps, never a step that was half done.
/// - [`restore_from_checkpoint`](Self::restore_from_checkpoint) puts all of the state back or answers with an error; a
///   kernel that was restored in part makes no checkpoints until a restore succeeds.
/// - A kernel that goes on from a checkpoint does what the one did that it was taken of, bit for bit.
///
/// ```
/// use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointableKernel, ChunkType};
/// use grafos_kernel::persistent::KernelError;
///
/// struct Counter(u64);
///
/// impl CheckpointableKernel for Counter {
///     fn create_checkpoint(&self) -> Result<Checkpoint, KernelError> {
///         Ok(CheckpointBuilder::new("c-1", "counter").control_block(self.0.to_le_bytes().to_vec()).build())
///     }
///
///     fn restore_from_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), KernelError> {
///         let missing = || KernelError::NoSuchRegion { region: "ControlBlock".into() };
///         let block = checkpoint.get_chunk(ChunkType::ControlBlock).ok_or_else(missing)?;
///         self.0 = u64::from_le_bytes(block.data.as_slice().try_into().map_err(|_| missing())?);
///         Ok(())
///     }
///
///     fn checkpoint_kernel_id(&self) -> &str {
///         "c-1"
///     }
///
///     fn checkpoint_kernel_type(&self) -> &str {
///         "counter"
///     }
/// }
///
/// let checkpoint = Counter(42).create_checkpoint()?;
/// let mut elsewhere = Counter(0);
/// elsewhere.restore_from_checkpoint(&checkpoint)?;
/// assert_eq!(elsewhere.0, 42);
/// # Ok::<(), KernelError>(())
/// ```
pub trait CheckpointableKernel {
    /// The whole state, between two steps.
    ///
    /// # Errors
    /// [`KernelError`]: there is no checkpoint then.
    fn create_checkpoint(&self) -> Result<Checkpoint, KernelError>;

    /// Puts the state back.
    ///
    /// # Errors
    /// [`KernelError`]: of another kernel, or of another shape, before anything is changed; or the device fails.
    fn restore_from_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), KernelError>;

    /// Which kernel it is.
    fn checkpoint_kernel_id(&self) -> &str;

    /// Of what sort.
    fn checkpoint_kernel_type(&self) -> &str;

    /// Whether [`create_incremental_checkpoint`](Self::create_incremental_checkpoint) makes deltas.
    fn supports_incremental(&self) -> bool {
        false
    }

    /// What has changed since `base`, a full checkpoint. A kernel that does not
    /// [support](Self::supports_incremental) deltas makes a full checkpoint.
    ///
    /// # Errors
    /// As [`create_checkpoint`](Self::create_checkpoint).
    fn create_incremental_checkpoint(&self, base: &Checkpoint) -> Result<Checkpoint, KernelError> {
        if !self.supports_incremental() {
            return self.create_checkpoint();
        }
        Ok(DeltaOptions::new().between(base, &self.create_checkpoint()?)?)
    }
}
