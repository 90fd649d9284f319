//! [`MemHost`]: the trait of a backend that leases memory.

use std::fmt;
use std::time::Duration;

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::{LeaseGrant, RevokeOutcome};
use crate::error::Result;

/// What a [`MemBuilder`](crate::mem::MemBuilder) asks for. Already checked: at least one byte, at least one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemRequest {
    /// How many bytes at least.
    pub min_bytes: u64,
    /// For how long, in seconds.
    pub lease_secs: u64,
}

/// Granted memory.
#[derive(Debug)]
pub struct MemGrant {
    /// Identity, epoch and time.
    pub lease: LeaseGrant,
    /// The memory itself, held until it is dropped.
    pub memory: Box<dyn LeasedMemory>,
}

/// A backend that leases memory.
///
/// # Contract
/// - Memory reads as zeros when it is granted, and is zeroed before anybody else gets it.
/// - It is gone with its lease: dropped, released and revoked memory holds nothing and can't be reached again.
/// - `revoke` is known to the holder at its next operation.
///
/// `testing::mem_host_suite` checks it.
pub trait MemHost: fmt::Debug + Send + Sync {
    /// Grants a lease on new memory.
    ///
    /// # Errors
    /// `CapacityExceeded`, `Disconnected`.
    fn acquire(&self, request: &MemRequest) -> Result<MemGrant>;

    /// Takes a lease away from its holder.
    ///
    /// # Errors
    /// `Disconnected`: it is unknown then whether the lease was taken.
    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome>;
}

/// Memory in the hands of its holder. Dropping it zeroes and frees it.
///
/// Callers are checked before they get here: the range lies inside the memory, the lease was active a moment ago.
pub trait LeasedMemory: fmt::Debug + Send + Sync {
    /// The size, in bytes. Constant while it is held, and at least what was asked for.
    fn num_bytes(&self) -> u64;

    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// `Disconnected`, `Revoked`.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()>;

    /// Writes `from` at `offset`.
    ///
    /// # Errors
    /// `Disconnected`, `Revoked`.
    fn write(&self, offset: u64, from: &[u8]) -> Result<()>;

    /// What the host says of the lease, its deadline left aside: `Active`, `Revoked`, or `Fenced` if it can't tell.
    fn host_status(&self) -> LeaseStatus;

    /// Extends the lease to `lease_secs` from now and returns the time that was granted.
    ///
    /// # Errors
    /// `Disconnected`, `Revoked`; the old deadline stands then.
    fn renew(&self, lease_secs: u64) -> Result<Duration>;
}
