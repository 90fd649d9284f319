//! Every call of the public surface over stores and replicas that fail: each fault at each operation in turn, and two
//! faults at each pair of operations of the store.
//!
//! A call takes place and says so, or it does not and says why; only `OutcomeUnknown` leaves that open, and then a look
//! tells. Whatever it said, the same call again brings about what was wanted, once.

mod calls;
mod replicas;
mod store;

use std::sync::Arc;

use grafos_replicated::testing::{FaultPlan, FaultyMetadataStore, FaultyReplica, ReplicaFault, StoreFault};
use grafos_replicated::*;

use self::calls::{SHORT, TWO_CHUNKS};
use crate::world::World;

/// A world in memory, and handles on it through faults.
struct Faulty {
    clean: World,
    world: World,
    store: FaultyMetadataStore,
    replicas: Vec<FaultyReplica>,
    job: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
    /// How long the states are that the calls save.
    len: usize,
}

#[derive(Debug)]
struct Source(Vec<(ReplicaId, FaultyReplica)>);

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let found = self.0.iter().find(|(id, _)| *id == locator.replica_id);
        let (_, replica) = found.ok_or(StoreError::NotFound { what: locator.replica_id.to_string() })?;
        Ok(Arc::new(replica.clone()))
    }
}

impl Faulty {
    /// Over a store that fails.
    fn store(plan: FaultPlan<StoreFault>) -> Self {
        Self { len: SHORT, ..Self::over(World::new(), plan, |_| FaultPlan::none()) }
    }

    /// Over replicas that fail.
    fn replicas(plans: impl Fn(usize) -> FaultPlan<ReplicaFault>) -> Self {
        Self::over(World::new(), FaultPlan::none(), plans)
    }

    fn over(
        clean: World,
        store: FaultPlan<StoreFault>,
        replicas: impl Fn(usize) -> FaultPlan<ReplicaFault>,
    ) -> Self {
        let store = FaultyMetadataStore::new((*clean.registers).clone(), store);
        let faulty: Vec<_> = clean
            .replicas
            .iter()
            .enumerate()
            .map(|(at, (id, replica))| (id.clone(), FaultyReplica::new(replica.clone(), replicas(at))))
            .collect();
        let replicas = faulty.iter().map(|(_, replica)| replica.clone()).collect();
        let world = clean.through(Engine::new(Arc::new(store.clone()), Arc::new(Source(faulty))));
        let (job, effects) = (world.checkpoints(1), world.effects(1));
        Self { clean, world, store, replicas, job, effects, len: TWO_CHUNKS }
    }

    /// A new handle through the same faults.
    fn through_faults(&self) -> ReplicatedCheckpoint {
        self.world.checkpoints(1)
    }
}
