//! The step when nothing breaks: what it leaves behind, and what it says to whoever asks twice, too late, or for
//! something else under the same key.

use cookbook_recipe_52_clean_preemptible_gpu_training::{
    Commit, TrainingBatch, TrainingCheckpoint, TrainingError, TrainingStepOutcome, run_training_step,
};
use fabricbios_core::recovery::Recovery;
use grafos_replicated::*;

use super::step_world::*;

fn duplicate(step: u64, version: Option<u64>) -> TrainingStepOutcome {
    TrainingStepOutcome::Duplicate { job_id: JOB.into(), step, version: version.map(Version) }
}

fn assert_conflict(error: &TrainingError, expected: u64, current: u64) {
    assert_eq!(error.recovery(), Recovery::RefreshAndRetry, "{error}");
    let TrainingError::Replicated(ReplicatedError::VersionConflict { expected: e, current: c, .. }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((*e, *c), (Version(expected), Version(current)));
}

#[test]
fn a_step_is_checkpointed_and_leaves_nothing_on_the_gpu() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        let world = World::new();
        let lease = world.lease();
        let mut process = world.first_process().committing(commit);
        let mut state = input();
        for (step, version) in [(42, 1), (43, 2), (44, 3)] {
            let batch = TrainingBatch { input: state.clone(), ..batch(step) };
            let outcome = process.run(&lease, TRAIN_STEP, "train_step", batch, version - 1).unwrap();
            let output = trained(step, &state[..4]);
            let expected = TrainingStepOutcome::Completed {
                job_id: JOB.into(),
                step,
                output: output.clone(),
                version: Version(version),
            };
            assert_eq!(outcome, expected, "{commit:?}");
            let saved = TrainingCheckpoint { job_id: JOB.into(), step, output: output.clone() };
            assert_eq!(world.saved(), Some((Version(version), saved)));
            world.assert_only(1, version);
            state = output;
        }
        drop(lease);
        assert!(world.usage().is_idle());
    }
}

#[test]
fn a_schedulers_duplicate_is_told_so_and_launches_nothing() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        for retry in [Commit::AsOne, Commit::InTwoSteps] {
            let world = World::new();
            let lease = world.lease();
            let mut process = world.first_process().committing(commit);
            process.step(&lease, 42, 0).unwrap();
            process.step(&lease, 43, 1).unwrap();
            let saved = world.saved();
            // The same handle, another process of the same epoch, and one that took over; with any version.
            let ask = |process: &mut Process, expected| {
                process.commit = retry;
                assert_eq!(process.step(&lease, 42, expected).unwrap(), duplicate(42, Some(1)));
                assert_eq!(process.step(&lease, 43, expected).unwrap(), duplicate(43, Some(2)));
            };
            ask(&mut process, 0);
            ask(&mut world.first_process(), 1);
            ask(&mut world.next_process(), 7);
            world.assert_only(1, 2);
            assert_eq!(world.saved(), saved, "nothing was published");
        }
    }
}

#[test]
fn a_duplicate_on_an_ended_lease_is_told_of_the_lease() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    process.step(&lease, 42, 0).unwrap();
    world.host.revoke(lease.lease_id()).unwrap();
    let error = process.step(&lease, 42, 0).unwrap_err();
    assert!(matches!(error, TrainingError::LeaseNotActive(_)), "{error}");
}

#[test]
fn a_step_that_was_completed_without_its_version_is_a_duplicate_too() {
    let world = World::new();
    let mut process = world.first_process();
    let lease = world.lease();
    // Learns the operation, then does by hand what the published code does.
    let operation = {
        let other = World::new();
        let mut process = other.first_process();
        process.step(&other.lease(), 42, 0).unwrap();
        process.effects.lookup(&key(42)).unwrap().unwrap().operation
    };
    let reservation = process.effects.reserve(key(42), operation, None, FenceEpoch(1)).unwrap();
    let completed = IdempotencyOutcome::Completed { effect: None };
    process.effects.complete(key(42), reservation.version, completed, FenceEpoch(1)).unwrap();
    assert_eq!(process.step(&lease, 42, 0).unwrap(), duplicate(42, None));
    world.assert_only(1, 0);
}

#[test]
fn a_stale_version_is_rejected_without_a_launch_and_the_key_given_back() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    process.step(&lease, 42, 0).unwrap();
    for expected in [0, 2, u64::MAX] {
        assert_conflict(&process.step(&lease, 43, expected).unwrap_err(), expected, 1);
    }
    world.assert_only(1, 1);
    assert_eq!(world.effect_of(43), Some(IdempotencyOutcome::Abandoned));
    assert_eq!(world.saved().unwrap().0, Version(1));
    // Somebody else of the same epoch does it with the right one.
    let outcome = world.first_process().step(&lease, 43, 1).unwrap();
    assert!(matches!(outcome, TrainingStepOutcome::Completed { version: Version(2), .. }));
}

#[test]
fn a_version_that_moves_on_during_the_kernel_is_a_conflict_at_the_commit() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        let world = World::new();
        let (lease, mut process) = (world.lease(), world.first_process().committing(commit));
        let mut faster = world.first_process();
        world.interrupt_with(move || {
            let name = CheckpointName::new(format!("job:{JOB}:latest"));
            let state = TrainingCheckpoint { job_id: JOB.into(), step: 7, output: vec![7] };
            faster.checkpoints.save(name, Version(0), &state, FenceEpoch(1)).unwrap();
        });
        assert_conflict(&process.run_kernel(&lease, "telling_step").unwrap_err(), 0, 1);
        world.assert_only(1, 1);
        assert_eq!(world.saved().unwrap().1.step, 7, "the faster one's state stands");
        assert_eq!(world.effect_of(42), Some(IdempotencyOutcome::Abandoned), "{commit:?}");
    }
}

