//! [`Dir`]: a directory entered by file descriptor.
//!
//! Invariants: no symbolic link below it is ever followed; no name in it is ever replaced.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::StoreError;

const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// `NONBLOCK`: a pipe that somebody put there must not make us wait. It means nothing to files.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    file: File,
    path: PathBuf,
}

impl Dir {
    /// The directory at `path`, which may be reached through links; `None` if there is nothing.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("resolve", path, error.raw_os_error())),
        };
        match rustix::fs::openat(CWD, &real, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { file: File::from(fd), path: real })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(not_a_directory(&real)),
            Err(errno) => Err(store_error("open", &real, errno)),
        }
    }

    /// Makes the directory at `path`; its parent is there. `false` if there is something already.
    pub(super) fn make_at(path: &Path) -> Result<bool, StoreError> {
        match rustix::fs::mkdirat(CWD, path, PRIVATE_DIR) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(store_error("make directory", path, errno)),
        }
    }

    /// The directory `name` in this one; `None` if there is nothing of that name.
    pub(super) fn dir(&self, name: &str) -> Result<Option<Self>, StoreError> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { file: File::from(fd), path: self.path_of(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Err(not_a_directory(&self.path_of(name))),
            Err(errno) => Err(self.error("open", name, errno)),
        }
    }

    /// The directory `name` in this one, made if there is none. Its name is durable after the next [`sync`](Self::sync).
    pub(super) fn dir_or_new(&self, name: &str) -> Result<Self, StoreError> {
        if let Some(dir) = self.dir(name)? {
            return Ok(dir);
        }
        match rustix::fs::mkdirat(&self.file, name, PRIVATE_DIR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.error("make directory", name, errno)),
        }
        self.dir(name)?.ok_or_else(|| self.error("open", name, Errno::NOENT))
    }

    /// The file `name`, to read it; `None` if there is nothing of that name.
    ///
    /// # Errors
    /// `Foreign` for everything that is no plain file.
    pub(super) fn file(&self, name: &str) -> Result<Option<File>, StoreError> {
        let file = match rustix::fs::openat(&self.file, name, OFlags::RDONLY | FILE, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            // A link that is not followed (some systems say `MLINK`), a socket.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(not_a_file(&self.path_of(name))),
            Err(errno) => return Err(self.error("open", name, errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.error("stat", name, errno))?;
        if is_file(&stat) { Ok(Some(file)) } else { Err(not_a_file(&self.path_of(name))) }
    }

    /// A new file that only its owner can use; `None` if there is something of that name.
    pub(super) fn new_file(&self, name: &str, flags: OFlags) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE | flags;
        match rustix::fs::openat(&self.file, name, flags, PRIVATE_FILE) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(self.error("create", name, errno)),
        }
    }

    /// What `name` is; `None` if there is nothing of that name.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>, StoreError> {
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("stat", name, errno)),
        }
    }

    /// Calls `each` with the names in this directory that are text, in no order, until it says `false`.
    pub(super) fn names(
        &self,
        mut each: impl FnMut(&str) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let entries =
            rustix::fs::Dir::read_from(&self.file).map_err(|errno| self.error("list", ".", errno))?;
        for entry in entries {
            let entry = entry.map_err(|errno| self.error("list", ".", errno))?;
            let name: &CStr = entry.file_name();
            match name.to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) if each(name)? => {}
                Ok(_) => break,
            }
        }
        Ok(())
    }

    /// Whether there is nothing in it, names that are no text included.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        let entries =
            rustix::fs::Dir::read_from(&self.file).map_err(|errno| self.error("list", ".", errno))?;
        for entry in entries {
            let entry = entry.map_err(|errno| self.error("list", ".", errno))?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves `from` to the free name `name` in `to`, in one step; `false` if it is not free.
    pub(super) fn publish(&self, from: &str, to: &Self, name: &str) -> Result<bool, StoreError> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.file, from, &to.file, name, flags) {
                Ok(()) => return Ok(true),
                Err(Errno::EXIST) => return Ok(false),
                // This file system can't.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(to.error("rename", name, errno)),
            }
        }
        match rustix::fs::linkat(&self.file, from, &to.file, name, AtFlags::empty()) {
            Ok(()) => self.remove_file(from).map(|()| true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(to.error("link", name, errno)),
        }
    }

    /// Gives the file `from` of this directory the name `name` in `to`, in the place of what has it.
    pub(super) fn publish_over(&self, from: &str, to: &Self, name: &str) -> Result<(), StoreError> {
        let renamed = rustix::fs::renameat(&self.file, from, &to.file, name);
        renamed.map_err(|errno| to.error("rename", name, errno))
    }

    /// Removes the file `name` if there is one.
    pub(super) fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", name, errno)),
        }
    }

    /// Removes the empty directory `name` if there is one.
    pub(super) fn remove_dir(&self, name: &str) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", name, errno)),
        }
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        match self.file.sync_all() {
            Ok(()) => Ok(()),
            // Some file systems have nothing to sync in a directory.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
            Err(error) => Err(io_error("sync directory", &self.path, error.raw_os_error())),
        }
    }

    /// Waits until nobody else has this directory locked, and locks it.
    pub(super) fn lock(&self) -> Result<DirLock<'_>, StoreError> {
        loop {
            match self.file.lock() {
                Ok(()) => return Ok(DirLock(self)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("lock", &self.path, error.raw_os_error())),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn error(&self, operation: &'static str, name: &str, errno: Errno) -> StoreError {
        store_error(operation, &self.path_of(name), errno)
    }
}

/// A locked directory.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub(super) struct DirLock<'a>(&'a Dir);

impl Drop for DirLock<'_> {
    fn drop(&mut self) {
        // If this fails, closing the directory unlocks it.
        let _ = self.0.file.unlock();
    }
}

/// Whether it is a plain file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Whether both are open ways to the same file, as far as `stat` can tell.
pub(super) fn is_same(stat: &Stat, open: impl AsFd) -> bool {
    rustix::fs::fstat(open).is_ok_and(|open| (open.st_dev, open.st_ino) == (stat.st_dev, stat.st_ino))
}

fn not_a_directory(path: &Path) -> StoreError {
    StoreError::Foreign {
        what: path.display().to_string(),
        problem: "something else lies where a directory should be",
    }
}

fn not_a_file(path: &Path) -> StoreError {
    StoreError::Foreign {
        what: path.display().to_string(),
        problem: "something else lies where a file should be",
    }
}

/// The one place where the system's numbers become errors of stores.
pub(super) fn store_error(operation: &'static str, path: &Path, errno: Errno) -> StoreError {
    let what = path.display().to_string();
    match errno {
        Errno::NOSPC | Errno::DQUOT => StoreError::Full { what },
        errno => StoreError::Io { operation, what, errno: errno.raw_os_error() },
    }
}

/// The same for an error of the standard library.
pub(super) fn io_error(operation: &'static str, path: &Path, errno: Option<i32>) -> StoreError {
    let what = path.display().to_string();
    match errno {
        Some(errno) => store_error(operation, path, Errno::from_raw_os_error(errno)),
        None => StoreError::Io { operation, what, errno: 0 },
    }
}

#[cfg(test)]
mod tests;
