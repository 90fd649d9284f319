//! [`Temporary`]: a file that has no name for others yet.
//!
//! Its writer holds a lock on it from the first moment to the last, which the system takes back when the writer dies.
//! So what nobody has locked belongs to nobody, however old or new it is, and [`sweep`] removes it.

use std::fs::File;
use std::io;

use super::dir::{Change, Dir, io_error, is_same};
use super::error::StorageError;
use super::random;

/// Begins with a dot, as no name of a checkpoint does.
const PREFIX: &str = ".rkcp-new-";
const RANDOM_DIGITS: usize = 32;

/// How often to begin anew when others take away what was just made, which takes them an eye's blink each time.
const TRIES: usize = 100;

/// A file that is being written. Dropped before it is [published](Self::publish), it is gone.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
    is_published: bool,
}

impl<'a> Temporary<'a> {
    /// A new file in `dir`.
    pub(super) fn new(dir: &'a Dir) -> Result<Self, StorageError> {
        for _ in 0..TRIES {
            let name = random_name(dir)?;
            let Some(file) = dir.new_file(&name)? else { continue };
            let temporary = Self { dir, name, file, is_published: false };
            // Who sweeps just now may have it locked before us, and remove it.
            if temporary.file.try_lock().is_ok() && temporary.is_there()? {
                return Ok(temporary);
            }
        }
        Err(io_error("create", dir.path(), io::ErrorKind::ResourceBusy.into()))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What to call it in errors.
    pub(super) fn error(&self, operation: &'static str, error: io::Error) -> StorageError {
        io_error(operation, &self.dir.path_of(&self.name), error)
    }

    /// Makes what was written durable, then gives it the name `name` in one step, in the place of what has it, and
    /// makes that durable too.
    pub(super) fn publish(mut self, name: &str) -> Result<(), StorageError> {
        let synced = self.dir.watch().allow(Change::SyncFile).and_then(|()| self.file.sync_all());
        synced.map_err(|error| self.error(Change::SyncFile.name(), error))?;
        self.dir.rename(&self.name, name)?;
        self.is_published = true;
        self.dir.sync()
    }

    fn is_there(&self) -> Result<bool, StorageError> {
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| self.error("stat", errno.into()))?;
        Ok(stat.st_nlink > 0)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            // If it fails, the next sweep removes it.
            let _ = self.dir.remove(&self.name);
        }
        // Closing is not enough: a process that another thread is just starting has inherited the open file.
        let _ = self.file.unlock();
    }
}

/// Removes what dead writers have left in `dir`, as far as it lets itself be removed: what stays only takes room.
pub(super) fn sweep(dir: &Dir) -> Result<(), StorageError> {
    for name in dir.names()? {
        if is_random_name(&name) {
            // It may be gone, or nothing of ours.
            let _ = remove_if_dead(dir, &name);
        }
    }
    Ok(())
}

fn remove_if_dead(dir: &Dir, name: &str) -> Result<(), StorageError> {
    let Some(file) = dir.file(name)? else { return Ok(()) };
    if file.try_lock().is_err() {
        return Ok(());
    }
    // Its writer may have given it another name just before, and the name another file.
    match dir.stat(name)? {
        Some(stat) if is_same(&stat, &file) => dir.remove(name).map(drop),
        _ => Ok(()),
    }
}

/// Whether it is a name that [`random_name`] makes.
fn is_random_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == RANDOM_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// A name that nobody has chosen before.
fn random_name(dir: &Dir) -> Result<String, StorageError> {
    let mut bytes = [0; RANDOM_DIGITS / 2];
    random(&mut bytes).map_err(|error| io_error("choose a name", dir.path(), error))?;
    Ok(format!("{PREFIX}{:032x}", u128::from_le_bytes(bytes)))
}
