//! [`SecureDir`]: a directory of the user's own, entered by file descriptor.
//!
//! Invariants: no symbolic link below the home directory is ever followed; a directory that belongs to somebody
//! else, or that somebody else may enter, is refused before anything in it is opened.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{FabricError, Result};

/// Read, write and enter for the owner, nothing for others.
const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// `NONBLOCK`: a pipe that somebody put there must not make us wait. It means nothing to files and directories.
const ALWAYS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To look at it.
    Read,
    /// To change it.
    ReadWrite,
    /// To change it, after making it if there is none.
    Create,
    /// To change it past the page cache.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Direct,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::ReadWrite => OFlags::RDWR,
            Self::Create => OFlags::RDWR | OFlags::CREATE,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Direct => OFlags::RDWR | OFlags::DIRECT,
        }
    }
}

/// An open directory that only its owner can enter.
#[derive(Debug)]
pub(super) struct SecureDir {
    file: File,
    path: PathBuf,
}

impl SecureDir {
    /// Opens the directory at `path`, which has no links in it, and makes it private if it is empty.
    pub(super) fn adopt(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
        let fd = rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
            .map_err(|errno| FabricError::io("open", path, errno))?;
        let dir = Self { file: File::from(fd), path: path.to_owned() };
        if dir.others_may_enter()? && dir.is_own()? && dir.names(1).is_ok_and(|names| names.is_empty()) {
            rustix::fs::fchmod(&dir.file, PRIVATE_DIR).map_err(|errno| dir.error("chmod", errno))?;
        }
        dir.check()?;
        Ok(dir)
    }

    /// Makes the directory `name` in this one; `false` if there is one already.
    pub(super) fn make_dir(&self, name: &str) -> Result<bool> {
        match rustix::fs::mkdirat(&self.file, name, PRIVATE_DIR) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(FabricError::io("make directory", &self.path_of(name), errno)),
        }
    }

    /// Opens the directory `name` in this one; `None` if there is none.
    pub(super) fn open_dir(&self, name: &str) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
        let Some(file) = self.open(name, flags)? else { return Ok(None) };
        let dir = Self { file, path: self.path_of(name) };
        dir.check()?;
        Ok(Some(dir))
    }

    /// Opens the file `name` in this directory; `None` if there is none.
    pub(super) fn open_file(&self, name: &str, access: Access) -> Result<Option<File>> {
        let Some(file) = self.open(name, access.flags() | ALWAYS)? else { return Ok(None) };
        let path = self.path_of(name);
        let stat = rustix::fs::fstat(&file).map_err(|errno| FabricError::io("stat", &path, errno))?;
        let problem = if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            "something other than a file lies in a volume; remove it"
        } else if !is_owner(&stat) {
            "a file of a volume belongs to somebody else; give it to the user who runs this program"
        } else {
            return Ok(Some(file));
        };
        Err(FabricError::InsecureHome { path, problem })
    }

    fn open(&self, name: &str, flags: OFlags) -> Result<Option<File>> {
        let opened = rustix::io::retry_on_intr(|| rustix::fs::openat(&self.file, name, flags, PRIVATE_FILE));
        match opened {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.refusal(name, errno)),
        }
    }

    /// A link that was not followed answers with an error that differs between systems, so look.
    fn refusal(&self, name: &str, errno: Errno) -> FabricError {
        let path = self.path_of(name);
        match self.stat_of(name) {
            Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                FabricError::InsecureHome {
                    path,
                    problem: "a symbolic link inside the home directory; replace it by what it points to",
                }
            }
            _ => FabricError::io("open", &path, errno),
        }
    }

    /// Whether the file or directory `open` is what `name` in this directory leads to now.
    pub(super) fn leads_to(&self, name: &str, open: impl AsFd) -> Result<bool> {
        let found = self.stat_of(name)?;
        let open = rustix::fs::fstat(open).map_err(|errno| self.error("stat", errno))?;
        Ok(found.is_some_and(|found| found.st_ino == open.st_ino && found.st_dev == open.st_dev))
    }

    /// Whether there is anything of this name.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        Ok(self.stat_of(name)?.is_some())
    }

    fn stat_of(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FabricError::io("stat", &self.path_of(name), errno)),
        }
    }

    /// The names in this directory, in no order.
    ///
    /// # Errors
    /// `CapacityExceeded` beyond `limit` names, `IoError`.
    pub(super) fn names(&self, limit: usize) -> Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(&self.file).map_err(|errno| self.error("list", errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|errno| self.error("list", errno))?;
            let name: &CStr = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if names.len() == limit {
                return Err(FabricError::CapacityExceeded {
                    what: "entries that are looked at in a directory of the host",
                    requested: limit as u64 + 1,
                    available: limit as u64,
                });
            }
            names.push(name.to_string_lossy().into_owned());
        }
        Ok(names)
    }

    /// Gives `from` the name `to`; the old name is gone and the new one there in one step.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.file, from, &self.file, to)
            .map_err(|errno| FabricError::io("rename", &self.path_of(from), errno))
    }

    /// Removes the file `name` if there is one.
    pub(super) fn remove_file(&self, name: &str) -> Result<()> {
        self.unlink(name, AtFlags::empty())
    }

    /// Removes the empty directory `name` if there is one.
    pub(super) fn remove_dir(&self, name: &str) -> Result<()> {
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> Result<()> {
        match rustix::fs::unlinkat(&self.file, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(FabricError::io("remove", &self.path_of(name), errno)),
        }
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| FabricError::io("sync directory", &self.path, error))
    }

    /// Waits until no other process or handle has this directory locked, and locks it.
    pub(super) fn lock(&self) -> Result<DirLock<'_>> {
        loop {
            match self.file.lock() {
                Ok(()) => return Ok(DirLock(self)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FabricError::io("lock", &self.path, error)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn error(&self, operation: &'static str, errno: Errno) -> FabricError {
        FabricError::io(operation, &self.path, errno)
    }

    fn check(&self) -> Result<()> {
        let problem = if !self.is_own()? {
            "the directory belongs to somebody else; name another home, or run as its owner"
        } else if self.others_may_enter()? {
            "others than the owner may enter the directory; run `chmod 700` on it"
        } else {
            return Ok(());
        };
        Err(FabricError::InsecureHome { path: self.path.clone(), problem })
    }

    fn is_own(&self) -> Result<bool> {
        Ok(is_owner(&self.stat()?))
    }

    fn others_may_enter(&self) -> Result<bool> {
        Ok(Mode::from_raw_mode(self.stat()?.st_mode).intersects(Mode::RWXG | Mode::RWXO))
    }

    fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.file).map_err(|errno| self.error("stat", errno))
    }
}

/// A locked directory.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub(super) struct DirLock<'a>(&'a SecureDir);

impl Drop for DirLock<'_> {
    fn drop(&mut self) {
        // If this fails, closing the directory unlocks it.
        let _ = self.0.file.unlock();
    }
}

impl AsFd for SecureDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn is_owner(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}
