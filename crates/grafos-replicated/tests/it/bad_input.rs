//! What a user, another program or a broken machine may put before the embedded engine: a clear error, nothing lost, and
//! nothing outside its directory touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::*;

use crate::machine::Machine;
use crate::support::SmallDisk;
use crate::world::{OPERATION, layout, name};

/// Names that are names, whatever they look like.
const ODD: [&str; 12] = [
    "..",
    ".",
    "../../../../tmp/x",
    "/etc/passwd",
    "a/b",
    "a%2Fb",
    "C:\\x",
    "~",
    "-rf",
    ".replica",
    ".writing",
    "'; DROP TABLE records; --",
];

fn checkpoints(
    machine: &Machine,
    resource: &str,
    schema: &str,
) -> Result<ReplicatedCheckpoint, ReplicatedError> {
    let (policy, set) = layout();
    let (resource, schema) = (LogicalResourceName::new(resource), SchemaId::new(schema));
    let hash = PolicyHash([1; 32]);
    ReplicatedCheckpoint::new_on(machine.engine(), resource, schema, FenceEpoch(1), policy, set, hash)
}

fn effects(
    machine: &Machine,
    resource: &str,
    schema: &str,
) -> Result<ReplicatedIdempotencyStore, ReplicatedError> {
    let (policy, set) = layout();
    let (resource, schema) = (LogicalResourceName::new(resource), SchemaId::new(schema));
    ReplicatedIdempotencyStore::new_on(machine.engine(), resource, schema, FenceEpoch(1), &policy, &set)
}

/// Every path below, without what lies in `but`.
fn tree(root: &Path, but: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut open) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == but {
                continue;
            }
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

#[test]
fn odd_names_are_only_names_and_nothing_outside_the_home_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/b/c/home");
    fs::create_dir_all(home.parent().unwrap()).unwrap();
    let before = tree(folder.path(), &home);
    let machine = Machine::open(&home);
    let long = "ü".repeat(MAX_NAME_BYTES / 2);
    let names: Vec<&str> = ODD.into_iter().chain([&*long]).collect();
    // Each as a resource and as a checkpoint; no two of them are mixed up.
    let state = |at: usize, other: usize| format!("state of {at} and {other}").into_bytes();
    for (at, resource) in names.iter().enumerate() {
        let mut job = checkpoints(&machine, resource, resource).unwrap();
        for other in [at, (at + 1) % names.len()] {
            let name = CheckpointName::new(names[other]);
            job.save_bytes(name, Version::NONE, &state(at, other), FenceEpoch(1)).unwrap();
        }
        let mut store = effects(&machine, resource, resource).unwrap();
        let reserved = store.reserve(IdempotencyKey::new(*resource), OPERATION, None, FenceEpoch(1)).unwrap();
        assert_eq!(reserved.kind, ReservationKind::Fresh, "{resource}");
    }
    for (at, resource) in names.iter().enumerate() {
        let mut job = checkpoints(&machine, resource, resource).unwrap();
        for other in [at, (at + 1) % names.len()] {
            let name = CheckpointName::new(names[other]);
            assert_eq!(job.load_latest(&name).unwrap().unwrap().value, state(at, other), "{resource} {name}");
            assert_eq!(job.collect_garbage(&name).unwrap().deleted, 0);
        }
    }
    // As the id of a replica too.
    let embedded = EmbeddedHome::builder().home(&home).open().unwrap();
    for id in &names {
        let replica = embedded.replica(&ReplicaId::new(*id)).unwrap();
        assert!(replica.path().starts_with(home.join("replicated/replicas").canonicalize().unwrap()), "{id}");
    }
    assert_eq!(tree(folder.path(), &home), before);
    embedded.register().verify().unwrap();
}

#[test]
fn what_can_not_be_a_name_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(folder.path());
    let before = tree(folder.path(), Path::new(""));
    let too_long = "x".repeat(MAX_NAME_BYTES + 1);
    let (mut job, mut store) = (machine.checkpoints(FenceEpoch(1)), machine.effects(FenceEpoch(1)));
    for bad in ["", "a\0b", "line\nbreak", "bell\x07", "\u{85}", &too_long] {
        let refused = |error: ReplicatedError, kind: &str| {
            let is_refused = matches!(&error, ReplicatedError::InvalidName { what, .. } if *what == kind);
            assert!(is_refused, "{bad:?}: {error}");
            assert_eq!(error.recovery(), fabricbios_core::recovery::Recovery::FixCaller);
            // A message is one line, whatever the name has in it.
            assert!(!error.to_string().contains(char::is_control), "{error}");
        };
        refused(checkpoints(&machine, bad, "s").unwrap_err(), "resource name");
        refused(checkpoints(&machine, "r", bad).unwrap_err(), "schema id");
        refused(effects(&machine, bad, "s").unwrap_err(), "resource name");
        let (key, epoch) = (|| IdempotencyKey::new(bad), FenceEpoch(1));
        refused(store.reserve(key(), OPERATION, None, epoch).unwrap_err(), "idempotency key");
        refused(store.abandon(key(), Version(1), epoch).unwrap_err(), "idempotency key");
        refused(store.lookup(&key()).unwrap_err(), "idempotency key");
        let save = job.save_step(name(), Version::NONE, b"1", epoch, key(), OPERATION);
        refused(save.unwrap_err(), "idempotency key");
        let name = CheckpointName::new(bad);
        refused(job.save_bytes(name.clone(), Version::NONE, b"1", epoch).unwrap_err(), "checkpoint name");
        refused(job.load_latest(&name).unwrap_err(), "checkpoint name");
        refused(job.take_over(&name).unwrap_err(), "checkpoint name");
        refused(job.status(&name).unwrap_err(), "checkpoint name");
        refused(job.collect_garbage(&name).unwrap_err(), "checkpoint name");
    }
    assert_eq!(tree(folder.path(), Path::new("")), before);
}

