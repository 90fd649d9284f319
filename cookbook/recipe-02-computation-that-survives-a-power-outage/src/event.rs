//! [`Event`]: what a run tells the outside, and [`Observer`], who listens.

use std::time::Duration;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use grafos_collections::durable::RejectedSlot;

use crate::state::SimState;

/// What has just happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The volume holds no run, or the user wants none of it: this one starts at the first sample.
    Started {
        /// The lease on the volume.
        lease_id: LeaseId,
        /// The epoch of the lease, under which the run writes.
        epoch: FenceEpoch,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The lease on the volume.
        lease_id: LeaseId,
        /// The epoch of the lease, under which the run writes from now on.
        epoch: FenceEpoch,
        /// Which checkpoint.
        sequence: u64,
        /// How many samples the checkpoint holds.
        iteration: u64,
        /// How long ago it was written, by the wall clock; zero if that was set back.
        age: Duration,
        /// Slots that were passed over because they did not verify.
        rejected: Vec<RejectedSlot>,
    },
    /// So many samples are counted in memory.
    Progress {
        /// How many, with those of earlier runs.
        iteration: u64,
        /// How many there will be.
        goal: u64,
    },
    /// A checkpoint is durable.
    Checkpoint {
        /// Which one.
        sequence: u64,
        /// The epoch that it was written under.
        epoch: FenceEpoch,
        /// How many samples it holds.
        iteration: u64,
    },
    /// Working memory was leased.
    MemoryLeased {
        /// The lease.
        lease_id: LeaseId,
    },
    /// The lease on working memory is gone, and with it the sums since the last merge, which are computed again. No
    /// durable state is touched.
    MemoryLost {
        /// The lease.
        lease_id: LeaseId,
        /// The error that told.
        reason: String,
    },
    /// Something failed that may work later.
    Retrying {
        /// What failed.
        reason: String,
        /// How long the run waits before it tries again.
        pause: Duration,
    },
    /// The lease on the volume is gone or its handle is closed: the run takes a new lease and goes on from the last
    /// checkpoint.
    Reopening {
        /// What failed.
        reason: String,
        /// How long the run waits before.
        pause: Duration,
    },
    /// A worker of a fan-out died; another one goes on from its volume.
    WorkerRestarted {
        /// Which worker.
        worker: u32,
        /// How it died.
        reason: String,
    },
    /// Something that happened to one worker of a fan-out.
    OfWorker {
        /// Which worker.
        worker: u32,
        /// What happened; its samples are those of the worker.
        event: Box<Event>,
    },
    /// The run was asked to end early, and has, with everything in a checkpoint.
    Interrupted {
        /// The last checkpoint.
        sequence: u64,
        /// Its epoch.
        epoch: FenceEpoch,
        /// How many samples it holds.
        iteration: u64,
    },
    /// All samples are counted and in a checkpoint.
    Finished {
        /// The final state.
        state: SimState,
    },
}

impl Event {
    /// How many samples are counted, if the event says so.
    #[must_use]
    pub fn iteration(&self) -> Option<u64> {
        match self {
            Self::Started { .. } => Some(0),
            Self::Resumed { iteration, .. }
            | Self::Progress { iteration, .. }
            | Self::Checkpoint { iteration, .. }
            | Self::Interrupted { iteration, .. } => Some(*iteration),
            Self::Finished { state } => Some(state.iter),
            _ => None,
        }
    }

    /// The checkpoint that was made durable just now, the run's or a worker's.
    pub(crate) fn committed(&self) -> Option<u64> {
        match self {
            Self::Checkpoint { sequence, .. } => Some(*sequence),
            Self::OfWorker { event, .. } => event.committed(),
            _ => None,
        }
    }
}

/// Listens to a run. Called on the thread that runs it, between batches: be quick.
pub trait Observer {
    /// Something has happened.
    fn observe(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}
