//! [`CheckpointManager`]: which actors are due for a snapshot, what becomes of it, and which checkpoint to go on from.
//! Talks to no device: requests and responses are carried by the caller.

mod background;
mod config;
mod error;
mod shelf;
mod snapshot;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fabricbios_core::clock::{BootTime, Clock, SystemClock};

use self::background::{Background, Job};
use self::shelf::{Actor, Shelf};
use super::storage::{CheckpointStorage, FileStorage, StorageError};
use super::{Checkpoint, CheckpointBuilder};

pub use config::CheckpointConfig;
pub use error::ManagerError;
pub use shelf::{LatestCheckpoint, SetAside};
pub use snapshot::{SnapshotOutcome, SnapshotRequest, SnapshotResponse};

/// The region that holds the state of a snapshot.
const STATE_REGION: &str = "actor_state";

/// Takes a checkpoint of each registered actor once per interval, keeps the newest few, and finds the one to go on from.
///
/// Checkpoints are named `{prefix}_{slot}_step_{step}`. The newest is the one with the highest step. What an earlier
/// process has left counts like what this one has saved. Deltas are not kept here: save those in the storage itself.
///
/// ```
/// use std::time::Duration;
/// use grafos_kernel::checkpoint::{
///     CheckpointConfig, CheckpointManager, ChunkType, MemoryStorage, SnapshotResponse,
/// };
///
/// let config = CheckpointConfig::new(Duration::from_secs(10)).with_max_snapshots(3);
/// let mut manager = CheckpointManager::with_storage(config, Box::new(MemoryStorage::new()));
/// manager.register_actor(0, "wave-0", "fdtd_3d");
///
/// for request in manager.poll_due_snapshots() {
///     // Ask the device, and when it has answered:
///     let response = SnapshotResponse {
///         request_id: request.request_id,
///         actor_slot: request.actor_slot,
///         success: true,
///         data: vec![7; 100],
///         step: 1000,
///     };
///     assert_eq!(manager.complete_snapshot(response)?.as_deref(), Some("checkpoint_0_step_1000"));
/// }
/// let latest = manager.load_latest(0)?.expect("one was saved");
/// assert_eq!(latest.get_chunk(ChunkType::DeviceMemory).unwrap().data, [7; 100]);
/// # Ok::<(), grafos_kernel::checkpoint::ManagerError>(())
/// ```
pub struct CheckpointManager {
    config: CheckpointConfig,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    actors: BTreeMap<u32, Actor>,
    /// Slots whose checkpoints are known to be those of their actors.
    own_slots: HashSet<u32>,
    last_snapshot: HashMap<u32, BootTime>,
    /// The slots of requests that were not answered yet.
    pending: HashMap<u64, u32>,
    next_request_id: u64,
    background: Option<Background>,
    /// Outcomes that came in while something else was waited for.
    outcomes: Vec<SnapshotOutcome>,
    total_completed: u64,
    total_failed: u64,
}

impl CheckpointManager {
    /// A manager of the checkpoints in the directory of its configuration. Writes nothing yet.
    #[must_use]
    pub fn new(config: CheckpointConfig) -> Self {
        let storage = Box::new(FileStorage::new(&config.storage_path));
        Self::with_storage(config, storage)
    }

    /// A manager of the checkpoints in this storage.
    #[must_use]
    pub fn with_storage(config: CheckpointConfig, storage: Box<dyn CheckpointStorage>) -> Self {
        let shelf = Shelf::new(Arc::from(storage), &config.name_prefix, config.max_snapshots);
        Self {
            config,
            shelf,
            clock: Arc::new(SystemClock),
            actors: BTreeMap::new(),
            own_slots: HashSet::new(),
            last_snapshot: HashMap::new(),
            pending: HashMap::new(),
            next_request_id: 1,
            background: None,
            outcomes: Vec::new(),
            total_completed: 0,
            total_failed: 0,
        }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Registers an actor, in the place of the one that had the slot. Requests to another kernel in it are dropped.
    pub fn register_actor(
        &mut self,
        actor_slot: u32,
        kernel_id: impl Into<String>,
        kernel_type: impl Into<String>,
    ) {
        let actor = Actor { kernel_id: kernel_id.into(), kernel_type: kernel_type.into() };
        if self.actors.get(&actor_slot).is_some_and(|before| *before != actor) {
            self.unregister_actor(actor_slot);
        }
        self.actors.insert(actor_slot, actor);
    }

    /// Forgets an actor and the requests to it. Its checkpoints stay.
    pub fn unregister_actor(&mut self, actor_slot: u32) {
        self.actors.remove(&actor_slot);
        self.own_slots.remove(&actor_slot);
        self.last_snapshot.remove(&actor_slot);
        self.pending.retain(|_, slot| *slot != actor_slot);
    }

    /// Whether snapshots become due.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &CheckpointConfig {
        &self.config
    }

