//! [`BlockBuilder`]: how a program asks for a volume.

use std::sync::Arc;

use fabricbios_core::lease::LeaseId;

use super::BlockLease;
use crate::error::{FabricError, Result};
use crate::host::{BlockRequest, Host, VolumeName};

/// Asks for a lease on a block volume.
///
/// ```
/// use grafos_std::block::BlockBuilder;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
///
/// let lease = BlockBuilder::new().volume("sim-state").min_blocks(64).lease_secs(3600).acquire()?;
/// assert!(lease.block().num_blocks() >= 64);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is leased before `acquire`"]
pub struct BlockBuilder {
    host: Option<Host>,
    volume: Option<String>,
    min_blocks: u64,
    lease_secs: u64,
}

impl BlockBuilder {
    /// How long a lease is when nothing else is asked for: a day, in seconds. The volume of a holder that died is
    /// free at once however long its lease, so nothing is gained by a short one on a single machine.
    pub const DEFAULT_LEASE_SECS: u64 = 24 * 60 * 60;

    /// One block at least, for a day, on a new volume of the ambient host.
    pub fn new() -> Self {
        Self { host: None, volume: None, min_blocks: 1, lease_secs: Self::DEFAULT_LEASE_SECS }
    }

    /// Asks this host and not the ambient one; threads that were started inside a
    /// [scope](Host::scope) need it.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// Finds the volume of this name, or makes it. Without a name, a new volume is made, whose name
    /// [`BlockLease::volume`] tells.
    pub fn volume(mut self, name: impl Into<String>) -> Self {
        self.volume = Some(name.into());
        self
    }

    /// How many blocks of 512 bytes the volume must have. A smaller volume grows, a larger one stays as it is.
    pub fn min_blocks(mut self, blocks: u64) -> Self {
        self.min_blocks = blocks;
        self
    }

    /// For how long, in seconds.
    pub fn lease_secs(mut self, secs: u64) -> Self {
        self.lease_secs = secs;
        self
    }

    /// Takes the lease.
    ///
    /// # Errors
    /// [`Held`](FabricError::Held) while somebody else has the volume, with the process that has it;
    /// [`CapacityExceeded`](FabricError::CapacityExceeded); [`InvalidRequest`](FabricError::InvalidRequest) for a
    /// bad name, no blocks or no time; those of [`BlockHost::acquire`](crate::host::BlockHost::acquire).
    pub fn acquire(self) -> Result<BlockLease> {
        let volume = self.volume.map(VolumeName::new).transpose()?;
        at_least_one("min_blocks", self.min_blocks)?;
        at_least_one("lease_secs", self.lease_secs)?;
        let host = self.host.map_or_else(Host::current, Ok)?;
        let request = BlockRequest { volume, min_blocks: self.min_blocks, lease_secs: self.lease_secs };
        let requested_at = host.clock().now();
        let grant = host.block_host().acquire(&request)?;
        Ok(BlockLease::new(grant, self.lease_secs, requested_at, Arc::clone(host.clock())))
    }

    /// Goes on with a lease that is still active after its holder died: the same lease, the same deadline, a new
    /// epoch. Allocates nothing.
    ///
    /// # Errors
    /// [`LeaseNotFound`](FabricError::LeaseNotFound), [`LeaseExpired`](FabricError::LeaseExpired),
    /// [`Revoked`](FabricError::Revoked), [`Released`](FabricError::Released); [`Held`](FabricError::Held) while
    /// the holder lives; those of [`BlockHost::attach`](crate::host::BlockHost::attach).
    pub fn attach(lease_id: impl Into<LeaseId>) -> Result<BlockLease> {
        Self::attach_on(&Host::current()?, lease_id)
    }

    /// [`attach`](Self::attach) on this host and not the ambient one.
    ///
    /// # Errors
    /// Those of [`attach`](Self::attach).
    pub fn attach_on(host: &Host, lease_id: impl Into<LeaseId>) -> Result<BlockLease> {
        let requested_at = host.clock().now();
        let grant = host.block_host().attach(lease_id.into())?;
        let lease_secs = grant.lease.granted.as_secs().max(1);
        Ok(BlockLease::new(grant, lease_secs, requested_at, Arc::clone(host.clock())))
    }
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Refuses zero, which every quantity of a request must exceed.
pub(crate) fn at_least_one(what: &'static str, value: u64) -> Result<()> {
    if value == 0 {
        return Err(FabricError::InvalidRequest { what, expected: "at least 1", found: "0".to_owned() });
    }
    Ok(())
}
