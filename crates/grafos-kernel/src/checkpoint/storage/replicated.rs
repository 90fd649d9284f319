//! [`ReplicatedStorage`]: checkpoints on a quorum of replicas, by one writer at a time.
//!
//! ```text
//! catalog                    name → slot and version: one register, whose commit makes each change visible
//! slot:<owner>:<number>      the bytes of one checkpoint
//! ```
//!
//! Atomicity: the bytes go to a slot that the catalog does not name, then the catalog is committed. A crash in between
//! leaves one payload that nobody names and nobody uses again.
//!
//! Invariant: a slot has a number in its name that its handle has drawn, and no other handle writes a checkpoint to it.
//! So a writer that was overtaken can't touch what its successor has written, and a slot that the catalog names is not
//! written to.

mod catalog;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;
use grafos_replicated::{CheckpointName, ReplicatedCheckpoint, ReplicatedError, StoreError, Version};

use self::catalog::{Catalog, Entry, View, slot_name};
use super::error::StorageError;
use super::name::checked;
use super::{CheckpointStorage, StoredCheckpoint, random};
use crate::checkpoint::read_at::ReadAt;
use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointReader, Limits, WriteOptions};

const CATALOG: &str = "catalog";

/// How often to begin anew when others change what is being looked at.
const TRIES: usize = 8;

/// Checkpoints on a quorum of replicas. A save is durable on the write quorum when it returns; a writer that was
/// overtaken is [`Fenced`](StorageError::Fenced), and one that has not seen what it would replace gets a
/// [`Conflict`](StorageError::Conflict). What a handle has seen is what it found at its first use, and when it last
/// listed, loaded or changed something.
///
/// The resource of the [`ReplicatedCheckpoint`] is this storage's alone.
///
/// ```
/// use grafos_kernel::checkpoint::{CheckpointBuilder, CheckpointStorage, ReplicatedStorage, StorageError};
/// use grafos_replicated::embedded::EmbeddedHome;
/// use grafos_replicated::*;
/// # let home = tempfile::tempdir()?;
/// # let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open()?);
///
/// let domain = |disk: &str| FailureDomain::cell("local", disk);
/// let placement = PlacementPolicy::new().allow(domain("disk-a")).allow(domain("disk-b"));
/// let policy = ReplicaPolicy::new(placement).min_replicas(2).write_quorum(2).read_quorum(1);
/// let replica = |disk: &str| ReplicaLocator {
///     replica_id: ReplicaId::new(disk),
///     domain: domain(disk),
///     role: ReplicaRole::Voter,
///     health: ReplicaHealth::Healthy,
///     epoch: FenceEpoch(1),
///     content_generation: 1,
/// };
/// let set = ReplicaSetLocator::new(ResourceGeneration(1), vec![replica("disk-a"), replica("disk-b")]);
/// let open = || {
///     let (name, schema) = (LogicalResourceName::new("kernel:wave"), SchemaId::new("kernel-checkpoints.v1"));
///     let (policy, set, hash) = (policy.clone(), set.clone(), PolicyHash([1; 32]));
///     ReplicatedCheckpoint::new_on(&engine, name, schema, FenceEpoch(1), policy, set, hash)
/// };
///
/// let checkpoint = CheckpointBuilder::new("wave-0", "fdtd_3d").step(1000).control_block(vec![1; 256]).build();
/// let before = ReplicatedStorage::take_over(open()?)?;
/// before.save(&checkpoint, "wave_step_1000")?;
///
/// let after = ReplicatedStorage::take_over(open()?)?; // on another machine, for instance
/// assert_eq!(after.load("wave_step_1000")?.metadata.current_step, 1000);
/// assert!(matches!(before.save(&checkpoint, "wave_step_1001"), Err(StorageError::Fenced { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReplicatedStorage {
    inner: Mutex<Inner>,
    options: WriteOptions,
}

#[derive(Debug)]
struct Inner {
    checkpoints: ReplicatedCheckpoint,
    epoch: FenceEpoch,
    /// Drawn by this handle, for the names of its slots; 0 until the first save.
    owner: u64,
    /// What this handle has seen last; `None` after a failure, when that can't be known.
    seen: Option<View>,
    /// Of its slots: with which epoch to write, and the version that is there.
    slots: HashMap<u32, (FenceEpoch, Version)>,
    /// Slots that a commit whose outcome is not known may yet name: never used again.
    doubtful: HashSet<u32>,
}

impl ReplicatedStorage {
    /// Fences every writer of this storage so far, and becomes the one that may write.
    ///
    /// # Errors
    ///
    /// [`Backend`](StorageError::Backend).
    pub fn take_over(mut checkpoints: ReplicatedCheckpoint) -> Result<Self, StorageError> {
        let taken = checkpoints.take_over(&CheckpointName::new(CATALOG));
        let epoch = taken.map_err(|error| failed("take over", CATALOG, error))?;
        Ok(Self::with_epoch(checkpoints, epoch))
    }

