//! [`MemHandle`]: reads and writes of leased memory.

use std::sync::Arc;

use super::lease::HeldMemory;
use crate::error::{FabricError, Result};

/// Reads and writes leased memory. Cheap to clone; all clones fail closed with the lease.
///
/// Errors of every operation: the lease has ended ([`LeaseExpired`](FabricError::LeaseExpired),
/// [`Revoked`](FabricError::Revoked), [`Released`](FabricError::Released)); the range reaches past the end
/// ([`CapacityExceeded`](FabricError::CapacityExceeded)).
#[derive(Clone, Debug)]
pub struct MemHandle {
    held: Arc<HeldMemory>,
}

impl MemHandle {
    pub(super) fn new(held: Arc<HeldMemory>) -> Self {
        Self { held }
    }

    /// The size of the memory in bytes: at least what was asked for.
    #[must_use]
    pub fn num_bytes(&self) -> u64 {
        self.held.num_bytes
    }

    /// Copies `len` bytes out, from `offset` on.
    ///
    /// # Errors
    /// See [`MemHandle`]. Nothing is allocated for a range that does not exist.
    pub fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.check_range(offset, len)?;
        let mut bytes = vec![0; len];
        self.held.leased.with(|memory| memory.read(offset, &mut bytes))?;
        Ok(bytes)
    }

    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// See [`MemHandle`].
    pub fn read_into(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check_range(offset, into.len())?;
        self.held.leased.with(|memory| memory.read(offset, into))
    }

    /// Copies `from` in at `offset`.
    ///
    /// # Errors
    /// See [`MemHandle`].
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<()> {
        self.check_range(offset, from.len())?;
        self.held.leased.with(|memory| memory.write(offset, from))
    }

    fn check_range(&self, offset: u64, len: usize) -> Result<()> {
        let end = offset.saturating_add(len as u64);
        if end <= self.held.num_bytes {
            return Ok(());
        }
        Err(FabricError::CapacityExceeded {
            what: "bytes of leased memory",
            requested: end,
            available: self.held.num_bytes,
        })
    }
}
