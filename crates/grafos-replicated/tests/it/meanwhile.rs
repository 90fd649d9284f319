//! What others do while a reader or a writer is at it: they save and collect what it reads, or a disk goes and comes back.

use std::fmt;
use std::sync::{Arc, Mutex};

use grafos_replicated::*;

use crate::machine::Machine;
use crate::world::{World, name, payload};

/// The replicas of a world; when one is first asked for, something happens.
struct Meanwhile {
    world: World,
    happens: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meanwhile").finish_non_exhaustive()
    }
}

impl ReplicaSource for Meanwhile {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let happens = self.happens.lock().unwrap().take();
        if let Some(happens) = happens {
            happens();
        }
        Ok(Arc::new(self.world.replicas[&locator.replica_id].clone()))
    }
}

/// A world with one version, and a handle that has others save and collect once it has read the register.
fn overtaken() -> ReplicatedCheckpoint {
    let world = World::new();
    world.checkpoints(1).save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let others = world.clone();
    let happens = move || {
        let mut job = others.checkpoints(1).keep_versions(1);
        job.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap();
        job.collect_garbage(&name()).unwrap();
    };
    let source = Meanwhile { world: world.clone(), happens: Mutex::new(Some(Box::new(happens))) };
    world.through(Engine::new(world.registers.clone(), Arc::new(source))).checkpoints(1)
}

#[test]
fn a_reader_whose_version_is_collected_meanwhile_gets_the_one_that_is_kept() {
    let loaded = overtaken().load_latest(&name()).unwrap().unwrap();
    assert_eq!((loaded.version, loaded.value), (Version(2), b"2".to_vec()));
    let mut sink = Vec::new();
    let mut job = overtaken();
    let error = job.load_into(&name(), &mut sink).unwrap_err();
    assert!(
        matches!(error, ReplicatedError::VersionNotKept { asked: Version(1), newest: Version(2), .. }),
        "{error}"
    );
    assert_eq!(job.load_into(&name(), &mut sink).unwrap(), Some(Version(2)), "and the next time it is there");
    let error = overtaken().load_version(&name(), Version(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::VersionNotKept { oldest: Version(2), .. }), "{error}");
}

#[test]
fn what_is_collected_while_a_scrub_looks_is_no_fault() {
    assert_eq!(overtaken().scrub(&name()).unwrap().faults, []);
    assert_eq!(overtaken().repair(&name()).unwrap(), Repaired::default());
}

#[test]
fn a_handle_finds_a_replica_again_that_was_removed_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(folder.path());
    let mut job = machine.checkpoints(FenceEpoch(1));
    let save = |job: &mut ReplicatedCheckpoint, at: u64| {
        let bytes = payload(1000, u32::try_from(at).unwrap());
        job.save_bytes(name(), Version(at), &bytes, FenceEpoch(1)).unwrap();
        job.history(&name()).unwrap().last().unwrap().acknowledged
    };
    assert_eq!(save(&mut job, 0), 0b111);
    std::fs::remove_dir_all(machine.replica_path("b")).unwrap();
    assert_eq!(save(&mut job, 1), 0b111, "it is made anew, and holds what comes from now on");
    assert_eq!(job.status(&name()).unwrap().versions[0].1[1].1, CopyState::Missing);
    assert_eq!(job.repair(&name()).unwrap().copied.len(), 1);
    assert_eq!(job.scrub(&name()).unwrap().faults, []);
}
