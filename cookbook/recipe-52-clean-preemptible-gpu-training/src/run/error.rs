//! [`RunError`]: why a worker could not go on, and what its user can do.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use fabricbios_core::recovery::Recovery;
use grafos_replicated::{FenceEpoch, ReplicatedError};
use grafos_std::FabricError;

use crate::error::TrainingError;
use crate::training::{DataError, PlanError, StateError};

/// Why a worker ended before its time. Every commit that was told stands, whatever the variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A newer worker has taken over the job. This one has published nothing since.
    #[error("fenced by epoch {current}, a newer worker has taken over: held={held}")]
    Fenced {
        /// The epoch of this worker.
        held: FenceEpoch,
        /// The epoch that fences it.
        current: FenceEpoch,
    },

    /// The GPU did not do what was asked.
    #[error(transparent)]
    Training(#[from] TrainingError),

    /// A state or an effect could not be read or written.
    #[error("the progress of the job could not be read or written")]
    Replicated(#[from] ReplicatedError),

    /// The host could not be opened, or does not give a GPU.
    #[error(transparent)]
    Fabric(#[from] FabricError),

    /// The data set is not what it should be.
    #[error("the data set can't be used")]
    Data(#[from] DataError),

    /// The committed state is not one of this plan.
    #[error(
        "version {version} of job {job} can't be used with this plan; use the plan that it was begun with, or another \
         --job"
    )]
    State {
        /// The job.
        job: String,
        /// The version.
        version: u64,
        /// What is wrong with it.
        source: StateError,
    },

    /// The plan can't be done.
    #[error(transparent)]
    Plan(#[from] PlanError),

    /// The job makes no sense.
    #[error("{what}: expected {expected}, found={found}")]
    InvalidJob {
        /// Which part of it.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: u64,
    },

    /// The job is past the end that was asked for: steps can't be taken back.
    #[error(
        "job {job} has more steps than were asked for: requested={requested}, found={found}; use another --job"
    )]
    PastTheEnd {
        /// The job.
        job: String,
        /// How many were asked for.
        requested: u64,
        /// How many there are.
        found: u64,
    },

    /// The record of a stride that was done is not one.
    #[error("the record of the stride from step {from} can't be read: {problem}")]
    DamagedStride {
        /// Its first step.
        from: u64,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A stride is recorded as done, and the newest state does not hold it.
    #[error(
        "the stride from step {from} is recorded as done, and the newest state, version {version}, ends there"
    )]
    StrideWithoutState {
        /// Its first step.
        from: u64,
        /// The newest version.
        version: u64,
    },

    /// The signal handlers could not be set.
    #[error("the signal handlers could not be set")]
    Signals(#[source] io::Error),

    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),

    /// A file could not be written.
    #[error("{} can't be written", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RunError {
    /// What the user, or the program around the worker, can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Fenced { .. } => Recovery::StopWriting,
            Self::Training(error) => error.recovery(),
            Self::Replicated(error) => error.recovery(),
            Self::Fabric(error) => error.recovery(),
            Self::State { .. }
            | Self::Plan(_)
            | Self::InvalidJob { .. }
            | Self::PastTheEnd { .. }
            | Self::Output { .. } => Recovery::FixCaller,
            Self::DamagedStride { .. } => Recovery::RestoreElsewhere,
            Self::Data(_) | Self::StrideWithoutState { .. } => Recovery::ReportBug,
            Self::Signals(_) | Self::Thread(_) => Recovery::RetryLater,
        }
    }

    /// The error below, if the stores said it.
    pub(crate) fn replicated(&self) -> Option<&ReplicatedError> {
        match self {
            Self::Replicated(error) | Self::Training(TrainingError::Replicated(error)) => Some(error),
            _ => None,
        }
    }
}

/// The name under which programs know a recovery.
#[must_use]
pub fn recovery_word(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::RetryLater => "RetryLater",
        Recovery::RefreshAndRetry => "RefreshAndRetry",
        Recovery::RetrySameKey => "RetrySameKey",
        Recovery::Reacquire => "Reacquire",
        Recovery::StopWriting => "StopWriting",
        Recovery::Reopen => "Reopen",
        Recovery::RestoreElsewhere => "RestoreElsewhere",
        Recovery::FixCaller => "FixCaller",
        Recovery::ReportBug => "ReportBug",
        _ => "Unknown",
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
