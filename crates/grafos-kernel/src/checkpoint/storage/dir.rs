//! [`Dir`]: a directory entered by file descriptor, and every operation that changes something in it.
//!
//! Invariant: no symbolic link below it is ever followed.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::StorageError;

const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// `NONBLOCK`: a pipe that somebody put there must not make us wait. It means nothing to files.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An operation that changes something on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    MakeDirectory,
    Create,
    Write,
    SyncFile,
    Rename,
    SyncDirectory,
    Remove,
}

impl Change {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MakeDirectory => "make directory",
            Self::Create => "create",
            Self::Write => "write",
            Self::SyncFile => "sync",
            Self::Rename => "rename",
            Self::SyncDirectory => "sync directory",
            Self::Remove => "remove",
        }
    }
}

type Guard = dyn Fn(Change) -> io::Result<()> + Send + Sync;

/// Who is asked before each change, and may refuse it: the tests, which stop a save at every place. Nobody else.
#[derive(Clone, Default)]
pub(super) struct Watch(Option<Arc<Guard>>);

impl Watch {
    #[cfg(test)]
    pub(super) fn by(guard: impl Fn(Change) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(guard)))
    }

    pub(super) fn allow(&self, change: Change) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |guard| guard(change))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    file: File,
    path: PathBuf,
    watch: Watch,
}

impl Dir {
    /// The directory at `path`, which may be reached through links; `None` if there is nothing.
    pub(super) fn open(path: &Path, watch: &Watch) -> Result<Option<Self>, StorageError> {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("resolve", path, error)),
        };
        match rustix::fs::openat(CWD, &real, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { file: File::from(fd), path: real, watch: watch.clone() })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(foreign(&real, "something else lies where a directory should be")),
            Err(errno) => Err(io_error("open", &real, errno.into())),
        }
    }

    /// The same, made if there is nothing, with those above it, each for its owner only and durable.
    pub(super) fn open_or_new(path: &Path, watch: &Watch) -> Result<Self, StorageError> {
        if let Some(dir) = Self::open(path, watch)? {
            return Ok(dir);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let above = match path.file_name() {
            Some(_) => Self::open_or_new(parent, watch)?,
            None => return Err(io_error("open", path, io::ErrorKind::NotFound.into())),
        };
        let made =
            allowed(watch, Change::MakeDirectory).and_then(|()| rustix::fs::mkdirat(CWD, path, PRIVATE_DIR));
        match made {
            // Who made it just now may not have come to the sync.
            Ok(()) | Err(Errno::EXIST) => above.sync()?,
            Err(errno) => return Err(io_error(Change::MakeDirectory.name(), path, errno.into())),
        }
        match Self::open(path, watch)? {
            Some(dir) => Ok(dir),
            None => Err(foreign(path, "a link to nothing lies where a directory should be")),
        }
    }

    /// The file `name`, to read it; `None` if there is nothing of that name.
    pub(super) fn file(&self, name: &str) -> Result<Option<File>, StorageError> {
        let file = match rustix::fs::openat(&self.file, name, OFlags::RDONLY | FILE, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            // A link that is not followed (some systems say `MLINK`), a socket.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(self.not_a_file(name)),
            Err(errno) => return Err(self.error("open", name, errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.error("stat", name, errno))?;
        if is_file(&stat) { Ok(Some(file)) } else { Err(self.not_a_file(name)) }
    }

    /// A new file that only its owner can use; `None` if there is something of that name.
    pub(super) fn new_file(&self, name: &str) -> Result<Option<File>, StorageError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE;
        let made = allowed(&self.watch, Change::Create)
            .and_then(|()| rustix::fs::openat(&self.file, name, flags, PRIVATE_FILE));
        match made {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(self.error(Change::Create.name(), name, errno)),
        }
    }

    /// What `name` is; `None` if there is nothing of that name.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>, StorageError> {
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("stat", name, errno)),
        }
    }

    /// Whether `name` is a plain file.
    ///
    /// # Errors
    /// `Foreign` if it is something else.
    pub(super) fn has_file(&self, name: &str) -> Result<bool, StorageError> {
        match self.stat(name)? {
            None => Ok(false),
            Some(stat) if is_file(&stat) => Ok(true),
            Some(_) => Err(self.not_a_file(name)),
        }
    }

    /// The names in this directory that are text, in no order.
    pub(super) fn names(&self) -> Result<Vec<String>, StorageError> {
        let failed = |errno| self.error("list", ".", errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.file).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name: &CStr = entry.file_name();
            names.extend(name.to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// Gives the file `from` the name `to`, in one step, in the place of what has it.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        allowed(&self.watch, Change::Rename)
            .and_then(|()| rustix::fs::renameat(&self.file, from, &self.file, to))
            .map_err(|errno| self.error(Change::Rename.name(), to, errno))
    }

    /// Gives the file `from` the free name `to`; `false` if it is not free.
    pub(super) fn rename_to_free(&self, from: &str, to: &str) -> Result<bool, StorageError> {
        // Two steps where one would do, but every file system can: nobody else gives such names to anything.
        let linked = allowed(&self.watch, Change::Rename)
            .and_then(|()| rustix::fs::linkat(&self.file, from, &self.file, to, AtFlags::empty()));
        match linked {
            Ok(()) => self.remove(from).map(|_| true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.error(Change::Rename.name(), to, errno)),
        }
    }

    /// Removes the file `name`; `false` if there was none.
    pub(super) fn remove(&self, name: &str) -> Result<bool, StorageError> {
        let removed = allowed(&self.watch, Change::Remove)
            .and_then(|()| rustix::fs::unlinkat(&self.file, name, AtFlags::empty()));
        match removed {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.error(Change::Remove.name(), name, errno)),
        }
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        let synced = self.watch.allow(Change::SyncDirectory).and_then(|()| self.file.sync_all());
        match synced {
            Ok(()) => Ok(()),
            // Some file systems have nothing to sync in a directory.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            Err(error) => Err(io_error(Change::SyncDirectory.name(), &self.path, error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    fn not_a_file(&self, name: &str) -> StorageError {
        foreign(&self.path_of(name), "something else lies where a checkpoint should be")
    }

    fn error(&self, operation: &'static str, name: &str, errno: Errno) -> StorageError {
        io_error(operation, &self.path_of(name), errno.into())
    }
}

fn allowed(watch: &Watch, change: Change) -> Result<(), Errno> {
    watch.allow(change).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn foreign(path: &Path, problem: &'static str) -> StorageError {
    StorageError::Foreign { what: path.display().to_string(), problem }
}

/// Whether it is a plain file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Whether both are open ways to the same file, as far as `stat` can tell.
pub(super) fn is_same(stat: &Stat, open: impl AsFd) -> bool {
    rustix::fs::fstat(open).is_ok_and(|open| (open.st_dev, open.st_ino) == (stat.st_dev, stat.st_ino))
}

/// The one place where the system's errors become ours.
pub(super) fn io_error(operation: &'static str, path: &Path, source: io::Error) -> StorageError {
    let what = path.display().to_string();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageError::Full { what }
        }
        _ => StorageError::Io { operation, what, source },
    }
}
