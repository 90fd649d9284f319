//! [`HeldVolume`]: a leased volume with the checks that every backend would otherwise repeat.
//!
//! Invariants: a range that reaches past the end or a buffer that is not whole blocks never gets to the backend;
//! after a failed write or flush no further write does.

use std::sync::OnceLock;

use super::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::LeasedBlocks;
use crate::lease::{LeaseState, Leased};

#[derive(Debug)]
pub(super) struct HeldVolume {
    pub(super) leased: Leased<dyn LeasedBlocks>,
    num_blocks: u64,
    /// The message of the first failed write or flush.
    poison: OnceLock<String>,
}

impl HeldVolume {
    pub(super) fn new(lease: LeaseState, blocks: Box<dyn LeasedBlocks>) -> Self {
        let num_blocks = blocks.num_blocks();
        Self { leased: Leased::new(lease, blocks), num_blocks, poison: OnceLock::new() }
    }

    pub(super) fn lease(&self) -> &LeaseState {
        self.leased.state()
    }

    pub(super) fn num_blocks(&self) -> u64 {
        self.num_blocks
    }

    pub(super) fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        self.check_range(first_block, into.len())?;
        self.leased.with(|blocks| blocks.read(first_block, into))
    }

    pub(super) fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        self.check_range(first_block, from.len())?;
        self.change(|blocks| blocks.write(first_block, from))
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.change(|blocks| blocks.flush())
    }

    /// Runs a write or flush, unless one has failed before.
    fn change(&self, work: impl FnOnce(&dyn LeasedBlocks) -> Result<()>) -> Result<()> {
        self.leased.with(|blocks| {
            if let Some(first) = self.poison.get() {
                return Err(FabricError::Poisoned {
                    lease_id: self.lease().lease_id(),
                    first: first.clone(),
                });
            }
            work(blocks).inspect_err(|error| {
                self.poison.get_or_init(|| error.to_string());
            })
        })
    }

    fn check_range(&self, first_block: u64, len_bytes: usize) -> Result<()> {
        if len_bytes == 0 || !len_bytes.is_multiple_of(BLOCK_SIZE) {
            return Err(FabricError::InvalidRequest {
                what: "buffer length",
                expected: "a positive multiple of 512 bytes",
                found: len_bytes.to_string(),
            });
        }
        let end = first_block.saturating_add((len_bytes / BLOCK_SIZE) as u64);
        if end > self.num_blocks {
            return Err(FabricError::CapacityExceeded {
                what: "blocks on this volume",
                requested: end,
                available: self.num_blocks,
            });
        }
        Ok(())
    }
}
