//! What the tests share: an engine in memory with three replicas, and handles on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::*;

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) registers: Arc<MemoryMetadataStore>,
    pub(crate) replicas: BTreeMap<ReplicaId, MemoryReplica>,
    engine: Engine,
}

#[derive(Debug)]
struct Source(BTreeMap<ReplicaId, MemoryReplica>);

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let lost = || StoreError::Unavailable { reason: "the disk is gone".to_owned() };
        let replica = self.0.get(&locator.replica_id).ok_or_else(lost)?;
        Ok(Arc::new(replica.clone()))
    }
}

pub(crate) const OPERATION: OperationHash = OperationHash([3; 32]);

impl World {
    pub(crate) fn new() -> Self {
        let replicas: BTreeMap<_, _> =
            ["a", "b", "c"].into_iter().map(|id| (ReplicaId::new(id), MemoryReplica::new())).collect();
        Self::of(Arc::new(MemoryMetadataStore::new()), replicas)
    }

    fn of(registers: Arc<MemoryMetadataStore>, replicas: BTreeMap<ReplicaId, MemoryReplica>) -> Self {
        let engine = Engine::new(registers.clone(), Arc::new(Source(replicas.clone())));
        Self { registers, replicas, engine }
    }

    /// The same registers, without these replicas.
    pub(crate) fn without(&self, lost: &[&str]) -> Self {
        let mut replicas = self.replicas.clone();
        replicas.retain(|id, _| !lost.contains(&id.as_str()));
        Self::of(self.registers.clone(), replicas)
    }

    /// The same register store, and replicas of which this one is new and empty.
    pub(crate) fn with_empty(&self, id: &str) -> Self {
        let mut replicas = self.replicas.clone();
        replicas.insert(ReplicaId::new(id), MemoryReplica::new());
        Self::of(self.registers.clone(), replicas)
    }

    /// These registers, beside the replicas of another world.
    pub(crate) fn with_replicas_of(&self, other: &Self) -> Self {
        Self::of(self.registers.clone(), other.replicas.clone())
    }

    /// The same, used through another engine.
    pub(crate) fn through(&self, engine: Engine) -> Self {
        Self { engine, ..self.clone() }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn checkpoints(&self, epoch: u64) -> ReplicatedCheckpoint {
        self.checkpoints_reading(epoch, 1)
    }

    pub(crate) fn checkpoints_reading(&self, epoch: u64, read_quorum: usize) -> ReplicatedCheckpoint {
        let (policy, set) = layout();
        let policy = policy.read_quorum(read_quorum);
        ReplicatedCheckpoint::new_on(
            &self.engine,
            LogicalResourceName::new("job"),
            SchemaId::new("state.v1"),
            FenceEpoch(epoch),
            policy,
            set,
            PolicyHash([1; 32]),
        )
        .unwrap()
    }

    pub(crate) fn effects(&self, epoch: u64) -> ReplicatedIdempotencyStore {
        let (policy, set) = layout();
        let (name, schema) = (LogicalResourceName::new("job-effects"), SchemaId::new("effect.v1"));
        ReplicatedIdempotencyStore::new_on(&self.engine, name, schema, FenceEpoch(epoch), &policy, &set)
            .unwrap()
    }
}

/// Three replicas of which a write needs two.
pub(crate) fn layout() -> (ReplicaPolicy, ReplicaSetLocator) {
    let domain = |cell: &str| FailureDomain::cell("local", cell);
    let placement = ["a", "b", "c"].into_iter().fold(PlacementPolicy::new(), |p, cell| p.allow(domain(cell)));
    let locator = |cell: &str| ReplicaLocator {
        replica_id: ReplicaId::new(cell),
        domain: domain(cell),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    let set = ReplicaSetLocator::new(ResourceGeneration(1), ["a", "b", "c"].map(locator).to_vec());
    (ReplicaPolicy::new(placement).min_replicas(3).write_quorum(2), set)
}

pub(crate) fn name() -> CheckpointName {
    CheckpointName::new("job:1:latest")
}

/// Bytes that no two chunks share.
pub(crate) fn payload(len: usize, seed: u32) -> Vec<u8> {
    (0..=u32::MAX).flat_map(|at| (at.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()).take(len).collect()
}
