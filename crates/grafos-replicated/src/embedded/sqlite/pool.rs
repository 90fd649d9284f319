//! [`Pool`]: connections to one file, each used by one thread at a time.
//!
//! Invariant: a connection in the pool has no transaction open, has never met an error, and leads to the file that the
//! name leads to.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::failure::certain;
use super::file::{Identity, Place};
use super::patience::patiently;
use crate::error::StoreError;

/// Connections that are kept for the next caller; more threads than that open one each time.
const KEPT: usize = 4;

/// Statements that stay compiled: all that there are.
const STATEMENTS: usize = 16;

/// `wal_autocheckpoint`, in pages: the log is begun anew after so many, and a commit over what was there before is synced
/// without what a file takes to grow. `fullfsync`: on macOS, `fsync` alone leaves the disk's cache as it is. `EXTRA` is
/// `FULL` for a log, and would be right for a journal too.
const SETTINGS: &str = "
    PRAGMA synchronous = EXTRA;
    PRAGMA wal_autocheckpoint = 512;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0;";

/// The connections of one store.
#[derive(Debug)]
pub(super) struct Pool {
    place: Place,
    identity: Identity,
    busy_timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    /// SQLite's connections don't survive `fork`: not even closing one is allowed in the child.
    process: u32,
}

impl Pool {
    pub(super) fn new(place: Place, identity: Identity, busy_timeout: Duration) -> Self {
        Self { place, identity, busy_timeout, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn name(&self) -> String {
        self.place.name()
    }

    pub(super) fn sync_log(&self) -> Result<(), StoreError> {
        self.place.sync_log()
    }

    pub(super) fn set_busy_timeout(&mut self, timeout: Duration) {
        self.busy_timeout = timeout;
    }

    /// How long to wait for others who use the file.
    pub(super) fn busy_timeout(&self) -> Duration {
        self.busy_timeout
    }

    /// Looks at the file on a connection of its own, as often as it takes to find it unlocked.
    pub(super) fn look<T>(
        &self,
        look: impl Fn(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(|connection| patiently(self.busy_timeout, || look(connection)))
    }

    /// Does this on a connection of its own.
    pub(super) fn run<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.check_identity()?;
        let connection = match self.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let result = work(&connection);
        // After an error it may not be what it was; closing it takes back what it had begun.
        if result.is_ok() && connection.is_autocommit() {
            self.put_back(connection);
        }
        result
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        while let Some(found) = idle.pop() {
            if found.process == process {
                return Some(found.connection);
            }
            std::mem::forget(found.connection);
        }
        None
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(Idle { connection, process: std::process::id() });
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let failed = |error| certain("open", self.path(), &error);
        let connection = self.place.connect().map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Even these look at the file.
        let mode: String = patiently(self.busy_timeout, || {
            connection.execute_batch(SETTINGS).map_err(failed)?;
            connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)
        })?;
        if mode != "wal" {
            let problem =
                "another program has changed its journal mode; set it back with `PRAGMA journal_mode = WAL`";
            return Err(StoreError::Foreign { what: self.name(), problem });
        }
        // It has opened the log by now, or made it, and nobody removes that before this connection is closed. SQLite
        // syncs the directory only where it has made the log itself, and whoever did may have died before it came to
        // that.
        self.place.sync_dir()?;
        // It was opened by its name.
        self.check_identity()?;
        Ok(connection)
    }

    /// Whoever removed or replaced the file has taken the records with him: others may already go on in a new one.
    fn check_identity(&self) -> Result<(), StoreError> {
        match self.place.identity() {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                let reason = format!("the file was removed or replaced since it was opened: {}", self.name());
                Err(StoreError::Unavailable { reason })
            }
            Err(error) => Err(error),
        }
    }
}
