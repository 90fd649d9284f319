//! [`BrokenBlockHost`]: a block host that breaks one rule of the contract, of a caller's choosing.

use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock, ManualClock};
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;
use grafos_std::block::BLOCK_SIZE;
use grafos_std::error::FenceReason;
use grafos_std::host::testing::{RamBlockHost, TestedBlockHost};
use grafos_std::host::{BlockGrant, BlockHost, BlockRequest, LeasedBlocks, RevokeOutcome, VolumeName};
use grafos_std::{FabricError, Result};

/// What the host does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    // Contents.
    NewBlocksHoldGarbage,
    WritesVanish,
    LongWritesLoseTheirLastBlock,
    NeedsAlignedBuffers,
    ServesOneThreadOnly,
    AllVolumesAreOne,
    ReleaseWipes,
    DeathWipes,
    RestartWipes,
    GrowthWipes,
    Shrinks,
    // Sizes.
    CountsOneBlockTooMany,
    PromisesTheImpossible,
    GrantsTooLittle,
    // Grants.
    EpochsRepeat,
    EpochsRestart,
    LeaseIdsRepeat,
    LetsEverybodyIn,
    LetsOtherHostsIn,
    TheDeadHoldOn,
    UnnamedVolumesAreOne,
    // Attaching.
    AttachRepeatsTheEpoch,
    AttachExtends,
    RestartForgetsLeases,
    AttachesOverTheLiving,
    AttachesToUnknownLeases,
    EveryEndIsNotFound,
    OldLeasesRevive,
    // Ends.
    ReleaseHoldsOn,
    GrantsTenTimesTheTime,
    ExpiryCloses,
    RenewsForNoTime,
    RenewsInNameOnly,
    // Revoking.
    IgnoresRevocation,
    OtherHostsRevokeInVain,
    RevokesWhatIsNotThere,
    RestartForgetsRevocations,
    RevocationCloses,
}

#[derive(Clone, Debug)]
pub(crate) struct BrokenBlockHost {
    flaw: Flaw,
    reopened: bool,
    inner: RamBlockHost,
    clock: Arc<ManualClock>,
    memory: Arc<Mutex<Memory>>,
    epochs_of_this_host: Arc<Mutex<u64>>,
}

/// What it has to remember to do wrong.
#[derive(Debug, Default)]
struct Memory {
    volumes: BTreeMap<LeaseId, VolumeName>,
    epochs: BTreeMap<LeaseId, FenceEpoch>,
    deadlines: BTreeMap<VolumeName, BootTime>,
    revoked: Vec<VolumeName>,
}

pub(crate) fn tested(flaw: Flaw) -> TestedBlockHost {
    let clock = Arc::new(ManualClock::default());
    let host = BrokenBlockHost {
        flaw,
        reopened: false,
        inner: RamBlockHost::new(clock.clone()),
        clock: clock.clone(),
        memory: Arc::default(),
        epochs_of_this_host: Arc::default(),
    };
    let first = host.clone();
    TestedBlockHost { host: Arc::new(host), clock, reopen: Box::new(move || Arc::new(first.reopened())) }
}

