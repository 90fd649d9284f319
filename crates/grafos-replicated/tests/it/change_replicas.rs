//! A resource that changes its replicas: what is copied, who is refused, and what a crash leaves behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grafos_replicated::embedded::{DirectoryReplica, EmbeddedHome};
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::*;

use crate::watched::{dead, watched};
use crate::world::{OPERATION, name, payload};

const MIB: usize = 1 << 20;

fn domain(cell: &str) -> FailureDomain {
    FailureDomain::cell("local", cell)
}

fn locator(cell: &str) -> ReplicaLocator {
    ReplicaLocator {
        replica_id: ReplicaId::new(cell),
        domain: domain(cell),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    }
}

/// These replicas, each in a domain of its own, of which a write needs two.
fn set(generation: u64, cells: &[&str]) -> NewReplicas {
    let placement = cells.iter().fold(PlacementPolicy::new(), |p, cell| p.allow(domain(cell)));
    let policy = ReplicaPolicy::new(placement).min_replicas(cells.len()).write_quorum(2);
    let locators = cells.iter().map(|cell| locator(cell)).collect();
    let set = ReplicaSetLocator::new(ResourceGeneration(generation), locators);
    NewReplicas { set, policy, policy_hash: PolicyHash([1; 32]) }
}

fn open_on(engine: &Engine, at: &NewReplicas, epoch: u64) -> ReplicatedCheckpoint {
    let NewReplicas { set, policy, policy_hash } = at.clone();
    let (job, schema, epoch) = (LogicalResourceName::new("job"), SchemaId::new("s"), FenceEpoch(epoch));
    ReplicatedCheckpoint::new_on(engine, job, schema, epoch, policy, set, policy_hash).unwrap()
}

fn effects_on(engine: &Engine, at: &NewReplicas) -> ReplicatedIdempotencyStore {
    let (job, schema) = (LogicalResourceName::new("job"), SchemaId::new("s"));
    ReplicatedIdempotencyStore::new_on(engine, job, schema, FenceEpoch(1), &at.policy, &at.set).unwrap()
}

/// Registers, and five replicas of which not all are in a set.
#[derive(Clone)]
struct World {
    registers: Arc<MemoryMetadataStore>,
    replicas: BTreeMap<ReplicaId, MemoryReplica>,
}

impl World {
    fn new() -> Self {
        let replicas = ["a", "b", "c", "d", "e"].map(|id| (ReplicaId::new(id), MemoryReplica::new()));
        Self { registers: Arc::new(MemoryMetadataStore::new()), replicas: replicas.into() }
    }

    fn without(&self, lost: &[&str]) -> Self {
        let mut world = self.clone();
        world.replicas.retain(|id, _| !lost.contains(&id.as_str()));
        world
    }

    fn engine(&self) -> Engine {
        self.watched(|_| Ok(()))
    }

    fn watched(&self, watcher: impl Fn(&str) -> Result<(), StoreError> + Send + Sync + 'static) -> Engine {
        watched(&self.registers, &self.replicas, watcher)
    }

    fn open(&self, at: &NewReplicas) -> ReplicatedCheckpoint {
        open_on(&self.engine(), at, 1)
    }

    fn replica(&self, id: &str) -> &MemoryReplica {
        &self.replicas[&ReplicaId::new(id)]
    }

    /// Everything that can be read from these replicas alone, in the set `at`.
    fn states(&self, at: &NewReplicas, alone: &[&str]) -> Vec<(u64, Vec<u8>)> {
        let mut world = self.clone();
        world.replicas.retain(|id, _| alone.contains(&id.as_str()));
        let mut job = world.open(at);
        let versions: Vec<_> = job.history(&name()).unwrap().iter().map(|saved| saved.version).collect();
        versions.into_iter().map(|v| (v.0, job.load_version(&name(), v).unwrap().value)).collect()
    }
}

/// The state of a version: of each, one chunk of three is new.
fn state(version: u64) -> Vec<u8> {
    let mut bytes = payload(3 * MIB, 1);
    for earlier in 1..=version {
        let at = usize::try_from(earlier % 3).unwrap() * MIB;
        bytes[at..at + 8].copy_from_slice(&earlier.to_le_bytes());
    }
    bytes
}

