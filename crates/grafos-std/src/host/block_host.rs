//! [`BlockHost`]: the trait of a backend that leases block volumes.

use std::fmt;
use std::time::Duration;

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::{LeaseGrant, RevokeOutcome, VolumeName};
use crate::error::Result;

/// What a [`BlockBuilder`](crate::block::BlockBuilder) asks for. Already checked: at least one block, at least one
/// second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The volume to find or make; `None` for a new one with a name of the host's choosing.
    pub volume: Option<VolumeName>,
    /// How many blocks it must have at least. A larger volume stays as it is, a smaller one grows, new blocks
    /// read as zeros.
    pub min_blocks: u64,
    /// For how long, in seconds.
    pub lease_secs: u64,
}

/// A granted volume.
#[derive(Debug)]
pub struct BlockGrant {
    /// Identity, epoch and time.
    pub lease: LeaseGrant,
    /// The name under which the volume can be found again.
    pub volume: VolumeName,
    /// The volume itself, held until it is dropped.
    pub blocks: Box<dyn LeasedBlocks>,
}

/// A backend that leases volumes of 512-byte blocks.
///
/// # Contract
/// - A volume outlives its leases, its contents and the highest epoch it has granted with it, whatever dies.
/// - At most one live [`LeasedBlocks`] per volume: a second request gets [`Held`](crate::FabricError::Held).
///   A holder that died holds nothing.
/// - Every grant, and every reattachment, has an epoch higher than all before it on that volume. The epoch is
///   durable before the grant is returned.
/// - `revoke` is known to the holder at its next operation.
///
/// `testing::block_host_suite` checks it.
pub trait BlockHost: fmt::Debug + Send + Sync {
    /// Grants a lease on a volume that is found or made.
    ///
    /// # Errors
    /// `Held`, `CapacityExceeded` (no room for so many blocks), `Fenced`, `DamagedRecord`, `InsecureHome`,
    /// `IoError`, `Disconnected`.
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant>;

    /// Takes over a lease that is still active and whose holder is gone. Allocates nothing; the lease keeps its id
    /// and its deadline (`granted` is what is left of it) and gets a new epoch.
    ///
    /// # Errors
    /// `LeaseNotFound`, `LeaseExpired`, `Revoked`, `Released`, `Held` while the holder lives, and those of
    /// [`acquire`](Self::acquire).
    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant>;

    /// Takes a lease away from its holder, in this process or another. Durable when it returns.
    ///
    /// # Errors
    /// `IoError`, `Disconnected`: it is unknown then whether the lease was taken.
    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome>;
}

/// A volume in the hands of its holder. Dropping it lets go of the volume without ending the lease, as a crash
/// would; [`release`](Self::release) ends it.
///
/// Callers are checked before they get here: addresses lie inside the volume, buffers hold whole blocks, the lease
/// was active a moment ago. An implementation checks what only it can see: that no newer holder has come.
pub trait LeasedBlocks: fmt::Debug + Send + Sync {
    /// The size of the volume, in blocks. Constant while it is held.
    fn num_blocks(&self) -> u64;

    /// Fills `into` from `first_block` on.
    ///
    /// # Errors
    /// `IoError`, `Disconnected`, `Fenced`.
    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()>;

    /// Writes `from` at `first_block`. Each block is written whole or not at all; several blocks may be written in
    /// part and in any order. Durable only after [`flush`](Self::flush).
    ///
    /// # Errors
    /// `IoError`, `CapacityExceeded` (the file system below is full), `Disconnected`, `Fenced`.
    fn write(&self, first_block: u64, from: &[u8]) -> Result<()>;

    /// Makes every write that has returned durable.
    ///
    /// # Errors
    /// As [`write`](Self::write). What is durable is unknown then.
    fn flush(&self) -> Result<()>;

    /// What the host says of the lease, its deadline left aside: `Active`, `Revoked`, or `Fenced` if it can't
    /// tell. Cheap: it is asked before every operation.
    fn host_status(&self) -> LeaseStatus;

    /// Extends the lease to `lease_secs` from now and returns the time that was granted.
    ///
    /// # Errors
    /// As [`write`](Self::write); the old deadline stands then.
    fn renew(&self, lease_secs: u64) -> Result<Duration>;

    /// Ends the lease. The volume keeps its contents.
    ///
    /// # Errors
    /// As [`write`](Self::write); the lease then ends by itself at its deadline.
    fn release(&self) -> Result<()>;
}
