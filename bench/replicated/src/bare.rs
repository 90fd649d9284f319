//! [`Bare`]: the baseline of commits, one statement in a transaction of the database that the engine uses too.
//!
//! The same journal mode, the same `synchronous`, a table of the same form, statements compiled before. No guards, no
//! revision, no look at what is there before it is changed. The log is as long as SQLite makes it, or as short as ours.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::Result;

/// After how many pages the log is begun anew.
#[derive(Clone, Copy)]
pub(crate) enum Log {
    /// SQLite's choice, 1000.
    Plain,
    /// The embedded engine's choice.
    AsShortAsOurs,
}

pub(crate) struct Bare {
    connection: Connection,
}

impl Bare {
    pub(crate) fn create(path: &Path, log: Log) -> Result<Self> {
        let connection = Connection::open(path)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(format!("SQLite refused a journal mode: in_force={mode}").into());
        }
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        if let Log::AsShortAsOurs = log {
            connection.pragma_update(None, "wal_autocheckpoint", 512)?;
        }
        connection.execute_batch(
            "CREATE TABLE records (
                id INTEGER PRIMARY KEY,
                key TEXT NOT NULL UNIQUE,
                revision INTEGER NOT NULL,
                body BLOB NOT NULL
            ) STRICT",
        )?;
        Ok(Self { connection })
    }

    /// A new record.
    pub(crate) fn insert(&self, key: &str, body: &[u8]) -> Result<()> {
        self.commit("INSERT INTO records (key, revision, body) VALUES (?1, 1, ?2)", key, body)
    }

    /// Another body.
    pub(crate) fn update(&self, key: &str, body: &[u8]) -> Result<()> {
        self.commit("UPDATE records SET revision = revision + 1, body = ?2 WHERE key = ?1", key, body)
    }

    fn commit(&self, statement: &str, key: &str, body: &[u8]) -> Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let changed = self.connection.prepare_cached(statement)?.execute(params![key, body])?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        if changed == 1 { Ok(()) } else { Err(format!("no such record: {key}").into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_made_and_changed_and_nothing_is_changed_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let bare = Bare::create(&dir.path().join("bare"), Log::AsShortAsOurs).unwrap();
        bare.insert("a", b"1").unwrap();
        bare.update("a", b"2").unwrap();
        assert!(bare.update("b", b"2").is_err());
        assert!(bare.insert("a", b"3").is_err());
    }
}
