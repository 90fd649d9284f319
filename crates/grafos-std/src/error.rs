//! [`FabricError`]: what can go wrong with a leased resource, split by what the caller can do about it.
//!
//! Every message names what was expected and what was found; [`FabricError::recovery`] says what to do next.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fabricbios_core::lease::{EpochExhausted, FenceEpoch, LeaseId, StaleEpochError};
use fabricbios_core::recovery::Recovery;
use fabricbios_core::resource::ResourceId;
use fabricbios_core::state::LeaseStatus;

use crate::gpu::{GpuError, GpuFault};

/// The result of an operation on a leased resource.
pub type Result<T, E = FabricError> = std::result::Result<T, E>;

/// The published name of the same error in the GPU documents.
pub type GrafosError = FabricError;

/// Why an operation on a leased resource failed. Nothing was done, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FabricError {
    /// The lease is past its deadline. Not recoverable with this lease.
    #[error(
        "the lease ran out: lease={lease_id}, expired_at_unix_secs={expires_at_unix_secs}; take a new lease"
    )]
    LeaseExpired {
        /// The lease that ran out.
        lease_id: LeaseId,
        /// When, in seconds since 1970.
        expires_at_unix_secs: u64,
    },

    /// The host took the lease away. Not recoverable with this lease.
    #[error("the host revoked the lease: lease={lease_id}; take a new lease")]
    Revoked {
        /// The lease that was taken.
        lease_id: LeaseId,
    },

    /// The lease was given back.
    #[error("the lease was released: lease={lease_id}; take a new lease")]
    Released {
        /// The lease that was given back.
        lease_id: LeaseId,
    },

    /// The resource is closed to this writer, or to every writer.
    #[error("fenced, {reason}: resource={resource}, held={held}, current={current}")]
    Fenced {
        /// What is closed.
        resource: ResourceId,
        /// The epoch of the caller.
        held: FenceEpoch,
        /// The epoch that fences it.
        current: FenceEpoch,
        /// What closed it.
        reason: FenceReason,
    },

    /// Another live holder has the resource.
    #[error(
        "in use: resource={resource}, holder_pid={}; wait for that process, or end it",
        holder_pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    )]
    Held {
        /// What is held.
        resource: ResourceId,
        /// The process that holds it, if it has said so yet.
        holder_pid: Option<u32>,
    },

    /// No such lease is known to the host.
    #[error("no such lease on this host: lease={lease_id}")]
    LeaseNotFound {
        /// The lease that was asked for.
        lease_id: LeaseId,
    },

    /// More was asked for than there is: at a builder, at an address, or on the device below.
    #[error("not enough {what}: requested={requested}, available={available}")]
    CapacityExceeded {
        /// What there is too little of, with its unit.
        what: &'static str,
        /// How much was asked for.
        requested: u64,
        /// How much there is.
        available: u64,
    },

    /// The request makes no sense, whatever the state of the host.
    #[error("{what}: expected {expected}, found={found}")]
    InvalidRequest {
        /// Which part of the request.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: String,
    },

    /// An earlier write or flush on this handle failed. What has reached the device since the last good flush is
    /// unknown, and asking again would not tell: open the resource anew.
    #[error("an earlier write failed, so this handle is closed: lease={lease_id}, first error: {first}")]
    Poisoned {
        /// The lease of the handle.
        lease_id: LeaseId,
        /// The message of the failure that closed it.
        first: String,
    },

    /// The host can't be reached. A new connection may succeed; what was in flight is unknown.
    #[error("the host can't be reached: {reason}")]
    Disconnected {
        /// What is known of the cause.
        reason: String,
    },

    /// The operating system refused. A write that ends so may have been done in part.
    #[error("{operation} failed: path={}, errno={errno}", path.display())]
    IoError {
        /// The operating system's error number, 0 if it gave none.
        errno: i32,
        /// What was tried.
        operation: &'static str,
        /// On which file or device.
        path: PathBuf,
        /// The error itself.
        source: io::Error,
    },

    /// A file of the host's own bookkeeping is not what the host wrote there.
    #[error("damaged bookkeeping, {problem}: path={}", path.display())]
    DamagedRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },

    /// The host's directory could be read or changed by somebody else.
    #[error("{problem}: path={}", path.display())]
    InsecureHome {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },

    /// A kernel or the device did something after which nothing in the session can be trusted. Every later operation
    /// of the session answers the same; other sessions and the lease go on. What the work that was submitted has done
    /// until then is unknown.
    #[error("the GPU session failed: {fault}; code={code}")]
    GpuSessionFailed {
        /// The kind of fault as a byte, see [`GpuFault::code`].
        code: u8,
        /// What happened.
        fault: Box<GpuFault>,
    },

    /// What a program got wrong about a GPU, or what the machine lacks to have one.
    #[error(transparent)]
    Gpu(#[from] GpuError),

    /// The host can't do that.
    #[error("not supported by this host: {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },

    /// An error of a layer above, carried whole, so that `?` works in functions that return [`FabricError`].
    #[error(transparent)]
    Layer(LayerError),
}