fn save_all(job: &mut ReplicatedCheckpoint, versions: std::ops::RangeInclusive<u64>) {
    for version in versions {
        job.save_bytes(name(), Version(version - 1), &state(version), FenceEpoch(1)).unwrap();
    }
}

fn states(versions: std::ops::RangeInclusive<u64>) -> Vec<(u64, Vec<u8>)> {
    versions.map(|version| (version, state(version))).collect()
}

/// Refused, as a handle of the first set is where another one is in force.
fn is_misplaced<T>(outcome: Result<T, ReplicatedError>) -> bool {
    let expects_first = |error| match error {
        ReplicatedError::WrongGeneration { expected, .. } => expected == ResourceGeneration(1),
        _ => false,
    };
    outcome.err().is_some_and(expects_first)
}

#[test]
fn a_lost_disk_is_replaced_by_an_empty_one_of_another_name() {
    let root = tempfile::tempdir().unwrap();
    let disk = |id: &str| root.path().join(format!("disk-{id}"));
    let engine = |ids: &[&str]| {
        let builder = EmbeddedHome::builder().home(root.path().join("home"));
        Engine::from(ids.iter().fold(builder, |b, id| b.replica_at(*id, disk(id))).open().unwrap())
    };
    for id in ["a", "b", "c"] {
        DirectoryReplica::create(disk(id), &ReplicaId::new(id)).unwrap();
    }
    let (old_set, new_set) = (set(1, &["a", "b", "c"]), set(2, &["d", "a", "c"]));
    let mut old = open_on(&engine(&["a", "b", "c"]), &old_set, 1);
    save_all(&mut old, 1..=4);

    // The disk is gone, and its replacement has nothing but a name of its own.
    std::fs::remove_dir_all(disk("b")).unwrap();
    DirectoryReplica::create(disk("d"), &ReplicaId::new("d")).unwrap();
    let engine = engine(&["a", "b", "c", "d"]);
    let mut old = open_on(&engine, &old_set, 1);
    let changed = old.change_replicas(&name(), &new_set, FenceEpoch(1)).unwrap();
    assert_eq!((changed.generation, changed.version), (ResourceGeneration(2), Version(4)));
    assert_eq!(changed.copied.len(), 4, "one blob of each version: {changed:?}");
    assert!(changed.copied.iter().all(|(id, _)| id.as_str() == "d"));
    assert_eq!(changed.failures.0, []);

    assert!(is_misplaced(old.load_latest(&name())));
    assert!(is_misplaced(old.save_bytes(name(), Version(4), b"zombie", FenceEpoch(1))));
    assert!(is_misplaced(old.take_over(&name())));
    assert!(is_misplaced(old.collect_garbage(&name())));
    let mut new = open_on(&engine, &new_set, 1);
    assert_eq!(new.scrub(&name()).unwrap().faults, []);
    assert!(new.history(&name()).unwrap().iter().all(|saved| saved.acknowledged == 0b111));
    save_all(&mut new, 5..=5);
    new.collect_garbage(&name()).unwrap();

    // Two more disks go, and the one that joined has everything.
    std::fs::remove_dir_all(disk("a")).unwrap();
    std::fs::remove_dir_all(disk("c")).unwrap();
    let mut new = open_on(&engine, &new_set, 1);
    for version in 1..=5 {
        let loaded = new.load_version(&name(), Version(version)).unwrap();
        assert!(loaded.value == state(version), "version={version}");
    }
}

#[test]
fn the_history_counts_replicas_in_the_order_of_the_new_set() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["c", "d", "a", "e"]));
    save_all(&mut world.without(&["c"]).open(&old), 1..=1);
    assert_eq!(world.open(&old).history(&name()).unwrap()[0].acknowledged, 0b011);
    let absent = world.without(&["d"]);
    let changed = absent.open(&old).change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    assert_eq!(changed.failures.0.len(), 1, "{changed:?}");
    assert_eq!(absent.open(&new).history(&name()).unwrap()[0].acknowledged, 0b1101, "all but d");
    // A repair gives it what it missed.
    assert_eq!(world.open(&new).repair(&name()).unwrap().copied.len(), 1);
    assert!(world.states(&new, &["d"]) == states(1..=1));
}

