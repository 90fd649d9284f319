//! [`Machine`]: the embedded engine in a home of its own, as every process of a machine opens it.
//!
//! Unlike [`World`](crate::world::World) it is real: SQLite and directories, which survive the process that uses them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::*;

use crate::world::{layout, name};

/// The ids of the replicas, which are also the names of their directories.
pub(crate) const REPLICAS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug)]
pub(crate) struct Machine {
    home: PathBuf,
    engine: Engine,
}

impl Machine {
    /// The machine whose home lies there; it is made if it is new.
    pub(crate) fn open(home: &Path) -> Self {
        Self::with_registers(home, |registers| registers)
    }

    /// The same, with something around its registers.
    pub(crate) fn with_registers(
        home: &Path,
        wrap: impl FnOnce(Arc<dyn MetadataStore>) -> Arc<dyn MetadataStore>,
    ) -> Self {
        let embedded = EmbeddedHome::builder().home(home).open().unwrap();
        let registers: Arc<dyn MetadataStore> = embedded.register().clone();
        let engine = Engine::new(wrap(registers), Arc::new(embedded));
        Self { home: home.to_owned(), engine }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn replica_path(&self, id: &str) -> PathBuf {
        self.home.join("replicated/replicas").join(id)
    }

    /// Where the blobs of the checkpoint lie that the tests save.
    pub(crate) fn blobs_path(&self, id: &str) -> PathBuf {
        self.replica_path(id).join(BlobSpace::new("job", name().as_str()).as_str())
    }

    pub(crate) fn checkpoints(&self, epoch: FenceEpoch) -> ReplicatedCheckpoint {
        let (policy, set) = layout();
        let (resource, schema) = (LogicalResourceName::new("job"), SchemaId::new("state.v1"));
        let policy_hash = PolicyHash([1; 32]);
        ReplicatedCheckpoint::new_on(&self.engine, resource, schema, epoch, policy, set, policy_hash).unwrap()
    }

    pub(crate) fn effects(&self, epoch: FenceEpoch) -> ReplicatedIdempotencyStore {
        let (policy, set) = layout();
        let (resource, schema) = (LogicalResourceName::new("job-effects"), SchemaId::new("effect.v1"));
        ReplicatedIdempotencyStore::new_on(&self.engine, resource, schema, epoch, &policy, &set).unwrap()
    }
}
