//! [`SqliteMetadataStore`]: records in one SQLite file that the processes of a machine share.
//!
//! Order is SQLite's: a commit holds the file's write lock from before it looks at the guards until its change is
//! durable. Write-ahead log and `synchronous=FULL`: a commit is one append to the log and one sync of it. A rollback
//! journal takes five syncs for the same, `docs/decisions/0009-what-a-save-waits-for.md` weighs both.
//!
//! Invariants: a revision is never used twice; nobody is told of a change that a power cut could take back.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::failure::NotCommitted;
use self::file::Place;
use self::pool::Pool;
use crate::error::StoreError;
use crate::metadata_store::{CommitOutcome, MetadataStore, Record, RecordKey, Transaction};

mod failure;
mod file;
mod patience;
mod pool;
mod records;

/// How long to wait for others who use the file, unless told otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Records in one SQLite file, shared by the processes of a machine.
///
/// Every process, and every thread, may have a store of its own on the same file; none of them needs to live. A
/// process that is killed leaves nothing locked, and what it had not committed is taken back by the next one. A process
/// that is *stopped* in the middle of a commit keeps the file: others answer
/// [`Unavailable`](StoreError::Unavailable) after the [time to wait](Self::with_busy_timeout). Keep the file on a disk
/// of the machine: a network file system is refused where it is recognized, because its locks can't be relied on.
///
/// Beside the file lie its log (`-wal`), which holds the newest commits, and `-shm`, which is only shared memory; both
/// go when the last process closes the store in order. The file is copied while nobody uses it, and with its log if
/// there is one. A copy from the past takes the records, and their epochs, back with it.
///
/// ```
/// use grafos_replicated::embedded::SqliteMetadataStore;
/// use grafos_replicated::{MetadataStore, RecordKey};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("register.sqlite3");
///
/// let store = SqliteMetadataStore::open_or_create(&path)?;
/// assert_eq!(store.read(&RecordKey::new("checkpoint", &["job"]))?, None);
/// store.verify()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteMetadataStore {
    pool: Pool,
    /// The newest revision that is known to be durable.
    durable: AtomicU64,
    /// Threads take turns here and not in SQLite, which sleeps.
    writers: Mutex<()>,
}

impl SqliteMetadataStore {
    /// Makes the file, for its owner only.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::NotFound`] if there is no directory to hold it;
    /// [`StoreError::Full`]; [`StoreError::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let place = Place::of(path.as_ref())?;
        if place.create()? {
            return Self::open(path);
        }
        Err(StoreError::AlreadyExists { what: place.name() })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Foreign`] if it is something else, or of a newer format: it is not
    /// touched then; [`StoreError::Corrupt`]; [`StoreError::Unavailable`]; [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let place = Place::of(path.as_ref())?;
        let identity = place.check()?;
        let pool = Pool::new(place, identity, BUSY_TIMEOUT);
        // What is wrong with it is to be known now.
        pool.look(|connection| records::read(connection, pool.path(), &RecordKey::new("", &[])))?;
        Ok(Self { pool, durable: AtomicU64::new(0), writers: Mutex::new(()) })
    }

    /// Opens the file, after making it if there is none.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let place = Place::of(path.as_ref())?;
        if !place.exists()? {
            // Who was faster has made the same.
            place.create()?;
        }
        Self::open(path)
    }

    /// How long to wait for other processes that use the file: 10 seconds unless told otherwise.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.pool.set_busy_timeout(timeout);
        self
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.pool.path()
    }

    /// Reads every page and every record of the file.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if anything is damaged, and any other.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.pool.look(|connection| records::verify(connection, self.path()))
    }

    /// A change that was seen may be there only because the process that made it was killed before it could make it
    /// durable. Nobody is to hear of it before it is.
    fn make_durable(&self, last_revision: u64) -> Result<(), StoreError> {
        if last_revision > self.durable.load(Ordering::Acquire) {
            self.pool.sync_log()?;
            self.durable.fetch_max(last_revision, Ordering::AcqRel);
        }
        Ok(())
    }
}

impl MetadataStore for SqliteMetadataStore {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let (found, last_revision) =
            self.pool.look(|connection| records::read(connection, self.path(), key))?;
        self.make_durable(last_revision)?;
        Ok(found)
    }

    fn read_all(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, StoreError> {
        if let [key] = keys {
            return Ok(vec![self.read(key)?]);
        }
        let (found, last_revision) =
            self.pool.look(|connection| records::read_all(connection, self.path(), keys))?;
        self.make_durable(last_revision)?;
        Ok(found)
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        transaction.check()?;
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        match self
            .pool
            .run(|connection| records::commit(connection, self.path(), transaction, self.pool.busy_timeout()))
        {
            Ok(Some(revision)) => {
                // With it, everything before it is durable too.
                self.durable.fetch_max(revision.0, Ordering::AcqRel);
                Ok(CommitOutcome::Committed(revision))
            }
            Ok(None) => Ok(CommitOutcome::Conflict),
            Err(NotCommitted::Certain(cause)) => Err(cause),
            Err(NotCommitted::Unknown(cause)) => Ok(CommitOutcome::Unknown(cause)),
        }
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let (found, last_revision) =
            self.pool.look(|connection| records::scan(connection, self.path(), prefix, after, limit))?;
        self.make_durable(last_revision)?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
