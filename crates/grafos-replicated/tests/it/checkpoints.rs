//! Saving, loading, fencing and repairing, on an engine in memory.

use grafos_replicated::*;

use crate::world::{World, name, payload};

const MIB: usize = 1 << 20;

#[test]
fn a_saved_state_is_loaded_as_it_was_and_each_save_is_one_version() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    assert_eq!(job.load_latest(&name()).unwrap(), None);
    assert_eq!(job.current_version(&name()).unwrap(), Version::NONE);
    for (at, len) in [0, 1, 5, MIB - 1, MIB, MIB + 1, 3 * MIB + 7].into_iter().enumerate() {
        let bytes = payload(len, 1);
        let saved = job.save_bytes(name(), Version(at as u64), &bytes, FenceEpoch(1)).unwrap();
        assert_eq!(saved.version, Version(at as u64 + 1));
        let loaded = world.checkpoints(1).load_latest(&name()).unwrap().unwrap();
        assert!(loaded.value == bytes, "len={len}");
        assert_eq!((loaded.version, loaded.epoch), (saved.version, FenceEpoch(1)));
    }
    let versions: Vec<_> = job.history(&name()).unwrap().iter().map(|saved| saved.version.0).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(job.load_version(&name(), Version(3)).unwrap().value, payload(5, 1));
}

#[test]
fn values_are_saved_and_loaded_by_type() {
    let mut job = World::new().checkpoints(1);
    let value = (7_u64, vec!["a".to_owned(), "b".to_owned()]);
    job.save(name(), Version::NONE, &value, FenceEpoch(1)).unwrap();
    let loaded: LoadedCheckpoint<(u64, Vec<String>)> = job.load(&name()).unwrap().unwrap();
    assert_eq!(loaded.value, value);
    let error = job.load::<Vec<[u64; 16]>>(&name()).unwrap_err();
    assert!(matches!(error, ReplicatedError::Serialization { .. }), "{error}");
}

#[test]
fn a_state_can_be_streamed_out_and_in() {
    let mut job = World::new().checkpoints(1);
    let bytes = payload(2 * MIB + 100, 9);
    job.save_with(name(), Version::NONE, FenceEpoch(1), |sink| {
        bytes.chunks(777).try_for_each(|part| sink.write_all(part))
    })
    .unwrap();
    let mut loaded = Vec::new();
    assert_eq!(job.load_into(&name(), &mut loaded).unwrap(), Some(Version(1)));
    assert!(loaded == bytes);
}

#[test]
fn a_producer_that_fails_publishes_nothing_and_leaves_nothing() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    let error = job
        .save_with(name(), Version::NONE, FenceEpoch(1), |sink| {
            sink.write_all(&payload(2 * MIB, 1))?;
            Err(std::io::Error::other("the simulation diverged"))
        })
        .unwrap_err();
    assert!(error.to_string().contains("the simulation diverged"), "{error}");
    assert_eq!(job.current_version(&name()).unwrap(), Version::NONE);
    assert!(world.replicas.values().all(|replica| replica.used_bytes() == 0));
}

#[test]
fn a_writer_that_builds_on_an_old_version_is_told_the_current_one() {
    let world = World::new();
    let (mut one, mut two) = (world.checkpoints(1), world.checkpoints(1));
    one.save_bytes(name(), Version::NONE, b"one", FenceEpoch(1)).unwrap();
    let error = two.save_bytes(name(), Version::NONE, b"two", FenceEpoch(1)).unwrap_err();
    let conflict =
        ReplicatedError::VersionConflict { checkpoint: name(), expected: Version(0), current: Version(1) };
    assert_eq!(error, conflict);
    assert_eq!(two.load_latest(&name()).unwrap().unwrap().value, b"one");
}

#[test]
fn a_writer_that_was_taken_over_publishes_nothing() {
    let world = World::new();
    let (mut old, mut new) = (world.checkpoints(1), world.checkpoints(1));
    old.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let epoch = new.take_over(&name()).unwrap();
    assert_eq!(epoch, FenceEpoch(2));
    let error = old.save_bytes(name(), Version(1), b"zombie", FenceEpoch(1)).unwrap_err();
    assert!(
        matches!(error, ReplicatedError::StaleEpoch { held: FenceEpoch(1), current: FenceEpoch(2), .. }),
        "{error}"
    );
    assert_eq!(error.recovery(), fabricbios_core::recovery::Recovery::StopWriting);
    new.save_bytes(name(), Version(1), b"2", epoch).unwrap();
    assert_eq!(old.load_latest(&name()).unwrap().unwrap().value, b"2", "it may still read");
}

