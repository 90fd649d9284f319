//! [`Request`] and [`Answer`]: what programs and places say to each other.

use std::rc::Rc;

use grafos_replicated::{BlobTag, CommitOutcome, Record, RecordKey, Transaction};

use crate::state::Space;

/// Tells which request an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(pub(crate) u64);

/// What a program asks for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Read(RecordKey),
    Commit {
        transaction: Rc<Transaction>,
        op: u64,
    },
    /// The records of effects.
    Scan,
    Put {
        replica: usize,
        space: Space,
        tag: BlobTag,
        bytes: Rc<[u8]>,
        replaces: bool,
    },
    Get {
        replica: usize,
        space: Space,
        tag: BlobTag,
    },
    List {
        replica: usize,
        space: Space,
    },
    /// `era` is that of the register by which it was decided.
    Delete {
        replica: usize,
        space: Space,
        tag: BlobTag,
        era: u32,
    },
    Sleep {
        us: u64,
    },
}

/// What it is told.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Nothing, in time.
    Lost,
    Record(Option<Record>),
    Committed(CommitOutcome),
    /// The engine has not done it, and will not.
    Refused,
    Records(Vec<(RecordKey, Record)>),
    /// Whether the replica has it now, and had not.
    Stored(bool),
    Blob(Option<Rc<[u8]>>),
    /// Blobs, and since when they are there.
    Tags(Vec<(BlobTag, u64)>),
    Done,
}
