//! What a change of replicas asks for, and when it moves the register.

use super::*;
use crate::names::{CheckpointName, LogicalResourceName, SchemaId};
use crate::placement::{FailureDomain, PlacementPolicy, ReplicaHealth, ReplicaLocator, ReplicaRole};

fn set(generation: u64, ids: &[&str]) -> ReplicaSetLocator {
    let locator = |id: &&str| ReplicaLocator {
        replica_id: ReplicaId::new(*id),
        domain: FailureDomain::cell("local", *id),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    ReplicaSetLocator::new(ResourceGeneration(generation), ids.iter().map(locator).collect())
}

fn claim() -> Claim {
    let old = set(1, &["a", "b", "c"]);
    Claim {
        resource: LogicalResourceName::new("r"),
        checkpoint: CheckpointName::new("c"),
        schema: SchemaId::new("s"),
        policy_hash: PolicyHash([0; 32]),
        generation: old.generation(),
        layout: old.layout(),
        opened_at: FenceEpoch(1),
    }
}

fn change(newest: Option<BlobTag>) -> ChangeReplicas {
    let policy = ReplicaPolicy::new(PlacementPolicy::new()).write_quorum(2);
    let to = NewReplicas { set: set(2, &["b", "d", "a"]), policy, policy_hash: PolicyHash([9; 32]) };
    let newest = newest.map(|tag| (ReplicaId::new("d"), tag));
    ChangeReplicas::new(claim(), to, FenceEpoch(1), newest)
}

fn tag(version: u64) -> BlobTag {
    BlobTag { epoch: FenceEpoch(1), version: Version(version), nonce: Nonce(version.into()) }
}

/// The first two versions share a blob.
fn saved(version: u64) -> SavedVersion {
    SavedVersion {
        version: Version(version),
        epoch: FenceEpoch(1),
        manifest: tag(version),
        manifest_digest: [0; 32],
        payload_bytes: 1,
        blobs: if version == 2 { vec![tag(2), tag(1)] } else { vec![tag(version)] },
        acknowledged: 0b101,
        step: None,
    }
}

fn register(versions: u64) -> Register {
    (1..=versions).fold(claim().new_register(), |register, version| register.saved(saved(version), 8))
}

fn copies(of: &[(u64, &[usize])]) -> Copies {
    let holders = of.iter().map(|(version, places)| (tag(*version), places.iter().copied().collect()));
    Copies { holders: holders.collect(), failures: ReplicaFailures::default() }
}

fn written(decision: Result<Decision<Moved>, ReplicatedError>) -> Register {
    let Ok(Decision::Write { puts, then: Then::Finish(_) }) = decision else { panic!("{decision:?}") };
    let [(0, Some(body))] = puts.as_slice() else { panic!("{puts:?}") };
    Register::decode(&claim().key(), body).unwrap()
}

#[test]
fn nothing_moves_before_every_kept_version_was_copied() {
    let mut change = change(None);
    let asked = change.decide(Some(register(2)), &[], Nonce(1));
    assert!(matches!(asked, Ok(Decision::Upload)), "{asked:?}");
    assert_eq!(change.wanted(), [saved(1), saved(2)]);
    change.copied(copies(&[(1, &[0, 1]), (2, &[0, 1, 2])]));
    // A newer version has come in between.
    let asked = change.decide(Some(register(3)), &[], Nonce(2));
    assert!(matches!(asked, Ok(Decision::Upload)), "{asked:?}");
    change.copied(copies(&[(1, &[0, 1]), (2, &[0, 1, 2]), (3, &[1, 2])]));
    let moved = written(change.decide(Some(register(3)), &[], Nonce(3)));
    assert_eq!((moved.generation, moved.version), (ResourceGeneration(2), Version(3)));
    assert_eq!((moved.policy, moved.epoch), (PolicyHash([9; 32]), FenceEpoch(1)));
    assert_eq!(moved.layout, set(2, &["b", "d", "a"]).layout());
    let acknowledged: Vec<_> = moved.history.iter().map(|saved| saved.acknowledged).collect();
    assert_eq!(acknowledged, [0b011, 0b011, 0b110], "version 2 is where both of its blobs are");
}

#[test]
fn another_state_of_the_same_version_is_copied_anew() {
    let mut change = change(None);
    change.decide(Some(register(1)), &[], Nonce(1)).unwrap();
    change.copied(copies(&[(1, &[0, 1])]));
    let mut other = register(1);
    other.history[0].manifest_digest = [7; 32];
    let asked = change.decide(Some(other), &[], Nonce(2));
    assert!(matches!(asked, Ok(Decision::Upload)), "the engine was put back meanwhile: {asked:?}");
}

#[test]
fn each_blob_needs_the_write_quorum_of_the_new_set() {
    for (holders, acknowledged) in [(&[0_usize][..], 1), (&[][..], 0), (&[1, 7][..], 1)] {
        let mut change = change(None);
        change.decide(Some(register(2)), &[], Nonce(1)).unwrap();
        change.copied(copies(&[(1, holders), (2, &[0, 1, 2])]));
        let error = change.decide(Some(register(2)), &[], Nonce(2)).unwrap_err();
        let ReplicatedError::QuorumNotMet { needed: 2, acknowledged: found, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(found, acknowledged);
    }
}

#[test]
fn copies_are_asked_for_so_often_and_no_more() {
    let mut change = change(None);
    for version in 1..=u64::from(MAX_ROUNDS) {
        let asked = change.decide(Some(register(version)), &[], Nonce(1));
        assert!(matches!(asked, Ok(Decision::Upload)), "{asked:?}");
        change.copied(Copies::default());
    }
    let current = Version(u64::from(MAX_ROUNDS) + 1);
    let error = change.decide(Some(register(current.0)), &[], Nonce(1)).unwrap_err();
    let checkpoint = CheckpointName::new("c");
    assert_eq!(error, ReplicatedError::OvertakenBySaves { checkpoint, rounds: MAX_ROUNDS, current });
}

#[test]
fn without_versions_the_register_moves_at_once_also_one_that_is_new() {
    for first in [None, Some(register(0))] {
        let moved = written(change(None).decide(first, &[], Nonce(1)));
        assert_eq!((moved.generation, moved.version), (ResourceGeneration(2), Version::NONE));
    }
}

#[test]
fn a_blob_from_the_future_stops_the_change_and_one_of_the_next_save_does_not() {
    let decide = |newest, first| change(Some(newest)).decide(first, &[], Nonce(1));
    assert!(matches!(decide(tag(3), Some(register(2))), Ok(Decision::Upload)));
    for (newest, first) in [(tag(4), Some(register(2))), (tag(1), None)] {
        let error = decide(newest, first).unwrap_err();
        assert!(matches!(error, ReplicatedError::MetadataRegressed { .. }), "{error}");
    }
}

#[test]
fn what_took_place_is_not_done_again_and_another_set_is_not_taken_for_it() {
    let mut change_of_ours = change(None);
    change_of_ours.decide(Some(register(1)), &[], Nonce(1)).unwrap();
    change_of_ours.copied(copies(&[(1, &[0, 1])]));
    let moved = written(change_of_ours.decide(Some(register(1)), &[], Nonce(2)));
    let again = change(None).decide(Some(moved.clone()), &[], Nonce(3));
    assert!(matches!(again, Ok(Decision::Finish(Moved { version: Version(1), .. }))), "{again:?}");
    let others = Register { layout: set(2, &["x", "y", "z"]).layout(), ..moved };
    let refused = change(None).decide(Some(others), &[], Nonce(3));
    assert!(matches!(refused, Err(ReplicatedError::WrongGeneration { .. })), "{refused:?}");
}

#[test]
fn the_layout_tells_sets_apart_by_all_that_quorums_and_places_depend_on() {
    let first = set(1, &["a", "b"]);
    let edited = |edit: fn(&mut ReplicaLocator)| {
        let mut set = first.clone();
        edit(&mut set.replicas[1]);
        set.layout()
    };
    let domain = FailureDomain::zone("a", "b", "c");
    assert_ne!(domain, FailureDomain::cell("a", "b"));
    let others = [
        set(2, &["a", "b"]).layout(),
        set(1, &["b", "a"]).layout(),
        set(1, &["a"]).layout(),
        set(1, &["ab", ""]).layout(),
        edited(|replica| replica.role = ReplicaRole::Learner),
        edited(|replica| replica.domain = FailureDomain::cell("local", "a")),
        edited(|replica| replica.domain = FailureDomain::zone("local", "a", "b")),
        edited(|replica| replica.domain = FailureDomain::region("local", "b")),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!(*other, first.layout(), "{at}");
        assert!(!others[..at].contains(other), "{at}");
    }
    for same in [
        edited(|replica| replica.health = ReplicaHealth::Unreachable),
        edited(|replica| replica.epoch = FenceEpoch(9)),
        edited(|replica| replica.content_generation = 9),
    ] {
        assert_eq!(same, first.layout());
    }
}