#[test]
fn a_save_under_way_of_the_old_set_publishes_nothing() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    save_all(&mut world.open(&old), 1..=2);
    // The set is changed while the save has uploaded, and before it commits.
    let (meanwhile, from, to) = (world.clone(), old.clone(), new.clone());
    let commits = AtomicUsize::new(0);
    let engine = world.watched(move |operation| {
        if operation == "commit" && commits.fetch_add(1, Ordering::SeqCst) == 0 {
            meanwhile.open(&from).change_replicas(&name(), &to, FenceEpoch(1)).unwrap();
        }
        Ok(())
    });
    let refused = open_on(&engine, &old, 1).save_bytes(name(), Version(2), &state(3), FenceEpoch(1));
    assert!(is_misplaced(refused));
    assert!(world.states(&new, &["a", "b", "d"]) == states(1..=2));
    let mut job = world.open(&new);
    save_all(&mut job, 3..=3);
    assert_eq!(job.collect_garbage(&name()).unwrap().deleted, 2, "what the zombie left on a and b");
}

#[test]
fn what_is_saved_while_the_replicas_are_copied_is_copied_too() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["d", "e"]));
    save_all(&mut world.open(&old), 1..=2);
    let (meanwhile, from, next) = (world.clone(), old.clone(), Mutex::new(3));
    let engine = world.watched(move |operation| {
        if operation == "commit" {
            let mut next = next.lock().unwrap();
            if *next <= 5 {
                save_all(&mut meanwhile.open(&from), *next..=*next);
                *next += 1;
            }
        }
        Ok(())
    });
    let changed = open_on(&engine, &old, 1).change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    assert_eq!(changed.version, Version(5));
    for alone in ["d", "e"] {
        assert!(world.states(&new, &[alone]) == states(1..=5), "{alone}");
    }
    assert_eq!(changed.copied.len(), 2 * 5, "nothing is copied twice: {:?}", changed.copied);
}

#[test]
fn saves_that_are_faster_than_the_copies_end_the_change_and_not_the_saves() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["b", "c", "d"]));
    save_all(&mut world.open(&old), 1..=1);
    let (meanwhile, from, next) = (world.clone(), old.clone(), Mutex::new(2));
    let engine = world.watched(move |operation| {
        if operation == "commit" {
            let mut next = next.lock().unwrap();
            save_all(&mut meanwhile.open(&from), *next..=*next);
            *next += 1;
        }
        Ok(())
    });
    let error = open_on(&engine, &old, 1).change_replicas(&name(), &new, FenceEpoch(1)).unwrap_err();
    let ReplicatedError::OvertakenBySaves { rounds: 8, current, .. } = error else { panic!("{error}") };
    assert_eq!(world.open(&old).current_version(&name()).unwrap(), current);
    // A takeover ends the race.
    let mut job = world.open(&old);
    let epoch = job.take_over(&name()).unwrap();
    job.change_replicas(&name(), &new, epoch).unwrap();
    assert_eq!(world.open(&new).current_version(&name()).unwrap(), current);
}

#[test]
fn what_is_collected_while_it_is_copied_is_not_missed() {
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["d", "e"]));
    // Before the first copy begins, and in the middle of it.
    for moment in ["replace d", "write e"] {
        let world = World::new();
        let save = |world: &World, version: u64| {
            let mut job = world.open(&set(1, &["a", "b", "c"])).keep_versions(1);
            let bytes = payload(5 * MIB, u32::try_from(version).unwrap());
            job.save_bytes(name(), Version(version - 1), &bytes, FenceEpoch(1)).unwrap();
            job.collect_garbage(&name()).unwrap();
        };
        save(&world, 1);
        let (meanwhile, next) = (world.clone(), Mutex::new(Some(2)));
        let engine = world.watched(move |operation| {
            if operation == moment
                && let Some(version) = next.lock().unwrap().take()
            {
                save(&meanwhile, version);
            }
            Ok(())
        });
        let changed = open_on(&engine, &old, 1).change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
        assert_eq!(changed.version, Version(2), "{moment}");
        for alone in ["d", "e"] {
            assert!(world.states(&new, &[alone]) == [(2, payload(5 * MIB, 2))], "{moment}");
        }
    }
}