    /// Reads, and writes with an epoch that was granted before. If it was not, the first save says so.
    #[must_use]
    pub fn with_epoch(checkpoints: ReplicatedCheckpoint, epoch: FenceEpoch) -> Self {
        let inner = Inner {
            checkpoints: checkpoints.keep_versions(1),
            epoch,
            owner: 0,
            seen: None,
            slots: HashMap::new(),
            doubtful: HashSet::new(),
        };
        let options = WriteOptions::new().alignment(WriteOptions::MIN_ALIGNMENT);
        Self { inner: Mutex::new(inner), options }
    }

    /// Writes like this from now on: compressed, for instance.
    #[must_use]
    pub fn with_options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }

    /// The epoch that it writes with.
    #[must_use]
    pub fn epoch(&self) -> FenceEpoch {
        self.lock().epoch
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked had taken out what it was about to change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStorage for ReplicatedStorage {
    fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError> {
        let name = checked(name)?;
        let mut inner = self.lock();
        let before = inner.seen()?.catalog.checkpoints.get(name).copied();
        let saved = inner.write(checkpoint, name, &self.options)?;
        inner.doubtful.insert(saved.slot);
        inner.commit(name, before, |catalog, change| {
            catalog.checkpoints.insert(name.to_owned(), Entry { change, ..saved });
        })?;
        inner.doubtful.remove(&saved.slot);
        before.iter().for_each(|entry| inner.clear(entry));
        Ok(())
    }

    fn load(&self, name: &str) -> Result<Checkpoint, StorageError> {
        self.open(name)?.read_all().map_err(|source| StorageError::of_checkpoint(name, source))
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.lock().refresh()?.catalog.checkpoints.keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        let name = checked(name)?;
        let mut inner = self.lock();
        let known = inner.seen()?.catalog.checkpoints.get(name).copied();
        let known = known.or(inner.refresh()?.catalog.checkpoints.get(name).copied());
        let Some(entry) = known else { return Err(StorageError::not_found(name)) };
        inner.commit(name, Some(entry), |catalog, _| {
            catalog.checkpoints.remove(name);
        })?;
        inner.clear(&entry);
        Ok(())
    }

    fn exists(&self, name: &str) -> bool {
        self.lock().refresh().is_ok_and(|view| view.catalog.checkpoints.contains_key(name))
    }

    fn open(&self, name: &str) -> Result<StoredCheckpoint, StorageError> {
        let name = checked(name)?;
        let source: Box<dyn ReadAt> = Box::new(self.lock().bytes(name)?);
        CheckpointReader::open_with(source, &Limits::none())
            .map_err(|source| StorageError::of_checkpoint(name, source))
    }

    fn quarantine(&self, name: &str) -> Result<String, StorageError> {
        let name = checked(name)?;
        let mut inner = self.lock();
        let catalog = inner.seen()?.catalog;
        let Some(entry) = catalog.checkpoints.get(name).copied() else {
            return Err(StorageError::not_found(name));
        };
        let aside = (1_u64..).map(|number| format!("{name}.damaged-{number}"));
        let aside = aside.into_iter().find(|aside| !catalog.damaged.contains_key(aside)).unwrap_or_default();
        inner.commit(name, Some(entry), |catalog, _| {
            if let Some(entry) = catalog.checkpoints.remove(name) {
                catalog.damaged.insert(aside.clone(), entry);
            }
        })?;
        Ok(format!("{aside} in {}", slot_name(entry.owner, entry.slot)))
    }
}

impl Inner {
    /// The catalog as it is now.
    fn refresh(&mut self) -> Result<&View, StorageError> {
        self.seen = None;
        let name = CheckpointName::new(CATALOG);
        let loaded = self.checkpoints.load::<Catalog>(&name);
        let view = match loaded.map_err(|error| failed("load the catalog", CATALOG, error))? {
            Some(loaded) => View { version: loaded.version, catalog: loaded.value },
            None => View::default(),
        };
        Ok(self.seen.insert(view))
    }

    fn seen(&mut self) -> Result<View, StorageError> {
        match &self.seen {
            Some(view) => Ok(view.clone()),
            None => self.refresh().cloned(),
        }
    }

    /// Changes the catalog, if the entry of `name` is still `before`. The change is told its version.
    fn commit(
        &mut self,
        name: &str,
        before: Option<Entry>,
        change: impl Fn(&mut Catalog, u64),
    ) -> Result<(), StorageError> {
        for _ in 0..TRIES {
            let View { version, mut catalog } = self.seen()?;
            let current = catalog.checkpoints.get(name).copied();
            if current != before {
                let number = |entry: Option<Entry>| entry.map_or(0, |entry| entry.change);
                let (seen, current) = (number(before), number(current));
                return Err(StorageError::Conflict { name: name.to_owned(), seen, current });
            }
            change(&mut catalog, version.next().0);
            self.seen = None;
            match self.checkpoints.save(CheckpointName::new(CATALOG), version, &catalog, self.epoch) {
                Ok(saved) => {
                    self.seen = Some(View { version: saved.version, catalog });
                    return Ok(());
                }
                Err(ReplicatedError::VersionConflict { .. }) => {}
                Err(error) => return Err(failed("commit", name, error)),
            }
        }
        Err(busy("commit", name))
    }

    /// Writes a checkpoint to a slot of this handle that is free.
    fn write(
        &mut self,
        checkpoint: &Checkpoint,
        name: &str,
        options: &WriteOptions,
    ) -> Result<Entry, StorageError> {
        let owner = self.owner()?;
        let used = self.seen()?.catalog.slots_of(owner);
        let is_free = |slot: &u32| !used.contains(slot) && !self.doubtful.contains(slot);
        let Some(slot) = (0..=u32::MAX).find(is_free) else { return Err(busy("find a slot", name)) };
        for _ in 0..TRIES {
            let (epoch, version) = self.open_slot(owner, slot, name)?;
            let mut refused = None;
            let saved = self.checkpoints.save_with(slot_name(owner, slot), version, epoch, |sink| {
                checkpoint.write_to(sink, options).map(drop).map_err(|error| match error {
                    CheckpointError::Write { source, .. } => source,
                    error => {
                        refused = Some(error);
                        io::ErrorKind::InvalidInput.into()
                    }
                })
            });
            if let Some(error) = refused {
                return Err(StorageError::of_checkpoint(name, error));
            }
            match saved {
                Ok(saved) => {
                    self.slots.insert(slot, (epoch, saved.version));
                    return Ok(Entry { owner, slot, version: saved.version.0, change: 0 });
                }
                // Another handle has cleared it.
                Err(ReplicatedError::VersionConflict { .. } | ReplicatedError::StaleEpoch { .. }) => {}
                Err(error) => return Err(failed("save", name, error)),
            }
        }
        Err(busy("save", name))
    }

    /// With which epoch to write to a slot, and the version that is there. Remembered only after the next save.
    fn open_slot(
        &mut self,
        owner: u64,
        slot: u32,
        name: &str,
    ) -> Result<(FenceEpoch, Version), StorageError> {
        if let Some(known) = self.slots.remove(&slot) {
            return Ok(known);
        }
        let at = slot_name(owner, slot);
        let epoch = self.checkpoints.take_over(&at).map_err(|error| failed("open a slot", name, error))?;
        let version =
            self.checkpoints.current_version(&at).map_err(|error| failed("open a slot", name, error))?;
        Ok((epoch, version))
    }

    fn owner(&mut self) -> Result<u64, StorageError> {
        while self.owner == 0 {
            let mut bytes = [0; 8];
            random(&mut bytes).map_err(|source| StorageError::Io {
                operation: "draw a number",
                what: "slots".to_owned(),
                source,
            })?;
            self.owner = u64::from_le_bytes(bytes);
        }
        Ok(self.owner)
    }

    /// Gives back the room of a slot of another handle, which the catalog no longer names; its own are used again. If
    /// that fails, the slot only takes room.
    fn clear(&mut self, entry: &Entry) {
        if entry.owner == self.owner {
            return;
        }
        let at = slot_name(entry.owner, entry.slot);
        let cleared = self
            .checkpoints
            .take_over(&at)
            .and_then(|epoch| self.checkpoints.save_bytes(at.clone(), Version(entry.version), &[], epoch));
        if let Err(error) = cleared {
            tracing::warn!(slot = %at, error = %error, "a slot could not be cleared");
        }
    }

    /// The bytes of a checkpoint.
    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, StorageError> {
        for _ in 0..TRIES {
            let entry = self.refresh()?.catalog.checkpoints.get(name).copied();
            let Some(entry) = entry else { return Err(StorageError::not_found(name)) };
            let at = slot_name(entry.owner, entry.slot);
            match self.checkpoints.load_version(&at, Version(entry.version)) {
                Ok(loaded) => return Ok(loaded.value),
                // Deleted meanwhile, and the slot used again.
                Err(ReplicatedError::VersionNotKept { .. }) => {}
                Err(error) => return Err(failed("load", name, error)),
            }
        }
        Err(busy("load", name))
    }
}

fn busy(operation: &'static str, name: &str) -> StorageError {
    let source = "others change what it needs again and again".into();
    StorageError::Backend { operation, name: name.to_owned(), recovery: Recovery::RetryLater, source }
}

/// The one place where errors of replicas become ours.
fn failed(operation: &'static str, name: &str, error: ReplicatedError) -> StorageError {
    let name = name.to_owned();
    match error {
        ReplicatedError::StaleEpoch { held, current, .. } => StorageError::Fenced { name, held, current },
        ReplicatedError::Store(StoreError::Full { what }) => StorageError::Full { what },
        error => {
            let recovery = error.recovery();
            StorageError::Backend { operation, name, recovery, source: Box::new(error) }
        }
    }
}
