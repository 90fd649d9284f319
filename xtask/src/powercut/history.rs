//! [`History`]: what a workload said, and how long the write log was when it said so.

use serde::{Deserialize, Serialize};

/// What a workload said of one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// It was granted under this epoch: never again under this one or a lower one.
    Granted { volume: String, epoch: u64 },
    /// This is durable: from now on this sequence, or a later one, must be found.
    Saved { volume: String, sequence: u64, value: u64 },
    /// This was read: no promise, but this is what the sequence stands for.
    Read { volume: String, sequence: u64, value: u64 },
}

/// A fact, and the length of the write log at the moment when it was heard: everything that the fact rests on lies
/// before that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// In bytes.
    pub(crate) log_bytes: u64,
    /// What was heard.
    pub(crate) fact: Fact,
}

/// Everything that a workload said, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// In the order in which it was heard.
    pub(crate) heard: Vec<Heard>,
}

impl History {
    /// What was said before the log became longer than `log_bytes`.
    pub(crate) fn until(&self, log_bytes: u64) -> &[Heard] {
        &self.heard[..self.heard.partition_point(|heard| heard.log_bytes <= log_bytes)]
    }

    /// How many promises there are.
    pub(crate) fn promises(&self) -> usize {
        self.heard.iter().filter(|heard| matches!(heard.fact, Fact::Saved { .. })).count()
    }
}