#[test]
fn a_blob_that_was_there_counts_only_once_it_is_durable() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b"]));
    save_all(&mut world.open(&old), 1..=2);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let engine = world.watched(move |operation| {
        seen.lock().unwrap().push(operation.to_owned());
        if operation == "make durable b" { Err(dead()) } else { Ok(()) }
    });
    let error = open_on(&engine, &old, 1).change_replicas(&name(), &new, FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, .. }), "{error}");
    assert_eq!(asked.lock().unwrap().iter().filter(|asked| *asked == "make durable a").count(), 2);
}

#[test]
fn a_copy_is_counted_only_once_it_was_read_back() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "d"]));
    save_all(&mut world.open(&old), 1..=1);
    let is_written = AtomicUsize::new(0);
    let engine = world.watched(move |operation| {
        is_written.fetch_add(usize::from(operation == "finish d"), Ordering::SeqCst);
        let is_bad = operation == "read d" && is_written.load(Ordering::SeqCst) > 0;
        let (what, problem) = (operation.to_owned(), "a bit is another one");
        if is_bad { Err(StoreError::Corrupt { what, problem }) } else { Ok(()) }
    });
    let error = open_on(&engine, &old, 1).change_replicas(&name(), &new, FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, .. }), "{error}");
    assert_eq!(world.open(&old).current_version(&name()).unwrap(), Version(1));
}

#[test]
fn too_few_new_replicas_leave_the_old_set_in_force() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "d", "e"]));
    save_all(&mut world.open(&old), 1..=3);
    let error = world.without(&["d", "e"]).open(&old).change_replicas(&name(), &new, FenceEpoch(1));
    let Err(ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, failures }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(failures.0.len(), 2);
    save_all(&mut world.open(&old), 4..=4);
    world.without(&["e"]).open(&old).change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    assert!(world.states(&new, &["d"]) == states(1..=4));
}

#[test]
fn a_quorum_lies_in_as_many_domains_as_the_new_policy_asks_for_and_learners_do_not_count() {
    let world = World::new();
    let old = set(1, &["a", "b", "c"]);
    save_all(&mut world.open(&old), 1..=1);
    let wide = |role| {
        let mut new = set(2, &["a", "b", "d", "e"]);
        let placement = ["x", "y"].into_iter().fold(PlacementPolicy::new(), |p, cell| p.allow(domain(cell)));
        new.policy = ReplicaPolicy::new(placement.min_domains(2)).min_replicas(3).write_quorum(2);
        let mut replicas = new.set.replicas().to_vec();
        for (at, replica) in replicas.iter_mut().enumerate() {
            replica.domain = domain(if at < 2 { "x" } else { "y" });
        }
        replicas[3].role = role;
        NewReplicas { set: ReplicaSetLocator::new(ResourceGeneration(2), replicas), ..new }
    };
    let change =
        |world: &World, new: &NewReplicas| world.open(&old).change_replicas(&name(), new, FenceEpoch(1));
    let error = change(&world.without(&["d", "e"]), &wide(ReplicaRole::Voter));
    assert!(matches!(error, Err(ReplicatedError::QuorumNotMet { acknowledged: 2, .. })), "{error:?}");
    let error = change(&world.without(&["d"]), &wide(ReplicaRole::Learner));
    assert!(matches!(error, Err(ReplicatedError::QuorumNotMet { acknowledged: 2, .. })), "{error:?}");
    let mut narrow = set(2, &["a", "b"]);
    narrow.policy = narrow.policy.min_replicas(3);
    assert!(matches!(change(&world, &narrow), Err(ReplicatedError::InvalidPolicy { .. })));
    change(&world.without(&["d"]), &wide(ReplicaRole::Voter)).unwrap();
}

