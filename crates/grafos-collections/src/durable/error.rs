//! [`DurableError`]: what can go wrong with a durable value, and [`SlotFault`]: what can be wrong with one slot.

use std::error::Error;
use std::fmt;

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;
use grafos_std::error::{FabricError, LayerError};

/// Why a durable value could not be read or written.
///
/// A failed checkpoint never touches the newest one that was committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// The lease or the device failed.
    #[error(transparent)]
    Fabric(#[from] FabricError),

    /// Nothing was ever committed on this volume.
    #[error("no checkpoint was ever committed on this volume")]
    NoCheckpoint,

    /// The volume holds something that was not written by this crate. It is neither read nor overwritten.
    #[error(
        "the volume belongs to another program: expected it to begin with=\"DCHK\", found={found:02x?}; use another volume, or zero its first blocks"
    )]
    ForeignVolume {
        /// How the volume begins.
        found: [u8; 4],
    },

    /// The volume was written by another version of the format. It is neither read nor overwritten.
    #[error("the volume has another format version: supported={supported}, found={found}")]
    OtherFormatVersion {
        /// The version that this build reads and writes.
        supported: u32,
        /// The version on the volume.
        found: u32,
    },

    /// There were checkpoints, and none verifies.
    #[error("no checkpoint on this volume verifies: {}", Listed(rejected))]
    AllSlotsDamaged {
        /// Each slot with what is wrong with it.
        rejected: Vec<RejectedSlot>,
    },

    /// Somebody with a higher epoch has written to this volume.
    #[error("a newer writer has been here: held={held}, found={found}")]
    StaleEpoch {
        /// The epoch of this lease.
        held: FenceEpoch,
        /// The epoch on the volume.
        found: FenceEpoch,
    },

    /// The checkpoint was made under another schema tag.
    #[error("the checkpoint has another schema: expected=\"{expected}\", found=\"{found}\"")]
    SchemaMismatch {
        /// The tag that was asked for.
        expected: String,
        /// The tag of the checkpoint.
        found: String,
    },

    /// The volume is divided into another number of slots.
    #[error("the volume has another number of slots: requested={requested}, found={found}")]
    SlotCountMismatch {
        /// How many were asked for.
        requested: u32,
        /// How many there are.
        found: u32,
    },

    /// An option is outside its range.
    #[error("{option} is out of range: expected {expected}, found={found}")]
    InvalidOption {
        /// Which option.
        option: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: u64,
    },

    /// The value is too large for the volume. Nothing was written.
    #[error(
        "the value does not fit: payload_bytes={payload_bytes}, needed_blocks={needed_blocks}, available_blocks={available_blocks}; acquire the volume with min_blocks({needed_blocks}), it grows and keeps its contents"
    )]
    DoesNotFit {
        /// How long the encoded value is.
        payload_bytes: u64,
        /// How many blocks of 512 bytes the volume must have.
        needed_blocks: u64,
        /// How many it has.
        available_blocks: u64,
    },

    /// The value could not be encoded. Nothing was committed.
    #[error("the value can't be encoded")]
    Encode {
        /// What the encoder says.
        source: Box<dyn Error + Send + Sync>,
    },

    /// The value was encoded to another length than was counted a moment before. Nothing was committed.
    #[error(
        "the value encodes differently each time: counted={counted}, encoded={encoded}; its Serialize must not depend on anything but the value"
    )]
    UnstableEncoding {
        /// Bytes at the first pass.
        counted: u64,
        /// Bytes at the second.
        encoded: u64,
    },

    /// The checkpoint is whole, but is not a value of this type.
    #[error("checkpoint {sequence} is intact but does not decode as the requested type")]
    Decode {
        /// Which checkpoint.
        sequence: u64,
        /// What the decoder says.
        source: Box<dyn Error + Send + Sync>,
    },

    /// There is no such checkpoint on the volume any more, or yet.
    #[error("no such checkpoint: requested={requested}, available={available:?}")]
    NotInHistory {
        /// The sequence that was asked for.
        requested: u64,
        /// Those that there are, newest first.
        available: Vec<u64>,
    },

    /// The volume has seen as many checkpoints as there are sequences.
    #[error("no sequence is left on this volume: use another one")]
    SequencesExhausted,

    /// The thread that writes in the background can't be started or has died. What it was writing is not
    /// committed.
    #[error("the background writer is gone: {reason}")]
    BackgroundLost {
        /// What is known of the cause.
        reason: String,
    },
}

impl DurableError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Fabric(error) => error.recovery(),
            Self::AllSlotsDamaged { .. } => Recovery::RestoreElsewhere,
            Self::StaleEpoch { .. } => Recovery::StopWriting,
            Self::BackgroundLost { .. } => Recovery::Reopen,
            Self::NotInHistory { .. } => Recovery::RefreshAndRetry,
            Self::NoCheckpoint
            | Self::ForeignVolume { .. }
            | Self::OtherFormatVersion { .. }
            | Self::SchemaMismatch { .. }
            | Self::SlotCountMismatch { .. }
            | Self::InvalidOption { .. }
            | Self::DoesNotFit { .. }
            | Self::Encode { .. }
            | Self::UnstableEncoding { .. }
            | Self::Decode { .. }
            | Self::SequencesExhausted => Recovery::FixCaller,
        }
    }
}

impl From<DurableError> for FabricError {
    /// So that `?` works in functions that return [`FabricError`]; nothing of the error is lost.
    fn from(error: DurableError) -> Self {
        match error {
            DurableError::Fabric(error) => error,
            error => Self::Layer(LayerError::new(error.recovery(), error)),
        }
    }
}

/// What is wrong with one slot. The slot is passed over; the others are still good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotFault {
    /// It does not begin as a header does.
    #[error("no header here: found={found:02x?}")]
    BadMagic {
        /// How it begins.
        found: [u8; 4],
    },
    /// The header's bytes are not those that were written: torn by a power cut, or damaged.
    #[error("the header's digest does not match")]
    HeaderDigest,
    /// The header belongs to another slot.
    #[error("the header of another slot: expected={expected}, found={found}")]
    Misplaced {
        /// The slot that was read.
        expected: u32,
        /// The slot that the header is of.
        found: u32,
    },
    /// A field is outside its range, though the digest matches.
    #[error("a field is out of range: {field}={found}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// The payload lies past the end of the volume.
    #[error("the volume was cut short: needed_blocks={needed_blocks}, volume_blocks={volume_blocks}")]
    Truncated {
        /// How many blocks the volume had at least.
        needed_blocks: u64,
        /// How many it has.
        volume_blocks: u64,
    },
    /// The chunk table's bytes are not those that were written.
    #[error("the digest of the chunk table does not match")]
    TableDigest,
    /// A chunk's bytes are not those that were written.
    #[error("the digest of a chunk does not match: chunk={chunk}")]
    ChunkDigest {
        /// Which chunk, from 0.
        chunk: u64,
    },
    /// The device could not read it.
    #[error("the device can't read it: errno={errno}")]
    Unreadable {
        /// The operating system's error number.
        errno: i32,
    },
}

/// A slot that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedSlot {
    /// Its index.
    pub slot: u32,
    /// The sequence that its header names, if the header could be believed.
    pub sequence: Option<u64>,
    /// What is wrong with it.
    pub fault: SlotFault,
}

impl fmt::Display for RejectedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}: {}", self.slot, self.fault)
    }
}

struct Listed<'a>(&'a [RejectedSlot]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rejected) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{rejected}")?;
        }
        Ok(())
    }
}
