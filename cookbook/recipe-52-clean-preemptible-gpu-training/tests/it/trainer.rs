//! [`Trainer`] on the local GPU: the bits of plain Rust, with any number of cores, from any checkpoint; and what becomes of
//! it when the GPU is taken away.

use std::num::NonZeroUsize;

use cookbook_recipe_52_clean_preemptible_gpu_training::TrainingError;
use cookbook_recipe_52_clean_preemptible_gpu_training::training::{
    Digits, PlanError, Reference, StateError, Trainer, TrainingPlan, TrainingState,
};
use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_std::gpu::{GpuBuilder, GpuLease};
use grafos_std::host::{GpuUsage, Host, LocalGpuHost, LocalGpuHostBuilder};

const SMALL: TrainingPlan =
    TrainingPlan { seed: 5, batch_len: 12, steps: 200, learning_rate: 1e-2, hidden: [24, 10] };

fn host_of(gpu: LocalGpuHostBuilder) -> Host {
    Host::builder().gpu(std::sync::Arc::new(gpu.build().unwrap())).build().unwrap()
}

fn host_with(threads: usize) -> Host {
    host_of(LocalGpuHost::builder().threads(NonZeroUsize::new(threads).unwrap()))
}

fn lease(host: &Host) -> GpuLease {
    GpuBuilder::new().on(host).min_vram(Trainer::MAX_VRAM_BYTES).lease_secs(600).acquire().unwrap()
}

fn usage(host: &Host) -> GpuUsage {
    host.gpu_host().usage().unwrap()
}

fn trained(host: &Host, plan: &TrainingPlan, from: &TrainingState, steps: u64) -> TrainingState {
    let lease = lease(host);
    let mut trainer = Trainer::new(&lease, &Digits::load().unwrap(), plan, from).unwrap();
    for _ in 0..steps {
        trainer.step().unwrap();
    }
    let state = trainer.state().unwrap();
    trainer.close().unwrap();
    state
}

#[test]
fn kernels_leave_the_bits_of_plain_rust_step_by_step() {
    let digits = Digits::load().unwrap();
    let host = host_with(2);
    let odd = TrainingPlan { batch_len: 4, hidden: [1, 3], ..SMALL };
    let wide = TrainingPlan { batch_len: 8, hidden: [200, 129], learning_rate: 1e-3, ..SMALL };
    for (plan, steps) in [(SMALL, 130), (odd, 20), (wide, 4)] {
        let lease = lease(&host);
        let state = TrainingState::initial(&plan);
        let mut trainer = Trainer::new(&lease, &digits, &plan, &state).unwrap();
        let mut reference = Reference::new(&digits, &plan, state).unwrap();
        for _ in 0..steps {
            let (found, expected) = (trainer.step().unwrap(), reference.step());
            assert_eq!(found, expected, "{plan:?}");
        }
        assert_eq!(trainer.state().unwrap(), *reference.state(), "{plan:?}");
        assert_eq!(trainer.test_accuracy().unwrap().to_bits(), reference.test_accuracy().to_bits());
    }
}

#[test]
fn any_number_of_cores_leaves_the_same_bits() {
    let first = TrainingState::initial(&SMALL);
    let one = trained(&host_with(1), &SMALL, &first, 60);
    for threads in [2, 3, 8] {
        assert_eq!(trained(&host_with(threads), &SMALL, &first, 60), one, "{threads} threads");
    }
}

/// Data, shuffle, first weights, kernels: pinned. It is the same on every machine, and never edited.
#[test]
fn a_known_training_keeps_its_bits() {
    let state = trained(&host_with(2), &SMALL, &TrainingState::initial(&SMALL), 60);
    assert_eq!(
        state.weights_digest().to_hex().as_str(),
        "5725fa86fe146574c1a23ebc2e4c30d3a1f5445afb0cde1a2a64f727f9e80d49"
    );
    let consumed = blake3::Hash::from(state.consumed().digest).to_hex();
    assert_eq!(consumed.as_str(), "8fcb754585f2ff7b4dea6a72c703723c6312feda00581527f722e8f22a9f8042");
}

#[test]
fn a_training_goes_on_from_the_bytes_of_any_step_as_if_nothing_had_happened() {
    let host = host_with(2);
    let first = TrainingState::initial(&SMALL);
    let whole = trained(&host, &SMALL, &first, 140);
    assert_eq!((whole.step(), whole.passes()), (140, 1), "a pass ends on the way");
    // Just before, at and after the batch that goes from one pass to the next.
    let mut state = first;
    for steps in [0, 1, 118, 1, 1, 19] {
        let bytes = state.encode();
        let read = TrainingState::decode(&bytes, &SMALL).unwrap();
        state = trained(&host, &SMALL, &read, steps);
    }
    assert_eq!(state, whole);
    assert_eq!(state.encode(), whole.encode());
    assert_eq!(state.weights_digest(), whole.weights_digest());
    assert_eq!(state.consumed().examples, 140 * 12);
}

#[test]
fn a_test_in_between_changes_nothing_and_a_trained_network_tells_digits() {
    let host = host_with(2);
    let plan = TrainingPlan { batch_len: 32, steps: 600, learning_rate: 5e-3, hidden: [32, 16], ..SMALL };
    let lease = lease(&host);
    let digits = Digits::load().unwrap();
    let mut trainer = Trainer::new(&lease, &digits, &plan, &TrainingState::initial(&plan)).unwrap();
    let mut accuracies = Vec::new();
    for step in 0..plan.steps {
        if step % 200 == 0 {
            accuracies.push(trainer.test_accuracy().unwrap());
        }
        trainer.step().unwrap();
    }
    let accuracy = trainer.test_accuracy().unwrap();
    assert!(accuracies[0] < 0.3 && accuracy > 0.95, "{accuracies:?} {accuracy}");
    let state = trainer.state().unwrap();
    drop(trainer);
    lease.release().unwrap();
    assert_eq!(state, trained(&host, &plan, &TrainingState::initial(&plan), plan.steps));
}