#[test]
fn what_is_too_large_is_refused_and_the_largest_that_is_not_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(folder.path());
    let mut store = machine.effects(FenceEpoch(1));
    let key = |at: u64| IdempotencyKey::new(format!("{at:0>MAX_NAME_BYTES$}"));
    let reserved = store.reserve(key(0), OPERATION, None, FenceEpoch(1)).unwrap();
    let effect = |len: usize| IdempotencyOutcome::Completed { effect: Some(vec![7; len]) };
    let error =
        store.complete(key(0), reserved.version, effect(MAX_EFFECT_BYTES + 1), FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::TooLarge { .. }), "{error}");
    store.complete(key(0), reserved.version, effect(MAX_EFFECT_BYTES), FenceEpoch(1)).unwrap();
    // A register with as many versions as it may keep, each made by a step of the longest name.
    let mut job = machine.checkpoints(FenceEpoch(1)).keep_versions(usize::MAX);
    for at in 0..MAX_KEEP_VERSIONS as u64 + 2 {
        job.save_step(name(), Version(at), &at.to_le_bytes(), FenceEpoch(1), key(at), OPERATION).unwrap();
    }
    assert_eq!(job.history(&name()).unwrap().len(), MAX_KEEP_VERSIONS);
}

#[test]
fn a_register_of_another_schema_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(folder.path());
    let mut ours = checkpoints(&machine, "r", "state.v1").unwrap();
    ours.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let mut ours_effects = effects(&machine, "r", "effect.v1").unwrap();
    let key = || IdempotencyKey::new("step");
    ours_effects.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();

    let mut other = checkpoints(&machine, "r", "state.v2").unwrap();
    let mut other_effects = effects(&machine, "r", "effect.v2").unwrap();
    let refused = |error: ReplicatedError| {
        assert!(matches!(error, ReplicatedError::WrongSchema { .. }), "{error}");
        assert!(error.to_string().contains(".v1") && error.to_string().contains(".v2"), "{error}");
    };
    refused(other.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap_err());
    refused(other.load_latest(&name()).unwrap_err());
    refused(other.take_over(&name()).unwrap_err());
    refused(other.repair(&name()).unwrap_err());
    refused(other.collect_garbage(&name()).unwrap_err());
    refused(other_effects.reserve(IdempotencyKey::new("new"), OPERATION, None, FenceEpoch(1)).unwrap_err());
    refused(other_effects.take_over().unwrap_err());
    refused(other_effects.retire_below(7, FenceEpoch(1)).unwrap_err());
    assert_eq!(ours.load_latest(&name()).unwrap().unwrap().value, b"1");
    let again = ours_effects.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    assert_eq!(again.kind, ReservationKind::Resumed);
}

#[test]
fn something_else_where_the_register_or_the_replicas_should_be_is_named_and_left_alone() {
    for (what, path) in [("register", "replicated/register.sqlite3"), ("replicas", "replicated/replicas")] {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        drop(EmbeddedHome::builder().home(&home).open().unwrap());
        let at = home.join(path);
        if at.is_dir() {
            fs::remove_dir(&at).unwrap();
            fs::write(&at, b"a file").unwrap();
        } else {
            fs::remove_file(&at).unwrap();
            fs::create_dir(&at).unwrap();
            fs::write(at.join("inside"), b"x").unwrap();
        }
        let before = tree(folder.path(), Path::new(""));
        let refused = EmbeddedHome::builder().home(&home).open().unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{what}: {refused}");
        assert!(refused.to_string().contains(path), "it says where: {refused}");
        assert_eq!(tree(folder.path(), Path::new("")), before, "{what}");
    }
}

