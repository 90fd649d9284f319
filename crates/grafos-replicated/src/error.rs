//! [`ReplicatedError`]: what can go wrong, split by what the caller can do about it.
//!
//! Each variant carries what was held and what was seen; [`ReplicatedError::recovery`] says what to do next. Causes of
//! an engine below are [`StoreError`]s: no engine's own type shows.

mod problem;
mod store;

use fabricbios_core::lease::{FenceEpoch, StaleEpochError};
use fabricbios_core::recovery::Recovery;

use crate::names::{
    CheckpointName, IdempotencyKey, LayoutHash, LogicalResourceName, OperationHash, PolicyHash, ReplicaId,
    ResourceGeneration, SchemaId, Version,
};

pub use problem::{NameProblem, PolicyProblem};
pub use store::{ReplicaFailures, StoreError};

/// Why an operation on a replicated resource failed. Nothing was published, unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicatedError {
    /// A newer writer has taken over.
    #[error("fenced, a newer writer has taken over: resource={resource}, held={held}, current={current}")]
    StaleEpoch {
        /// The resource.
        resource: LogicalResourceName,
        /// The epoch of the caller.
        held: FenceEpoch,
        /// The epoch that fences it.
        current: FenceEpoch,
    },

    /// The caller's epoch was never given out: it is ahead of the register.
    #[error(
        "this epoch was never granted: resource={resource}, held={held}, current={current}; get one from take_over"
    )]
    UnknownEpoch {
        /// The resource.
        resource: LogicalResourceName,
        /// The epoch of the caller.
        held: FenceEpoch,
        /// The newest that was granted.
        current: FenceEpoch,
    },

    /// Somebody has saved since the caller looked.
    #[error("saved by another since: checkpoint={checkpoint}, expected={expected}, current={current}")]
    VersionConflict {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The version that the caller built on.
        expected: Version,
        /// The version that is there.
        current: Version,
    },

    /// Too few replicas hold the state durably; it was not published.
    #[error("the write quorum was not met: needed={needed}, acknowledged={acknowledged}, {failures}")]
    QuorumNotMet {
        /// How many replicas must have it.
        needed: usize,
        /// How many have it.
        acknowledged: usize,
        /// What the others said.
        failures: ReplicaFailures,
    },

    /// Too few verified copies could be read.
    #[error(
        "the read quorum was not met: checkpoint={checkpoint}, version={version}, needed={needed}, verified={verified}, {failures}"
    )]
    ReadQuorumNotMet {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The version that was asked for.
        version: Version,
        /// How many copies were wanted.
        needed: usize,
        /// How many verified.
        verified: usize,
        /// What the others said.
        failures: ReplicaFailures,
    },

    /// No replica has a good copy of a state that was committed. Older versions may be whole: `load_version`.
    #[error("no replica has a good copy: checkpoint={checkpoint}, version={version}, {failures}")]
    PayloadUnavailable {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The version that was asked for.
        version: Version,
        /// What each replica said.
        failures: ReplicaFailures,
    },

    /// The history does not go back that far, or that version was never made.
    #[error(
        "this version is not kept: checkpoint={checkpoint}, asked={asked}, oldest={oldest}, newest={newest}"
    )]
    VersionNotKept {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The version that was asked for.
        asked: Version,
        /// The oldest that is kept.
        oldest: Version,
        /// The newest.
        newest: Version,
    },

    /// The register's record does not verify.
    #[error("the register is damaged, {problem}: key={key}")]
    CorruptRegister {
        /// The record.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A replica has seen more than the register: the register was restored from an old copy. Nothing can be told
    /// apart from what was lost; `take_over` goes above what the replicas have seen.
    #[error(
        "the register has gone back: checkpoint={checkpoint}, register is at epoch={epoch} version={version}, replica={replica} has seen epoch={seen_epoch} version={seen_version}"
    )]
    MetadataRegressed {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The register's epoch.
        epoch: FenceEpoch,
        /// The register's version.
        version: Version,
        /// Which replica knows more.
        replica: ReplicaId,
        /// What it has seen.
        seen_epoch: FenceEpoch,
        /// What it has seen.
        seen_version: Version,
    },

    /// Whether the operation took place can't be told: too much has happened since. Look at the current version.
    #[error("the outcome is unknown, {what}: {cause}")]
    OutcomeUnknown {
        /// Which operation.
        what: &'static str,
        /// Why it can't be told.
        cause: StoreError,
    },

    /// The register holds another kind of resource.
    #[error("another schema: resource={resource}, expected={expected}, found={found}")]
    WrongSchema {
        /// The resource.
        resource: LogicalResourceName,
        /// What the caller writes.
        expected: SchemaId,
        /// What is there.
        found: SchemaId,
    },

    /// The resource is written under another policy.
    #[error("another policy: resource={resource}, expected={expected}, found={found}")]
    WrongPolicy {
        /// The resource.
        resource: LogicalResourceName,
        /// The caller's.
        expected: PolicyHash,
        /// The resource's.
        found: PolicyHash,
    },

    /// The replica set has another layout than the caller knows.
    #[error("another replica set: resource={resource}, expected={expected}, found={found}")]
    WrongGeneration {
        /// The resource.
        resource: LogicalResourceName,
        /// The caller's.
        expected: ResourceGeneration,
        /// The resource's.
        found: ResourceGeneration,
    },

    /// The caller means other replicas by the same generation. Each set has a generation of its own.
    #[error(
        "other replicas of the same generation: resource={resource}, generation={generation}, expected={expected}, found={found}"
    )]
    WrongReplicas {
        /// The resource.
        resource: LogicalResourceName,
        /// The generation that both say.
        generation: ResourceGeneration,
        /// The caller's replicas.
        expected: LayoutHash,
        /// The resource's.
        found: LayoutHash,
    },

    /// A replica set can only be changed to one of a higher generation.
    #[error("this generation is not a new one: resource={resource}, current={current}, asked={asked}")]
    GenerationNotNew {
        /// The resource.
        resource: LogicalResourceName,
        /// The generation that it is in.
        current: ResourceGeneration,
        /// The one that it was to move to.
        asked: ResourceGeneration,
    },

    /// Each time the new replicas had everything, there was a newer version: the replica set was not changed. What was
    /// copied stays there, so the next call has less to do; one after a takeover has no rival.
    #[error("saves were faster than the copies: checkpoint={checkpoint}, rounds={rounds}, current={current}")]
    OvertakenBySaves {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// How often it was tried.
        rounds: u32,
        /// The version that is there.
        current: Version,
    },

    /// The same key stands for another operation.
    #[error("the key belongs to another operation: key={key}, expected={expected}, found={found}")]
    FingerprintConflict {
        /// The key.
        key: IdempotencyKey,
        /// The caller's operation.
        expected: OperationHash,
        /// The recorded one.
        found: OperationHash,
    },

    /// Another holder of the same epoch is at the step. A newer epoch, from `take_over`, ends that.
    #[error("somebody is at this step: key={key}, epoch={epoch}; wait, or take over")]
    InProgress {
        /// The key.
        key: IdempotencyKey,
        /// The epoch of the one who is at it.
        epoch: FenceEpoch,
    },

    /// The step is another's now, or its record has moved on.
    #[error("the reservation is no longer ours: key={key}, held={held}, current={current}")]
    ReservationLost {
        /// The key.
        key: IdempotencyKey,
        /// The version of the record that the caller held.
        held: Version,
        /// The version that is there; 0 if the record is gone.
        current: Version,
    },

    /// The key is below the low-water mark: it was settled and forgotten, so whether it was done can't be asked.
    #[error("the key is older than what is kept: key={key}, sequence={sequence}, low_water={low_water}")]
    Retired {
        /// The key.
        key: IdempotencyKey,
        /// Its place in the order of keys.
        sequence: u64,
        /// Everything before it is forgotten.
        low_water: u64,
    },

    /// A checkpoint and a store of effects can only commit as one on the same engine.
    #[error("the checkpoint and the effects are on different engines: open both on one")]
    DifferentEngines,

    /// Larger than allowed.
    #[error("too large, {what}: limit={limit}, found={found}")]
    TooLarge {
        /// What, with its unit.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
        /// How much there is.
        found: u64,
    },

    /// A name that can't be one.
    #[error("not a {what}: {problem}")]
    InvalidName {
        /// What kind of name.
        what: &'static str,
        /// What is wrong with it.
        problem: NameProblem,
    },

    /// A policy that its replica set can't meet.
    #[error("this policy can't be met: {problem}")]
    InvalidPolicy {
        /// Why.
        problem: PolicyProblem,
    },

    /// A value could not be turned into bytes, or bytes into the value.
    #[error("{what}: {cause}")]
    Serialization {
        /// Which direction.
        what: &'static str,
        /// What the format says.
        cause: postcard::Error,
    },

    /// The engine failed before anything was decided.
    #[error("the engine failed: {0}")]
    Store(#[from] StoreError),
}

