//! [`Fact`]: what really happened, as only the world can know it. Invariants are held against facts, not against what a
//! program believes.

use grafos_replicated::{BlobTag, EffectRecord, EffectsHead, Register};

use crate::layout::RECORDS;
use crate::state::{Space, State};

/// What somebody is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Save {
        expected: u64,
        payload: u64,
        step: Option<u64>,
    },
    Read,
    TakeOver,
    /// A change of the replica set.
    ChangeReplicas,
    /// A change of the records of effects.
    Effect,
}

/// One operation of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) id: u64,
    pub(crate) space: Space,
    pub(crate) aim: Aim,
    /// The epoch that its program holds.
    pub(crate) epoch: u64,
    /// The generations that its program knew: of the registers, and of the effects.
    pub(crate) generations: [u64; RECORDS],
    /// How often the engine had been restored when it began, or when what it builds on was read.
    pub(crate) era: u32,
}

/// What its program was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Saved {
        version: u64,
    },
    /// Another version is there: nothing was published.
    Conflict {
        current: u64,
    },
    /// Nothing was published.
    Failed,
    Unknown,
    Granted {
        epoch: u64,
    },
    Read {
        version: u64,
        state: Option<State>,
    },
    /// Something else went well.
    Done,
}

/// What really happened.
#[derive(Debug)]
pub(crate) enum Fact<'a> {
    Began {
        op: &'a Op,
    },
    Ended {
        op: &'a Op,
        outcome: Outcome,
    },
    /// Somebody has drawn up a replica set. No two have the same generation.
    DrawnUp {
        generation: u64,
        members: &'a [usize],
        write_quorum: usize,
    },
    /// A commit changed a register. The state is that of its head.
    Moved {
        op: &'a Op,
        before: Option<&'a Register>,
        after: &'a Register,
        state: Option<&'a State>,
    },
    /// A commit changed the head of the effects.
    HeadMoved {
        before: Option<&'a EffectsHead>,
        after: Option<&'a EffectsHead>,
    },
    /// A commit changed the record of a step.
    EffectMoved {
        op: &'a Op,
        step: u64,
        before: Option<&'a EffectRecord>,
        after: Option<&'a EffectRecord>,
        head: Option<&'a EffectsHead>,
    },
    /// A replica has a good copy that it did not have.
    Stored {
        replica: usize,
        space: Space,
        tag: BlobTag,
    },
    /// A replica was told to remove a copy, and did. `register` is the truth at that moment; `is_of_old` if the order
    /// was given before the engine was restored.
    Removed {
        replica: usize,
        space: Space,
        tag: BlobTag,
        register: Option<&'a Register>,
        is_of_old: bool,
    },
    /// A fault took a good copy.
    Destroyed {
        replica: usize,
        space: Space,
        tag: BlobTag,
    },
    /// A good copy is gone, and nobody took it.
    Vanished {
        replica: usize,
        space: Space,
        tag: BlobTag,
    },
    /// The engine is as in an older copy of itself.
    Restored {
        registers: [Option<&'a Register>; 2],
    },
    /// A collector has looked; `behind` if it had seen a blob that a register which never went back can't have.
    Collected {
        space: Space,
        behind: bool,
        orders: usize,
    },
    /// A collector says that the register has gone back.
    RegressionReported {
        space: Space,
    },
}
