//! [`LeaseFile`]: the file that is a volume's lock and holds its lease record.
//!
//! ```text
//! offset   page of 4096 bytes, of which the first 512 are used
//!      0   record slot 0   the two newest lease records, written in turn
//!   4096   record slot 1
//!   8192   revocation word "GRFREVOK", lease id; written by whoever revokes, read by the holder
//!  12288   holder word     "GRFHOLDR", process id; written once the lock is held, for the others
//! ```
//!
//! Atomicity: a record goes to the slot that does not hold the newest one, and counts from the moment its digest
//! verifies; the caller hears of it after `fdatasync`. A write that a power cut tears leaves a slot that does not
//! verify, beside the record that was newest before. Pages keep the slots apart on disks that write 4096 bytes at
//! once. Nobody waits for the words: a torn revocation closes the lease, a torn process id is no process id.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use fabricbios_core::lease::LeaseId;

use super::lease_record::{LeaseRecord, RecordFault, UnverifiedRecord};
use super::sector::{self, SECTOR_BYTES, Sector};
use crate::error::{FabricError, Result};
use crate::host::VolumeName;

const PAGE_BYTES: usize = 4096;
const REVOCATION_PAGE: u64 = 2;
const HOLDER_PAGE: u64 = 3;
const PAGES: usize = 4;

const REVOCATION_MAGIC: [u8; 8] = *b"GRFREVOK";
const HOLDER_MAGIC: [u8; 8] = *b"GRFHOLDR";

/// How often to look again when bytes do not verify that somebody may be writing just now.
const LOOKS: u32 = 16;
/// How often to try a lock that only lookers seem to hold: for some tenths of a second, since a looker may have lost
/// its processor at the wrong moment.
const TRIES: u32 = 50_000;

/// An open lease file, locked or not.
#[derive(Debug)]
pub(super) struct LeaseFile {
    file: File,
    path: PathBuf,
}

/// What the two record slots hold.
#[derive(Debug)]
pub(super) enum Records {
    /// The newest record that verifies.
    Newest {
        record: LeaseRecord,
        /// The other slot holds damage: the record there may have been newer.
        other_is_damaged: bool,
    },
    /// Nothing was ever written.
    Empty,
    /// Something was written and nothing verifies.
    Damaged,
}

/// What the revocation word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revocation {
    /// Nothing was ever revoked.
    None,
    /// This lease was revoked.
    Of(LeaseId),
    /// Some lease was, but it can't be read which.
    Damaged,
}

