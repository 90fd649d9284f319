//! [`Event`]: what a worker tells the outside, and [`Observer`], who listens. With `--json`, each is one line.
//!
//! Invariant: what [`Event::Committed`] has told is durable, and no worker of the job ever does it again. Fields are only
//! ever added.

use serde::{Deserialize, Serialize};

/// What has just happened in a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The worker has taken over the job: whoever worked on it before is fenced from here on.
    Started {
        /// The job.
        job: String,
        /// The machine that this worker plays.
        host: String,
        /// The process.
        pid: u32,
        /// The digest of the plan: what decides the weights.
        plan: String,
        /// The epoch under which the worker writes.
        epoch: u64,
        /// The version that it goes on from; 0 for a job that begins.
        version: u64,
        /// How many steps that version holds.
        step: u64,
        /// How many there will be.
        steps: u64,
        /// How many steps lie between two commits, as a rule.
        interval_steps: u64,
        /// How long ago the version was committed, in milliseconds by the wall clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        committed_ago_ms: Option<u64>,
    },
    /// Copies of committed states were missing or not good, and were made anew from good ones.
    Repaired {
        /// How many.
        copied: u64,
        /// How many are still missing.
        failed: u64,
        /// On which replicas.
        replicas: Vec<String>,
    },
    /// The worker has a GPU, and has put the state on it.
    Leased {
        /// The lease.
        lease: String,
        /// Its epoch on that GPU; not the worker's.
        lease_epoch: u64,
        /// What the GPU calls itself.
        device: String,
        /// How long that took since the last GPU was lost, or since the process came to its loop, in milliseconds.
        took_ms: f64,
    },
    /// A mini-batch was done. It is not committed.
    Step {
        /// How many are done, with those before this worker.
        step: u64,
        /// The mean loss of the mini-batch.
        loss: f32,
        /// How many of its images were recognised.
        correct: u32,
        /// How many it had.
        examples: u32,
    },
    /// A stride is durable: the steps from `from` to before `to`.
    Committed {
        /// The version that it made.
        version: u64,
        /// The epoch of the worker.
        epoch: u64,
        /// Its first step.
        from: u64,
        /// How many steps are done with it.
        to: u64,
        /// The mean loss over its steps.
        loss: f32,
        /// How long training stood still for it, in milliseconds.
        stall_ms: f64,
        /// Why it ended where it ended.
        end: StrideEnd,
    },
    /// The stride was committed before, and the answer got lost: nothing is done again.
    Duplicate {
        /// The first step of the stride.
        from: u64,
        /// Where the worker goes on.
        step: u64,
        /// The version that it goes on from.
        version: u64,
    },
    /// The GPU is gone. The steps since the last commit are done again on another one.
    LeaseLost {
        /// How it ended: `revoked`, `expired`, `released`, `fenced`, or `failed` for a session that broke.
        status: String,
        /// The step that had been reached.
        step: u64,
        /// The step of the last commit, where it goes on.
        committed: u64,
        /// What the GPU said.
        reason: String,
    },
    /// Something failed that may work later.
    Retrying {
        /// What failed.
        reason: String,
        /// How long the worker waits before it tries again.
        pause_ms: u64,
    },
    /// A newer worker has taken over. This one has published nothing since, and ends.
    Fenced {
        /// The epoch of this worker.
        held: u64,
        /// The epoch that fences it.
        current: u64,
        /// The step that it had reached.
        step: u64,
        /// The last step that it has committed.
        committed: u64,
    },
    /// The worker was asked to end.
    Stopping {
        /// By whom.
        cause: StopCause,
        /// The step that it had reached.
        step: u64,
        /// How long it may take, in milliseconds.
        notice_ms: u64,
    },
    /// The worker has ended early; the same command goes on.
    Stopped {
        /// The last version.
        version: u64,
        /// How many steps it holds.
        step: u64,
        /// How many steps were done and not committed, for want of time.
        given_up: u64,
        /// How long it took since it was asked, in milliseconds.
        took_ms: f64,
    },
    /// The network was tried on the images that it was not trained with.
    Evaluated {
        /// After how many steps.
        step: u64,
        /// The part that it recognised.
        accuracy: f64,
    },
    /// All steps are done and committed.
    Finished {
        /// How many there are.
        step: u64,
        /// The last version.
        version: u64,
        /// The digest of the weights.
        weights: String,
        /// The part of the test images that is recognised.
        accuracy: f64,
        /// A digest of which images were consumed in which order.
        consumed: String,
        /// How many images were consumed.
        examples: u64,
        /// How this worker fared.
        worker: WorkerSummary,
    },
    /// Where a job stands, for whoever asks.
    Status {
        /// The job.
        job: String,
        /// How many steps are committed.
        step: u64,
        /// The newest version.
        version: u64,
        /// The epoch below which workers are refused.
        epoch: u64,
        /// How many strides were committed.
        strides: u64,
        /// How many workers have taken the job over.
        workers: u64,
        /// How many GPUs were lost on the way, as far as strides tell.
        leases_lost: u64,
        /// How many images were consumed.
        examples: u64,
        /// A digest of which ones, in which order.
        consumed: String,
        /// What contradicts the promise that every step was done once. Nothing, as a rule.
        violations: Vec<String>,
    },
    /// The worker ends before its time.
    Error {
        /// Why.
        message: String,
        /// What can be done about it.
        recovery: String,
    },
}

/// Why a stride ended where it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StrideEnd {
    /// It had its usual length.
    Interval,
    /// The worker was asked to end.
    Stop,
    /// No step is left.
    Done,
}

/// Who asks a worker to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopCause {
    /// SIGTERM or SIGINT, or the program around the library.
    Signal,
    /// Standard input ended, with `--control`: whoever started the worker is gone.
    Orphaned,
}

/// How one worker fared, from its start to its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerSummary {
    /// How many steps it has committed.
    pub steps_committed: u64,
    /// How many steps it did and lost, with the GPU, before a commit.
    pub steps_lost: u64,
    /// How many strides it has committed.
    pub strides: u64,
    /// How many GPUs it lost.
    pub leases_lost: u64,
    /// How long it was at it, in milliseconds.
    pub elapsed_ms: f64,
    /// From its start to the end of its first step, in milliseconds: what a restart costs, beside the steps that are
    /// done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_step_ms: Option<f64>,
    /// The stall of a commit: half of them were shorter, in milliseconds.
    pub stall_ms_median: f64,
    /// The longest.
    pub stall_ms_max: f64,
}

impl Event {
    /// The version that the event says is durable.
    #[must_use]
    pub fn committed_version(&self) -> Option<u64> {
        match self {
            Self::Committed { version, .. } => Some(*version),
            _ => None,
        }
    }
}

/// Hears what happens. It is called in the middle of the work: it should be quick.
pub trait Observer {
    /// This has just happened.
    fn observe(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}
