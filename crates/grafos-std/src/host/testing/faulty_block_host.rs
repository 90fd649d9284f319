//! [`FaultyBlockHost`]: a block host in front of another one that fails as planned.
//!
//! It plays a machine with a disk. Writes go to the host below at once, where the next reader finds them, as in an
//! operating system's page cache; a journal keeps what was there before until a flush has returned. So unflushed
//! writes survive the death of a process, and a power cut can take back any of them.
//!
//! Only reads, writes and flushes of volumes are subject to faults. Lease records and epochs are those of the host
//! below, and as durable as that makes them.
//!
//! Invariant: what a flush has acknowledged is never taken back, unless the plan says [`Fault::LoseFlush`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabricbios_core::lease::LeaseId;

use super::fault::{FaultPlan, Keep, Op};
use crate::error::{FabricError, Result};
use crate::host::{BlockGrant, BlockHost, BlockRequest, RevokeOutcome};

mod faulty_blocks;
mod journal;
mod machine;
#[cfg(test)]
mod tests;

use faulty_blocks::FaultyBlocks;
use machine::Machine;

#[cfg(doc)]
use super::Fault;

/// A block host that does wrong what a [`FaultPlan`] says, at the operations that it names. Clones are the same
/// machine: one is given to the builder, another stays with the test.
///
/// After a power cut everybody gets `Disconnected`, builders included, until [`power_on`](Self::power_on); the
/// holders of before stay dead for ever.
///
/// Only reads, writes and flushes of volumes are counted and go wrong. Lease records and epochs are those of the host
/// below, which also has the newest contents at any time: what would be lost is taken back there at the power cut.
///
/// ```
/// use std::sync::Arc;
/// use fabricbios_core::clock::ManualClock;
/// use grafos_std::block::{BLOCK_SIZE, BlockBuilder};
/// use grafos_std::host::{Host, testing::{FaultyBlockHost, Keep, RamBlockHost}};
///
/// let clock = Arc::new(ManualClock::default());
/// let disk = FaultyBlockHost::new(Arc::new(RamBlockHost::new(clock.clone())));
/// let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build()?;
///
/// let lease = BlockBuilder::new().on(&host).volume("v").min_blocks(2).acquire()?;
/// lease.block().write_block(0, &[1; BLOCK_SIZE])?;
/// lease.block().flush()?;
/// lease.block().write_block(1, &[2; BLOCK_SIZE])?;
/// disk.cut_power(&Keep::None);
/// assert!(lease.block().flush().is_err());
///
/// disk.power_on()?;
/// let again = BlockBuilder::new().on(&host).volume("v").acquire()?;
/// let mut both = [9; 2 * BLOCK_SIZE];
/// again.block().read_blocks(0, &mut both)?;
/// assert_eq!((both[0], both[BLOCK_SIZE]), (1, 0), "the flushed block is there, the other one is not");
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone)]
pub struct FaultyBlockHost {
    machine: Arc<Mutex<Machine>>,
}

impl FaultyBlockHost {
    /// How many bytes of unflushed writes a machine holds; a write beyond gets `CapacityExceeded`. 1 GiB.
    pub const MAX_UNFLUSHED_BYTES: usize = 1 << 30;

    /// A machine with its power on and no faults planned, whose volumes are those of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn BlockHost>) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(inner))) }
    }

    /// Replaces the plan, starts to count at 0, and empties the log. What is unflushed stays so.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.lock().set_plan(plan);
    }

    /// The operations since the plan was set, or since the beginning. The n-th is the one that
    /// [`FaultPlan::at`]`(n, …)` is about. Reads are there only if the plan counts them.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.lock().ops().to_vec()
    }

    /// How many blocks of how many writes a power cut could lose now, over all volumes: one entry for each write.
    #[must_use]
    pub fn unflushed(&self) -> Vec<u64> {
        self.lock().unflushed()
    }

    /// The power goes now, between two operations.
    pub fn cut_power(&self, keep: &Keep) {
        self.lock().cut_power(keep);
    }

    /// All holders die now, as by SIGKILL: see [`Fault::Kill`].
    pub fn kill_holders(&self) {
        self.lock().kill_holders();
    }

    /// Whether the power is on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.lock().is_powered()
    }

    /// The machine starts again: volumes can be leased. Counting and the plan go on, so that a second power cut can
    /// hit the recovery from the first. Nothing happens if the power is on.
    ///
    /// # Errors
    /// Those of the host below, if the disk could not be brought into the state that the power cut asked for. A test
    /// that ignores it may check a state that no power cut leaves.
    pub fn power_on(&self) -> Result<()> {
        self.lock().power_on()
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // A panic in a test thread is reported by that thread; the others see a machine between two operations.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wraps a grant of the host below; called with the lock held, so that no power cut comes in between.
    fn wrap(&self, machine: &mut Machine, grant: BlockGrant) -> BlockGrant {
        let num_blocks = grant.blocks.num_blocks();
        let holder = machine.add_holder(grant.volume.clone(), grant.lease.lease_id, grant.blocks);
        let blocks = FaultyBlocks::new(Arc::clone(&self.machine), holder, num_blocks);
        BlockGrant { lease: grant.lease, volume: grant.volume, blocks: Box::new(blocks) }
    }
}

impl BlockHost for FaultyBlockHost {
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant> {
        let mut machine = self.lock();
        let grant = machine.inner_if_powered()?.acquire(request)?;
        Ok(self.wrap(&mut machine, grant))
    }

    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant> {
        let mut machine = self.lock();
        let grant = machine.inner_if_powered()?.attach(lease_id)?;
        Ok(self.wrap(&mut machine, grant))
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let machine = self.lock();
        machine.inner_if_powered()?.revoke(lease_id)
    }
}

impl fmt::Debug for FaultyBlockHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the journal, which can be large, and not under the lock, which the caller may have.
        f.debug_struct("FaultyBlockHost").finish_non_exhaustive()
    }
}

/// What everybody hears while the power is off, and a dead process for ever.
fn disconnected() -> FabricError {
    FabricError::Disconnected {
        reason: "the power is off, or this process was killed (planned fault)".to_owned(),
    }
}
