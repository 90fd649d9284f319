//! The published code of a training step compiles and runs as it stands.

use fabricbios_core::state::LeaseStatus;
use grafos_std::error::GrafosError;
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuLease, GpuSession, KernelArgs};
use grafos_std::host::{Host, LocalHost};
use tempfile::TempDir;

/// Multiplies the first `output_len` bytes by the number of the step.
const TRAIN_STEP: &[u8] = include_bytes!("train_step.ptx");

struct TrainingBatch {
    step: u64,
    input: Vec<u8>,
    output_len: u32,
}

#[derive(Debug)]
enum TrainingError {
    LeaseNotActive(LeaseStatus),
    Fabric(GrafosError),
}

impl From<GrafosError> for TrainingError {
    fn from(error: GrafosError) -> Self {
        Self::Fabric(error)
    }
}

fn acquire_preemptible_training_lease() -> Result<GpuLease, GrafosError> {
    let lease = GpuBuilder::new()
        .min_vram(16 * 1024 * 1024 * 1024)
        .lease_secs(120)
        .exclusivity(GpuExclusivityClass::SessionExclusive)
        .acquire()?;
    Ok(lease)
}

fn run_training_step(
    lease: &GpuLease,
    module_bytes: &[u8],
    kernel: &str,
    batch: &TrainingBatch,
) -> Result<Vec<u8>, TrainingError> {
    if lease.status() != LeaseStatus::Active {
        return Err(TrainingError::LeaseNotActive(lease.status()));
    }
    #[allow(clippy::needless_borrow, reason = "the published line")]
    let mut session = GpuSession::new(&lease);
    let input = session.mem_alloc(batch.input.len() as u64)?;
    session.mem_write(&input, 0, &batch.input)?;
    let module = session.module_load(module_bytes)?;
    let args = KernelArgs::new().push_u64(batch.step).push_u32(batch.output_len).push_buffer(&input);
    session.launch_with_args(&module, kernel, [1, 1, 1], [1, 1, 1], args)?;
    session.sync()?;
    let output = session.mem_read(&input, 0, batch.output_len)?;
    session.module_unload(module)?;
    session.mem_free(input)?;
    Ok(output)
}

fn host() -> (Host, TempDir) {
    let home = tempfile::tempdir().unwrap();
    (LocalHost::builder().home(home.path()).open().unwrap(), home)
}

fn batch() -> TrainingBatch {
    TrainingBatch { step: 42, input: vec![1, 2, 3, 4], output_len: 4 }
}

#[test]
fn the_published_training_step_runs() {
    let (host, _home) = host();
    host.scope(|| {
        let lease = acquire_preemptible_training_lease().unwrap();
        for _ in 0..2 {
            let output = run_training_step(&lease, TRAIN_STEP, "train_step", &batch()).unwrap();
            assert_eq!(output, [42, 84, 126, 168]);
        }
        assert_eq!(host.gpu_host().usage().unwrap().sessions, 0);
        // As an array, as the published program hands it in.
        let mut session = GpuSession::new(&lease);
        session.module_load(include_bytes!("train_step.ptx")).unwrap();
    });
}

#[test]
fn a_revoked_lease_fails_closed_before_any_work() {
    let (host, _home) = host();
    host.scope(|| {
        let lease = acquire_preemptible_training_lease().unwrap();
        host.revoke(lease.lease_id()).unwrap();
        let error = run_training_step(&lease, TRAIN_STEP, "train_step", &batch()).unwrap_err();
        assert!(matches!(error, TrainingError::LeaseNotActive(LeaseStatus::Revoked)), "{error:?}");
        assert_eq!(host.gpu_host().usage().unwrap().launches, 0);
        let other = acquire_preemptible_training_lease().unwrap();
        let error = run_training_step(&other, TRAIN_STEP, "no_such_kernel", &batch()).unwrap_err();
        assert!(matches!(error, TrainingError::Fabric(GrafosError::Gpu(_))), "{error:?}");
    });
}
