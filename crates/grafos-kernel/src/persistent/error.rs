//! [`KernelError`]: why a kernel could not be built, snapshotted or restored, and what the caller can do.

use fabricbios_core::recovery::Recovery;
use grafos_std::FabricError;

use crate::checkpoint::{CheckpointError, Kind};

/// Why a persistent kernel did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The GPU or its lease. A snapshot that was under way is gone, and no checkpoint was made of it.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// The checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint of another kernel.
    #[error("a checkpoint of another kernel: {what}, expected={expected}, found={found}")]
    OtherKernel {
        /// `kernel_id` or `kernel_type`.
        what: &'static str,
        /// That of this kernel.
        expected: String,
        /// That of the checkpoint.
        found: String,
    },
    /// A delta was given where the whole state is needed: apply it to its parent first.
    #[error("a full checkpoint is needed to restore a kernel, found={found}")]
    NotFull {
        /// What it is.
        found: Kind,
    },
    /// The kernel or the checkpoint has no such region.
    #[error("no such region: region={region}")]
    NoSuchRegion {
        /// Its name, or what sort of chunk it would be.
        region: String,
    },
    /// The checkpoint holds state that the kernel has no place for, or the same region twice.
    #[error("the kernel has no place for this chunk: chunk={chunk}, region={region}")]
    NoPlace {
        /// Which chunk of the checkpoint, counted from 0.
        chunk: usize,
        /// Its name, or what sort of chunk it is.
        region: String,
    },
    /// A region of another size.
    #[error("a region has another size: region={region}, expected_bytes={expected}, found_bytes={found}")]
    RegionSize {
        /// Its name, or what sort of chunk it is.
        region: String,
        /// What the kernel has.
        expected: u64,
        /// What is in the checkpoint.
        found: u64,
    },
    /// A region was described in a way that makes no sense.
    #[error("{what}: region={region}, limit={limit}, found={found}")]
    InvalidRegion {
        /// What is wrong.
        what: &'static str,
        /// Its name, or what sort of chunk it would be.
        region: String,
        /// The most, or the least, that it may be.
        limit: u64,
        /// What was given.
        found: u64,
    },
    /// The snapshot before this one is not drained yet. There is one copy of the state on the device.
    #[error("a snapshot of this kernel is under way; drain or drop it first")]
    SnapshotUnderWay,
    /// A restore failed in the middle: the memory holds a bit of this and a bit of that.
    #[error("the kernel was restored in part; restore it again, or build a new one")]
    RestoredInPart,
    /// A queue has no room for the message.
    #[error("the queue is full: queue={queue}, capacity={capacity}")]
    QueueFull {
        /// Which one.
        queue: &'static str,
        /// How many messages it holds.
        capacity: u32,
    },
    /// A message that is longer than the queue's slots.
    #[error("the message does not fit: queue={queue}, slot_bytes={slot_bytes}, found_bytes={found}")]
    MessageSize {
        /// Which queue.
        queue: &'static str,
        /// How long a message is, in bytes.
        slot_bytes: u32,
        /// How long this one is.
        found: u64,
    },
    /// The header of a queue is not what a queue's header can be: something has written over it.
    #[error("the queue's header is damaged: queue={queue}, head={head}, tail={tail}, capacity={capacity}")]
    QueueDamaged {
        /// Which queue.
        queue: &'static str,
        /// Messages that were taken.
        head: u64,
        /// Messages that were put in.
        tail: u64,
        /// How many messages it holds, as the kernel was built.
        capacity: u32,
    },
}

impl KernelError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Fabric(error) => error.recovery(),
            Self::Checkpoint(error) => error.recovery(),
            Self::SnapshotUnderWay | Self::QueueFull { .. } => Recovery::RetryLater,
            Self::RestoredInPart => Recovery::Reopen,
            Self::QueueDamaged { .. } => Recovery::RestoreElsewhere,
            Self::OtherKernel { .. }
            | Self::NotFull { .. }
            | Self::NoSuchRegion { .. }
            | Self::NoPlace { .. }
            | Self::RegionSize { .. }
            | Self::InvalidRegion { .. }
            | Self::MessageSize { .. } => Recovery::FixCaller,
        }
    }
}
