//! The calls of the published recipe, as it has them, on an engine in memory.

use fabricbios_core::lease::FenceEpoch;
use grafos_replicated::{
    CheckpointName, FailureDomain, IdempotencyKey, IdempotencyOutcome, LogicalResourceName, OperationHash,
    PlacementPolicy, PolicyHash, ReplicaHealth, ReplicaId, ReplicaLocator, ReplicaPolicy, ReplicaRole,
    ReplicaSetLocator, ReplicatedCheckpoint, ReplicatedError, ReplicatedIdempotencyStore, ResourceGeneration,
    SchemaId, Version,
};

use crate::world::World;

fn training_state() -> Result<(ReplicatedCheckpoint, ReplicatedIdempotencyStore), ReplicatedError> {
    let domain = FailureDomain::cell("local", "cookbook");
    let replicas = ReplicaPolicy::new(PlacementPolicy::new().allow(domain.clone()))
        .min_replicas(1)
        .write_quorum(1)
        .read_quorum(1);
    let generation = ResourceGeneration(1);
    let locator = ReplicaSetLocator::new(
        generation,
        vec![ReplicaLocator {
            replica_id: ReplicaId::new("a"),
            domain,
            role: ReplicaRole::Voter,
            health: ReplicaHealth::Healthy,
            epoch: FenceEpoch(1),
            content_generation: generation.0,
        }],
    );
    let checkpoints = ReplicatedCheckpoint::new(
        LogicalResourceName::new("preemptible-training-checkpoints"),
        SchemaId::new("training-checkpoint.v1"),
        FenceEpoch(1),
        replicas.clone(),
        locator.clone(),
        PolicyHash([52; 32]),
    )?;
    let effects = ReplicatedIdempotencyStore::new(
        LogicalResourceName::new("preemptible-training-effects"),
        SchemaId::new("training-effect.v1"),
        FenceEpoch(1),
        replicas,
        locator,
    )?;
    Ok((checkpoints, effects))
}

#[test]
fn the_published_calls_reserve_save_and_complete() {
    World::new().engine().scope(|| {
        let (mut checkpoints, mut effects) = training_state().unwrap();
        let (key, fingerprint) = (IdempotencyKey::new("job:1:step:42"), OperationHash([7; 32]));
        let reservation = effects.reserve(key.clone(), fingerprint, None, FenceEpoch(1)).unwrap();
        assert!(!matches!(reservation.value.outcome, IdempotencyOutcome::Completed { .. }));
        let saved = checkpoints
            .save_bytes(
                CheckpointName::new(format!("job:{}:latest", 1)),
                Version(0),
                &[1, 2, 3],
                FenceEpoch(1),
            )
            .unwrap();
        assert_eq!(saved.version, Version(1));
        let completed = IdempotencyOutcome::Completed { effect: None };
        effects.complete(key.clone(), reservation.version, completed, FenceEpoch(1)).unwrap();
        let again = effects.reserve(key, fingerprint, None, FenceEpoch(1)).unwrap();
        assert!(matches!(again.value.outcome, IdempotencyOutcome::Completed { .. }));
    });
}