#[test]
fn a_revoked_lease_submits_nothing_more_and_leaves_nothing() {
    let host = host_with(2);
    let lease = lease(&host);
    let digits = Digits::load().unwrap();
    let state = TrainingState::initial(&SMALL);
    let mut trainer = Trainer::new(&lease, &digits, &SMALL, &state).unwrap();
    trainer.step().unwrap();
    assert_eq!((usage(&host).sessions, usage(&host).modules), (1, 1));
    host.revoke(lease.lease_id()).unwrap();
    assert!(usage(&host).is_idle(), "{:?}", usage(&host));
    let launches = usage(&host).launches;
    let not_active = |error: TrainingError| {
        assert_eq!(error.recovery(), Recovery::Reacquire, "{error}");
        matches!(error, TrainingError::LeaseNotActive(LeaseStatus::Revoked))
    };
    assert!(not_active(trainer.step().unwrap_err()));
    assert!(not_active(trainer.state().unwrap_err()));
    assert!(not_active(trainer.test_accuracy().unwrap_err()));
    assert!(not_active(Trainer::new(&lease, &digits, &SMALL, &state).unwrap_err()));
    assert_eq!(usage(&host).launches, launches);
    assert!(matches!(trainer.close(), Err(TrainingError::Fabric(_))), "its end is told");
}

#[test]
fn a_trainer_frees_everything_whether_it_is_closed_or_dropped() {
    let host = host_with(2);
    let lease = lease(&host);
    let digits = Digits::load().unwrap();
    let new = || Trainer::new(&lease, &digits, &SMALL, &TrainingState::initial(&SMALL)).unwrap();
    let alone = usage(&host);
    let mut trainer = new();
    trainer.step().unwrap();
    assert!(usage(&host).bytes > 100_000);
    trainer.close().unwrap();
    let same = |found: GpuUsage| GpuUsage { launches: alone.launches, ..found } == alone;
    assert!(same(usage(&host)), "{:?}", usage(&host));
    let mut trainer = new();
    trainer.step().unwrap();
    drop(trainer);
    assert!(same(usage(&host)), "{:?}", usage(&host));
    lease.release().unwrap();
    assert!(usage(&host).is_idle());
}

#[test]
fn what_a_half_done_step_left_on_the_device_is_never_taken_for_a_state() {
    // Enough for all of a small network, and for the gradient of the large one, but not for its update.
    let plan = TrainingPlan { batch_len: 4, hidden: [8, 8], ..SMALL };
    let wide = TrainingPlan { hidden: [128, 128], ..plan };
    let digits = Digits::load().unwrap();
    let host = host_of(LocalGpuHost::builder().max_instructions(1_000_000));
    let lease = lease(&host);
    let mut trainer = Trainer::new(&lease, &digits, &plan, &TrainingState::initial(&plan)).unwrap();
    trainer.step().unwrap();
    drop(trainer);
    let mut trainer = Trainer::new(&lease, &digits, &wide, &TrainingState::initial(&wide)).unwrap();
    let failed = trainer.step().unwrap_err();
    assert!(failed.to_string().contains("digits_update"), "{failed}");
    for error in [trainer.step().unwrap_err(), trainer.state().unwrap_err()] {
        assert!(matches!(error, TrainingError::StepUnfinished { step: 1 }), "{error}");
    }
    // The lease is still good for a new trainer.
    drop(trainer);
    Trainer::new(&lease, &digits, &plan, &TrainingState::initial(&plan)).unwrap().step().unwrap();
}

#[test]
fn a_step_past_the_end_and_a_state_or_plan_that_does_not_fit_are_refused() {
    let host = host_with(1);
    let lease = lease(&host);
    let digits = Digits::load().unwrap();
    let short = TrainingPlan { steps: 1, ..SMALL };
    let mut trainer = Trainer::new(&lease, &digits, &short, &TrainingState::initial(&short)).unwrap();
    trainer.step().unwrap();
    assert!(matches!(trainer.step(), Err(TrainingError::NoStepsLeft { steps: 1 })));
    assert_eq!(trainer.state().unwrap().step(), 1, "and the state is as it was");
    let other = TrainingState::initial(&TrainingPlan { seed: 6, ..SMALL });
    let error = Trainer::new(&lease, &digits, &SMALL, &other).unwrap_err();
    assert!(matches!(error, TrainingError::State(StateError::OtherPlan { .. })), "{error}");
    let odd = TrainingPlan { batch_len: 5, ..SMALL };
    let error = Trainer::new(&lease, &digits, &odd, &TrainingState::initial(&odd)).unwrap_err();
    assert!(matches!(error, TrainingError::Plan(PlanError::OutOfRange { found: 5, .. })), "{error}");
}

#[test]
fn the_largest_plan_fits_into_the_memory_that_is_asked_for() {
    let host = host_of(LocalGpuHost::builder().vram_bytes(Trainer::MAX_VRAM_BYTES));
    let lease = lease(&host);
    let plan = TrainingPlan { batch_len: 1024, hidden: [256, 256], ..SMALL };
    plan.checked().unwrap();
    let state = TrainingState::initial(&plan);
    let mut trainer = Trainer::new(&lease, &Digits::load().unwrap(), &plan, &state).unwrap();
    assert!(usage(&host).bytes > Trainer::MAX_VRAM_BYTES / 4, "{:?}", usage(&host));
    assert_eq!(trainer.state().unwrap(), state);
}
