//! [`Redb`]: one key of a redb table, committed with its strongest durability.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::Result;
use crate::contender::Commit;
use crate::state::State;

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const KEY: &str = "state";

pub(crate) struct Redb {
    database: Database,
}

impl Redb {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { database: Database::create(path)? })
    }
}

impl Commit for Redb {
    fn commit(&mut self, state: &State) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.open_table(TABLE)?.insert(KEY, state.bytes())?;
        transaction.commit()?;
        Ok(())
    }

    fn read_back(&mut self) -> Result<Vec<u8>> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let found = table.get(KEY)?.ok_or("redb has no state")?;
        Ok(found.value().to_vec())
    }
}
