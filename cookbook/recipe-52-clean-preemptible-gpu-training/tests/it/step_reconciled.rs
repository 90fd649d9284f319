//! A process that dies at any operation of a step leaves a job that the next process finishes: the step is done once,
//! and there is one version of it.

use cookbook_recipe_52_clean_preemptible_gpu_training::{Commit, TrainingStepOutcome};
use grafos_replicated::*;

use super::mortal::Life;
use super::step_world::*;

/// How far the dead process had come, as the next one finds it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Left {
    Nothing,
    Reserved,
    Published,
    Completed,
}

/// What is left when the first process dies at operation `dies_at`, and whether it died at all.
fn die(commit: Commit, dies_at: u64, does_the_last: bool) -> (World, Left, bool) {
    let world = World::new();
    let lease = world.lease();
    let life = Life::until(dies_at, does_the_last);
    let mut process = world.process_with(&life).committing(commit);
    let result = process.step(&lease, 42, 0);
    let has_died = life.operations() > dies_at;
    assert!(has_died || result.is_ok(), "{result:?}");
    drop((process, lease));
    assert!(world.usage().is_idle(), "{:?}", world.usage());
    let left = match (world.effect_of(42), world.saved()) {
        (None, None) => Left::Nothing,
        (Some(IdempotencyOutcome::Reserved), None) => Left::Reserved,
        (Some(IdempotencyOutcome::Reserved), Some(_)) => Left::Published,
        (Some(IdempotencyOutcome::Completed { .. }), Some(_)) => Left::Completed,
        other => panic!("{commit:?}, operation {dies_at}: {other:?}"),
    };
    (world, left, has_died)
}

/// The next process asks for the same step, on a version that it has looked up, and then for the one after it.
fn finish(world: &World, left: Left, retry: Commit, context: &str) {
    let launches = world.usage().launches;
    let lease = world.lease();
    let mut next = world.next_process().committing(retry);
    let expected = world.saved().map_or(0, |(version, _)| version.0);
    let outcome = next.step(&lease, 42, expected).unwrap();
    match left {
        Left::Nothing | Left::Reserved => {
            assert!(
                matches!(&outcome, TrainingStepOutcome::Completed { version: Version(1), .. }),
                "{context}: {outcome:?}"
            );
            world.assert_only(1, launches + 1);
        }
        Left::Published | Left::Completed => {
            let again =
                TrainingStepOutcome::Duplicate { job_id: JOB.into(), step: 42, version: Some(Version(1)) };
            assert_eq!(outcome, again, "{context}");
            world.assert_only(1, launches);
        }
    }
    let (version, state) = world.saved().unwrap();
    assert_eq!((version, state.step), (Version(1), 42), "{context}");
    assert_eq!(state.output, trained(42, &input()[..4]), "{context}");
    assert!(matches!(world.effect_of(42), Some(IdempotencyOutcome::Completed { .. })), "{context}");
    let after = next.step(&lease, 43, 1).unwrap();
    assert!(
        matches!(after, TrainingStepOutcome::Completed { version: Version(2), .. }),
        "{context}: {after:?}"
    );
}

/// Dies at every operation in turn, and says how often each state of things was left.
fn at_every_operation(commit: Commit, retry: Commit) -> Vec<(Left, u32)> {
    let mut seen: Vec<(Left, u32)> = Vec::new();
    for does_the_last in [false, true] {
        for dies_at in 0.. {
            let context = format!("{commit:?}, {retry:?}, operation {dies_at}, done={does_the_last}");
            let (world, left, has_died) = die(commit, dies_at, does_the_last);
            if !has_died {
                assert!(dies_at > 6, "a step has more operations than {dies_at}");
                break;
            }
            finish(&world, left, retry, &context);
            match seen.iter_mut().find(|(found, _)| *found == left) {
                Some((_, count)) => *count += 1,
                None => seen.push((left, 1)),
            }
        }
    }
    seen.sort_unstable();
    seen
}

fn kinds(seen: &[(Left, u32)]) -> Vec<Left> {
    seen.iter().map(|(left, _)| *left).collect()
}

