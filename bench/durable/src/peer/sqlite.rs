//! [`Sqlite`]: one row of a SQLite table.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::Result;
use crate::contender::Commit;
use crate::state::State;

/// How SQLite keeps old and new apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journal {
    /// `journal_mode=DELETE` with `synchronous=EXTRA`: the directory is synced as well, without which a power cut
    /// can bring a journal back and undo the last commit.
    Rollback,
    /// `journal_mode=WAL` with `synchronous=FULL`.
    Wal,
}

pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(crate) fn create(path: &Path, journal: Journal) -> Result<Self> {
        let connection = Connection::open(path)?;
        let (mode, synchronous) = match journal {
            Journal::Rollback => ("delete", "EXTRA"),
            Journal::Wal => ("wal", "FULL"),
        };
        let in_force: String =
            connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?;
        if in_force != mode {
            return Err(format!("SQLite refused a journal mode: asked={mode}, in_force={in_force}").into());
        }
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch("CREATE TABLE state (id INTEGER PRIMARY KEY, value BLOB NOT NULL)")?;
        Ok(Self { connection })
    }
}

impl Commit for Sqlite {
    fn commit(&mut self, state: &State) -> Result<()> {
        self.connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", params![state.bytes()])?;
        Ok(())
    }

    fn read_back(&mut self) -> Result<Vec<u8>> {
        Ok(self.connection.query_row("SELECT value FROM state WHERE id = 1", [], |row| row.get(0))?)
    }
}
