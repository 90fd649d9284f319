//! [`MemoryStorage`]: checkpoints in memory, as the bytes that a file would have. Survives nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::error::StorageError;
use super::name::checked;
use super::{CheckpointStorage, StoredCheckpoint};
use crate::checkpoint::read_at::ReadAt;
use crate::checkpoint::{Checkpoint, CheckpointReader, Limits, WriteOptions};

/// Checkpoints in memory, for tests and for what need not outlive the process. Clones share them.
///
/// ```
/// use grafos_kernel::checkpoint::{CheckpointBuilder, CheckpointStorage, MemoryStorage};
///
/// let storage = MemoryStorage::new();
/// storage.save(&CheckpointBuilder::new("k", "t").step(3).build(), "a")?;
/// assert_eq!(storage.load("a")?.metadata.current_step, 3);
/// # Ok::<(), grafos_kernel::checkpoint::StorageError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    checkpoints: Arc<RwLock<BTreeMap<String, Arc<Vec<u8>>>>>,
}

type Stored = BTreeMap<String, Arc<Vec<u8>>>;

impl MemoryStorage {
    /// A storage without checkpoints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // A map is whole whenever its lock is free, so a panic elsewhere has not hurt it.
    fn read(&self) -> RwLockReadGuard<'_, Stored> {
        self.checkpoints.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Stored> {
        self.checkpoints.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStorage for MemoryStorage {
    fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError> {
        let name = checked(name)?;
        let bytes = checkpoint
            .encode(&WriteOptions::new().alignment(WriteOptions::MIN_ALIGNMENT))
            .map_err(|source| StorageError::of_checkpoint(name, source))?;
        self.write().insert(name.to_owned(), Arc::new(bytes));
        Ok(())
    }

    fn load(&self, name: &str) -> Result<Checkpoint, StorageError> {
        let stored = self.open(name)?.read_all();
        stored.map_err(|source| StorageError::of_checkpoint(name, source))
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.read().keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        let name = checked(name)?;
        self.write().remove(name).map(drop).ok_or_else(|| StorageError::not_found(name))
    }

    fn exists(&self, name: &str) -> bool {
        self.read().contains_key(name)
    }

    fn open(&self, name: &str) -> Result<StoredCheckpoint, StorageError> {
        let name = checked(name)?;
        let bytes = self.read().get(name).cloned().ok_or_else(|| StorageError::not_found(name))?;
        let source: Box<dyn ReadAt> = Box::new(bytes);
        CheckpointReader::open_with(source, &Limits::none())
            .map_err(|source| StorageError::of_checkpoint(name, source))
    }
}
