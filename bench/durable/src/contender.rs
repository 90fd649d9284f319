//! [`Contender`]: who is measured, and [`Commit`]: what each of them has to do.

use crate::Result;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// `Durable` on the local host.
    Ours,
    /// Direct writes of so many bytes each into a file laid out before, then `fdatasync`.
    Raw {
        /// How much one write takes.
        step: ByteSize,
    },
    Redb,
    SqliteRollback,
    SqliteWal,
    Rename,
}

/// The name of the baseline, whatever its step.
pub(crate) const RAW_NAME: &str = "raw write";

impl Contender {
    /// The name in tables and plots.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "Durable",
            Self::Raw { .. } => RAW_NAME,
            Self::Redb => "redb",
            Self::SqliteRollback => "SQLite rollback",
            Self::SqliteWal => "SQLite WAL",
            Self::Rename => "fsync + rename",
        }
    }
}

/// Makes states durable, one after the other.
pub(crate) trait Commit {
    /// Takes over what only has to be done because all contenders share one state; off the clock.
    fn prepare(&mut self, _state: &State) {}

    /// Returns once `state` would survive a power cut; on the clock.
    fn commit(&mut self, state: &State) -> Result<()>;

    /// What a program would find after the last commit.
    fn read_back(&mut self) -> Result<Vec<u8>>;
}