#[test]
fn a_replica_that_comes_back_damaged_is_made_whole_and_what_is_dead_on_it_is_collected() {
    let world = World::new();
    let (one, two, three) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]), set(3, &["c", "d", "e"]));
    save_all(&mut world.open(&one), 1..=3);
    world.open(&one).change_replicas(&name(), &two, FenceEpoch(1)).unwrap();
    let mut job = world.open(&two).keep_versions(2);
    save_all(&mut job, 4..=6);
    job.collect_garbage(&name()).unwrap();
    // While it was away, one of the blobs that are still in use was damaged.
    let space = BlobSpace::new("job", name().as_str());
    let stale = world.replica("c").list(&space, None, 10).unwrap();
    let in_use: Vec<_> = job.history(&name()).unwrap().iter().flat_map(|saved| saved.blobs.clone()).collect();
    let damaged = stale.iter().find(|blob| in_use.contains(blob)).expect("unchanged chunks lie there");
    let mut writer = world.replica("c").replace(&space, damaged, None).unwrap();
    writer.write(&[0; 2 * MIB]).unwrap();
    writer.finish().unwrap();

    let changed = world.open(&two).change_replicas(&name(), &three, FenceEpoch(1)).unwrap();
    assert!(changed.copied.contains(&(ReplicaId::new("c"), *damaged)), "{changed:?}");
    assert!(world.states(&three, &["c"]) == states(5..=6));
    let dead = stale.iter().filter(|blob| !in_use.contains(blob)).count();
    assert_eq!(world.open(&three).collect_garbage(&name()).unwrap().deleted, dead);
    assert_eq!(world.open(&three).status(&name()).unwrap().unreferenced, 0);
}

#[test]
fn a_replica_that_knows_more_than_the_register_is_not_let_in_unseen() {
    let (world, earlier) = (World::new(), World::new());
    let (one, two) = (set(1, &["a", "b", "c"]), set(2, &["d", "e"]));
    save_all(&mut world.open(&one), 1..=1);
    world.open(&one).change_replicas(&name(), &two, FenceEpoch(1)).unwrap();
    let mut job = world.open(&two);
    let epoch = job.take_over(&name()).unwrap();
    job.save_bytes(name(), Version(1), b"2", epoch).unwrap();
    // An engine put back to before the change, with the replicas as they are.
    let back = World { registers: earlier.registers, ..world };
    save_all(&mut back.without(&["d", "e"]).open(&one), 1..=1);
    let again = NewReplicas { set: set(3, &["d", "e"]).set, ..two };
    let error = back.open(&one).change_replicas(&name(), &again, FenceEpoch(1)).unwrap_err();
    let ReplicatedError::MetadataRegressed { seen_epoch: FenceEpoch(2), .. } = error else {
        panic!("{error}")
    };
    let raised = open_on(&back.engine(), &one, 3);
    raised.change_replicas(&name(), &again, FenceEpoch(3)).unwrap();
    assert!(back.states(&again, &["d"]) == states(1..=1));
    let collected = back.open(&again).collect_garbage(&name()).unwrap();
    assert_eq!(collected.deleted, 2 * 2, "what the restore has lost is dead: {collected:?}");
}

#[test]
fn a_register_that_is_gone_while_replicas_have_blobs_is_told() {
    let world = World::new();
    let at = set(1, &["a", "b", "c"]);
    save_all(&mut world.open(&at), 1..=1);
    let lost = World { registers: World::new().registers, ..world };
    let regressed = |error: ReplicatedError| {
        let nothing = Version::NONE;
        assert!(
            matches!(&error, ReplicatedError::MetadataRegressed { version, seen_version: Version(1), .. } if *version == nothing),
            "{error}"
        );
    };
    regressed(lost.open(&at).status(&name()).unwrap_err());
    regressed(lost.open(&at).collect_garbage(&name()).unwrap_err());
    let to = set(2, &["a", "b", "d"]);
    regressed(lost.open(&at).change_replicas(&name(), &to, FenceEpoch(1)).unwrap_err());
    assert_eq!(
        lost.open(&at).take_over(&name()).unwrap(),
        FenceEpoch(2),
        "above what the replicas have seen"
    );
}

#[test]
fn a_version_without_a_good_copy_is_not_left_behind() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    let mut job = world.open(&old).keep_versions(2);
    job.save_bytes(name(), Version(0), b"1", FenceEpoch(1)).unwrap();
    let first = job.history(&name()).unwrap()[0].manifest;
    for id in ["a", "b", "c"] {
        world.replica(id).delete(&BlobSpace::new("job", name().as_str()), &first).unwrap();
    }
    let mut job = world.open(&old).keep_versions(2);
    job.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap();
    let error = job.change_replicas(&name(), &new, FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::PayloadUnavailable { version: Version(1), .. }), "{error}");
    job.save_bytes(name(), Version(2), b"3", FenceEpoch(1)).unwrap();
    job.change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    let found = world.states(&new, &["d"]);
    assert_eq!(found, [(2, b"2".to_vec()), (3, b"3".to_vec())]);
}

