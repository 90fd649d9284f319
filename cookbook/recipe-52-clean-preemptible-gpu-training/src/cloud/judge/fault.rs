//! [`Fault`]: one way in which a preempted run broke its promise. What it says is enough to know where to look.

use super::Applied;
use crate::cloud::chronicle::{Commit, End, Fate};
use crate::cloud::kind::Kind;
use crate::run::event::Event;

/// A broken promise. `life` counts the workers of the run from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Two workers wrote under one epoch, or a later one under a lower.
    #[error("worker {life} took over with an epoch that is not new: before={before}, found={found}")]
    EpochRepeated {
        /// The worker.
        life: usize,
        /// The highest epoch before it.
        before: u64,
        /// Its own.
        found: u64,
    },
    /// A version that was acknowledged was not there for the next worker.
    #[error(
        "an acknowledged version was lost: worker {life} found version={found}, acknowledged={acknowledged}"
    )]
    AcknowledgedLost {
        /// The worker that misses it.
        life: usize,
        /// The newest version that was acknowledged before.
        acknowledged: u64,
        /// What the worker found.
        found: u64,
    },
    /// A version holds another number of steps than its writer said.
    #[error("worker {life} found version={version} at another step: expected={expected}, found={found}")]
    WrongPlace {
        /// The worker.
        life: usize,
        /// The version.
        version: u64,
        /// The step that its writer told.
        expected: u64,
        /// The step that the worker found.
        found: u64,
    },
    /// A worker committed before it had taken over.
    #[error("worker {life} committed version={version} without having taken over")]
    Invented {
        /// The worker.
        life: usize,
        /// The version.
        version: u64,
    },
    /// A worker that was fenced has published something.
    #[error("worker {life} published version={version} after another had taken over")]
    PublishedAfterFence {
        /// The worker.
        life: usize,
        /// What it has published.
        version: u64,
    },
    /// A worker committed under an epoch that is not its own.
    #[error("worker {life} committed version={version} under an epoch that is not its own: found={found}")]
    WrongEpoch {
        /// The worker.
        life: usize,
        /// The version.
        version: u64,
        /// The epoch.
        found: u64,
    },
    /// A commit does not go on where the one before ended.
    #[error("worker {life} committed out of order: after version={after} came {commit:?}")]
    OutOfOrder {
        /// The worker.
        life: usize,
        /// The version before.
        after: u64,
        /// The commit.
        commit: Commit,
    },
    /// A process is still there at the end.
    #[error("worker {life} is still there")]
    StillThere {
        /// The worker.
        life: usize,
    },
    /// A process ended in another way than what was done to it explains.
    #[error("worker {life} ended in another way than {fate:?}: {end:?}, last told {told:?}")]
    WrongEnd {
        /// The worker.
        life: usize,
        /// What was done to it.
        fate: Fate,
        /// How it ended.
        end: End,
        /// The last that it has told.
        told: Option<Box<Event>>,
    },
    /// The last worker did not finish.
    #[error("the run did not finish")]
    NotFinished,
    /// Fewer preemptions were played than asked for.
    #[error("the run was over too soon: preemptions asked={asked}, played={played}; give it more steps")]
    TooFewPlayed {
        /// How many were asked for.
        asked: usize,
        /// How many there were.
        played: usize,
    },
    /// A kind of preemption never came about, so nothing is known about it.
    #[error("never played: {kind}")]
    NeverPlayed {
        /// Which.
        kind: Kind,
    },
    /// A lease was taken away, and its holder went on as if nothing had happened.
    #[error("{kind}: asked for {asked} times, told by the workers {heard} times")]
    LeaseOutlived {
        /// How it was taken away.
        kind: Kind,
        /// How often.
        asked: usize,
        /// How often a worker told of it.
        heard: usize,
    },
    /// The same step had another loss when it was done again.
    #[error("worker {life} came to another loss at step={step}: expected={expected}, found={found}")]
    OtherLoss {
        /// The worker.
        life: usize,
        /// The step.
        step: u64,
        /// The loss when it was first done.
        expected: f32,
        /// The loss now.
        found: f32,
    },
    /// The strides do not cover each step once.
    #[error("the strides do not tile: expected step={expected}, found from={from} to={to}")]
    NotTiled {
        /// Where the next stride had to begin, or the last one had to end.
        expected: u64,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// A version belongs to no stride.
    #[error("a stride made another version than the next: after={after}, found={found}")]
    VersionSkipped {
        /// The version before.
        after: u64,
        /// The version of the stride.
        found: u64,
    },
    /// A stride was written by an epoch that was over.
    #[error("the epoch fell at version={version}: from={from}, to={to}")]
    EpochFell {
        /// The version.
        version: u64,
        /// The epoch before.
        from: u64,
        /// Its own.
        to: u64,
    },
    /// A worker was told that a stride is durable, and it is not on record, or another one is.
    #[error("worker {life} was acknowledged {commit:?}, and on record is {found:?}")]
    AcknowledgedNotApplied {
        /// The worker.
        life: usize,
        /// What it was told.
        commit: Commit,
        /// What is on record under that version.
        found: Option<Box<Applied>>,
    },
    /// The effects have consumed another number of images than the weights.
    #[error("the weights and the effects differ in the images consumed: weights={expected}, effects={found}")]
    OtherConsumption {
        /// By the state.
        expected: u64,
        /// By the effects.
        found: u64,
    },
    /// The undisturbed run did not finish.
    #[error("there is no undisturbed run to compare with")]
    NothingToCompare,
    /// The result is not the one of the undisturbed run.
    #[error("another result, {what}: undisturbed={expected}, preempted={found}")]
    OtherResult {
        /// In what.
        what: &'static str,
        /// What the undisturbed run came to.
        expected: String,
        /// What the preempted run came to.
        found: String,
    },
    /// The records of the strides contradict each other.
    #[error("by the audit: {found}")]
    Audit {
        /// How.
        found: String,
    },
    /// Something is still held or still lies about.
    #[error("left behind: {what}")]
    LeftBehind {
        /// What.
        what: String,
    },
}
