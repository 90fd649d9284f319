//! [`Place`]: where the file of the records lies, how it comes to be, and how it is told from other files.
//!
//! Never opened here once it has its name: closing any open file of a process takes SQLite's locks on it away from the
//! whole process (<https://www.sqlite.org/howtocorrupt.html>, 2.2). So it is made under another name, and looked at
//! through SQLite alone.
//!
//! Invariant: the name leads to a whole file or to none, whatever happens while it is made.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use super::failure::certain;
use crate::embedded::dir::{Dir, io_error, is_file, store_error};
use crate::error::StoreError;

/// "GRRG", which SQLite keeps in the header of the file.
const APPLICATION_ID: i32 = 0x4752_5247;
const FORMAT: i32 = 1;

/// The size of a record's pages is SQLite's usual one; it is named since it is part of the format.
const SCHEMA: &str = "
    PRAGMA page_size = 4096;
    PRAGMA encoding = 'UTF-8';
    BEGIN;
    CREATE TABLE meta (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        format INTEGER NOT NULL,
        last_revision INTEGER NOT NULL CHECK (last_revision >= 0)
    ) STRICT;
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL CHECK (revision > 0),
        body BLOB NOT NULL
    ) STRICT;
    INSERT INTO meta (only_row, format, last_revision) VALUES (1, 1, 0);
    PRAGMA application_id = 0x47525247;
    PRAGMA user_version = 1;
    COMMIT;
";

/// What SQLite calls the files that it makes beside another one.
const LOG: &str = "-wal";
const SHARED_MEMORY: &str = "-shm";
const JOURNAL: &str = "-journal";

/// What tells a file from every other one while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// Where the file lies.
#[derive(Debug)]
pub(super) struct Place {
    dir: Dir,
    name: String,
    path: PathBuf,
}

impl Place {
    /// The place at `path`, whose directory is there.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let what = || path.display().to_string();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let problem = "the name of a register's file is plain text";
            return Err(StoreError::InvalidRequest { what: what(), problem });
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(dir) = Dir::open(parent)? else {
            return Err(StoreError::NotFound { what: parent.display().to_string() });
        };
        if is_on_a_network(dir.path())? {
            let problem = "locks can't be relied on in a network file system";
            return Err(StoreError::InvalidRequest { what: what(), problem });
        }
        Ok(Self { path: dir.path_of(name), name: name.to_owned(), dir })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Makes the names beside it durable: its log's.
    pub(super) fn sync_dir(&self) -> Result<(), StoreError> {
        self.dir.sync()
    }

    /// Makes durable what the log holds. Locks are not at stake: SQLite has none on this file.
    pub(super) fn sync_log(&self) -> Result<(), StoreError> {
        let name = format!("{}{LOG}", self.name);
        // Without a log, all that it held was made durable in the file before it was removed.
        let Some(log) = self.dir.file(&name)? else { return Ok(()) };
        let synced = log.sync_all();
        synced.map_err(|error| io_error("sync", &self.dir.path_of(&name), error.raw_os_error()))
    }

    pub(super) fn exists(&self) -> Result<bool, StoreError> {
        Ok(self.dir.stat(&self.name)?.is_some())
    }

