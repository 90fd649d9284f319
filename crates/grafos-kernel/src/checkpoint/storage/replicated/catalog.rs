//! [`Catalog`]: which slot holds which checkpoint. As it is encoded it is what a register's state is: a change of its
//! fields is a change of format.

use std::collections::{BTreeMap, HashSet};

use grafos_replicated::{CheckpointName, Version};
use serde::{Deserialize, Serialize};

/// The catalog at one of its versions.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) version: Version,
    pub(super) catalog: Catalog,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Catalog {
    pub(super) checkpoints: BTreeMap<String, Entry>,
    /// What was put in quarantine.
    pub(super) damaged: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) owner: u64,
    pub(super) slot: u32,
    pub(super) version: u64,
    /// The version of the catalog that has brought it.
    pub(super) change: u64,
}

impl Catalog {
    /// The slots of this owner that it names.
    pub(super) fn slots_of(&self, owner: u64) -> HashSet<u32> {
        let entries = self.checkpoints.values().chain(self.damaged.values());
        entries.filter(|entry| entry.owner == owner).map(|entry| entry.slot).collect()
    }
}

pub(super) fn slot_name(owner: u64, slot: u32) -> CheckpointName {
    CheckpointName::new(format!("slot:{owner:016x}:{slot}"))
}
