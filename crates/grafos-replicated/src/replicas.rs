//! [`Replicas`]: the replicas of a resource, opened; one that can't be opened is kept with its reason, and tried again.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Engine;
use crate::error::StoreError;
use crate::names::ReplicaId;
use crate::payload_replica::PayloadReplica;
use crate::placement::{ReplicaHealth, ReplicaLocator, ReplicaSetLocator};

#[derive(Debug)]
pub(crate) struct Replicas(Vec<Replica>);

#[derive(Debug)]
pub(crate) struct Replica {
    locator: ReplicaLocator,
    engine: Engine,
    opened: Mutex<Option<Arc<dyn PayloadReplica>>>,
}

impl Replicas {
    pub(crate) fn of(engine: &Engine, set: &ReplicaSetLocator) -> Self {
        let replica = |locator: &ReplicaLocator| Replica {
            locator: locator.clone(),
            engine: engine.clone(),
            opened: Mutex::new(None),
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
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(replica) => Ok(Arc::clone(replica)),
            None => Ok(Arc::clone(opened.insert(self.engine.replicas().open(&self.locator)?))),
        }
    }
}