impl LeaseFile {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file, path }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Locks the file until it is dropped, unless somebody holds the lock; `false` then.
    pub(super) fn try_lock(&self) -> Result<bool> {
        for _ in 0..TRIES {
            match self.file.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(self.error("lock", error)),
            }
            if self.is_held()? {
                return Ok(false);
            }
            // Only somebody who looks whether the file is locked, as we just did: gone in no time.
            std::thread::yield_now();
        }
        Ok(false)
    }

    /// Whether somebody holds the lock. A shared lock for a moment finds it out; it stops nobody, since
    /// [`try_lock`](Self::try_lock) tells it from a holder's.
    pub(super) fn is_held(&self) -> Result<bool> {
        match self.file.try_lock_shared() {
            Ok(()) => self.file.unlock().map(|()| false).map_err(|error| self.error("unlock", error)),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.error("lock", error)),
        }
    }

    /// Whether the file has been removed while it was open.
    pub(super) fn is_removed(&self) -> Result<bool> {
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| self.error("stat", errno.into()))?;
        Ok(stat.st_nlink == 0)
    }

    /// Reads both slots.
    ///
    /// # Errors
    /// `Unsupported` if either was written by a later format, `IoError`.
    pub(super) fn read_records(&self) -> Result<Records> {
        let mut looks = 0;
        loop {
            let (first, second) = (self.read_slot(0)?, self.read_slot(1)?);
            let torn = |slot: &Slot| matches!(slot, Err(RecordFault::NotSealed));
            looks += 1;
            if looks < LOOKS && (torn(&first) || torn(&second)) {
                std::thread::yield_now();
                continue;
            }
            return newest(first, second);
        }
    }

    fn read_slot(&self, slot: u64) -> Result<Slot> {
        Ok(UnverifiedRecord(self.read_page(slot)?).verify(slot))
    }

    /// Writes the record to the slot of its counter and makes it durable.
    pub(super) fn write_record(&self, record: &LeaseRecord) -> Result<()> {
        self.write_page(record.counter % 2, &record.to_sector())?;
        self.sync()
    }

    /// Writes the record of a volume that is being made, in a file of full size. [`sync_all`](Self::sync_all) makes
    /// both durable.
    pub(super) fn write_first(&self, volume: &VolumeName) -> Result<()> {
        let len = (PAGES * PAGE_BYTES) as u64;
        self.file.set_len(len).map_err(|error| self.error("set length", error))?;
        self.write_page(0, &LeaseRecord::first(volume.clone()).to_sector())
    }

    /// Makes file and size durable, whoever wrote them.
    pub(super) fn sync_all(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| self.error("sync", error))
    }

    /// Whether the file is what [`write_first`](Self::write_first) can leave behind when it is cut off: each byte is
    /// as intended, or still zero. The holder word is anybody's.
    pub(super) fn is_unfinished(&self, volume: &VolumeName) -> Result<bool> {
        let intended = LeaseRecord::first(volume.clone()).to_sector();
        let is_part =
            |found: &Sector| found.0.iter().zip(intended.0).all(|(is, to_be)| *is == to_be || *is == 0);
        Ok(is_part(&self.read_page(0)?)
            && self.read_page(1)?.is_zero()
            && self.read_page(REVOCATION_PAGE)?.is_zero())
    }

    /// What the revocation word says.
    pub(super) fn read_revocation(&self) -> Result<Revocation> {
        for _ in 0..LOOKS {
            let word = self.read_page(REVOCATION_PAGE)?;
            if word.is_zero() {
                return Ok(Revocation::None);
            }
            if word.is_sealed() {
                let is_ours = word.take(sector::MAGIC) == REVOCATION_MAGIC;
                let lease_id = LeaseId(u128::from_le_bytes(word.take(sector::CONTENT)));
                return Ok(if is_ours { Revocation::Of(lease_id) } else { Revocation::Damaged });
            }
            // Perhaps it is being written just now.
            std::thread::yield_now();
        }
        Ok(Revocation::Damaged)
    }

    /// Revokes `lease_id` in place of whatever was revoked before, durably.
    pub(super) fn write_revocation(&self, lease_id: LeaseId) -> Result<()> {
        let mut word = Sector::with_magic(REVOCATION_MAGIC);
        word.put(sector::CONTENT, lease_id.0.to_le_bytes());
        self.write_page(REVOCATION_PAGE, &word.seal())?;
        self.sync()
    }

    /// Revokes nothing. Durable with the next record.
    pub(super) fn clear_revocation(&self) -> Result<()> {
        self.write_page(REVOCATION_PAGE, &Sector::ZERO)
    }

    /// The process that holds the lock, if it has said so and lives where we can see it.
    pub(super) fn read_holder(&self) -> Option<u32> {
        let word = self.read_page(HOLDER_PAGE).ok()?;
        let is_ours = word.is_sealed() && word.take(sector::MAGIC) == HOLDER_MAGIC;
        is_ours.then(|| word.take_u32(sector::CONTENT)).filter(|pid| is_alive(*pid))
    }

    /// Says who holds the lock, or that nobody does. Only for others to read, so not durable.
    pub(super) fn write_holder(&self, pid: Option<u32>) -> Result<()> {
        let Some(pid) = pid else { return self.write_page(HOLDER_PAGE, &Sector::ZERO) };
        let mut word = Sector::with_magic(HOLDER_MAGIC);
        word.put_u32(sector::CONTENT, pid);
        self.write_page(HOLDER_PAGE, &word.seal())
    }

    /// The sector of a page; what lies past the end of the file was never written.
    fn read_page(&self, page: u64) -> Result<Sector> {
        let mut sector = Sector::ZERO;
        let mut filled = 0;
        while filled < SECTOR_BYTES {
            let at = page * PAGE_BYTES as u64 + filled as u64;
            match self.file.read_at(&mut sector.0[filled..], at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("read", error)),
            }
        }
        Ok(sector)
    }

    fn write_page(&self, page: u64, sector: &Sector) -> Result<()> {
        self.file
            .write_all_at(&sector.0, page * PAGE_BYTES as u64)
            .map_err(|error| self.error("write", error))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.error("sync", error))
    }

    fn error(&self, operation: &'static str, error: io::Error) -> FabricError {
        FabricError::io(operation, &self.path, error)
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting has inherited the open file, and
        // keeps the lock from when it is forked until it runs its own program.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(path = %self.path.display(), %error, "unlocked by closing only");
        }
    }
}

type Slot = Result<Option<LeaseRecord>, RecordFault>;

fn newest(first: Slot, second: Slot) -> Result<Records> {
    for slot in [&first, &second] {
        if let Err(RecordFault::NewerVersion(version)) = slot {
            tracing::error!(version, "a lease record of a newer format");
            return Err(FabricError::Unsupported {
                what: "a lease record of a newer format; use a newer build",
            });
        }
    }
    let any_unreadable = first.is_err() || second.is_err();
    let (newer, other) = match (first.ok().flatten(), second.ok().flatten()) {
        (Some(first), Some(second)) if first.counter > second.counter => (Some(first), Some(second)),
        (first, Some(second)) => (Some(second), first),
        (first, None) => (first, None),
    };
    Ok(match newer {
        // Only the very first record stands alone. Any other has followed one, which is lost if it is not there.
        Some(record) => Records::Newest {
            other_is_damaged: other.is_none() && (any_unreadable || record.counter > 0),
            record,
        },
        None if any_unreadable => Records::Damaged,
        None => Records::Empty,
    })
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests;
