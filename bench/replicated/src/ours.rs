//! [`Ours`]: a checkpoint on the embedded engine, three directories as replicas, two of which a save needs.

use std::path::Path;
use std::sync::Arc;

use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::*;

use crate::Result;

/// How many replicas there are, here and in the baseline.
pub(crate) const REPLICAS: usize = 3;
const WRITE_QUORUM: usize = 2;
pub(crate) const EPOCH: FenceEpoch = FenceEpoch(1);

/// An engine in a directory, and a checkpoint on it.
pub(crate) struct Ours {
    pub(crate) engine: Engine,
    job: ReplicatedCheckpoint,
    name: CheckpointName,
    version: Version,
}

impl Ours {
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let engine = Engine::from(EmbeddedHome::builder().home(dir.join("home")).open()?);
        let (policy, set) = layout();
        let (resource, schema) = (LogicalResourceName::new("bench"), SchemaId::new("bytes"));
        let job =
            ReplicatedCheckpoint::new_on(&engine, resource, schema, EPOCH, policy, set, PolicyHash([1; 32]))?;
        // So that the disk does not fill with what nobody will look at.
        let job = job.keep_versions(1);
        Ok(Self { engine, job, name: CheckpointName::new("state"), version: Version::NONE })
    }

    pub(crate) fn save(&mut self, state: &[u8]) -> Result<SavedCheckpoint> {
        let saved = self.job.save_bytes(self.name.clone(), self.version, state, EPOCH)?;
        self.version = saved.version;
        Ok(saved)
    }

    pub(crate) fn load(&mut self) -> Result<Vec<u8>> {
        Ok(self.job.load_latest(&self.name)?.ok_or("nothing was saved")?.value)
    }

    /// Makes room, off the clock. Also the moment to see that every replica has what was saved.
    pub(crate) fn tidy(&mut self) -> Result<()> {
        let status = self.job.status(&self.name)?;
        let copies = status.versions.iter().flat_map(|(_, copies)| copies);
        if copies.filter(|(_, copy)| *copy == CopyState::Present).count() != REPLICAS {
            return Err("a replica does not have what was saved".into());
        }
        self.job.collect_garbage(&self.name)?;
        Ok(())
    }

    /// The register's record, as the engine keeps it.
    pub(crate) fn register(&self) -> Result<Record> {
        let key = RecordKey::new("checkpoint", &["bench", self.name.as_str()]);
        Ok(self.engine.registers().read(&key)?.ok_or("nothing was saved")?)
    }
}

/// A store of effects on this engine.
pub(crate) fn effects_on(engine: &Engine) -> Result<ReplicatedIdempotencyStore> {
    let (policy, set) = layout();
    let (resource, schema) = (LogicalResourceName::new(EFFECTS), SchemaId::new("step"));
    Ok(ReplicatedIdempotencyStore::new_on(engine, resource, schema, EPOCH, &policy, &set)?)
}

/// The name of the store of effects.
pub(crate) const EFFECTS: &str = "bench-effects";

fn layout() -> (ReplicaPolicy, ReplicaSetLocator) {
    let cells: Vec<String> = (0..REPLICAS).map(|nth| format!("disk-{nth}")).collect();
    let domain = |cell: &String| FailureDomain::cell("local", cell);
    let placement =
        cells.iter().fold(PlacementPolicy::new(), |placement, cell| placement.allow(domain(cell)));
    let locator = |cell: &String| ReplicaLocator {
        replica_id: ReplicaId::new(cell.clone()),
        domain: domain(cell),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: EPOCH,
        content_generation: 1,
    };
    let set = ReplicaSetLocator::new(ResourceGeneration(1), cells.iter().map(locator).collect());
    let policy =
        ReplicaPolicy::new(placement).min_replicas(REPLICAS).write_quorum(WRITE_QUORUM).read_quorum(1);
    (policy, set)
}

/// The same memory for all contenders of a round, changed in between.
pub(crate) fn changed(state: &mut Arc<Vec<u8>>, change: impl FnOnce(&mut [u8])) -> Result<()> {
    change(Arc::get_mut(state).ok_or("a writer still holds the state")?.as_mut_slice());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_lies_on_every_replica() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = Ours::create(dir.path()).unwrap();
        for round in 0..3_u8 {
            ours.save(&[round; 70_000]).unwrap();
            assert!(ours.load().unwrap() == [round; 70_000]);
            ours.tidy().unwrap();
        }
        let register = ours.register().unwrap();
        assert!(register.body.len() > 100);
    }
}
