//! [`Replicas`]: the replicas of a resource, opened anew for each use. What was opened before may be a disk that has
//! gone, and come back as another one: the source knows, and keeps what is still good.

use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

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
    worker: Mutex<Option<Sender<Job>>>,
}

/// Some work on one replica.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

impl Replicas {
    pub(crate) fn of(engine: &Engine, set: &ReplicaSetLocator) -> Self {
        let replica = |locator: &ReplicaLocator| Replica {
            locator: locator.clone(),
            engine: engine.clone(),
            worker: Mutex::new(None),
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

    /// Does it on the replica's own thread, which is there from the first job on and ends with this value. A job that
    /// can't be done, since no thread can be had, is dropped.
    pub(crate) fn begin(&self, job: Job) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match worker.as_ref() {
            Some(worker) => worker.send(job).err().map(|SendError(job)| job),
            None => Some(job),
        };
        // There is no thread yet, or it has ended.
        if let Some(job) = refused {
            *worker = self.begin_anew(job);
        }
    }

    fn begin_anew(&self, job: Job) -> Option<Sender<Job>> {
        let (send, jobs) = channel::<Job>();
        let thread = thread::Builder::new().name("replica".to_owned());
        thread.spawn(move || jobs.into_iter().for_each(|job| job())).ok()?;
        // It has just been started, and takes it.
        let _ = send.send(job);
        Some(send)
    }
}
