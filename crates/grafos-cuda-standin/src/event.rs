//! [`Event`]: a mark in a stream that others wait for.

use std::sync::{Condvar, Mutex};

use crate::context::ContextId;
use crate::sync::{locked, wait_while};

/// A mark. It counts how often it was recorded, and up to which record streams have come.
pub(crate) struct Event {
    pub(crate) context: ContextId,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    recorded: u64,
    reached: u64,
}

impl Event {
    /// A mark that is in no stream: it counts as reached.
    pub(crate) fn new(context: ContextId) -> Self {
        Self { context, counts: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts the mark somewhere; the answer goes to [`reach`](Self::reach) when a stream comes there.
    pub(crate) fn record(&self) -> u64 {
        let mut counts = locked(&self.counts);
        counts.recorded += 1;
        counts.recorded
    }

    /// A stream has come to this record.
    pub(crate) fn reach(&self, record: u64) {
        let mut counts = locked(&self.counts);
        counts.reached = counts.reached.max(record);
        self.changed.notify_all();
    }

    /// The last record.
    pub(crate) fn last(&self) -> u64 {
        locked(&self.counts).recorded
    }

    /// Whether the last record was reached.
    pub(crate) fn is_reached(&self) -> bool {
        let counts = locked(&self.counts);
        counts.reached >= counts.recorded
    }

    /// Waits until this record is reached.
    pub(crate) fn wait(&self, record: u64) {
        drop(wait_while(&self.changed, locked(&self.counts), |counts| counts.reached < record));
    }
}