#[test]
fn a_change_that_took_place_says_so_and_two_sets_of_one_generation_do_not_mix() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    save_all(&mut world.open(&old), 1..=1);
    let job = world.open(&old);
    job.change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    let again = job.change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    assert_eq!((again.generation, again.copied), (ResourceGeneration(2), vec![]));
    let other = set(2, &["a", "b", "e"]);
    assert!(is_misplaced(job.change_replicas(&name(), &other, FenceEpoch(1))));
    let error = world.open(&other).current_version(&name()).unwrap_err();
    assert!(
        matches!(error, ReplicatedError::WrongReplicas { generation: ResourceGeneration(2), .. }),
        "{error}"
    );
    let swapped = world.open(&set(2, &["b", "a", "d"]));
    assert!(matches!(swapped.current_version(&name()), Err(ReplicatedError::WrongReplicas { .. })));
    for asked in [1, 2] {
        let back = set(asked, &["a", "e"]);
        let error = world.open(&new).change_replicas(&name(), &back, FenceEpoch(1)).unwrap_err();
        let (asked, current) = (ResourceGeneration(asked), ResourceGeneration(2));
        let resource = LogicalResourceName::new("job");
        assert_eq!(error, ReplicatedError::GenerationNotNew { resource, current, asked });
    }
    let mut well = new.set.replicas().to_vec();
    well[2].health = ReplicaHealth::Unreachable;
    let well = NewReplicas { set: ReplicaSetLocator::new(ResourceGeneration(2), well), ..new };
    assert_eq!(world.open(&well).current_version(&name()).unwrap(), Version(1), "health is no layout");
}

#[test]
fn only_the_current_writer_changes_replicas() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    save_all(&mut world.open(&old), 1..=1);
    let epoch = world.open(&old).take_over(&name()).unwrap();
    let zombie = world.open(&old).change_replicas(&name(), &new, FenceEpoch(1));
    assert!(matches!(zombie, Err(ReplicatedError::StaleEpoch { .. })), "{zombie:?}");
    let unknown = world.open(&old).change_replicas(&name(), &new, FenceEpoch(7));
    assert!(matches!(unknown, Err(ReplicatedError::UnknownEpoch { .. })), "{unknown:?}");
    assert_eq!(world.replica("d").used_bytes(), 0, "nothing was copied for them");
    world.open(&old).change_replicas(&name(), &new, epoch).unwrap();
}

#[test]
fn each_checkpoint_moves_by_itself_also_one_that_was_never_saved() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    let (best, fresh) = (CheckpointName::new("best"), CheckpointName::new("fresh"));
    let mut job = world.open(&old);
    save_all(&mut job, 1..=1);
    job.save_bytes(best.clone(), Version::NONE, b"best", FenceEpoch(1)).unwrap();
    job.change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
    assert_eq!(job.load_latest(&best).unwrap().unwrap().value, b"best", "it stays in the old set");
    assert!(matches!(
        world.open(&new).load_latest(&best),
        Err(ReplicatedError::WrongGeneration { found: ResourceGeneration(1), .. })
    ));
    job.change_replicas(&fresh, &new, FenceEpoch(1)).unwrap();
    assert!(is_misplaced(job.save_bytes(fresh.clone(), Version::NONE, b"1", FenceEpoch(1))));
    world.open(&new).save_bytes(fresh, Version::NONE, b"1", FenceEpoch(1)).unwrap();
}

