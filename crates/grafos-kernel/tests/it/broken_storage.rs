//! A storage in memory that breaks one rule of the contract at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointReader, CheckpointStorage, DELTA_PARENT_DIGEST_KEY, MemoryStorage, ReadAt,
    StorageError, StoredCheckpoint, WriteOptions,
};
use grafos_kernel::testing::TestedCheckpointStorage;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    LosesCustomValues,
    LosesTheEndOfLongOnes,
    TakesDeltasForFullOnes,
    NeverReplaces,
    FindsWhatIsNotThere,
    DeletesBeforeItSaves,
    OpensZeros,
    QuarantineDoesNothing,
    RefusesDots,
    TakesAnyName,
    TakesSpacesForUnderscores,
    ListsBackwards,
    EverythingExists,
    KeepsWhatIsDeleted,
    DeletesNothingQuietly,
    HandlesRemember,
    RestartWipes,
    WritesTheWholeMapBack,
    ShowsHalves,
}

type Stored = BTreeMap<String, Checkpoint>;

#[derive(Debug, Default)]
struct Disk {
    stored: Mutex<Stored>,
    loads: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct BrokenStorage {
    flaw: Flaw,
    disk: Arc<Disk>,
    /// What this handle has listed first, with one flaw.
    remembered: Mutex<Option<Stored>>,
}

pub(crate) fn tested(flaw: Flaw) -> TestedCheckpointStorage {
    let disk = Arc::new(Disk::default());
    TestedCheckpointStorage::new(move || {
        if flaw == Flaw::RestartWipes {
            lock(&disk.stored).clear();
        }
        BrokenStorage { flaw, disk: Arc::clone(&disk), remembered: Mutex::default() }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The verdict of a good storage on a name.
fn checked(name: &str) -> Result<(), StorageError> {
    match MemoryStorage::new().load(name) {
        Err(error @ StorageError::InvalidName { .. }) => Err(error),
        _ => Ok(()),
    }
}

fn wait_until(is_over: impl Fn() -> bool) {
    (0..200_000).take_while(|_| !is_over()).for_each(|_| thread::yield_now());
}

impl BrokenStorage {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key(&self, name: &str) -> Result<String, StorageError> {
        if !self.has(Flaw::TakesAnyName) {
            checked(name)?;
        }
        if self.has(Flaw::RefusesDots) && name.contains('.') {
            return checked(".").map(|()| String::new());
        }
        let spaces = self.has(Flaw::TakesSpacesForUnderscores);
        Ok(if spaces { name.replace(' ', "_") } else { name.to_owned() })
    }

    fn stored(&self) -> Stored {
        let now = lock(&self.disk.stored).clone();
        if self.has(Flaw::HandlesRemember) {
            return lock(&self.remembered).get_or_insert(now).clone();
        }
        now
    }
}

impl CheckpointStorage for BrokenStorage {
    fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError> {
        let key = self.key(name)?;
        if self.has(Flaw::DeletesBeforeItSaves) {
            lock(&self.disk.stored).remove(&key);
        }
        checkpoint
            .encode(&WriteOptions::new())
            .map_err(|source| StorageError::Checkpoint { name: name.to_owned(), source })?;
        if self.has(Flaw::NeverReplaces) && lock(&self.disk.stored).contains_key(&key) {
            return Ok(());
        }
        if self.has(Flaw::WritesTheWholeMapBack) {
            let mut all = lock(&self.disk.stored).clone();
            all.insert(key, checkpoint.clone());
            (0..50).for_each(|_| thread::yield_now());
            *lock(&self.disk.stored) = all;
            return Ok(());
        }
        let old = lock(&self.disk.stored).get(&key).cloned();
        if let (true, Some(mut half)) = (self.has(Flaw::ShowsHalves), old) {
            half.metadata = checkpoint.metadata.clone();
            lock(&self.disk.stored).insert(key.clone(), half);
            let loads = self.disk.loads.load(Ordering::SeqCst);
            wait_until(|| self.disk.loads.load(Ordering::SeqCst) > loads + 1);
        }
        lock(&self.disk.stored).insert(key.clone(), checkpoint.clone());
        if let Some(remembered) = lock(&self.remembered).as_mut() {
            remembered.insert(key, checkpoint.clone());
        }
        Ok(())
    }

    fn load(&self, name: &str) -> Result<Checkpoint, StorageError> {
        let key = self.key(name)?;
        self.disk.loads.fetch_add(1, Ordering::SeqCst);
        let mut stored = self.stored();
        if self.has(Flaw::FindsWhatIsNotThere) && !stored.contains_key(&key) {
            return Ok(Checkpoint::new(Default::default()));
        }
        let found = stored.remove(&key);
        let mut found = found.ok_or_else(|| StorageError::NotFound { name: name.to_owned() })?;
        match self.flaw {
            Flaw::LosesCustomValues => found.metadata.custom.clear(),
            Flaw::TakesDeltasForFullOnes => drop(found.metadata.custom.remove(DELTA_PARENT_DIGEST_KEY)),
            Flaw::LosesTheEndOfLongOnes => {
                let long = found.chunks.iter_mut().filter(|chunk| chunk.data.len() > 8 << 20);
                long.for_each(|chunk| chunk.data.truncate(8 << 20));
            }
            _ => {}
        }
        Ok(found)
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let mut names: Vec<String> = self.stored().into_keys().collect();
        if self.has(Flaw::ListsBackwards) {
            names.reverse();
        }
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        let key = self.key(name)?;
        if self.has(Flaw::KeepsWhatIsDeleted) && lock(&self.disk.stored).len() > 2 {
            return Ok(());
        }
        match lock(&self.disk.stored).remove(&key) {
            None if !self.has(Flaw::DeletesNothingQuietly) => {
                Err(StorageError::NotFound { name: name.to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn exists(&self, name: &str) -> bool {
        let is_there = self.key(name).is_ok_and(|key| self.stored().contains_key(&key));
        is_there || (self.has(Flaw::EverythingExists) && checked(name).is_ok())
    }

    fn open(&self, name: &str) -> Result<StoredCheckpoint, StorageError> {
        let mut found = self.load(name)?;
        if self.has(Flaw::OpensZeros) {
            found.chunks.iter_mut().for_each(|chunk| chunk.data.fill(0));
        }
        let source: Box<dyn ReadAt> = Box::new(found.to_bytes());
        CheckpointReader::open(source)
            .map_err(|source| StorageError::Checkpoint { name: name.to_owned(), source })
    }

    fn quarantine(&self, name: &str) -> Result<String, StorageError> {
        if !self.has(Flaw::QuarantineDoesNothing) {
            self.delete(name)?;
        }
        Ok("nowhere".to_owned())
    }
}