    /// What lies there now.
    pub(super) fn identity(&self) -> Result<Identity, StoreError> {
        // By its path, as SQLite would open it: the directory may have been moved away.
        let stat = match rustix::fs::lstat(&self.path) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Err(StoreError::NotFound { what: self.name() }),
            Err(errno) => return Err(store_error("stat", &self.path, errno)),
        };
        if !is_file(&stat) {
            let problem = "something else lies where a register's file should be";
            return Err(StoreError::Foreign { what: self.name(), problem });
        }
        Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Makes the file; `false` if there is something of that name.
    pub(super) fn create(&self) -> Result<bool, StoreError> {
        // Whoever makes it holds the directory, so what lies under the other name is a dead process's.
        let _turn = self.dir.lock()?;
        if self.exists()? {
            return Ok(false);
        }
        self.clear_beside()?;
        let new = format!(".{}.new", self.name);
        for suffix in ["", LOG, SHARED_MEMORY] {
            self.dir.remove_file(&format!("{new}{suffix}"))?;
        }
        let Some(file) = self.dir.new_file(&new, OFlags::empty())? else {
            let reason = format!("another process writes where only one should: {}", self.name());
            return Err(StoreError::Unavailable { reason });
        };
        let made = write_schema(&self.dir.path_of(&new)).and_then(|()| {
            file.sync_all().map_err(|error| io_error("sync", &self.dir.path_of(&new), error.raw_os_error()))
        });
        // Closed before it has its name.
        drop(file);
        let published = made.and_then(|()| self.dir.publish(&new, &self.dir, &self.name));
        if !matches!(published, Ok(true)) {
            // If this fails too, the next one removes it.
            let _ = self.dir.remove_file(&new);
        }
        if published? {
            self.dir.sync()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// SQLite would take what a removed file has left beside it for the new one's. A log may hold the newest commits of
    /// the old one, so it is not for us to remove; shared memory holds nothing, and who still uses it has it open.
    fn clear_beside(&self) -> Result<(), StoreError> {
        for suffix in [LOG, JOURNAL] {
            let name = format!("{}{suffix}", self.name);
            if self.dir.stat(&name)?.is_some_and(|found| found.st_size > 0) {
                let problem =
                    "the log of a register lies here without its file; put that back, or remove the log";
                return Err(StoreError::Corrupt {
                    what: self.dir.path_of(&name).display().to_string(),
                    problem,
                });
            }
        }
        for suffix in [LOG, JOURNAL, SHARED_MEMORY] {
            self.dir.remove_file(&format!("{}{suffix}", self.name))?;
        }
        Ok(())
    }

    /// What lies there, if it is ours. Nothing is written, not even by SQLite.
    pub(super) fn check(&self) -> Result<Identity, StoreError> {
        let identity = self.identity()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | COMMON_FLAGS;
        let read = |pragma| -> Result<i32, rusqlite::Error> {
            let connection = Connection::open_with_flags(immutable_uri(&self.path), flags)?;
            // Not the length of the file: whoever takes the log into it, or was killed while he did, may have written
            // the first page, which says how long it is going to be, before the others.
            connection.execute_batch("PRAGMA writable_schema = ON")?;
            connection.query_row(pragma, [], |row| row.get(0))
        };
        let number = |pragma| read(pragma).map_err(|error| certain("open", &self.path, &error));
        let foreign = |problem| Err(StoreError::Foreign { what: self.name(), problem });
        if number("PRAGMA application_id")? != APPLICATION_ID {
            return foreign("it is another program's database, or empty");
        }
        match number("PRAGMA user_version")? {
            FORMAT => Ok(identity),
            version if version > FORMAT => foreign("it has a newer format than this program knows"),
            _ => foreign("it has a format that never was"),
        }
    }

    /// A connection to what lies there. It does not wait for others.
    pub(super) fn connect(&self) -> Result<Connection, rusqlite::Error> {
        use rusqlite::config::DbConfig;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | COMMON_FLAGS;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Otherwise a statement is compiled anew for each key that is bound to it, lest another plan be better for it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Who waits for others does so himself.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    }
}

const COMMON_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_EXRESCODE);

/// Fills the empty file at `path`, which nobody else knows.
fn write_schema(path: &Path) -> Result<(), StoreError> {
    let write = || -> Result<(), rusqlite::Error> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | COMMON_FLAGS)?;
        // A file that is not whole is thrown away, so it needs no journal beside it; it is synced once at the end.
        connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
        connection.execute_batch(SCHEMA)?;
        // From now on, for everybody: the mode stands in the file. The log that this makes is gone with the connection.
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        connection.close().map_err(|(_, error)| error)
    };
    write().map_err(|error| certain("create", path, &error))
}

/// The path as SQLite takes it, with word that it need not look for journals and locks.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            // Writing to a string can't fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Whether the directory lies in a file system of another machine, as far as it can be told.
fn is_on_a_network(path: &Path) -> Result<bool, StoreError> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let found = rustix::fs::statfs(path).map_err(|errno| store_error("stat", path, errno))?;
        Ok(is_network_magic(found.f_type as u64 & 0xFFFF_FFFF))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = path;
        Ok(false)
    }
}

/// The numbers of NFS, SMB (three of them), AFS and Coda in `linux/magic.h`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_network_magic(magic: u64) -> bool {
    [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x5346_414F, 0x7375_7245].contains(&magic)
}

#[cfg(test)]
mod tests;
