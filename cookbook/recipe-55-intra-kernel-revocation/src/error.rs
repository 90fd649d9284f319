//! [`RecipeError`]: why the work could not be done.

use std::io;

use grafos_replicated::ReplicatedError;
use grafos_std::FabricError;

/// Why the work could not be done. What was checkpointed stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No GPU, or it did not do what it was asked.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// The checkpoint could not be read or written.
    #[error(transparent)]
    Replicated(#[from] ReplicatedError),
    /// The story could not be written.
    #[error("the story could not be written")]
    Output(#[from] io::Error),
    /// The checkpoint holds something else.
    #[error("the checkpoint is not of this work: expected_bytes={expected}, found_bytes={found}")]
    OtherState {
        /// The size of the work's state.
        expected: usize,
        /// The size of what was found.
        found: usize,
    },
    /// A device that can't stop a running kernel: the kernel of this recipe would never end there.
    #[error("this device does not stop running kernels: device={device}")]
    CanNotStop {
        /// What the device calls itself.
        device: String,
    },
    /// Something of a lease that was taken away is still there: a bug in what is below.
    #[error("the revoked lease has left something on the device")]
    LeftBehind,
}