impl ReplicatedError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::StaleEpoch { .. } | Self::ReservationLost { .. } => Recovery::StopWriting,
            Self::UnknownEpoch { .. } => Recovery::Reacquire,
            Self::VersionConflict { .. } | Self::WrongGeneration { .. } => Recovery::RefreshAndRetry,
            Self::QuorumNotMet { .. }
            | Self::ReadQuorumNotMet { .. }
            | Self::OvertakenBySaves { .. }
            | Self::InProgress { .. } => Recovery::RetryLater,
            Self::PayloadUnavailable { .. }
            | Self::CorruptRegister { .. }
            | Self::MetadataRegressed { .. } => Recovery::RestoreElsewhere,
            Self::OutcomeUnknown { .. } => Recovery::RetrySameKey,
            Self::WrongSchema { .. }
            | Self::WrongPolicy { .. }
            | Self::WrongReplicas { .. }
            | Self::GenerationNotNew { .. }
            | Self::FingerprintConflict { .. }
            | Self::Retired { .. }
            | Self::VersionNotKept { .. }
            | Self::DifferentEngines
            | Self::TooLarge { .. }
            | Self::InvalidName { .. }
            | Self::InvalidPolicy { .. }
            | Self::Serialization { .. } => Recovery::FixCaller,
            Self::Store(cause) => cause.recovery(),
        }
    }

    pub(crate) fn stale(resource: &LogicalResourceName, stale: StaleEpochError) -> Self {
        Self::StaleEpoch { resource: resource.clone(), held: stale.held, current: stale.current }
    }
}
