//! [`RamBlockHost`]: volumes in memory, for tests that need no disk.
//!
//! It keeps the whole contract of [`BlockHost`] except one word: nothing is durable beyond the life of the value. A
//! write is "on the disk" as soon as it returns and a flush has nothing to do; to lose power, put a
//! [`FaultyBlockHost`](super::FaultyBlockHost) in front.
//!
//! Invariant: a volume has at most one holder, and every holder an epoch above all earlier ones; a holder that was
//! cut off can write until the next one comes, and never after.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::{FenceEpoch, FenceGuard, LeaseId, LeaseTiming};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::{BlockGrant, BlockHost, BlockRequest, LeaseGrant, RevokeOutcome, VolumeName};

mod ram_blocks;
#[cfg(test)]
mod tests;

use ram_blocks::RamBlocks;

/// A block host whose volumes are memory. Clones share the volumes, as two processes share a disk.
///
/// ```
/// use std::sync::Arc;
/// use fabricbios_core::clock::ManualClock;
/// use grafos_std::block::{BLOCK_SIZE, BlockBuilder};
/// use grafos_std::host::{Host, testing::RamBlockHost};
///
/// let clock = Arc::new(ManualClock::default());
/// let ram = RamBlockHost::new(clock.clone());
/// let host = Host::builder().block(Arc::new(ram.clone())).clock(clock).build()?;
///
/// let lease = BlockBuilder::new().on(&host).volume("sim-state").min_blocks(2).acquire()?;
/// lease.block().write_block(1, &[7; BLOCK_SIZE])?;
/// assert_eq!(ram.image(lease.volume()).map(|image| image[BLOCK_SIZE]), Some(7));
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone)]
pub struct RamBlockHost {
    disk: Arc<Disk>,
}

struct Disk {
    clock: Arc<dyn Clock>,
    max_blocks: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    volumes: BTreeMap<VolumeName, Volume>,
    leases_granted: u128,
}

struct Volume {
    content: Arc<Content>,
    /// The epoch of the holder, if there is one.
    holder: Option<FenceEpoch>,
    /// The newest lease. An older one is forgotten: it can't be attached to any more.
    lease: Option<LeaseRecord>,
}

/// What holders share with the host: the bytes, and the guard that turns away a holder that was cut off. The guard
/// moves only under the lock of the bytes, so a write never lands after the next holder has come.
struct Content {
    bytes: RwLock<Vec<u8>>,
    guard: FenceGuard,
}

#[derive(Clone, Copy)]
struct LeaseRecord {
    lease_id: LeaseId,
    status: LeaseStatus,
    expires_at: BootTime,
    expires_at_unix_ms: u64,
}

impl RamBlockHost {
    /// The size of a host for which none is given: 2^21 blocks, which is 1 GiB.
    pub const DEFAULT_MAX_BLOCKS: u64 = 1 << 21;

    /// A host without volumes, whose leases run by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_max_blocks(clock, Self::DEFAULT_MAX_BLOCKS)
    }

    /// As [`new`](Self::new); all volumes together may have `max_blocks` blocks.
    #[must_use]
    pub fn with_max_blocks(clock: Arc<dyn Clock>, max_blocks: u64) -> Self {
        Self { disk: Arc::new(Disk { clock, max_blocks, state: Mutex::default() }) }
    }

    /// The bytes of a volume as they are now; `None` if there is no such volume.
    #[must_use]
    pub fn image(&self, volume: &VolumeName) -> Option<Vec<u8>> {
        let state = self.disk.lock();
        let content = &state.volumes.get(volume)?.content;
        let bytes = content.bytes.read().unwrap_or_else(PoisonError::into_inner).clone();
        Some(bytes)
    }

    /// Makes a volume consist of these bytes, behind the back of its holder: damage, an older image, the volume of
    /// another program. A volume that does not exist is made.
    ///
    /// # Errors
    /// `InvalidRequest` if the bytes are not whole blocks; `CapacityExceeded`; `Held` if the size of a volume would
    /// change while somebody holds it.
    pub fn set_image(&self, volume: &VolumeName, image: Vec<u8>) -> Result<()> {
        if image.is_empty() || !image.len().is_multiple_of(BLOCK_SIZE) {
            return Err(FabricError::InvalidRequest {
                what: "length of a volume image",
                expected: "a positive multiple of 512 bytes",
                found: image.len().to_string(),
            });
        }
        let mut state = self.disk.lock();
        self.disk.check_room(&state, volume, (image.len() / BLOCK_SIZE) as u64)?;
        let volume_state = state.volumes.entry(volume.clone()).or_insert_with(|| Volume::of(Arc::default()));
        let mut bytes = volume_state.content.bytes.write().unwrap_or_else(PoisonError::into_inner);
        if volume_state.holder.is_some() && bytes.len() != image.len() {
            return Err(held(volume));
        }
        *bytes = image;
        Ok(())
    }

    /// Takes the volume from its holder without telling it, as when a host believes a paused or partitioned holder
    /// to be dead. The volume is free; the old holder works on until the next one comes, and is `Fenced` from then
    /// on. Returns whether there was a holder.
    pub fn forget_holder(&self, volume: &VolumeName) -> bool {
        let mut state = self.disk.lock();
        state.volumes.get_mut(volume).is_some_and(|volume| volume.holder.take().is_some())
    }
}

