//! [`BlockHandle`]: reads and writes of a leased volume.

use std::sync::Arc;

use fabricbios_core::lease::{FenceEpoch, LeaseId};

use super::BLOCK_SIZE;
use super::held::HeldVolume;
use crate::error::{FabricError, Result};

/// Reads and writes whole blocks of a leased volume. Cheap to clone; all clones fail closed with the lease.
///
/// Only a single block is written all or nothing: after a power cut, a write of several blocks may have been done
/// in part and in any order, unless [`flush`](Self::flush) had returned. After a write or flush has failed, the
/// handle and its clones refuse every further one with [`Poisoned`](FabricError::Poisoned), because the operating
/// system may have dropped data that it will not mention again.
#[derive(Clone, Debug)]
pub struct BlockHandle {
    held: Arc<HeldVolume>,
}

impl BlockHandle {
    pub(super) fn new(held: Arc<HeldVolume>) -> Self {
        Self { held }
    }

    /// The size of the volume in blocks.
    #[must_use]
    pub fn num_blocks(&self) -> u64 {
        self.held.num_blocks()
    }

    /// The lease that this handle lives by.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        self.held.lease().lease_id()
    }

    /// The epoch that this handle writes under.
    #[must_use]
    pub fn epoch(&self) -> FenceEpoch {
        self.held.lease().epoch()
    }

    /// Reads the block at `lba` into `into`, which holds exactly one block.
    ///
    /// # Errors
    /// Those of [`read_blocks`](Self::read_blocks).
    pub fn read_block(&self, lba: u64, into: &mut [u8]) -> Result<()> {
        exactly_one_block(into.len())?;
        self.read_blocks(lba, into)
    }

    /// Writes `from`, which holds exactly one block, at `lba`.
    ///
    /// # Errors
    /// Those of [`write_blocks`](Self::write_blocks).
    pub fn write_block(&self, lba: u64, from: &[u8]) -> Result<()> {
        exactly_one_block(from.len())?;
        self.write_blocks(lba, from)
    }

    /// Reads as many blocks as `into` holds, from `first_block` on.
    ///
    /// # Errors
    /// The lease has ended ([`LeaseExpired`](FabricError::LeaseExpired), [`Revoked`](FabricError::Revoked),
    /// [`Released`](FabricError::Released), [`Fenced`](FabricError::Fenced)); the range reaches past the end
    /// ([`CapacityExceeded`](FabricError::CapacityExceeded)); the buffer is empty or not whole blocks
    /// ([`InvalidRequest`](FabricError::InvalidRequest)); the device failed ([`IoError`](FabricError::IoError),
    /// [`Disconnected`](FabricError::Disconnected)).
    pub fn read_blocks(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        self.held.read(first_block, into)
    }

    /// Writes as many blocks as `from` holds, from `first_block` on. Durable after [`flush`](Self::flush).
    ///
    /// # Errors
    /// Those of [`read_blocks`](Self::read_blocks), and [`Poisoned`](FabricError::Poisoned).
    pub fn write_blocks(&self, first_block: u64, from: &[u8]) -> Result<()> {
        self.held.write(first_block, from)
    }

    /// Makes every write that has returned durable.
    ///
    /// # Errors
    /// As [`write_blocks`](Self::write_blocks). What is durable is unknown then.
    pub fn flush(&self) -> Result<()> {
        self.held.flush()
    }
}

fn exactly_one_block(len_bytes: usize) -> Result<()> {
    if len_bytes == BLOCK_SIZE {
        return Ok(());
    }
    Err(FabricError::InvalidRequest {
        what: "buffer length",
        expected: "512 bytes, one block",
        found: len_bytes.to_string(),
    })
}
