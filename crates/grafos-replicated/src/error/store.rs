//! [`StoreError`]: what an engine or a replica answers; [`ReplicaFailures`]: what several of them did.

use std::fmt;

use fabricbios_core::recovery::Recovery;

use crate::names::ReplicaId;

/// What an engine, or a replica, answers when it could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It can't be reached, or did not answer.
    #[error("can't be reached: {reason}")]
    Unavailable {
        /// What is known of the cause.
        reason: String,
    },
    /// There is nothing of that name.
    #[error("not found: {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// There is something of that name already, and it is not the same.
    #[error("there already, and different: {what}")]
    AlreadyExists {
        /// What was to be made.
        what: String,
    },
    /// The bytes are not those that were written.
    #[error("damaged, {problem}: {what}")]
    Corrupt {
        /// What was read.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No room is left.
    #[error("no room is left: {what}")]
    Full {
        /// Where.
        what: String,
    },
    /// Larger than it may be.
    #[error("too large, limit={limit}, found={found}: {what}")]
    TooLarge {
        /// What was to be written.
        what: String,
        /// How many bytes it may have.
        limit: u64,
        /// How many it would have.
        found: u64,
    },
    /// Something that can't be asked.
    #[error("not a request, {problem}: {what}")]
    InvalidRequest {
        /// About what.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is not ours, or not of this version.
    #[error("not a store of ours, {problem}: {what}")]
    Foreign {
        /// What was found.
        what: String,
        /// What about it.
        problem: &'static str,
    },
    /// It is whole, as far as can be told, and this program was built without what it takes to read it.
    #[error("this program was built without the feature {feature}, which it takes to read: {what}")]
    Unsupported {
        /// What was to be read.
        what: String,
        /// The feature of this crate.
        feature: &'static str,
    },
    /// An operation of the system failed.
    #[error("{operation} failed, errno={errno}: {what}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        what: String,
        /// The operating system's error number, 0 if it gave none.
        errno: i32,
    },
}

impl StoreError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Unavailable { .. } => Recovery::RetryLater,
            Self::NotFound { .. } | Self::Corrupt { .. } => Recovery::RestoreElsewhere,
            Self::AlreadyExists { .. } => Recovery::RefreshAndRetry,
            Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::InvalidRequest { .. }
            | Self::Unsupported { .. }
            | Self::Foreign { .. } => Recovery::FixCaller,
            Self::Io { .. } => Recovery::Reopen,
        }
    }
}

/// What replicas said that could not do what they were asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaFailures(pub Vec<(ReplicaId, StoreError)>);

impl fmt::Display for ReplicaFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no replica failed");
        }
        for (at, (replica, error)) in self.0.iter().enumerate() {
            write!(f, "{}replica={replica}: {error}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