#[test]
fn an_epoch_that_nobody_granted_is_refused_and_one_that_the_handle_was_opened_with_is_written_down() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    job.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let error = job.save_bytes(name(), Version(1), b"2", FenceEpoch(9)).unwrap_err();
    assert!(matches!(error, ReplicatedError::UnknownEpoch { held: FenceEpoch(9), .. }), "{error}");
    world.checkpoints(9).save_bytes(name(), Version(1), b"2", FenceEpoch(9)).unwrap();
    let error = job.save_bytes(name(), Version(2), b"3", FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::StaleEpoch { current: FenceEpoch(9), .. }), "{error}");
}

#[test]
fn an_acknowledged_state_survives_the_loss_of_one_replica_and_is_repaired() {
    let world = World::new();
    world.checkpoints(1).save_bytes(name(), Version::NONE, &payload(3 * MIB, 1), FenceEpoch(1)).unwrap();
    for lost in ["a", "b", "c"] {
        let mut job = world.without(&[lost]).checkpoints(1);
        assert!(job.load_latest(&name()).unwrap().unwrap().value == payload(3 * MIB, 1));
        let emptied = world.with_empty(lost);
        let mut job = emptied.checkpoints(1);
        assert_eq!(job.scrub(&name()).unwrap().faults.len(), 1);
        assert_eq!(job.repair(&name()).unwrap().copied.len(), 1);
        assert_eq!(job.scrub(&name()).unwrap().faults, []);
        let id = ReplicaId::new(lost);
        let alone: Vec<_> = ["a", "b", "c"].into_iter().filter(|other| *other != lost).collect();
        let mut job = emptied.without(&alone).checkpoints(1);
        assert!(job.load_latest(&name()).unwrap().unwrap().value == payload(3 * MIB, 1), "only {id} is left");
    }
}

#[test]
fn too_few_replicas_publish_nothing() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    job.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let mut alone = world.without(&["a", "b"]).checkpoints(1);
    let error = alone.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap_err();
    let ReplicatedError::QuorumNotMet { needed: 2, acknowledged: 1, failures } = error else {
        panic!("{error}");
    };
    assert_eq!(failures.0.len(), 2);
    assert_eq!(job.load_latest(&name()).unwrap().unwrap().value, b"1");
    job.save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap();
}

#[test]
fn a_read_quorum_counts_verified_copies() {
    let world = World::new();
    world.checkpoints(1).save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    assert!(world.checkpoints_reading(1, 3).load_latest(&name()).is_ok());
    let emptied = world.with_empty("b");
    assert!(emptied.checkpoints_reading(1, 2).load_latest(&name()).is_ok());
    let error = emptied.checkpoints_reading(1, 3).load_latest(&name()).unwrap_err();
    assert!(matches!(error, ReplicatedError::ReadQuorumNotMet { needed: 3, verified: 2, .. }), "{error}");
}

#[test]
fn a_lost_state_is_an_error_and_never_an_older_one() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    job.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let newer = world.with_empty("a").with_empty("b").with_empty("c");
    newer.checkpoints(1).save_bytes(name(), Version(1), b"2", FenceEpoch(1)).unwrap();
    let error = job.load_latest(&name()).unwrap_err();
    assert!(matches!(error, ReplicatedError::PayloadUnavailable { version: Version(2), .. }), "{error}");
    assert_eq!(job.load_version(&name(), Version(1)).unwrap().value, b"1", "asked for by name");
}

#[test]
fn chunks_that_did_not_change_are_not_written_again() {
    let world = World::new();
    let mut job = world.checkpoints(1);
    let mut bytes = payload(100 * MIB, 1);
    let first = job.save_bytes(name(), Version::NONE, &bytes, FenceEpoch(1)).unwrap();
    assert!(first.written_bytes > 100 * MIB as u64);
    for version in 1..20 {
        bytes[version * 5 * MIB] ^= 1;
        let saved = job.save_bytes(name(), Version(version as u64), &bytes, FenceEpoch(1)).unwrap();
        // Eight blobs at most, so sometimes a few chunks are gathered from those that are hardly in use.
        assert!(saved.written_bytes < 4 * MIB as u64, "version={version}, {saved:?}");
        // A handle that knows nothing yet finds the manifest on the replicas.
        job = world.checkpoints(1);
    }
    assert!(job.load_latest(&name()).unwrap().unwrap().value == bytes);
}

