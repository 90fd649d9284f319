//! [`Temporary`]: a file that has no name for others yet.
//!
//! Its writer holds a lock on it from the first moment to the last, which the system takes back when the writer dies.
//! So what nobody has locked belongs to nobody, however old or new it is, and [`sweep`] removes it.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::embedded::dir::{Dir, io_error, is_same};
use crate::error::StoreError;

const PREFIX: &str = ".new-";
const RANDOM_DIGITS: usize = 32;

/// How often to begin anew when others take away what was just made, which takes them an eye's blink each time.
const TRIES: usize = 100;

/// A file that is being written. Dropped before it is [published](Self::publish), it is gone.
#[derive(Debug)]
pub(super) struct Temporary {
    dir: Arc<Dir>,
    name: String,
    file: File,
    is_published: bool,
}

impl Temporary {
    /// A new file in `dir`, opened with these flags too.
    pub(super) fn new(dir: &Arc<Dir>, flags: OFlags) -> Result<Self, StoreError> {
        for _ in 0..TRIES {
            let name = random_name(dir)?;
            let Some(file) = dir.new_file(&name, flags)? else { continue };
            let temporary = Self { dir: Arc::clone(dir), name, file, is_published: false };
            // Who sweeps just now may have it locked before us, and remove it.
            if temporary.file.try_lock().is_ok() && temporary.is_there()? {
                return Ok(temporary);
            }
        }
        let reason = format!("files that are being written are removed: {}", dir.path().display());
        Err(StoreError::Unavailable { reason })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What to call it in errors.
    pub(super) fn error(&self, operation: &'static str, errno: Option<i32>) -> StoreError {
        io_error(operation, &self.dir.path_of(&self.name), errno)
    }

    /// Writes all that it is to hold, and makes it durable.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = (&self.file).write_all(bytes);
        written.map_err(|error| self.error("write", error.raw_os_error()))?;
        self.file.sync_all().map_err(|error| self.error("sync", error.raw_os_error()))
    }

    /// Gives it the name `name` in `to`, in one step; `false` if something has that name.
    pub(super) fn publish(&mut self, to: &Dir, name: &str) -> Result<bool, StoreError> {
        self.is_published = self.dir.publish(&self.name, to, name)?;
        Ok(self.is_published)
    }

    /// The same in the place of what has that name, if anything has.
    pub(super) fn publish_over(&mut self, to: &Dir, name: &str) -> Result<(), StoreError> {
        self.dir.publish_over(&self.name, to, name)?;
        self.is_published = true;
        Ok(())
    }

    fn is_there(&self) -> Result<bool, StoreError> {
        let stat = rustix::fs::fstat(&self.file);
        let stat = stat.map_err(|errno| self.error("stat", Some(errno.raw_os_error())))?;
        Ok(stat.st_nlink > 0)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_published {
            // If it fails, the next sweep removes it.
            let _ = self.dir.remove_file(&self.name);
        }
        // Closing is not enough: a process that another thread is just starting has inherited the open file.
        let _ = self.file.unlock();
    }
}

/// Removes what dead writers have left in `dir`, as far as it lets itself be removed: what stays only takes room.
pub(super) fn sweep(dir: &Dir) -> Result<(), StoreError> {
    dir.names(|name| {
        if is_random_name(name) {
            // It may be gone, or nothing of ours.
            let _ = remove_if_dead(dir, name);
        }
        Ok(true)
    })
}

fn remove_if_dead(dir: &Dir, name: &str) -> Result<(), StoreError> {
    let Some(file) = dir.file(name)? else { return Ok(()) };
    if file.try_lock().is_err() {
        return Ok(());
    }
    // Its writer may have given it another name just before, and the name another file.
    match dir.stat(name)? {
        Some(stat) if is_same(&stat, &file) => dir.remove_file(name),
        _ => Ok(()),
    }
}

/// Whether it is a name that [`random_name`] makes.
pub(in crate::embedded) fn is_random_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == RANDOM_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// A name that nobody has chosen before.
pub(in crate::embedded) fn random_name(dir: &Dir) -> Result<String, StoreError> {
    let mut bytes = [0; RANDOM_DIGITS / 2];
    getrandom::fill(&mut bytes)
        .map_err(|error| io_error("choose a name", dir.path(), error.raw_os_error()))?;
    Ok(format!("{PREFIX}{:032x}", u128::from_le_bytes(bytes)))
}
