//! The step when the GPU or the writer's place is taken away: before, in the middle, by whom ever. Nothing of it stays
//! on the device, and nothing is published.

use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::{
    Commit, TrainingBatch, TrainingError, TrainingStepOutcome, acquire_preemptible_training_lease,
};
use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_replicated::*;
use grafos_std::FabricError;
use grafos_std::gpu::{GpuError, GpuFault};
use grafos_std::host::RevokeOutcome;

use super::step_world::*;

fn of_fabric(error: TrainingError) -> FabricError {
    match error {
        TrainingError::Fabric(error) => error,
        other => panic!("{other}"),
    }
}

/// The key was given back, and the job stands where it stood.
fn assert_undone(world: &World) {
    assert_eq!(world.effect_of(42), Some(IdempotencyOutcome::Abandoned));
    assert_eq!(world.saved(), None);
}

#[test]
fn a_lease_that_has_ended_before_the_launch_submits_no_gpu_work() {
    for (status, recovery) in
        [(LeaseStatus::Revoked, Recovery::Reacquire), (LeaseStatus::Expired, Recovery::Reacquire)]
    {
        let world = World::new();
        let lease = world.lease();
        if status == LeaseStatus::Revoked {
            world.host.revoke(lease.lease_id()).unwrap();
        } else {
            world.clock.advance(Duration::from_secs(121));
        }
        let mut process = world.first_process();
        let error = process.step(&lease, 42, 0).unwrap_err();
        assert!(matches!(error, TrainingError::LeaseNotActive(found) if found == status), "{error}");
        assert_eq!(error.recovery(), recovery);
        world.assert_only(0, 0);
        assert_eq!(world.effect_of(42), None, "not even reserved");
        assert_eq!(world.saved(), None);
        // A new lease is all that it takes.
        process.step(&world.lease(), 42, 0).unwrap();
    }
}

#[test]
fn a_revocation_stops_the_kernel_and_nothing_of_the_step_stays() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    let revoke = || assert_eq!(world.host.revoke(lease.lease_id()).unwrap(), RevokeOutcome::TornDown);
    let result = once_launched(&world, revoke, || process.run_kernel(&lease, "endless_step"));
    let error = of_fabric(result.unwrap_err());
    assert!(matches!(error, FabricError::Revoked { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Reacquire);
    world.assert_only(0, 1);
    assert_undone(&world);
    let error = process.run_kernel(&lease, "endless_step").unwrap_err();
    assert!(matches!(error, TrainingError::LeaseNotActive(LeaseStatus::Revoked)), "{error}");
    world.assert_only(0, 1);
}

#[test]
fn a_lease_that_expires_during_the_kernel_stops_it() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    let expire = || world.clock.advance(Duration::from_secs(121));
    let result = once_launched(&world, expire, || process.run_kernel(&lease, "endless_step"));
    let error = of_fabric(result.unwrap_err());
    assert!(matches!(error, FabricError::LeaseExpired { .. }), "{error}");
    world.assert_only(0, 1);
    assert_undone(&world);
}

#[test]
fn a_wrong_module_or_kernel_launches_nothing_and_frees_everything() {
    let world = World::new();
    let lease = world.lease();
    let not_ptx = [b"\x7fELF".as_slice(), b"", b".version 6.3\n.target sm_70\nnonsense", &[0xFF; 100]];
    for (step, module) in (1..).zip(not_ptx) {
        let result = world.first_process().run(&lease, module, "train_step", batch(step), 0);
        let error = of_fabric(result.unwrap_err());
        assert!(matches!(error, FabricError::Gpu(GpuError::ModuleRefused { .. })), "{error}");
        assert_eq!(world.effect_of(step), Some(IdempotencyOutcome::Abandoned));
        world.assert_only(1, 0);
    }
    let wrong_kernel = |step, kernel| {
        let result = world.first_process().run(&lease, KERNELS.as_bytes(), kernel, batch(step), 0);
        world.assert_only(1, 0);
        of_fabric(result.unwrap_err())
    };
    let unknown = wrong_kernel(11, "no_such_kernel");
    assert!(matches!(unknown, FabricError::Gpu(GpuError::UnknownKernel { .. })), "{unknown}");
    let other_parameters = wrong_kernel(12, "another_kernel");
    let is_count = matches!(other_parameters, FabricError::Gpu(GpuError::ArgumentCount { .. }));
    assert!(is_count, "{other_parameters}");
    assert_eq!(world.saved(), None);
}

#[test]
fn a_kernel_that_faults_takes_only_its_step_with_it() {
    let world = World::new();
    let lease = world.lease();
    let mut process = world.first_process();
    for (launches, kernel) in (1..).zip(["trapping_step", "straying_step"]) {
        let world_step = batch(launches);
        let result = process.run(&lease, KERNELS.as_bytes(), kernel, world_step, 0);
        let error = of_fabric(result.unwrap_err());
        assert!(
            matches!(&error, FabricError::GpuSessionFailed { fault, .. } if matches!(**fault, GpuFault::Kernel(_))),
            "{error}"
        );
        assert_eq!(error.recovery(), Recovery::Reopen);
        assert_eq!(world.effect_of(launches), Some(IdempotencyOutcome::Abandoned));
        world.assert_only(1, launches);
    }
    assert_eq!(world.saved(), None);
    let outcome = process.step(&lease, 42, 0).unwrap();
    assert!(matches!(outcome, TrainingStepOutcome::Completed { .. }), "the lease goes on");
}