#[test]
fn the_names_of_a_resource_are_listed_as_they_were_given() {
    let world = World::new();
    let at = set(1, &["a", "b", "c"]);
    let mut job = world.open(&at);
    assert_eq!(job.names().unwrap(), []);
    let long = "ü".repeat(128);
    let mut given: Vec<_> =
        ["a", "../x", "a/b", "a%2Fb", "100%", " ", &long].map(CheckpointName::new).to_vec();
    given.extend((0..150).map(|n| CheckpointName::new(format!("step {n}"))));
    for name in &given {
        job.save_bytes(name.clone(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    }
    let mut listed = job.names().unwrap();
    listed.sort_unstable();
    given.sort_unstable();
    assert_eq!(listed, given);
    let (other, schema) = (LogicalResourceName::new("jo"), SchemaId::new("s"));
    let NewReplicas { set, policy, policy_hash } = at;
    let other =
        ReplicatedCheckpoint::new_on(&world.engine(), other, schema, FenceEpoch(1), policy, set, policy_hash);
    assert_eq!(other.unwrap().names().unwrap(), []);
}

#[test]
fn effects_move_with_their_generation_and_their_reservations() {
    let world = World::new();
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["a", "b", "d"]));
    let engine = world.engine();
    let (mut before, mut after) = (effects_on(&engine, &old), effects_on(&engine, &new));
    let (done, held) = (IdempotencyKey::new("done"), IdempotencyKey::new("held"));
    let completed = IdempotencyOutcome::Completed { effect: None };
    let first = before.reserve(done.clone(), OPERATION, None, FenceEpoch(1)).unwrap();
    before.complete(done.clone(), first.version, completed.clone(), FenceEpoch(1)).unwrap();
    let second = before.reserve(held.clone(), OPERATION, None, FenceEpoch(1)).unwrap();
    let stale = before.change_generation(ResourceGeneration(2), FenceEpoch(0)).unwrap_err();
    assert!(matches!(stale, ReplicatedError::StaleEpoch { .. }), "{stale}");
    for _ in 0..2 {
        let moved = before.change_generation(ResourceGeneration(2), FenceEpoch(1)).unwrap();
        assert_eq!(moved, ResourceGeneration(2));
    }
    let back = after.change_generation(ResourceGeneration(1), FenceEpoch(1)).unwrap_err();
    assert!(matches!(back, ReplicatedError::GenerationNotNew { .. }), "{back}");
    assert!(is_misplaced(before.reserve(IdempotencyKey::new("new"), OPERATION, None, FenceEpoch(1))));
    assert!(is_misplaced(before.complete(held.clone(), second.version, completed, FenceEpoch(1))));
    assert!(is_misplaced(before.retire_below(1, FenceEpoch(1))));
    assert!(is_misplaced(before.take_over()));
    let epoch = after.take_over().unwrap();
    assert_eq!(after.reserve(done, OPERATION, None, epoch).unwrap().kind, ReservationKind::Completed);
    assert_eq!(after.reserve(held, OPERATION, None, epoch).unwrap().kind, ReservationKind::TakenOver);
}

#[test]
fn a_change_that_dies_at_any_operation_leaves_the_old_set_or_the_new_one_and_can_be_repeated() {
    let (old, new) = (set(1, &["a", "b", "c"]), set(2, &["d", "b", "e"]));
    let (mut stayed, mut moved) = (0, 0);
    for lives in 0.. {
        let world = World::new();
        let mut job = world.open(&old).keep_versions(2);
        for version in 0..3_u64 {
            job.save_bytes(name(), Version(version), &version.to_le_bytes(), FenceEpoch(1)).unwrap();
        }
        let left = AtomicUsize::new(lives);
        let mortal = world.watched(move |_| {
            let less = |left: usize| left.checked_sub(1);
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map(drop).map_err(|_| dead())
        });
        let outcome = open_on(&mortal, &old, 1).change_replicas(&name(), &new, FenceEpoch(1));
        let expected: Vec<_> =
            (1..3_u64).map(|version| (version + 1, version.to_le_bytes().to_vec())).collect();
        // Whoever comes next finds the one or the other, whole on any replica of a quorum.
        if is_misplaced(world.open(&old).current_version(&name())) {
            moved += 1;
        } else {
            stayed += 1;
            assert!(outcome.is_err());
            assert_eq!(world.states(&old, &["a"]), expected);
        }
        world.open(&old).change_replicas(&name(), &new, FenceEpoch(1)).unwrap();
        world.open(&new).repair(&name()).unwrap();
        for alone in ["d", "b", "e"] {
            assert_eq!(world.states(&new, &[alone]), expected, "lives={lives}, {outcome:?}");
        }
        if outcome.is_ok() {
            break;
        }
    }
    assert!(stayed > 20 && moved >= 2, "stayed={stayed}, moved={moved}");
}
