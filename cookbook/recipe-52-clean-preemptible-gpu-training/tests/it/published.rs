//! The published program compiles and runs as it stands, on a machine without a GPU.

use cookbook_recipe_52_clean_preemptible_gpu_training::{TrainingBatch, TrainingError, TrainingStepOutcome};
use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::*;
use grafos_std::gpu::GpuLease;
use grafos_std::host::LocalHost;

use super::step_world::*;

#[rustfmt::skip]
#[allow(unused_qualifications, reason = "these are the published lines")]
fn published_program() -> Result<(), TrainingError> {
use cookbook_recipe_52_clean_preemptible_gpu_training::{ acquire_preemptible_training_lease, replicated_training_state, run_training_step, TrainingBatch, TrainingStepOutcome,};use grafos_replicated::Version;
let (mut checkpoints, mut effects) = replicated_training_state()?;let lease = acquire_preemptible_training_lease(16 * 1024 * 1024 * 1024, 120)?;
let outcome = run_training_step( &mut checkpoints, &mut effects, &lease, include_bytes!("train_step.ptx"), "train_step", TrainingBatch { job_id: "spot-resnet".into(), step: 42, input: vec![1, 2, 3, 4], output_len: 4, }, Version(0),)?;
assert!(matches!(outcome, TrainingStepOutcome::Completed { .. }));
Ok::<(), cookbook_recipe_52_clean_preemptible_gpu_training::TrainingError>(())
}

/// The inside of the published step: first the state, then the effect. The names are those of a parameter list.
#[rustfmt::skip]
#[allow(unused_qualifications, clippy::too_many_arguments, clippy::needless_borrow, clippy::needless_pass_by_value, reason = "these are the published lines")]
fn published_step(
    checkpoints: &mut ReplicatedCheckpoint, effects: &mut ReplicatedIdempotencyStore, lease: &GpuLease,
    module_bytes: &[u8], kernel: &str, batch: TrainingBatch, expected_checkpoint_version: Version,
    fingerprint: OperationHash, effect_key: IdempotencyKey, dies_before_it_completes: bool,
) -> Result<TrainingStepOutcome, TrainingError> {
let TrainingBatch { job_id, step, .. } = batch.clone();
use fabricbios_core::lease::FenceEpoch;use fabricbios_core::state::LeaseStatus;use grafos_replicated::{CheckpointName, IdempotencyOutcome};use grafos_std::gpu::{GpuSession, KernelArgs};
if lease.status() != LeaseStatus::Active { return Err(TrainingError::LeaseNotActive(lease.status()));}
let reservation = effects.reserve(effect_key.clone(), fingerprint, None, FenceEpoch(1))?;if matches!(reservation.value.outcome, IdempotencyOutcome::Completed { .. }) { return Ok(TrainingStepOutcome::Duplicate { job_id, step, version: None });}
let mut session = GpuSession::new(&lease);let input = session.mem_alloc(batch.input.len() as u64)?;session.mem_write(&input, 0, &batch.input)?;let module = session.module_load(module_bytes)?;let args = KernelArgs::new() .push_u64(batch.step) .push_u32(batch.output_len) .push_buffer(&input);session.launch_with_args(&module, kernel, [1, 1, 1], [1, 1, 1], args)?;session.sync()?;let output = session.mem_read(&input, 0, batch.output_len)?;session.module_unload(module)?;session.mem_free(input)?;
let checkpoint_bytes = output.clone();
let saved = checkpoints.save_bytes( CheckpointName::new(format!("job:{}:latest", batch.job_id)), expected_checkpoint_version, &checkpoint_bytes, FenceEpoch(1),)?;
if dies_before_it_completes { return Ok(TrainingStepOutcome::Completed { job_id, step, output, version: saved.version }); }
effects.complete( effect_key, reservation.version, IdempotencyOutcome::Completed { effect: None }, FenceEpoch(1),)?;
Ok(TrainingStepOutcome::Completed { job_id, step, output, version: saved.version })
}

#[test]
fn the_inside_of_the_published_step_does_a_step_once_if_the_scheduler_keeps_to_its_version() {
    let world = World::new();
    let lease = world.lease();
    let step = |process: &mut Process, step, expected, dies| {
        let (checkpoints, effects) = (&mut process.checkpoints, &mut process.effects);
        let operation = OperationHash([7; 32]);
        published_step(
            checkpoints,
            effects,
            &lease,
            TRAIN_STEP,
            "train_step",
            batch(step),
            Version(expected),
            operation,
            key(step),
            dies,
        )
    };
    let mut process = world.first_process();
    let done = step(&mut process, 1, 0, false).unwrap();
    assert!(matches!(done, TrainingStepOutcome::Completed { version: Version(1), .. }), "{done:?}");
    let again = step(&mut process, 1, 0, false).unwrap();
    assert!(matches!(again, TrainingStepOutcome::Duplicate { .. }), "{again:?}");
    // Between the two commits the retry looks like a new step. Only the version that it builds on stops it: the runner
    // of this recipe does not depend on that.
    step(&mut process, 2, 1, true).unwrap();
    let error = step(&mut process, 2, 1, false).unwrap_err();
    assert!(matches!(error, TrainingError::Replicated(ReplicatedError::VersionConflict { .. })), "{error}");
    let current = process.checkpoints.current_version(&CheckpointName::new(format!("job:{JOB}:latest")));
    assert_eq!(current.unwrap(), Version(2));
}

#[test]
fn the_published_program_runs_with_a_home_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open().unwrap());
    host.scope(|| engine.scope(published_program)).unwrap();
    let usage = host.gpu_host().usage().unwrap();
    assert!(usage.is_idle() && usage.launches == 1, "{usage:?}");
}

#[test]
fn the_kernel_of_the_published_program_is_the_one_with_a_source() {
    let ours = include_bytes!("../../../../kernels/train_step.ptx");
    assert_eq!(include_bytes!("train_step.ptx"), ours);
    assert_eq!(include_bytes!("../../src/train_step.ptx"), ours, "that of the documentation");
}