impl BrokenBlockHost {
    fn reopened(&self) -> Self {
        let mut inner = self.inner.clone();
        if self.flaw == Flaw::RestartWipes {
            inner = RamBlockHost::new(self.clock.clone());
        }
        Self { reopened: true, inner, epochs_of_this_host: Arc::default(), ..self.clone() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Makes a grant of the host below wrong.
    fn spoil(&self, mut grant: BlockGrant, asked_blocks: u64, old_blocks: u64) -> Result<BlockGrant> {
        let blocks = grant.blocks.num_blocks();
        let mut shown_blocks = blocks;
        match self.flaw {
            Flaw::NewBlocksHoldGarbage if old_blocks == 0 => fill(grant.blocks.as_ref(), 0xEE)?,
            Flaw::GrowthWipes if old_blocks > 0 && blocks > old_blocks => fill(grant.blocks.as_ref(), 0)?,
            Flaw::Shrinks => shown_blocks = asked_blocks,
            Flaw::CountsOneBlockTooMany => shown_blocks = blocks + 1,
            Flaw::GrantsTooLittle => shown_blocks = blocks.saturating_sub(1).max(1),
            Flaw::EpochsRepeat => grant.lease.epoch = FenceEpoch(1),
            Flaw::EpochsRestart if self.reopened => {
                let mut epoch = lock(&self.epochs_of_this_host);
                *epoch += 1;
                grant.lease.epoch = FenceEpoch(*epoch);
            }
            Flaw::LeaseIdsRepeat => grant.lease.lease_id = LeaseId(7),
            Flaw::GrantsTenTimesTheTime => grant.lease.granted *= 10,
            _ => {}
        }
        let mut memory = self.memory();
        memory.volumes.insert(grant.lease.lease_id, grant.volume.clone());
        memory.epochs.insert(grant.lease.lease_id, grant.lease.epoch);
        memory.deadlines.insert(grant.volume.clone(), self.clock.now().saturating_add(grant.lease.granted));
        let blocks = BrokenBlocks {
            flaw: self.flaw,
            inner: Some(grant.blocks),
            num_blocks: shown_blocks,
            released: Mutex::new(false),
            first_thread: OnceLock::new(),
        };
        Ok(BlockGrant { blocks: Box::new(blocks), ..grant })
    }

    fn blocks_of(&self, volume: &VolumeName) -> u64 {
        self.inner.image(volume).map_or(0, |image| (image.len() / BLOCK_SIZE) as u64)
    }

    /// Refuses volumes that this host believes to be lost.
    fn check_closed(&self, volume: &VolumeName) -> Result<()> {
        let memory = self.memory();
        let expired = memory.deadlines.get(volume).is_some_and(|deadline| self.clock.now() >= *deadline);
        let closed = (self.is(Flaw::ExpiryCloses) && expired)
            || (self.is(Flaw::RevocationCloses) && memory.revoked.contains(volume));
        if !closed {
            return Ok(());
        }
        Err(FabricError::Fenced {
            resource: ResourceId::new(ResourceKind::Block, volume.as_str()),
            held: FenceEpoch(0),
            current: FenceEpoch(0),
            reason: FenceReason::NeedsOperator,
        })
    }

    /// Attaches where it must not: by a new lease on the same volume under the old id.
    fn usurp(&self, lease_id: LeaseId, volume: VolumeName) -> Result<BlockGrant> {
        let request = BlockRequest { volume: Some(volume), min_blocks: 1, lease_secs: 3600 };
        let mut grant = self.inner.acquire(&request)?;
        grant.lease.lease_id = lease_id;
        Ok(grant)
    }
}

impl BlockHost for BrokenBlockHost {
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant> {
        let mut request = request.clone();
        if let (Flaw::UnnamedVolumesAreOne, None) = (self.flaw, &request.volume) {
            request.volume = Some("unnamed".parse()?);
        }
        let asked_for = request.volume.clone();
        if let (Flaw::AllVolumesAreOne, Some(_)) = (self.flaw, &request.volume) {
            request.volume = Some("one".parse()?);
        }
        let old_blocks = request.volume.as_ref().map_or(0, |volume| self.blocks_of(volume));
        if let Some(volume) = &request.volume {
            self.check_closed(volume)?;
        }
        let lets_in = self.is(Flaw::LetsEverybodyIn) || (self.is(Flaw::LetsOtherHostsIn) && self.reopened);
        let grant = match self.inner.acquire(&request) {
            Err(FabricError::Held { .. }) if lets_in || self.is(Flaw::AllVolumesAreOne) => {
                self.inner.forget_holder(request.volume.as_ref().unwrap());
                self.inner.acquire(&request)
            }
            Err(FabricError::CapacityExceeded { .. }) if self.is(Flaw::PromisesTheImpossible) => {
                self.inner.acquire(&BlockRequest { min_blocks: 1, ..request.clone() })
            }
            other => other,
        };
        let mut grant = self.spoil(grant?, request.min_blocks, old_blocks)?;
        if let (Flaw::AllVolumesAreOne, Some(volume)) = (self.flaw, asked_for) {
            grant.volume = volume;
        }
        Ok(grant)
    }

    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant> {
        let known = self.memory().volumes.get(&lease_id).cloned();
        if self.is(Flaw::RestartForgetsLeases) && self.reopened {
            return Err(FabricError::LeaseNotFound { lease_id });
        }
        let grant = match (self.inner.attach(lease_id), self.flaw, known) {
            (Err(FabricError::Held { .. }), Flaw::AttachesOverTheLiving, Some(volume)) => {
                self.inner.forget_holder(&volume);
                self.inner.attach(lease_id)
            }
            (Err(FabricError::LeaseNotFound { .. }), Flaw::AttachesToUnknownLeases, None) => {
                self.usurp(lease_id, "found".parse()?)
            }
            (Err(FabricError::LeaseNotFound { .. }), Flaw::OldLeasesRevive, Some(volume)) => {
                self.usurp(lease_id, volume)
            }
            (Err(FabricError::Revoked { .. }), Flaw::RestartForgetsRevocations, Some(volume))
                if self.reopened =>
            {
                self.usurp(lease_id, volume)
            }
            (
                Err(
                    FabricError::Released { .. }
                    | FabricError::Revoked { .. }
                    | FabricError::LeaseExpired { .. },
                ),
                Flaw::EveryEndIsNotFound,
                _,
            ) => Err(FabricError::LeaseNotFound { lease_id }),
            (other, ..) => other,
        };
        let mut grant = grant?;
        if self.is(Flaw::AttachExtends) {
            grant.lease.granted = grant.blocks.renew(3600)?;
        }
        let epoch_before = self.memory().epochs.get(&lease_id).copied();
        let (blocks, old_blocks) = (grant.blocks.num_blocks(), self.blocks_of(&grant.volume));
        let mut grant = self.spoil(grant, blocks, old_blocks)?;
        if let (Flaw::AttachRepeatsTheEpoch, Some(epoch)) = (self.flaw, epoch_before) {
            grant.lease.epoch = epoch;
        }
        Ok(grant)
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        if self.is(Flaw::OtherHostsRevokeInVain) && self.reopened {
            return Ok(RevokeOutcome::TornDown);
        }
        let volume = self.memory().volumes.get(&lease_id).cloned();
        self.memory().revoked.extend(volume);
        let outcome = self.inner.revoke(lease_id)?;
        if self.is(Flaw::RevokesWhatIsNotThere) { Ok(RevokeOutcome::TornDown) } else { Ok(outcome) }
    }
}

#[derive(Debug)]
struct BrokenBlocks {
    flaw: Flaw,
    /// `None` only while it is dropped.
    inner: Option<Box<dyn LeasedBlocks>>,
    num_blocks: u64,
    released: Mutex<bool>,
    first_thread: OnceLock<ThreadId>,
}

impl BrokenBlocks {
    fn inner(&self) -> &dyn LeasedBlocks {
        self.inner.as_deref().unwrap()
    }

    fn check_buffer(&self, buffer: &[u8]) -> Result<()> {
        if self.flaw == Flaw::NeedsAlignedBuffers && buffer.as_ptr().align_offset(8) != 0 {
            let einval = std::io::Error::from_raw_os_error(22);
            return Err(FabricError::io("read or write", Path::new("unaligned"), einval));
        }
        let thread = thread::current().id();
        if self.flaw == Flaw::ServesOneThreadOnly && *self.first_thread.get_or_init(|| thread) != thread {
            return Err(FabricError::Unsupported { what: "a second thread" });
        }
        Ok(())
    }
}

impl LeasedBlocks for BrokenBlocks {
    fn num_blocks(&self) -> u64 {
        self.num_blocks
    }

    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        self.check_buffer(into)?;
        self.inner().read(first_block, into)
    }

    fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        self.check_buffer(from)?;
        match self.flaw {
            Flaw::WritesVanish => Ok(()),
            Flaw::LongWritesLoseTheirLastBlock if from.len() > 8 * BLOCK_SIZE => {
                self.inner().write(first_block, &from[..from.len() - BLOCK_SIZE])
            }
            _ => self.inner().write(first_block, from),
        }
    }