#[test]
fn a_crash_at_any_operation_of_one_commit_is_reconciled() {
    for retry in [Commit::AsOne, Commit::InTwoSteps] {
        let seen = at_every_operation(Commit::AsOne, retry);
        assert_eq!(kinds(&seen), [Left::Nothing, Left::Reserved, Left::Completed], "nothing in between");
    }
}

#[test]
fn a_crash_at_any_operation_between_reserve_and_complete_is_reconciled_on_the_path_of_two_steps() {
    for retry in [Commit::AsOne, Commit::InTwoSteps] {
        let seen = at_every_operation(Commit::InTwoSteps, retry);
        let all = [Left::Nothing, Left::Reserved, Left::Published, Left::Completed];
        assert_eq!(kinds(&seen), all, "each of them was reconciled");
    }
}

/// Cut off at every operation in turn, until its first call has failed; then it asks again with the same handles.
fn cut_off_at_every_operation(commit: Commit, does_the_last: bool) {
    for cut_at in 0.. {
        let context = format!("{commit:?}, operation {cut_at}, done={does_the_last}");
        let world = World::new();
        let lease = world.lease();
        let life = Life::until(cut_at, does_the_last);
        let mut process = world.process_with(&life).committing(commit);
        let first = process.step(&lease, 42, 0);
        if life.operations() <= cut_at {
            first.unwrap();
            assert!(cut_at > 6, "a step has more operations than {cut_at}");
            return;
        }
        life.come_back();
        let published = world.saved().is_some();
        let launches = world.usage().launches;
        let outcome = process.step(&lease, 42, 0).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(
            matches!(outcome, TrainingStepOutcome::Duplicate { .. }),
            published,
            "{context}: {outcome:?}"
        );
        world.assert_only(1, launches + u64::from(!published));
        let (version, state) = world.saved().unwrap();
        assert_eq!((version, state.output), (Version(1), trained(42, &input()[..4])), "{context}");
        process.step(&lease, 43, 1).unwrap();
    }
}

#[test]
fn a_process_that_was_cut_off_at_any_operation_asks_again_and_goes_on_without_taking_over() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        for does_the_last in [false, true] {
            cut_off_at_every_operation(commit, does_the_last);
        }
    }
}

#[test]
fn a_step_that_was_cut_off_for_a_moment_is_not_given_back_while_its_state_may_be_published() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        for (cut_at, operations, does_the_last) in
            (0..60).flat_map(|at| (1..6).flat_map(move |n| [(at, n, false), (at, n, true)]))
        {
            let context = format!("{commit:?}, operation {cut_at}, {operations} of them, {does_the_last}");
            let (world, life) = (World::new(), Life::cut_off(cut_at, cut_at + operations, does_the_last));
            let lease = world.lease();
            let first = world.process_with(&life).committing(commit).step(&lease, 42, 0);
            let is_abandoned = world.effect_of(42) == Some(IdempotencyOutcome::Abandoned);
            assert!(!is_abandoned || world.saved().is_none(), "{context}: {first:?}");
            // Somebody else asks for the step on the newest version there is: it must not be added once more.
            let expected = world.saved().map_or(0, |(version, _)| version.0);
            let outcome = world.next_process().committing(commit).step(&lease, 42, expected).unwrap();
            assert_eq!(world.saved().unwrap().0, Version(1), "{context}: {first:?}, then {outcome:?}");
        }
    }
}

#[test]
fn a_zombie_that_has_published_can_not_complete_once_it_is_fenced() {
    let published = |dies_at: &u64| die(Commit::InTwoSteps, *dies_at, true).1 == Left::Published;
    let dies_at = (0..100).find(published).unwrap();
    let (world, ..) = die(Commit::InTwoSteps, dies_at, true);
    let (mut next, mut zombie, lease) = (world.next_process(), world.first_process(), world.lease());
    let completed = IdempotencyOutcome::Completed { effect: None };
    let error = zombie.effects.complete(key(42), Version(1), completed, zombie.epoch).unwrap_err();
    assert!(matches!(error, ReplicatedError::StaleEpoch { .. }), "{error}");
    let outcome = next.step(&lease, 42, 0).unwrap();
    assert!(matches!(outcome, TrainingStepOutcome::Duplicate { version: Some(Version(1)), .. }));
}