#[test]
fn garbage_is_what_no_commit_can_publish_and_no_version_names() {
    let world = World::new();
    let mut job = world.checkpoints(1).keep_versions(2);
    for version in 0..5 {
        job.save_bytes(name(), Version(version.into()), &payload(1000, version), FenceEpoch(1)).unwrap();
    }
    let lost = world.without(&["a", "b"]).checkpoints(1).save_bytes(name(), Version(5), b"x", FenceEpoch(1));
    assert!(lost.is_err());
    let collected = job.collect_garbage(&name()).unwrap();
    assert_eq!(collected.deleted, 0, "the lost attempt can still land");
    // A save can't remove version 4 from a replica that it does not reach.
    let mut without_b = world.without(&["b"]).checkpoints(1).keep_versions(2);
    without_b.save_bytes(name(), Version(5), b"6", FenceEpoch(1)).unwrap();
    drop(without_b); // waits for what it removes
    assert_eq!(job.status(&name()).unwrap().unreferenced, 2);
    assert_eq!(job.collect_garbage(&name()).unwrap().deleted, 2, "version 4, and now the lost attempt");
    assert_eq!(job.status(&name()).unwrap().unreferenced, 0);
    assert_eq!(job.load_version(&name(), Version(5)).unwrap().value, payload(1000, 4));
    let error = job.load_version(&name(), Version(4)).unwrap_err();
    assert!(matches!(error, ReplicatedError::VersionNotKept { oldest: Version(5), .. }), "{error}");
}

#[test]
fn the_status_names_what_lies_on_too_few_replicas() {
    let world = World::new();
    world.without(&["c"]).checkpoints(1).save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let status = world.checkpoints(1).status(&name()).unwrap();
    assert_eq!((status.version, status.epoch), (Version(1), FenceEpoch(1)));
    let states: Vec<_> =
        status.versions[0].1.iter().map(|(id, state)| (id.as_str(), state.clone())).collect();
    assert_eq!(states, [("a", CopyState::Present), ("b", CopyState::Present), ("c", CopyState::Missing)]);
    assert_eq!(status.under_replicated().count(), 0);
    let status = world.with_empty("a").checkpoints(1).status(&name()).unwrap();
    assert_eq!(status.under_replicated().map(|saved| saved.version).collect::<Vec<_>>(), [Version(1)]);
}

#[test]
fn a_register_that_went_back_is_found_and_a_takeover_goes_above_it() {
    let (world, old) = (World::new(), World::new());
    let mut job = world.checkpoints(1);
    job.save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let epoch = job.take_over(&name()).unwrap();
    job.save_bytes(name(), Version(1), b"2", epoch).unwrap();
    // An engine restored from before all of that, with the replicas as they are.
    let restored = old.with_replicas_of(&world);
    let mut back = restored.checkpoints(1);
    back.save_bytes(name(), Version::NONE, b"other", FenceEpoch(1)).unwrap();
    let error = back.status(&name()).unwrap_err();
    assert!(
        matches!(
            error,
            ReplicatedError::MetadataRegressed { seen_epoch: FenceEpoch(2), epoch: FenceEpoch(1), .. }
        ),
        "{error}"
    );
    assert!(matches!(back.collect_garbage(&name()), Err(ReplicatedError::MetadataRegressed { .. })));
    assert_eq!(back.take_over(&name()).unwrap(), FenceEpoch(3));
}

#[test]
fn another_schema_policy_or_layout_is_refused() {
    let world = World::new();
    world.checkpoints(1).save_bytes(name(), Version::NONE, b"1", FenceEpoch(1)).unwrap();
    let (policy, set) = crate::world::layout();
    let open = |schema: &str, hash: u8, generation: u64| {
        ReplicatedCheckpoint::new_on(
            world.engine(),
            LogicalResourceName::new("job"),
            SchemaId::new(schema),
            FenceEpoch(1),
            policy.clone(),
            ReplicaSetLocator::new(ResourceGeneration(generation), set.replicas().to_vec()),
            PolicyHash([hash; 32]),
        )
        .unwrap()
        .current_version(&name())
    };
    assert_eq!(open("state.v1", 1, 1), Ok(Version(1)));
    assert!(matches!(open("state.v2", 1, 1), Err(ReplicatedError::WrongSchema { .. })));
    assert!(matches!(open("state.v1", 2, 1), Err(ReplicatedError::WrongPolicy { .. })));
    assert!(matches!(open("state.v1", 1, 2), Err(ReplicatedError::WrongGeneration { .. })));
}