impl BlockHost for RamBlockHost {
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant> {
        let mut state = self.disk.lock();
        let name = request.volume.clone().map_or_else(|| state.unused_name(), Ok)?;
        if state.volumes.get(&name).is_some_and(|volume| volume.holder.is_some()) {
            return Err(held(&name));
        }
        let had_blocks = state.volumes.get(&name).map_or(0, |volume| volume.content.num_blocks());
        let num_blocks = had_blocks.max(request.min_blocks);
        self.disk.check_room(&state, &name, num_blocks)?;
        let lease_id = state.next_lease_id();
        let content =
            state.volumes.get(&name).map_or_else(Arc::default, |volume| Arc::clone(&volume.content));
        content.grow_to(num_blocks)?;
        let volume = state.volumes.entry(name.clone()).or_insert_with(|| Volume::of(content));
        volume.lease =
            Some(LeaseRecord::starting_now(lease_id, request.lease_secs, self.disk.clock.as_ref()));
        self.disk.grant(name, volume)
    }

    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant> {
        let mut state = self.disk.lock();
        let (name, volume) = state.volume_of(lease_id).ok_or(FabricError::LeaseNotFound { lease_id })?;
        let epoch = volume.content.guard.current();
        if let Some(ended) =
            volume.lease.and_then(|lease| lease.ended_error(self.disk.clock.now(), name, epoch))
        {
            return Err(ended);
        }
        if volume.holder.is_some() {
            return Err(held(name));
        }
        let name = name.clone();
        self.disk.grant(name, volume)
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let mut state = self.disk.lock();
        let now = self.disk.clock.now();
        let record = state.volume_of(lease_id).and_then(|(_, volume)| volume.lease.as_mut());
        match record {
            Some(lease) if lease.status_at(now) == LeaseStatus::Active => {
                lease.status = LeaseStatus::Revoked;
                Ok(RevokeOutcome::TornDown)
            }
            _ => Ok(RevokeOutcome::NotFound),
        }
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at most an unheld volume behind, never half a record.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses `num_blocks` for `volume` if the others leave less.
    fn check_room(&self, state: &State, volume: &VolumeName, num_blocks: u64) -> Result<()> {
        let others = state.volumes.iter().filter(|(name, _)| *name != volume);
        let taken: u64 = others.map(|(_, other)| other.content.num_blocks()).sum();
        let available = self.max_blocks.saturating_sub(taken);
        if num_blocks <= available {
            return Ok(());
        }
        Err(FabricError::CapacityExceeded { what: "blocks on this host", requested: num_blocks, available })
    }

    /// Hands an unheld volume, whose record is that of an active lease, to a new holder.
    fn grant(self: &Arc<Self>, name: VolumeName, volume: &mut Volume) -> Result<BlockGrant> {
        let lease = volume.lease.ok_or(FabricError::Unsupported { what: "a grant without a lease" })?;
        let epoch =
            volume.content.advance().map_err(|error| FabricError::exhausted(resource(&name), error))?;
        volume.holder = Some(epoch);
        let grant = LeaseGrant {
            lease_id: lease.lease_id,
            epoch,
            granted: lease.expires_at.saturating_since(self.clock.now()),
            timing: LeaseTiming::SAME_CLOCK,
        };
        let content = Arc::clone(&volume.content);
        let blocks = RamBlocks::new(Arc::clone(self), content, name.clone(), lease.lease_id, epoch);
        Ok(BlockGrant { lease: grant, volume: name, blocks: Box::new(blocks) })
    }
}

impl State {
    fn next_lease_id(&mut self) -> LeaseId {
        self.leases_granted += 1;
        LeaseId(self.leases_granted)
    }

