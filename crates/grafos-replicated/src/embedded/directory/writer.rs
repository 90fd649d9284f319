//! [`DirectoryWriter`]: one blob on its way to its name.
//!
//! Invariant: after a write or a sync has failed, the blob is lost: what a file holds after a failed sync can't be
//! known, and a second sync would not tell. A new blob that has its name and is not durable loses it again with its
//! writer.

use std::io::Write;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use rustix::fs::Advice;
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use super::Shared;
use super::temporary::Temporary;
use crate::embedded::dir::{Dir, is_same};
use crate::error::StoreError;
use crate::payload_replica::BlobWriter;

/// Small writes are collected up to this; larger ones go straight through: a copy costs more than a call.
const BUFFER_BYTES: usize = 16 << 10;

/// From this length on, room is taken before the first byte is written.
const RESERVE_FROM_BYTES: u64 = 1 << 20;

/// From this length on, the disk is told to begin with a write.
const WRITEBACK_FROM_BYTES: usize = 256 << 10;

/// A blob that is being written.
#[derive(Debug)]
pub(super) struct DirectoryWriter {
    replica: Arc<Shared>,
    space: Arc<Dir>,
    name: String,
    temporary: Temporary,
    buffer: Vec<u8>,
    /// Of the blob, what is in the buffer included.
    len_bytes: u64,
    max_bytes: Option<u64>,
    /// Takes the place of what has its name.
    replaces: bool,
    /// Of the blob, what is in the file.
    file_bytes: u64,
    /// How long the file was made in advance.
    reserved_bytes: u64,
    /// It is new, has its name, and is not known to be durable.
    is_only_staged: bool,
    is_lost: bool,
}

