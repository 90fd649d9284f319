//! Steps that happen once, on an engine in memory.

use grafos_replicated::*;

use crate::world::{OPERATION, World, name};

fn key() -> IdempotencyKey {
    IdempotencyKey::new("job:1:step:42")
}

fn done(effect: &[u8]) -> IdempotencyOutcome {
    IdempotencyOutcome::Completed { effect: Some(effect.to_vec()) }
}

#[test]
fn a_step_is_fresh_once_and_completed_ever_after() {
    let world = World::new();
    let mut store = world.effects(1);
    assert_eq!(store.lookup(&key()).unwrap(), None);
    let fresh = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    assert_eq!((fresh.kind, fresh.value.outcome), (ReservationKind::Fresh, IdempotencyOutcome::Reserved));
    let again = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    assert_eq!((again.kind, again.version), (ReservationKind::Resumed, fresh.version));
    store.complete(key(), fresh.version, done(b"loss 0.1"), FenceEpoch(1)).unwrap();
    store.complete(key(), fresh.version, done(b"loss 0.1"), FenceEpoch(1)).expect("the same call again");
    for mut store in [store, world.effects(1)] {
        let duplicate = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
        assert_eq!(
            (duplicate.kind, duplicate.value.outcome),
            (ReservationKind::Completed, done(b"loss 0.1"))
        );
    }
}

#[test]
fn another_operation_under_the_same_key_is_an_error_in_every_state() {
    let mut store = World::new().effects(1);
    let refused = |store: &mut ReplicatedIdempotencyStore| {
        let error = store.reserve(key(), OperationHash([4; 32]), None, FenceEpoch(1)).unwrap_err();
        assert!(matches!(error, ReplicatedError::FingerprintConflict { found: OPERATION, .. }), "{error}");
    };
    let reserved = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    refused(&mut store);
    store.abandon(key(), reserved.version, FenceEpoch(1)).unwrap();
    refused(&mut store);
    let reserved = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    assert_eq!(reserved.kind, ReservationKind::Fresh, "it was given up before it had an effect");
    store.complete(key(), reserved.version, done(b""), FenceEpoch(1)).unwrap();
    refused(&mut store);
}

#[test]
fn two_holders_of_one_epoch_do_not_both_do_the_step() {
    let world = World::new();
    let (mut one, mut two) = (world.effects(1), world.effects(1));
    let reserved = one.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    let error = two.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap_err();
    assert_eq!(error, ReplicatedError::InProgress { key: key(), epoch: FenceEpoch(1) });
    let error = two.complete(key(), reserved.version, done(b""), FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::ReservationLost { .. }), "{error}");
}

#[test]
fn whoever_takes_over_gets_the_step_and_the_zombie_loses_it() {
    let world = World::new();
    let (mut old, mut new) = (world.effects(1), world.effects(1));
    let held = old.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    let epoch = new.take_over().unwrap();
    let error = old.complete(key(), held.version, done(b"zombie"), FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::StaleEpoch { current: FenceEpoch(2), .. }), "{error}");
    let error = old.reserve(IdempotencyKey::new("new"), OPERATION, None, FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::StaleEpoch { .. }), "also for a key that nobody has: {error}");
    let taken = new.reserve(key(), OPERATION, None, epoch).unwrap();
    assert_eq!(taken.kind, ReservationKind::TakenOver);
    new.complete(key(), taken.version, done(b"new"), epoch).unwrap();
    assert_eq!(new.lookup(&key()).unwrap().unwrap().outcome, done(b"new"));
}

#[test]
fn what_was_retired_never_looks_new() {
    let world = World::new();
    let mut store = world.effects(1);
    let step = |n: u64| IdempotencyKey::new(format!("step:{n}"));
    for n in 0..10 {
        let reserved = store.reserve(step(n), OPERATION, Some(n), FenceEpoch(1)).unwrap();
        if n != 4 {
            store.complete(step(n), reserved.version, done(b""), FenceEpoch(1)).unwrap();
        }
    }
    assert_eq!(store.retire_below(6, FenceEpoch(1)).unwrap(), 5, "step 4 is not settled");
    assert_eq!(store.retire_below(3, FenceEpoch(1)).unwrap(), 0, "the mark never falls");
    let error = store.reserve(step(3), OPERATION, Some(3), FenceEpoch(1)).unwrap_err();
    assert_eq!(error, ReplicatedError::Retired { key: step(3), sequence: 3, low_water: 6 });
    let held = store.reserve(step(4), OPERATION, Some(4), FenceEpoch(1)).unwrap();
    assert_eq!(held.kind, ReservationKind::Resumed);
    let kept = store.reserve(step(7), OPERATION, Some(7), FenceEpoch(1)).unwrap();
    assert_eq!(kept.kind, ReservationKind::Completed);
}