#[test]
fn a_duplicate_key_with_another_payload_is_an_error_whatever_became_of_the_first() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    process.step(&lease, 42, 0).unwrap(); // completed
    process.step(&lease, 43, 9).unwrap_err(); // given back
    // Reserved by a process that died.
    process.run(&lease, TRAIN_STEP, "train_step", batch(44), 1).unwrap();
    let launches = world.usage().launches;
    let other_input = |step| TrainingBatch { input: vec![9; 5], ..batch(step) };
    let other_output = |step| TrainingBatch { output_len: 5, ..batch(step) };
    let other_module = [TRAIN_STEP, b"\n"].concat();
    for step in [42, 43, 44] {
        let asked: [(&[u8], &str, TrainingBatch); 4] = [
            (TRAIN_STEP, "train_step", other_input(step)),
            (TRAIN_STEP, "train_step", other_output(step)),
            (&other_module, "train_step", batch(step)),
            (TRAIN_STEP, "another", batch(step)),
        ];
        for (module, kernel, batch) in asked {
            let error = process.run(&lease, module, kernel, batch, 2).unwrap_err();
            let is_conflict =
                matches!(&error, TrainingError::Replicated(ReplicatedError::FingerprintConflict { .. }));
            assert!(is_conflict && error.recovery() == Recovery::FixCaller, "step {step}: {error}");
        }
    }
    world.assert_only(1, launches);
    assert_eq!(world.saved().unwrap().0, Version(2));
}

#[test]
fn jobs_have_keys_and_checkpoints_of_their_own() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    for (job_id, input) in [("a", 1), ("b", 2), ("a:step:1", 3)] {
        let batch = TrainingBatch { job_id: job_id.into(), step: 1, input: vec![input], output_len: 1 };
        let outcome = process.run(&lease, TRAIN_STEP, "train_step", batch, 0).unwrap();
        assert!(matches!(outcome, TrainingStepOutcome::Completed { version: Version(1), .. }), "{job_id}");
    }
}

#[test]
fn two_jobs_take_turns_in_taking_over_and_always_find_a_common_epoch() {
    let world = World::new();
    let lease = world.lease();
    for round in 1..5 {
        let mut ours = world.next_process();
        for _ in 0..round {
            let mut theirs = world.first_process();
            let (checkpoints, effects) = (&mut theirs.checkpoints, &mut theirs.effects);
            let taken = cookbook_recipe_52_clean_preemptible_gpu_training::take_over_training(
                checkpoints,
                effects,
                "another job",
            );
            taken.unwrap();
        }
        // The other job may have raised the epoch of the effects: this one takes over again and goes on.
        if ours.step(&lease, round, round - 1).is_err() {
            ours.take_over();
            ours.step(&lease, round, round - 1).unwrap();
        }
    }
    assert_eq!(world.saved().unwrap().0, Version(4));
}

#[test]
fn a_batch_that_makes_no_sense_is_refused_before_anything_is_touched() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    for (input, output_len, found) in
        [(vec![], 0, 0), (vec![1], 0, 0), (vec![1, 2], 3, 3), (vec![1], u32::MAX, u32::MAX)]
    {
        let batch = TrainingBatch { input, output_len, ..batch(42) };
        let error = process.run(&lease, TRAIN_STEP, "train_step", batch, 0).unwrap_err();
        assert!(
            matches!(error, TrainingError::InvalidBatch { found: seen, .. } if seen == u64::from(found)),
            "{error}"
        );
        assert_eq!(error.recovery(), Recovery::FixCaller);
    }
    let of_job = |job_id: &str| TrainingBatch { job_id: job_id.into(), ..batch(42) };
    let error = process.run(&lease, TRAIN_STEP, "train_step", of_job(""), 0).unwrap_err();
    assert!(matches!(error, TrainingError::InvalidBatch { found: 0, .. }), "{error}");
    for job_id in ["a\nb", &"x".repeat(300)] {
        let error = process.run(&lease, TRAIN_STEP, "train_step", of_job(job_id), 0).unwrap_err();
        let is_name = matches!(error, TrainingError::Replicated(ReplicatedError::InvalidName { .. }));
        assert!(is_name, "{error}");
    }
    world.assert_only(1, 0);
    assert_eq!(world.effect_of(42), None);
}

#[test]
fn the_plain_function_is_the_runner_of_the_first_epoch() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    let mut step = |step, expected| {
        let (checkpoints, effects) = (&mut process.checkpoints, &mut process.effects);
        run_training_step(checkpoints, effects, &lease, TRAIN_STEP, "train_step", batch(step), expected)
    };
    let first = step(42, Version(0)).unwrap();
    assert!(matches!(first, TrainingStepOutcome::Completed { version: Version(1), .. }));
    assert_eq!(step(42, Version(0)).unwrap(), duplicate(42, Some(1)));
    world.next_process();
    let error = step(43, Version(1)).unwrap_err();
    assert!(matches!(error, TrainingError::Replicated(ReplicatedError::StaleEpoch { .. })), "{error}");
}