    fn unused_name(&self) -> Result<VolumeName> {
        let mut number = self.leases_granted;
        loop {
            let name = VolumeName::new(format!("ram-{number}"))?;
            if !self.volumes.contains_key(&name) {
                return Ok(name);
            }
            number += 1;
        }
    }

    fn volume_of(&mut self, lease_id: LeaseId) -> Option<(&VolumeName, &mut Volume)> {
        self.volumes
            .iter_mut()
            .find(|(_, volume)| volume.lease.is_some_and(|lease| lease.lease_id == lease_id))
    }
}

impl Volume {
    fn of(content: Arc<Content>) -> Self {
        Self { content, holder: None, lease: None }
    }
}

impl LeaseRecord {
    fn starting_now(lease_id: LeaseId, lease_secs: u64, clock: &dyn Clock) -> Self {
        let mut record = Self {
            lease_id,
            status: LeaseStatus::Active,
            expires_at: BootTime::default(),
            expires_at_unix_ms: 0,
        };
        record.extend(lease_secs, clock);
        record
    }

    /// Moves the deadline to `lease_secs` from now, never back.
    fn extend(&mut self, lease_secs: u64, clock: &dyn Clock) {
        let length = Duration::from_secs(lease_secs);
        self.expires_at = self.expires_at.max(clock.now().saturating_add(length));
        let unix_ms = clock.unix_ms().saturating_add(lease_secs.saturating_mul(1000));
        self.expires_at_unix_ms = self.expires_at_unix_ms.max(unix_ms);
    }

    fn status_at(&self, now: BootTime) -> LeaseStatus {
        let ran_out = self.status == LeaseStatus::Active && now >= self.expires_at;
        if ran_out { LeaseStatus::Expired } else { self.status }
    }

    /// `None` while the lease is active.
    fn ended_error(&self, now: BootTime, name: &VolumeName, epoch: FenceEpoch) -> Option<FabricError> {
        let status = self.status_at(now);
        let expired = self.expires_at_unix_ms / 1000;
        status
            .is_terminal()
            .then(|| FabricError::lease_ended(status, self.lease_id, &resource(name), epoch, expired))
    }
}

impl Default for Content {
    fn default() -> Self {
        Self { bytes: RwLock::default(), guard: FenceGuard::new(FenceEpoch(0)) }
    }
}

impl Content {
    fn num_blocks(&self) -> u64 {
        (self.bytes.read().unwrap_or_else(PoisonError::into_inner).len() / BLOCK_SIZE) as u64
    }

    fn grow_to(&self, num_blocks: u64) -> Result<()> {
        let too_large = || FabricError::CapacityExceeded {
            what: "blocks in memory",
            requested: num_blocks,
            available: 0,
        };
        let len = usize::try_from(num_blocks).ok().and_then(|blocks| blocks.checked_mul(BLOCK_SIZE));
        let len = len.ok_or_else(too_large)?;
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let more = len.saturating_sub(bytes.len());
        bytes.try_reserve_exact(more).map_err(|_| too_large())?;
        bytes.resize(len, 0);
        Ok(())
    }

    /// Fences every holder so far.
    fn advance(&self) -> Result<FenceEpoch, fabricbios_core::lease::EpochExhausted> {
        let _no_write_meanwhile = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        self.guard.advance()
    }
}

fn resource(volume: &VolumeName) -> ResourceId {
    ResourceId::new(ResourceKind::Block, volume.as_str())
}

fn held(volume: &VolumeName) -> FabricError {
    FabricError::Held { resource: resource(volume), holder_pid: Some(std::process::id()) }
}

impl fmt::Debug for RamBlockHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volumes = self.disk.lock().volumes.len();
        f.debug_struct("RamBlockHost").field("volumes", &volumes).finish_non_exhaustive()
    }
}