impl DirectoryWriter {
    pub(super) fn new(
        replica: &Arc<Shared>,
        space: Dir,
        name: String,
        max_bytes: Option<u64>,
        replaces: bool,
    ) -> Result<Self, StoreError> {
        let temporary = Temporary::new(&replica.writing, OFlags::empty())?;
        let reserved_bytes = match max_bytes {
            Some(bytes) if bytes >= RESERVE_FROM_BYTES => reserve(&temporary, bytes)?,
            _ => 0,
        };
        let buffer = Vec::new();
        Ok(Self {
            replica: Arc::clone(replica),
            space: Arc::new(space),
            name,
            temporary,
            buffer,
            len_bytes: 0,
            max_bytes,
            replaces,
            file_bytes: 0,
            reserved_bytes,
            is_only_staged: false,
            is_lost: false,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let len_bytes = self.len_bytes.saturating_add(bytes.len() as u64);
        if let Some(limit) = self.max_bytes.filter(|limit| len_bytes > *limit) {
            return Err(StoreError::TooLarge { what: self.what(), limit, found: len_bytes });
        }
        self.len_bytes = len_bytes;
        if self.buffer.len() + bytes.len() >= BUFFER_BYTES {
            self.write_buffer()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            return self.write_through(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::take(&mut self.buffer);
        self.write_through(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file_bytes += bytes.len() as u64;
        let mut file = self.temporary.file();
        file.write_all(bytes).map_err(|error| self.temporary.error("write", error.raw_os_error()))?;
        if bytes.len() >= WRITEBACK_FROM_BYTES {
            self.begin_writeback(bytes.len() as u64);
        }
        Ok(())
    }

    /// Lets the disk begin with the last bytes that were written, and not only when it is waited for. The system may
    /// drop their pages once they are on the disk.
    #[cfg(target_os = "linux")]
    fn begin_writeback(&self, last_bytes: u64) {
        let offset = self.file_bytes.saturating_sub(last_bytes);
        // It is advice: what comes of it, the sync tells.
        let _ =
            rustix::fs::fadvise(self.temporary.file(), offset, NonZeroU64::new(last_bytes), Advice::DontNeed);
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "as on Linux")]
    fn begin_writeback(&self, _last_bytes: u64) {}

    /// Writes what is left, cuts off what was reserved and not used, and gives a new blob its name.
    fn complete(&mut self) -> Result<(), StoreError> {
        if self.is_only_staged {
            return Ok(());
        }
        self.write_buffer()?;
        if self.reserved_bytes > self.len_bytes {
            let cut = self.temporary.file().set_len(self.len_bytes);
            cut.map_err(|error| self.temporary.error("set length", error.raw_os_error()))?;
        }
        if self.replaces {
            return Ok(());
        }
        self.publish_new()?;
        if self.replica.sync_order.is_at_once() && self.file_bytes < WRITEBACK_FROM_BYTES as u64 {
            self.begin_writeback(self.file_bytes);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.temporary.file().sync_all().map_err(|error| self.temporary.error("sync", error.raw_os_error()))
    }

    /// Under its name first, then synced: a file system with a journal makes the contents and the name durable at once
    /// then, and not one after the other. A power cut in between leaves a blob of this name with any contents, which
    /// nobody has acknowledged and no reader trusts: see `docs/decisions/0009-what-a-save-waits-for.md`.
    fn publish_new(&mut self) -> Result<(), StoreError> {
        if !self.temporary.publish(&self.space, &self.name)? {
            return Err(StoreError::AlreadyExists { what: self.what() });
        }
        self.is_only_staged = true;
        Ok(())
    }

    fn sync_new(&mut self) -> Result<(), StoreError> {
        let space = Arc::clone(&self.space);
        self.replica.sync_order.sync(|| self.sync(), move || space.sync())?;
        self.is_only_staged = false;
        Ok(())
    }

    fn take_name_back(&self) -> Result<(), StoreError> {
        match self.space.stat(&self.name)? {
            Some(stat) if is_same(&stat, self.temporary.file()) => self.space.remove_file(&self.name),
            _ => Ok(()),
        }
    }

    /// Synced first: the name may be that of a good blob.
    fn publish_over(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.temporary.publish_over(&self.space, &self.name)?;
        self.space.sync()
    }

    fn what(&self) -> String {
        self.space.path_of(&self.name).display().to_string()
    }
}

impl BlobWriter for DirectoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.is_lost {
            return Err(after_failure(self.what()));
        }
        let result = self.append(bytes);
        self.is_lost = result.is_err();
        result
    }

    fn stage(&mut self) -> Result<(), StoreError> {
        if self.is_lost {
            return Err(after_failure(self.what()));
        }
        let result = self.complete();
        self.is_lost = result.is_err();
        result
    }

    fn waits_for_others(&self) -> bool {
        // Without a journal, nothing is shared.
        !self.replica.sync_order.is_at_once()
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.stage()?;
        if self.replaces { self.publish_over() } else { self.sync_new() }
    }
}

impl Drop for DirectoryWriter {
    fn drop(&mut self) {
        if self.is_only_staged {
            // What was not synced is not to be found: a later sync would not tell that this one failed. If this fails
            // too, digests tell.
            let _ = self.take_name_back();
        }
    }
}

fn after_failure(what: String) -> StoreError {
    StoreError::InvalidRequest { what, problem: "a blob goes on after a write that failed" }
}

/// Takes room for so many bytes, where the file system can; how long the file has become.
fn reserve(temporary: &Temporary, bytes: u64) -> Result<u64, StoreError> {
    match rustix::io::retry_on_intr(|| {
        rustix::fs::fallocate(temporary.file(), FallocateFlags::empty(), 0, bytes)
    }) {
        Ok(()) => Ok(bytes),
        // More than a file can have, here or anywhere: so there is no room for it either.
        Err(Errno::FBIG) => Err(temporary.error("reserve", Some(Errno::NOSPC.raw_os_error()))),
        Err(Errno::NOSPC | Errno::DQUOT) => {
            Err(temporary.error("reserve", Some(Errno::NOSPC.raw_os_error())))
        }
        Err(Errno::INVAL) if i64::try_from(bytes).is_err() => {
            Err(temporary.error("reserve", Some(Errno::NOSPC.raw_os_error())))
        }
        // This file system can't; the writes will tell.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(0),
        Err(errno) => Err(temporary.error("reserve", Some(errno.raw_os_error()))),
    }
}