#[test]
fn hostile_names_are_names_or_refused_and_never_paths() {
    let mut job = World::new().checkpoints(1);
    for bad in ["", "a\0b", "line\nbreak", &"x".repeat(257)] {
        let error = job.save_bytes(CheckpointName::new(bad), Version::NONE, b"1", FenceEpoch(1)).unwrap_err();
        assert!(matches!(error, ReplicatedError::InvalidName { what: "checkpoint name", .. }), "{error}");
        assert!(job.load_latest(&CheckpointName::new(bad)).is_err());
    }
    let long = "ü".repeat(128);
    let odd = ["..", "../../x", "a/b", "a%2Fb", "C:\\x", ".", &long];
    for (at, name) in odd.into_iter().enumerate() {
        let bytes = [u8::try_from(at).unwrap()];
        job.save_bytes(CheckpointName::new(name), Version::NONE, &bytes, FenceEpoch(1)).unwrap();
    }
    for (at, name) in odd.into_iter().enumerate() {
        assert_eq!(
            job.load_latest(&CheckpointName::new(name)).unwrap().unwrap().value,
            [u8::try_from(at).unwrap()],
            "{name}"
        );
    }
}

#[test]
fn a_save_removes_what_it_pushes_out_and_no_more() {
    let world = World::new();
    let mut checkpoints = world.checkpoints(1).keep_versions(2);
    let mut state = payload(5 << 20, 1);
    for version in 0..20 {
        // Most chunks stay, so that old blobs live on in new versions.
        state[usize::try_from(version).unwrap() * 100_000] ^= 1;
        checkpoints.save_bytes(name(), Version(version), &state, FenceEpoch(1)).unwrap();
        assert_eq!(
            checkpoints.status(&name()).unwrap().unreferenced,
            0,
            "it waits for what is being removed"
        );
        let mut named: Vec<_> =
            checkpoints.history(&name()).unwrap().into_iter().flat_map(|saved| saved.blobs).collect();
        named.sort_unstable();
        named.dedup();
        for replica in world.replicas.values() {
            let there = replica.list(&BlobSpace::new("job", name().as_str()), None, 1000).unwrap();
            assert_eq!(there, named, "version {version}");
        }
    }
    assert_eq!(checkpoints.load_version(&name(), Version(19)).unwrap().version, Version(19));
    assert_eq!(checkpoints.load_latest(&name()).unwrap().unwrap().value, state);
    assert_eq!(checkpoints.collect_garbage(&name()).unwrap().deleted, 0);
}

#[test]
fn a_reader_beside_a_writer_that_keeps_one_version_always_gets_a_whole_state() {
    let world = World::new();
    let mut writer = world.checkpoints(1).keep_versions(1);
    writer.save_bytes(name(), Version(0), &payload(3 << 20, 0), FenceEpoch(1)).unwrap();
    let mut reader = world.checkpoints(1);
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for version in 1..100 {
                let state = payload(3 << 20, version);
                writer.save_bytes(name(), Version(version.into()), &state, FenceEpoch(1)).unwrap();
            }
        });
        let mut newest = Version(0);
        while !writing.is_finished() {
            let loaded = reader.load_latest(&name()).unwrap().unwrap();
            assert!(loaded.version >= newest);
            newest = loaded.version;
            let seed = u32::try_from(newest.0 - 1).unwrap();
            assert!(loaded.value == payload(3 << 20, seed), "the state of {newest} is not whole");
        }
    });
}

#[test]
fn chunks_are_written_again_if_too_few_replicas_still_have_them() {
    let world = World::new();
    let mut state = payload(3 * MIB, 1);
    world.checkpoints(1).save_bytes(name(), Version::NONE, &state, FenceEpoch(1)).unwrap();
    // A disk is lost and replaced, another one is away: of the first version one copy is left.
    let world = world.with_empty("a");
    state[0] ^= 1;
    let reduced = world.without(&["c"]);
    let saved = reduced.checkpoints(1).save_bytes(name(), Version(1), &state, FenceEpoch(1)).unwrap();
    assert!(saved.written_bytes > 3 * MIB as u64, "{saved:?}");
    // The write quorum of two outlives the loss of one.
    let mut survivor = world.without(&["b", "c"]).checkpoints(1);
    assert!(survivor.load_latest(&name()).unwrap().unwrap().value == state);
    // With enough of them there, chunks stay where they are.
    state[0] ^= 1;
    let saved = reduced.checkpoints(1).save_bytes(name(), Version(2), &state, FenceEpoch(1)).unwrap();
    assert!(saved.written_bytes < 2 * MIB as u64, "{saved:?}");
}