/// An error of a layer above this crate.
#[derive(Debug)]
pub struct LayerError {
    recovery: Recovery,
    error: Box<dyn Error + Send + Sync>,
}

impl LayerError {
    /// Carries `error`, about which a caller can do `recovery`.
    pub fn new(recovery: Recovery, error: impl Error + Send + Sync + 'static) -> Self {
        Self { recovery, error: Box::new(error) }
    }

    /// The error itself, to be looked at with `downcast_ref`.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.error.as_ref()
    }
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for LayerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// What closed a fenced resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FenceReason {
    /// Somebody with a higher epoch has taken over.
    #[error("a newer writer has taken over")]
    NewerWriter,
    /// There is no higher epoch to give out.
    #[error("no epoch is left: make a new resource and move the data there")]
    EpochsExhausted,
    /// The resource waits for an operator.
    #[error("its lease record can't be read or its teardown failed, so an operator must look at it")]
    NeedsOperator,
}

impl FabricError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::LeaseExpired { .. } | Self::Revoked { .. } | Self::Released { .. } => Recovery::Reacquire,
            Self::LeaseNotFound { .. } => Recovery::Reacquire,
            Self::Fenced { .. } => Recovery::StopWriting,
            Self::Held { .. } | Self::Disconnected { .. } => Recovery::RetryLater,
            Self::Poisoned { .. } | Self::IoError { .. } => Recovery::Reopen,
            Self::DamagedRecord { .. } => Recovery::RestoreElsewhere,
            Self::CapacityExceeded { .. } | Self::InvalidRequest { .. } => Recovery::FixCaller,
            Self::InsecureHome { .. } | Self::Unsupported { .. } => Recovery::FixCaller,
            Self::GpuSessionFailed { fault, .. } => fault.recovery(),
            Self::Gpu(error) => error.recovery(),
            Self::Layer(layer) => layer.recovery,
        }
    }

    /// An error of the operating system, with what was tried on which file. A full disk or quota becomes
    /// [`CapacityExceeded`](Self::CapacityExceeded) where the caller knows how much was asked for; here it stays
    /// an [`IoError`](Self::IoError).
    pub fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self::IoError { errno: source.raw_os_error().unwrap_or(0), operation, path: path.to_owned(), source }
    }

    /// The resource `resource` has been taken over.
    #[must_use]
    pub fn stale(resource: ResourceId, stale: StaleEpochError) -> Self {
        Self::Fenced { resource, held: stale.held, current: stale.current, reason: FenceReason::NewerWriter }
    }

    /// What every operation answers on a lease that has ended with `status`. A status that this build does not
    /// know is no reason to go on writing.
    pub(crate) fn lease_ended(
        status: LeaseStatus,
        lease_id: LeaseId,
        resource: &ResourceId,
        epoch: FenceEpoch,
        expires_at_unix_secs: u64,
    ) -> Self {
        match status {
            LeaseStatus::Expired => Self::LeaseExpired { lease_id, expires_at_unix_secs },
            LeaseStatus::Revoked => Self::Revoked { lease_id },
            LeaseStatus::Released => Self::Released { lease_id },
            _ => Self::Fenced {
                resource: resource.clone(),
                held: epoch,
                current: epoch,
                reason: FenceReason::NeedsOperator,
            },
        }
    }

    /// The resource `resource` has seen as many holders as there are epochs.
    #[must_use]
    pub fn exhausted(resource: ResourceId, _: EpochExhausted) -> Self {
        let top = FenceEpoch(u64::MAX);
        Self::Fenced { resource, held: top, current: top, reason: FenceReason::EpochsExhausted }
    }
}