#[test]
fn state_and_effect_of_a_step_are_committed_as_one() {
    let world = World::new();
    let (mut job, mut effects) = (world.checkpoints(1), world.effects(1));
    let reservation = effects.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    let (checkpoint, expected) = (name(), Version::NONE);
    let step = StepCommit {
        checkpoint: &checkpoint,
        expected,
        bytes: b"state",
        reservation: &reservation,
        effect: Some(b"7"),
        epoch: FenceEpoch(1),
    };
    let saved = commit_step(&mut job, &mut effects, step).unwrap();
    assert_eq!(saved.version, Version(1));
    assert_eq!(effects.lookup(&key()).unwrap().unwrap().outcome, done(b"7"));
    assert_eq!(job.step_version(&name(), &key(), OPERATION).unwrap(), Some(Version(1)));
    let again = commit_step(&mut job, &mut effects, step).unwrap();
    assert_eq!(again.version, Version(1), "the same commit again is no second step");
    assert_eq!(job.current_version(&name()).unwrap(), Version(1));
}

#[test]
fn a_step_that_loses_its_race_completes_nothing() {
    let world = World::new();
    let (mut job, mut effects) = (world.checkpoints(1), world.effects(1));
    let reservation = effects.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    job.save_bytes(name(), Version::NONE, b"other", FenceEpoch(1)).unwrap();
    let checkpoint = name();
    let step = StepCommit {
        checkpoint: &checkpoint,
        expected: Version::NONE,
        bytes: b"state",
        reservation: &reservation,
        effect: None,
        epoch: FenceEpoch(1),
    };
    let error = commit_step(&mut job, &mut effects, step).unwrap_err();
    assert!(matches!(error, ReplicatedError::VersionConflict { .. }), "{error}");
    assert_eq!(effects.lookup(&key()).unwrap().unwrap().outcome, IdempotencyOutcome::Reserved);
    let mut elsewhere = World::new().effects(1);
    assert_eq!(commit_step(&mut job, &mut elsewhere, step).unwrap_err(), ReplicatedError::DifferentEngines);
}

#[test]
fn a_crash_between_the_two_parts_of_a_step_is_reconciled() {
    let world = World::new();
    let (mut job, mut effects) = (world.checkpoints(1), world.effects(1));
    effects.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    job.save_step(name(), Version::NONE, b"state", FenceEpoch(1), key(), OPERATION).unwrap();
    // The process dies here. Another one takes over.
    let (mut job, mut effects) = (world.checkpoints(1), world.effects(1));
    let epoch = job.take_over(&name()).unwrap();
    effects.take_over_as(epoch).unwrap();
    let reservation = effects.reserve(key(), OPERATION, None, epoch).unwrap();
    assert_eq!(reservation.kind, ReservationKind::TakenOver);
    assert_eq!(job.step_version(&name(), &key(), OPERATION).unwrap(), Some(Version(1)), "the step was done");
    let checkpoint = name();
    let step = StepCommit {
        checkpoint: &checkpoint,
        expected: Version(1),
        bytes: b"the step a second time",
        reservation: &reservation,
        effect: None,
        epoch,
    };
    let saved = commit_step(&mut job, &mut effects, step).unwrap();
    assert_eq!(saved.version, Version(1));
    assert_eq!(job.load_latest(&name()).unwrap().unwrap().value, b"state", "it was not done twice");
    assert!(matches!(effects.lookup(&key()).unwrap().unwrap().outcome, IdempotencyOutcome::Completed { .. }));
    let other = job.step_version(&name(), &key(), OperationHash([9; 32])).unwrap_err();
    assert!(matches!(other, ReplicatedError::FingerprintConflict { .. }), "{other}");
}

#[test]
fn an_effect_that_is_too_large_is_refused() {
    let mut store = World::new().effects(1);
    let reserved = store.reserve(key(), OPERATION, None, FenceEpoch(1)).unwrap();
    let error = store.complete(key(), reserved.version, done(&[0; 40_000]), FenceEpoch(1)).unwrap_err();
    assert!(matches!(error, ReplicatedError::TooLarge { limit: 32_768, found: 40_000, .. }), "{error}");
}
