//! [`CheckpointStorage`]: where checkpoints are kept, by name. Which of them is the newest, and how many are kept, is
//! not known here: see [`CheckpointManager`](super::CheckpointManager).

mod dir;
mod error;
mod file;
mod memory;
mod name;
#[cfg(feature = "replicated")]
mod replicated;
mod sink;
mod temporary;

use std::{fmt, io};

use super::read_at::ReadAt;
use super::reader::CheckpointReader;
use super::{Checkpoint, Limits};

pub use error::{NameProblem, StorageError, StreamError};
pub use file::FileStorage;
pub use memory::MemoryStorage;
pub use name::MAX_STORED_NAME_BYTES;
#[cfg(feature = "replicated")]
pub use replicated::ReplicatedStorage;

/// A stored checkpoint that is read chunk by chunk.
pub type StoredCheckpoint = CheckpointReader<Box<dyn ReadAt>>;

impl fmt::Debug for dyn ReadAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn ReadAt")
    }
}

/// Keeps checkpoints by name.
///
/// The contract, which `grafos_kernel::testing::checkpoint_storage_suite` (feature `testing`) checks rule by rule:
///
/// - A save is all or nothing, and durable when it returns, as far as the storage is. Before that, and after an error,
///   the name stands for what it stood for.
/// - What is loaded is what was saved, every byte verified, or an error.
/// - A name is a text of 1 to [`MAX_STORED_NAME_BYTES`] bytes without `/`, `\`, control characters or a dot at its
///   beginning. Whether `A` and `a` are two names is up to the storage.
/// - Threads may do all of this at once.
///
/// ```
/// use grafos_kernel::checkpoint::{CheckpointBuilder, CheckpointStorage, FileStorage};
/// # let dir = tempfile::tempdir()?;
///
/// let storage = FileStorage::new(dir.path().join("checkpoints"));
/// let checkpoint = CheckpointBuilder::new("sim-1", "fdtd_3d").step(1000).control_block(vec![1; 256]).build();
/// storage.save(&checkpoint, "sim_step_1000")?; // survives a power cut from here on
///
/// assert_eq!(storage.list()?, ["sim_step_1000"]);
/// assert_eq!(storage.load("sim_step_1000")?.metadata.current_step, 1000);
/// assert!(storage.save(&checkpoint, "../sim_step_1000").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CheckpointStorage: Send + Sync {
    /// Saves a checkpoint under this name, in the place of one that has it.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](StorageError::InvalidName), [`Full`](StorageError::Full),
    /// [`Foreign`](StorageError::Foreign) if something else has the name, [`Checkpoint`](StorageError::Checkpoint) for
    /// one that has no bytes, [`Fenced`](StorageError::Fenced) and [`Conflict`](StorageError::Conflict) where there are
    /// other writers, [`Io`](StorageError::Io), [`Backend`](StorageError::Backend).
    fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError>;

    /// The checkpoint of this name, every byte verified.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StorageError::NotFound), [`InvalidName`](StorageError::InvalidName),
    /// [`Checkpoint`](StorageError::Checkpoint) if it is damaged, [`Foreign`](StorageError::Foreign),
    /// [`Io`](StorageError::Io), [`Backend`](StorageError::Backend).
    fn load(&self, name: &str) -> Result<Checkpoint, StorageError>;

    /// The names of all checkpoints, in the order of their bytes. What nobody has saved here is left out.
    ///
    /// # Errors
    ///
    /// [`Io`](StorageError::Io), [`Backend`](StorageError::Backend).
    fn list(&self) -> Result<Vec<String>, StorageError>;

    /// Removes the checkpoint of this name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StorageError::NotFound) if there is none, and as [`save`](Self::save).
    fn delete(&self, name: &str) -> Result<(), StorageError>;

    /// Whether there is a checkpoint of this name; `false` also where that can't be told, which
    /// [`load`](Self::load) would say.
    fn exists(&self, name: &str) -> bool;

    /// Opens the checkpoint of this name without loading it: its chunks are verified when they are read. A storage
    /// that can't read parts of it loads all of it here.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    fn open(&self, name: &str) -> Result<StoredCheckpoint, StorageError> {
        let bytes = self.load(name)?.to_bytes();
        let source: Box<dyn ReadAt> = Box::new(bytes);
        CheckpointReader::open_with(source, &Limits::none())
            .map_err(|source| StorageError::of_checkpoint(name, source))
    }

    /// Takes a damaged checkpoint out of the way: its name becomes free, its bytes stay for a person to look at. Returns
    /// where they are.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](StorageError::Unsupported) if the storage has no such place, which is what it says unless it is
    /// told otherwise; as [`delete`](Self::delete).
    fn quarantine(&self, name: &str) -> Result<String, StorageError> {
        let _ = name;
        Err(StorageError::Unsupported { operation: "quarantine" })
    }
}

/// Bytes that nobody has drawn before.
fn random(into: &mut [u8]) -> io::Result<()> {
    getrandom::fill(into).map_err(|error| {
        error.raw_os_error().map_or_else(|| io::ErrorKind::Other.into(), io::Error::from_raw_os_error)
    })
}
