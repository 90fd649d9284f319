//! [`RunError`]: why a simulation did not come to its end, and what can be done.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use fabricbios_core::recovery::Recovery;
use grafos_kernel::checkpoint::{CheckpointError, ManagerError, StorageError};
use grafos_kernel::persistent::KernelError;
use grafos_std::FabricError;

/// Why a run ended before its time. What is in the archive stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No GPU, or its lease has ended.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Full checkpoints.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// Deltas.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another process computes in this home.
    #[error("another process computes in this home: {}", home.display())]
    HomeInUse {
        /// The directory.
        home: PathBuf,
    },
    /// The checkpoint is of the same box, computed in another way.
    #[error("the checkpoint was computed with other parameters: step={step}; take another home")]
    OtherParameters {
        /// The checkpoint's.
        step: u64,
    },
    /// The newest checkpoint lies behind the step that was asked for.
    #[error("the newest checkpoint is past the end: steps={steps}, found={found}; ask for more steps")]
    PastTheEnd {
        /// What was asked for.
        steps: u64,
        /// The checkpoint's.
        found: u64,
    },
    /// A checkpoint without the field that it should have.
    #[error("the checkpoint holds no field of this simulation: step={step}")]
    NoField {
        /// The checkpoint's.
        step: u64,
    },
    /// The signal handlers could not be set, or the thread that watches the notice not be started.
    #[error("signals can't be watched")]
    Signals(#[source] io::Error),
    /// A file or directory.
    #[error("{} can't be written", path.display())]
    Output {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The picture.
    #[error("the picture can't be written: {}", path.display())]
    Picture {
        /// Where.
        path: PathBuf,
        /// Why.
        source: png::EncodingError,
    },
}

impl RunError {
    /// What the user can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Fabric(error) => error.recovery(),
            Self::Kernel(error) => error.recovery(),
            Self::Checkpoint(error) => error.recovery(),
            Self::Manager(error) => error.recovery(),
            Self::Storage(error) => error.recovery(),
            Self::HomeInUse { .. } | Self::Signals(_) => Recovery::RetryLater,
            Self::OtherParameters { .. }
            | Self::PastTheEnd { .. }
            | Self::Output { .. }
            | Self::Picture { .. } => Recovery::FixCaller,
            Self::NoField { .. } => Recovery::RestoreElsewhere,
        }
    }

    /// The error with all its causes, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        in_full(self)
    }
}

/// An error with all its causes, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