    fn flush(&self) -> Result<()> {
        self.inner().flush()
    }

    fn host_status(&self) -> LeaseStatus {
        if self.flaw == Flaw::IgnoresRevocation { LeaseStatus::Active } else { self.inner().host_status() }
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        match self.flaw {
            Flaw::RenewsForNoTime => Ok(Duration::ZERO),
            Flaw::RenewsInNameOnly => Ok(Duration::from_secs(lease_secs)),
            _ => self.inner().renew(lease_secs),
        }
    }

    fn release(&self) -> Result<()> {
        if self.flaw == Flaw::ReleaseWipes {
            fill(self.inner(), 0)?;
        }
        *lock(&self.released) = true;
        self.inner().release()
    }
}

impl Drop for BrokenBlocks {
    fn drop(&mut self) {
        let released = *lock(&self.released);
        if self.flaw == Flaw::DeathWipes && !released {
            let _ = fill(self.inner(), 0);
        }
        let holds_on = if released { Flaw::ReleaseHoldsOn } else { Flaw::TheDeadHoldOn };
        if self.flaw == holds_on {
            mem::forget(self.inner.take());
        }
    }
}

fn fill(blocks: &dyn LeasedBlocks, fill: u8) -> Result<()> {
    (0..blocks.num_blocks()).try_for_each(|lba| blocks.write(lba, &[fill; BLOCK_SIZE]))
}

/// A panic of one check must not become another one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