    /// How many requests were not answered yet.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// How many snapshots are requested, or answered and not yet saved.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len() + self.saving()
    }

    /// How many checkpoints this manager has saved.
    #[must_use]
    pub fn total_completed(&self) -> u64 {
        self.total_completed
    }

    /// How many snapshots have failed, on the device or in the storage.
    #[must_use]
    pub fn total_failed(&self) -> u64 {
        self.total_failed
    }

    /// The requests to send now: one for each actor whose interval is over and that has none open, those that have
    /// waited longest first, as many as may be [in flight](CheckpointConfig::max_in_flight).
    pub fn poll_due_snapshots(&mut self) -> Vec<SnapshotRequest> {
        if !self.config.enabled {
            return Vec::new();
        }
        let now = self.clock.now();
        let asked: HashSet<u32> = self.pending.values().copied().collect();
        let is_due = |last: Option<BootTime>| {
            last.is_none_or(|last| now.saturating_since(last) >= self.config.interval)
        };
        let mut due: Vec<(Option<BootTime>, u32)> = self
            .actors
            .keys()
            .filter(|slot| !asked.contains(slot))
            .map(|slot| (self.last_snapshot.get(slot).copied(), *slot))
            .filter(|(last, _)| is_due(*last))
            .collect();
        due.sort_unstable();
        due.truncate(self.config.max_in_flight.max(1).saturating_sub(self.in_flight()));
        due.into_iter().map(|(_, slot)| self.request(slot)).collect()
    }

    /// A request to one actor now, whether it is due or not; `None` if it is not registered, or too many are
    /// [in flight](CheckpointConfig::max_in_flight).
    pub fn request_snapshot(&mut self, actor_slot: u32) -> Option<SnapshotRequest> {
        let is_free = self.in_flight() < self.config.max_in_flight.max(1);
        (self.actors.contains_key(&actor_slot) && is_free).then(|| self.request(actor_slot))
    }

    fn request(&mut self, actor_slot: u32) -> SnapshotRequest {
        let request_id = self.next_request_id;
        self.next_request_id += 1;
        self.pending.insert(request_id, actor_slot);
        let issued_at = UNIX_EPOCH + Duration::from_millis(self.clock.unix_ms());
        SnapshotRequest { request_id, actor_slot, buffer_offset: 0, issued_at }
    }

    /// Forgets a request; `false` if there is no such.
    pub fn cancel_pending(&mut self, request_id: u64) -> bool {
        self.pending.remove(&request_id).is_some()
    }

    /// Forgets all requests.
    pub fn cancel_all_pending(&mut self) {
        self.pending.clear();
    }

    /// Saves what the device has answered, and deletes the oldest checkpoints that are too many. Returns the name of the
    /// checkpoint, which is durable; `None` if the request is not open: settled, cancelled, or its actor unregistered.
    ///
    /// # Errors
    ///
    /// [`SnapshotFailed`](ManagerError::SnapshotFailed), [`WrongSlot`](ManagerError::WrongSlot),
    /// [`OtherKernel`](ManagerError::OtherKernel), and those of the storage's
    /// [`save`](CheckpointStorage::save).
    pub fn complete_snapshot(&mut self, response: SnapshotResponse) -> Result<Option<String>, ManagerError> {
        let Some(Job { slot, actor, checkpoint, .. }) = self.job_of(response)? else { return Ok(None) };
        let saved = self.shelf.save(slot, &actor, &checkpoint);
        self.count(saved.is_ok());
        saved.map(Some)
    }

    /// As [`complete_snapshot`](Self::complete_snapshot), but the saving is left to a thread of the manager's:
    /// [`finished_snapshots`](Self::finished_snapshots) tells what became of it. `false` if the request is not open. If as
    /// many as may be in flight are being saved, this waits for one of them. A manager that is dropped waits for all.
    ///
    /// # Errors
    ///
    /// As [`complete_snapshot`](Self::complete_snapshot), but those of saving; [`Io`](StorageError::Io) if the system
    /// starts no thread.
    pub fn submit_snapshot(&mut self, response: SnapshotResponse) -> Result<bool, ManagerError> {
        let Some(job) = self.job_of(response)? else { return Ok(false) };
        while self.saving() >= self.config.max_in_flight.max(1) {
            let Some(outcome) = self.background.as_mut().and_then(Background::wait) else { break };
            self.settle(outcome);
        }
        let mut background = match self.background.take() {
            Some(background) => background,
            None => Background::start(self.shelf.clone()).map_err(|source| {
                self.count(false);
                StorageError::Io {
                    operation: "start a thread",
                    what: "checkpoint manager".to_owned(),
                    source,
                }
            })?,
        };
        background.submit(job);
        self.background = Some(background);
        Ok(true)
    }

    /// What became of the snapshots that were [submitted](Self::submit_snapshot), each told once, in the order in which
    /// they were. Does not wait.
    pub fn finished_snapshots(&mut self) -> Vec<SnapshotOutcome> {
        while let Some(outcome) = self.background.as_mut().and_then(Background::poll) {
            self.settle(outcome);
        }
        std::mem::take(&mut self.outcomes)
    }

    /// The same, waiting until all are saved or have failed.
    pub fn wait_for_snapshots(&mut self) -> Vec<SnapshotOutcome> {
        while let Some(outcome) = self.background.as_mut().and_then(Background::wait) {
            self.settle(outcome);
        }
        std::mem::take(&mut self.outcomes)
    }

    /// Saves a checkpoint that the caller has made, of the actor in this slot and at the step in its metadata, as
    /// [`complete_snapshot`](Self::complete_snapshot) does. The actor's interval begins anew.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`](ManagerError::NotRegistered), [`OtherKernel`](ManagerError::OtherKernel); a
    /// [`WrongKind`](super::CheckpointError::WrongKind) for a delta; those of the storage's
    /// [`save`](CheckpointStorage::save).
    pub fn save_checkpoint(
        &mut self,
        actor_slot: u32,
        checkpoint: &Checkpoint,
    ) -> Result<String, ManagerError> {
        let Some(actor) = self.actors.get(&actor_slot).cloned() else {
            return Err(ManagerError::NotRegistered { slot: actor_slot });
        };
        self.check_owner(actor_slot, &actor)?;
        let saved = self.shelf.save(actor_slot, &actor, checkpoint);
        self.last_snapshot.insert(actor_slot, self.clock.now());
        self.count(saved.is_ok());
        saved
    }

    /// The good checkpoint of an actor with the highest step; `None` if it has none at all. A damaged one above it is
    /// put in quarantine, which is logged as an error; [`find_latest`](Self::find_latest) says which.
    ///
    /// # Errors
    ///
    /// As [`find_latest`](Self::find_latest).
    pub fn load_latest(&self, actor_slot: u32) -> Result<Option<Checkpoint>, ManagerError> {
        Ok(self.find_latest(actor_slot)?.map(|latest| latest.checkpoint))
    }

    /// As [`load_latest`](Self::load_latest), with its name, and what was passed over.
    ///
    /// # Errors
    ///
    /// [`NoneGood`](ManagerError::NoneGood) if there are checkpoints and all are damaged, so that this is not taken for a
    /// beginning; [`OtherKernel`](ManagerError::OtherKernel) if it is not that of the actor which is registered; those
    /// of the storage: a checkpoint that was written by a newer build, or can't be read just now, is an error.
    pub fn find_latest(&self, actor_slot: u32) -> Result<Option<LatestCheckpoint>, ManagerError> {
        self.shelf.newest(actor_slot, self.actors.get(&actor_slot))
    }

    /// The names of an actor's checkpoints, by step, the newest last.
    ///
    /// # Errors
    ///
    /// Those of the storage's [`list`](CheckpointStorage::list).
    pub fn list_checkpoints(&self, actor_slot: u32) -> Result<Vec<String>, ManagerError> {
        let steps = self.shelf.steps(actor_slot)?;
        Ok(steps.into_iter().map(|step| self.shelf.name(actor_slot, step)).collect())
    }

    /// The storage.
    #[must_use]
    pub fn storage(&self) -> &dyn CheckpointStorage {
        self.shelf.storage.as_ref()
    }

    /// Settles the request that a response answers, and makes its checkpoint.
    fn job_of(&mut self, response: SnapshotResponse) -> Result<Option<Job>, ManagerError> {
        let SnapshotResponse { request_id, actor_slot: found, success, data, step } = response;
        let Some(slot) = self.pending.get(&request_id).copied() else { return Ok(None) };
        if found != slot {
            return Err(ManagerError::WrongSlot { request_id, expected: slot, found });
        }
        self.pending.remove(&request_id);
        self.last_snapshot.insert(slot, self.clock.now());
        let checked = match self.actors.get(&slot).cloned() {
            Some(actor) if success => self.check_owner(slot, &actor).map(|()| actor),
            Some(_) => Err(ManagerError::SnapshotFailed { slot, request_id }),
            None => Err(ManagerError::NotRegistered { slot }),
        };
        let actor = checked.inspect_err(|_| self.count(false))?;
        let checkpoint = CheckpointBuilder::new(&actor.kernel_id, &actor.kernel_type)
            .created_at(self.clock.unix_ms().saturating_mul(1000))
            .step(step)
            .custom("actor_slot", slot.to_string())
            .custom("snapshot_request_id", request_id.to_string())
            .device_memory(STATE_REGION, data)
            .build();
        Ok(Some(Job { request_id, slot, actor, checkpoint }))
    }

    /// Once for each actor: the checkpoints that are there must be its own.
    fn check_owner(&mut self, slot: u32, actor: &Actor) -> Result<(), ManagerError> {
        if !self.own_slots.contains(&slot) {
            self.shelf.check_owner(slot, actor)?;
            self.own_slots.insert(slot);
        }
        Ok(())
    }

    fn saving(&self) -> usize {
        self.background.as_ref().map_or(0, Background::outstanding)
    }

    fn settle(&mut self, outcome: SnapshotOutcome) {
        self.count(outcome.result.is_ok());
        self.outcomes.push(outcome);
    }

    fn count(&mut self, is_saved: bool) {
        let total = if is_saved { &mut self.total_completed } else { &mut self.total_failed };
        *total += 1;
    }
}

impl fmt::Debug for CheckpointManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointManager")
            .field("config", &self.config)
            .field("actors", &self.actors)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
