//! [`replicated_training_state`]: where the progress of a training is kept, and what is kept of it.
//!
//! Invariant: whoever takes a job over fences the writer before it in both stores, checkpoint and effects.

use grafos_replicated::{
    CheckpointName, FailureDomain, FenceEpoch, LogicalResourceName, PlacementPolicy, PolicyHash,
    ReplicaHealth, ReplicaId, ReplicaLocator, ReplicaPolicy, ReplicaRole, ReplicaSetLocator,
    ReplicatedCheckpoint, ReplicatedError, ReplicatedIdempotencyStore, ResourceGeneration, SchemaId,
};
use serde::{Deserialize, Serialize};

use crate::error::TrainingError;

/// The epoch of whoever writes first. A process that follows another one gets a higher one from
/// [`take_over_training`].
pub const FIRST_EPOCH: FenceEpoch = FenceEpoch(1);

/// How far the epochs of checkpoint and effects may lie apart.
const MAX_ROUNDS: u32 = 1000;

/// What a checkpoint of a step holds: whose it is, which step made it, and what the kernel left in its buffer. On the
/// replicas it is in postcard's encoding, under the schema `training-checkpoint.v1`, so that
/// [`ReplicatedCheckpoint::load`] gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingCheckpoint {
    /// The job.
    pub job_id: String,
    /// The step that made it.
    pub step: u64,
    /// The state after the step: the input of the next one.
    pub output: Vec<u8>,
}

/// The checkpoint that has the newest state of a job: `job:{job_id}:latest`.
#[must_use]
pub fn checkpoint_name(job_id: &str) -> CheckpointName {
    CheckpointName::new(format!("job:{job_id}:latest"))
}

/// The checkpoints and the effects of preemptible training jobs, on the ambient [`Engine`](grafos_replicated::Engine).
/// Writes nothing.
///
/// One replica, in the failure domain `local/cookbook`: enough to survive a killed process and a power cut, not the
/// loss of the disk. A job that is to survive that names more replicas, and is written in the same way.
///
/// # Errors
/// [`TrainingError::Replicated`] with those of the engine.
pub fn replicated_training_state() -> Result<(ReplicatedCheckpoint, ReplicatedIdempotencyStore), TrainingError>
{
    let domain = FailureDomain::cell("local", "cookbook");
    let replicas = ReplicaPolicy::new(PlacementPolicy::new().allow(domain.clone()))
        .min_replicas(1)
        .write_quorum(1)
        .read_quorum(1);
    let generation = ResourceGeneration(1);
    let locator = ReplicaSetLocator::new(
        generation,
        vec![ReplicaLocator {
            replica_id: ReplicaId::new("training-local-a"),
            domain,
            role: ReplicaRole::Voter,
            health: ReplicaHealth::Healthy,
            epoch: FIRST_EPOCH,
            content_generation: generation.0,
        }],
    );
    let checkpoints = ReplicatedCheckpoint::new(
        LogicalResourceName::new("preemptible-training-checkpoints"),
        SchemaId::new("training-checkpoint.v1"),
        FIRST_EPOCH,
        replicas.clone(),
        locator.clone(),
        PolicyHash([52; 32]),
    )?;
    let effects = ReplicatedIdempotencyStore::new(
        LogicalResourceName::new("preemptible-training-effects"),
        SchemaId::new("training-effect.v1"),
        FIRST_EPOCH,
        replicas,
        locator,
    )?;
    Ok((checkpoints, effects))
}

/// Fences whoever has worked on the job before, in both stores, and returns the epoch to go on with: for
/// [`TrainingStepRunner::at_epoch`](crate::TrainingStepRunner::at_epoch).
///
/// A process that died in the middle of a step leaves the step reserved. Only this takes the reservation away from it,
/// dead or alive: a process that was only slow finds itself fenced.
///
/// The store of effects has one epoch for all of its jobs, so other jobs in it have to take over again, too. Jobs that
/// are not to notice each other have stores of their own.
///
/// # Errors
/// Those of [`ReplicatedCheckpoint::take_over`] and [`ReplicatedIdempotencyStore::take_over_as`].
pub fn take_over_training(
    checkpoints: &mut ReplicatedCheckpoint,
    effects: &mut ReplicatedIdempotencyStore,
    job_id: &str,
) -> Result<FenceEpoch, TrainingError> {
    let name = checkpoint_name(job_id);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let epoch = checkpoints.take_over(&name)?;
        match effects.take_over_as(epoch) {
            Ok(()) => return Ok(epoch),
            // Other jobs have taken the effects over more often: go on counting until both agree.
            Err(ReplicatedError::StaleEpoch { .. }) if rounds < MAX_ROUNDS => {}
            Err(error) => return Err(error.into()),
        }
    }
}