#[test]
fn replicas_whose_directories_are_mixed_up_are_not_used_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::open(folder.path());
    let save = |machine: &Machine, at: u64| {
        machine.checkpoints(FenceEpoch(1)).save_bytes(name(), Version(at), b"state", FenceEpoch(1))
    };
    save(&machine, 0).unwrap();
    let (a, b, aside) = (machine.replica_path("a"), machine.replica_path("b"), folder.path().join("aside"));
    let swap = || {
        fs::rename(&a, &aside).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(&aside, &b).unwrap();
    };
    swap();
    let before = tree(folder.path(), Path::new(""));
    let mixed_up = Machine::open(folder.path());
    let error = save(&mixed_up, 1).unwrap_err();
    let ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, failures } = &error else {
        panic!("{error}")
    };
    for (id, failure) in &failures.0 {
        assert!(matches!(failure, StoreError::Foreign { .. }), "{id}: {failure}");
    }
    let loaded = mixed_up.checkpoints(FenceEpoch(1)).load_latest(&name()).unwrap().unwrap();
    assert_eq!((loaded.version, loaded.value), (Version(1), b"state".to_vec()), "from the one that is left");
    let repaired = mixed_up.checkpoints(FenceEpoch(1)).repair(&name()).unwrap();
    assert_eq!(
        (repaired.copied.len(), repaired.failed.len()),
        (0, 2),
        "nothing is written to another's directory"
    );
    let space = machine.blobs_path("c");
    let without_c = |paths: BTreeSet<PathBuf>| -> BTreeSet<PathBuf> {
        paths.into_iter().filter(|path| !path.starts_with(&space)).collect()
    };
    assert_eq!(without_c(tree(folder.path(), Path::new(""))), without_c(before));
    swap();
    save(&Machine::open(folder.path()), 1).unwrap();
}

#[test]
fn an_open_home_on_a_full_disk_gives_out_what_it_has_and_takes_more_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(8192) else { return };
    disk.fill();
    let refused = EmbeddedHome::builder().home(disk.path().join("home")).open().unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    disk.make_room();
    let home = disk.path().join("home");
    let machine = Machine::open(&home);
    let mut job = machine.checkpoints(FenceEpoch(1));
    let mut save =
        |at: u64| job.save_bytes(name(), Version(at), &[u8::try_from(at).unwrap(); 100_000], FenceEpoch(1));
    save(0).unwrap();
    disk.fill();
    let error = save(1).unwrap_err();
    let ReplicatedError::QuorumNotMet { acknowledged: 0, failures, .. } = &error else { panic!("{error}") };
    assert!(failures.0.iter().all(|(_, failure)| matches!(failure, StoreError::Full { .. })), "{error}");
    let error = job.take_over(&name()).unwrap_err();
    assert!(matches!(error, ReplicatedError::Store(StoreError::Full { .. })), "{error}");
    assert!(job.load_latest(&name()).unwrap().unwrap().value == [0; 100_000]);
    assert_eq!(job.scrub(&name()).unwrap().faults, []);
    disk.make_room();
    job.save_bytes(name(), Version(1), &[1; 100_000], FenceEpoch(1)).unwrap();
    assert!(job.load_latest(&name()).unwrap().unwrap().value == [1; 100_000]);
}

/// Nobody has the register open, so SQLite must make its `-shm` file (32 KiB) before a reader may look at the log.
#[test]
fn a_home_that_nobody_has_open_can_not_be_opened_on_a_full_disk_says_so_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(8192) else { return };
    let home = disk.path().join("home");
    let machine = Machine::open(&home);
    machine.checkpoints(FenceEpoch(1)).save_bytes(name(), Version::NONE, b"kept", FenceEpoch(1)).unwrap();
    drop(machine);
    disk.fill();
    let refused = EmbeddedHome::builder().home(&home).open().unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    disk.make_room();
    let loaded = Machine::open(&home).checkpoints(FenceEpoch(1)).load_latest(&name()).unwrap().unwrap();
    assert_eq!(loaded.value, b"kept");
}

#[test]
fn a_home_that_can_not_be_written_says_so_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(8192) else { return };
    disk.set_writable(false);
    let refused = EmbeddedHome::builder().home(disk.path().join("home")).open().unwrap_err();
    assert!(matches!(refused, StoreError::Io { errno: 30, .. }), "{refused}");
    disk.set_writable(true);
    let home = disk.path().join("home");
    let machine = Machine::open(&home);
    machine.checkpoints(FenceEpoch(1)).save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    drop(machine);
    disk.set_writable(false);
    // Whether it can be opened at all to read is up to the file system; nothing is published, and nothing is lost.
    if let Ok(embedded) = EmbeddedHome::builder().home(&home).open() {
        drop(embedded);
        let mut job = Machine::open(&home).checkpoints(FenceEpoch(1));
        job.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap_err();
        job.take_over(&name()).unwrap_err();
        if let Ok(loaded) = job.load_latest(&name()) {
            assert_eq!(loaded.unwrap().value, b"1");
        }
    }
    disk.set_writable(true);
    let mut job = Machine::open(&home).checkpoints(FenceEpoch(1));
    assert_eq!(job.load_latest(&name()).unwrap().unwrap().value, b"1");
    job.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap();
}