#[test]
fn too_large_an_input_is_refused_and_the_key_given_back() {
    let world = World::new();
    let lease = world.lease();
    let mut large = batch(42);
    large.input = vec![0; usize::try_from(lease.vram_bytes().min(1 << 21) + 1).unwrap()];
    let result = world.first_process().run(&lease, TRAIN_STEP, "train_step", large, 0);
    let error = of_fabric(result.unwrap_err());
    assert!(matches!(error, FabricError::CapacityExceeded { .. }), "{error}");
    world.assert_only(1, 0);
    assert_undone(&world);
}

#[test]
fn a_writer_that_is_fenced_during_its_kernel_publishes_nothing() {
    for commit in [Commit::AsOne, Commit::InTwoSteps] {
        let world = World::new();
        let (lease, mut zombie) = (world.lease(), world.first_process().committing(commit));
        let mut newer = world.first_process();
        world.interrupt_with(move || newer.take_over());
        let error = zombie.run_kernel(&lease, "telling_step").unwrap_err();
        assert!(matches!(error, TrainingError::Replicated(ReplicatedError::StaleEpoch { .. })), "{error}");
        assert_eq!(error.recovery(), Recovery::StopWriting);
        world.assert_only(1, 1);
        assert_eq!(world.saved(), None);
        let error = zombie.step(&lease, 43, 0).unwrap_err();
        assert_eq!(error.recovery(), Recovery::StopWriting, "{error}");
        world.assert_only(1, 1);

        // The newer one does the step that the zombie had begun.
        let outcome = world.next_process().run_kernel(&lease, "telling_step").unwrap();
        assert!(matches!(outcome, TrainingStepOutcome::Completed { version: Version(1), .. }));
    }
}

#[test]
fn a_step_that_another_process_is_at_is_not_launched_a_second_time() {
    let world = World::new();
    let (lease, mut process) = (world.lease(), world.first_process());
    let (mut other, same_lease) = (world.first_process(), world.lease());
    let (say, hear) = std::sync::mpsc::channel();
    world.interrupt_with(move || {
        let error = other.run_kernel(&same_lease, "telling_step").unwrap_err();
        say.send((error.recovery(), error.to_string())).unwrap();
    });
    let outcome = process.run_kernel(&lease, "telling_step").unwrap();
    assert!(matches!(outcome, TrainingStepOutcome::Completed { .. }));
    let (recovery, said) = hear.recv().unwrap();
    assert_eq!(recovery, Recovery::RetryLater, "{said}");
    assert!(said.contains("somebody is at this step"), "{said}");
    assert_eq!(world.usage().launches, 1);
}

#[test]
fn a_device_in_the_middle_of_a_step_is_nobody_elses() {
    let world = World::new();
    let (lease, mut process) = (world.lease(), world.first_process());
    let (mut other, other_lease) = (world.first_process(), world.lease());
    let (say, hear) = std::sync::mpsc::channel();
    world.interrupt_with(move || {
        let elsewhere = TrainingBatch { job_id: "another job".into(), ..batch(1) };
        say.send(other.run(&other_lease, TRAIN_STEP, "train_step", elsewhere, 0)).unwrap();
    });
    let outcome = process.run_kernel(&lease, "telling_step").unwrap();
    assert!(matches!(outcome, TrainingStepOutcome::Completed { .. }));
    let error = of_fabric(hear.recv().unwrap().unwrap_err());
    assert!(matches!(error, FabricError::Held { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::RetryLater);
    assert_eq!(world.usage().launches, 1);
}

#[test]
fn a_lease_that_no_device_can_give_is_refused() {
    let world = World::new();
    let acquire = |min_vram, lease_secs| {
        world.host.scope(|| acquire_preemptible_training_lease(min_vram, lease_secs)).unwrap_err()
    };
    let too_much = of_fabric(acquire((16 << 30) + 1, 120));
    assert!(matches!(too_much, FabricError::CapacityExceeded { .. }), "{too_much}");
    for error in [acquire(0, 120), acquire(1, 0)] {
        assert_eq!(error.recovery(), Recovery::FixCaller, "{error}");
    }
    world.assert_only(0, 0);
}

#[test]
fn every_error_says_what_to_do() {
    use LeaseStatus::{Expired, Fenced, Released, Revoked};
    let of_status = |status| TrainingError::LeaseNotActive(status).recovery();
    assert_eq!([Revoked, Expired, Released].map(of_status), [Recovery::Reacquire; 3]);
    assert_eq!(of_status(Fenced), Recovery::StopWriting);
    let said = TrainingError::LeaseNotActive(Revoked).to_string();
    assert!(said.contains("status=") && said.contains("take a new lease"), "{said}");
}
