//! [`StorageError`]: why a checkpoint could not be kept or given out, split by what the caller can do.

use std::error::Error;
use std::io;

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;

use crate::checkpoint::CheckpointError;
use crate::persistent::KernelError;

/// Why a storage could not do what it was asked. Nothing has changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no checkpoint of that name.
    #[error("no such checkpoint: name=\"{name}\"")]
    NotFound {
        /// What was looked for.
        name: String,
    },

    /// A name that can't be one.
    #[error("not a name for a checkpoint, {problem}: name={name:?}")]
    InvalidName {
        /// The name, or how it begins.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },

    /// The checkpoint is damaged, or can't be written.
    #[error("the checkpoint is not good: name=\"{name}\"")]
    Checkpoint {
        /// Which one.
        name: String,
        /// What is wrong with it.
        source: CheckpointError,
    },

    /// No room is left. What had the name before has it still.
    #[error("no room is left: {what}")]
    Full {
        /// Where.
        what: String,
    },

    /// Something that is no checkpoint of ours is in the way. It stays as it is.
    #[error("{problem}: {what}; move it away")]
    Foreign {
        /// What was found.
        what: String,
        /// What about it.
        problem: &'static str,
    },

    /// An operation of the system failed. If it was the sync of a directory, the change may have taken place.
    #[error("{operation} failed: {what}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        what: String,
        /// What the system says.
        source: io::Error,
    },

    /// A newer writer has taken over.
    #[error("fenced, a newer writer has taken over: name=\"{name}\", held={held}, current={current}")]
    Fenced {
        /// What was to be changed.
        name: String,
        /// The epoch of the caller.
        held: FenceEpoch,
        /// The epoch that fences it.
        current: FenceEpoch,
    },

    /// Somebody has changed this checkpoint since the caller saw it last.
    #[error(
        "changed by another since: name=\"{name}\", seen={seen}, current={current}; load it, then decide again"
    )]
    Conflict {
        /// Which one.
        name: String,
        /// The change that the caller has seen last; 0 for none.
        seen: u64,
        /// The one that is there; 0 if it was deleted.
        current: u64,
    },

    /// This storage can't do that at all.
    #[error("this storage can't {operation}")]
    Unsupported {
        /// What.
        operation: &'static str,
    },

    /// What the storage is built on has failed.
    #[error("{operation} failed: name=\"{name}\"")]
    Backend {
        /// What was tried.
        operation: &'static str,
        /// On which checkpoint.
        name: String,
        /// What the caller can do.
        recovery: Recovery,
        /// What it says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StorageError {
    pub(super) fn not_found(name: &str) -> Self {
        Self::NotFound { name: name.to_owned() }
    }

    pub(super) fn of_checkpoint(name: &str, source: CheckpointError) -> Self {
        Self::Checkpoint { name: name.to_owned(), source }
    }

    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::NotFound { .. } => Recovery::RestoreElsewhere,
            Self::InvalidName { .. }
            | Self::Full { .. }
            | Self::Foreign { .. }
            | Self::Unsupported { .. } => Recovery::FixCaller,
            Self::Checkpoint { source, .. } => source.recovery(),
            Self::Io { .. } => Recovery::RetryLater,
            Self::Fenced { .. } => Recovery::StopWriting,
            Self::Conflict { .. } => Recovery::RefreshAndRetry,
            Self::Backend { recovery, .. } => *recovery,
        }
    }

    /// Whether the stored bytes are not those that were written, so that asking again can't help. A file of a newer
    /// version, one that is too large for the limits, and one that could not be read are not damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Checkpoint { source: CheckpointError::NotACheckpoint { .. }, .. } => true,
            Self::Checkpoint { source, .. } => source.recovery() == Recovery::RestoreElsewhere,
            Self::Backend { recovery, .. } => *recovery == Recovery::RestoreElsewhere,
            _ => false,
        }
    }
}

/// Why a checkpoint that is written piece by piece was not saved. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E: Error + 'static> {
    /// The storage.
    #[error(transparent)]
    Storage(StorageError),

    /// Whoever was to give the pieces.
    #[error(transparent)]
    Fill(E),
}

impl<E: Error + 'static> From<StorageError> for StreamError<E> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl StreamError<CheckpointError> {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Storage(error) => error.recovery(),
            Self::Fill(error) => error.recovery(),
        }
    }
}

impl StreamError<KernelError> {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Storage(error) => error.recovery(),
            Self::Fill(error) => error.recovery(),
        }
    }
}

/// Why a text can't be the name of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is too long, limit={limit} found={found}")]
    TooLong {
        /// The most bytes.
        limit: usize,
        /// How many it has.
        found: usize,
    },
    /// It begins with a dot.
    #[error("it begins with a dot")]
    LeadingDot,
    /// It has a separator of paths or a control character.
    #[error("a separator or control character, at={at} found={letter:?}")]
    Character {
        /// At which byte.
        at: usize,
        /// Which.
        letter: char,
    },
}
