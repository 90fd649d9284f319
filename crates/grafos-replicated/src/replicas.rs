//! [`Replicas`]: the replicas of a resource, opened anew for each use. What was opened before may be a disk that has
//! gone, and come back as another one: the source knows, and keeps what is still good.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::StoreError;
use crate::names::ReplicaId;
use crate::payload_replica::PayloadReplica;
use crate::placement::{ReplicaHealth, ReplicaLocator, ReplicaSetLocator};
use crate::worker::Worker;

#[derive(Debug)]
pub(crate) struct Replicas(Vec<Replica>);

#[derive(Clone, Debug)]
pub(crate) struct Replica {
    locator: ReplicaLocator,
    engine: Engine,
    worker: Arc<Worker>,
}

impl Replicas {
    pub(crate) fn of(engine: &Engine, set: &ReplicaSetLocator) -> Self {
        let replica = |locator: &ReplicaLocator| Replica {
            locator: locator.clone(),
            engine: engine.clone(),
            worker: Arc::new(Worker::new("replica")),
        };
        Self(set.replicas().iter().map(replica).collect())
    }

    /// In the order of the set.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Replica> {
        self.0.iter()
    }
}

impl Replica {
    pub(crate) fn id(&self) -> &ReplicaId {
        &self.locator.replica_id
    }

    /// The replica itself.
    ///
    /// # Errors
    /// It can't be opened, or is not to be asked.
    pub(crate) fn handle(&self) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        if self.locator.health == ReplicaHealth::Unreachable {
            let reason = "its locator says that it can't be reached".to_owned();
            return Err(StoreError::Unavailable { reason });
        }
        self.engine.replicas().open(&self.locator)
    }

    /// What writes to it beside the thread of its caller.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }
}
