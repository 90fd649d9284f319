//! [`ManagerError`]: why a snapshot became no checkpoint, or a checkpoint was not given out.

use fabricbios_core::recovery::Recovery;

use crate::checkpoint::StorageError;

/// Why a [`CheckpointManager`](super::CheckpointManager) could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// Nobody is registered in this slot.
    #[error("no actor is registered: slot={slot}")]
    NotRegistered {
        /// The slot.
        slot: u32,
    },

    /// The device has no snapshot to give.
    #[error("the device made no snapshot: slot={slot}, request={request_id}")]
    SnapshotFailed {
        /// The slot.
        slot: u32,
        /// The request, which is settled now.
        request_id: u64,
    },

    /// The response is another actor's. The request is still open.
    #[error("a response from another slot: request={request_id}, expected={expected}, found={found}")]
    WrongSlot {
        /// The request that it names.
        request_id: u64,
        /// The slot that was asked.
        expected: u32,
        /// The slot that answered.
        found: u32,
    },

    /// The checkpoints of this slot are another kernel's: they are neither given out nor replaced.
    #[error(
        "the checkpoint is another kernel's: name=\"{name}\", expected=\"{expected}\", found=\"{found}\"; take another prefix or slot, or delete them"
    )]
    OtherKernel {
        /// The checkpoint.
        name: String,
        /// Id and type of the registered kernel.
        expected: String,
        /// Those of the kernel whose state it is.
        found: String,
    },

    /// There are checkpoints, and none of them is good. All are where they were.
    #[error("no checkpoint is good: slot={slot}, checkpoints={count}, newest=\"{newest}\"")]
    NoneGood {
        /// The slot.
        slot: u32,
        /// How many there are.
        count: usize,
        /// The name of the newest.
        newest: String,
        /// What is wrong with that one.
        source: Box<StorageError>,
    },

    /// The storage panicked.
    #[error("the storage panicked: slot={slot}, step={step}")]
    StoragePanicked {
        /// The slot.
        slot: u32,
        /// The step that was to be saved.
        step: u64,
    },

    /// The storage could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ManagerError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::NotRegistered { .. } | Self::WrongSlot { .. } | Self::OtherKernel { .. } => {
                Recovery::FixCaller
            }
            Self::SnapshotFailed { .. } => Recovery::RetryLater,
            Self::NoneGood { .. } => Recovery::RestoreElsewhere,
            Self::StoragePanicked { .. } => Recovery::ReportBug,
            Self::Storage(cause) => cause.recovery(),
        }
    }
}
