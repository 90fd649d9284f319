//! [`run_training_step`]: one step of a training, that happens once however often it is asked for.
//!
//! ```text
//!   lease active?      no: nothing was touched
//!   reserve the step   done before, or its state was published: a duplicate
//!   version current?   no: give the key back
//!   GPU                allocate, write, load, launch, read, unload, free
//!   commit             the state and "this step was done", in one transaction
//! ```
//!
//! Invariants: a step that is recorded as done is never launched again; nothing of a step that failed is published; a
//! key is given back only where the step is known to have had no effect.

mod batch;
mod kernel;

use fabricbios_core::state::LeaseStatus;
use grafos_replicated::{
    FenceEpoch, IdempotencyOutcome, ReplicatedCheckpoint, ReplicatedError, ReplicatedIdempotencyStore,
    Reservation, StepCommit, Version, commit_step,
};
use grafos_std::gpu::GpuLease;

use crate::error::TrainingError;
use crate::state::{FIRST_EPOCH, TrainingCheckpoint, checkpoint_name};

pub use batch::TrainingBatch;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingStepOutcome {
    /// It was done now, and is durable.
    Completed {
        /// The job.
        job_id: String,
        /// The step.
        step: u64,
        /// What the kernel left in the buffer.
        output: Vec<u8>,
        /// The version of the checkpoint that holds it: what the next step builds on.
        version: Version,
    },
    /// It was done before. Nothing was launched or published now.
    Duplicate {
        /// The job.
        job_id: String,
        /// The step.
        step: u64,
        /// The version that the step has made, if that is still known.
        version: Option<Version>,
    },
}

/// How a step is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// State and effect in one transaction of the engine, by [`commit_step`]: both took place or neither did, so there
    /// is nothing between them that a crash could tear.
    #[default]
    AsOne,
    /// First the state, then the effect, as stores on two engines have it. A crash between the two leaves a state whose
    /// step looks unfinished; since the checkpoint's register [names the step](ReplicatedCheckpoint::step_version) that
    /// made each kept version, the retry finds it there, completes the effect, and does not launch again.
    InTwoSteps,
}

/// Does one step of a training, or says that it was done before. This is [`TrainingStepRunner`] as the first and only
/// writer of the job, which commits state and effect [as one](Commit::AsOne).
///
/// `expected` is the version that the step builds on, [`Version::NONE`] (0) for the first.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::{
///     TrainingBatch, TrainingStepOutcome, acquire_preemptible_training_lease, replicated_training_state,
///     run_training_step,
/// };
/// use grafos_replicated::Version;
/// # use cookbook_recipe_52_clean_preemptible_gpu_training::TrainingError;
/// # use grafos_replicated::{Engine, embedded::EmbeddedHome};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open()?);
/// # host.scope(|| engine.scope(|| -> Result<(), TrainingError> {
///
/// let (mut checkpoints, mut effects) = replicated_training_state()?;
/// let lease = acquire_preemptible_training_lease(1 << 30, 120)?;
/// let batch = TrainingBatch { job_id: "j".into(), step: 42, input: vec![1, 2, 3, 4], output_len: 4 };
/// let mut step = || {
///     let ptx = include_bytes!("train_step.ptx");
///     run_training_step(&mut checkpoints, &mut effects, &lease, ptx, "train_step", batch.clone(), Version(0))
/// };
/// assert!(matches!(step()?, TrainingStepOutcome::Completed { version: Version(1), .. }));
/// assert!(matches!(step()?, TrainingStepOutcome::Duplicate { version: Some(Version(1)), .. }));
/// # Ok(()) }))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`TrainingStepRunner::run`].
pub fn run_training_step(
    checkpoints: &mut ReplicatedCheckpoint,
    effects: &mut ReplicatedIdempotencyStore,
    lease: &GpuLease,
    module: &[u8],
    kernel: &str,
    batch: TrainingBatch,
    expected: Version,
) -> Result<TrainingStepOutcome, TrainingError> {
    TrainingStepRunner::new(checkpoints, effects, lease).run(module, kernel, batch, expected)
}

/// Does steps of a training, with all choices that can be made.
#[derive(Debug)]
pub struct TrainingStepRunner<'a> {
    checkpoints: &'a mut ReplicatedCheckpoint,
    effects: &'a mut ReplicatedIdempotencyStore,
    lease: &'a GpuLease,
    epoch: FenceEpoch,
    commit: Commit,
}

impl<'a> TrainingStepRunner<'a> {
    /// A runner that writes with [`FIRST_EPOCH`], and commits state and effect as one.
    pub fn new(
        checkpoints: &'a mut ReplicatedCheckpoint,
        effects: &'a mut ReplicatedIdempotencyStore,
        lease: &'a GpuLease,
    ) -> Self {
        Self { checkpoints, effects, lease, epoch: FIRST_EPOCH, commit: Commit::AsOne }
    }

    /// Writes with this epoch, which [`take_over_training`](crate::take_over_training) gave out. It is not the epoch of
    /// the GPU lease: that one orders the holders of a device, this one the writers of the job, wherever they are.
    #[must_use]
    pub fn at_epoch(mut self, epoch: FenceEpoch) -> Self {
        self.epoch = epoch;
        self
    }

    /// Commits in this way.
    #[must_use]
    pub fn commit(mut self, commit: Commit) -> Self {
        self.commit = commit;
        self
    }

    /// Does one step, or says that it was done before.
    ///
    /// The kernel is launched with one block of one thread and the arguments (`step: u64`, `output_len: u32`, address
    /// of the buffer: `u64`). The buffer holds the input, and afterwards the result.
    ///
    /// The step's key is `job:{job_id}:step:{step}`. Its operation, which must be the same each time, is the digest of
    /// job, step, module, name of the kernel, input and length of the output. `expected` is not in it: whoever repeats
    /// a step may know a newer version by now.
    ///
    /// # Errors
    /// [`LeaseNotActive`](TrainingError::LeaseNotActive) and [`InvalidBatch`](TrainingError::InvalidBatch) before
    /// anything was done. [`Fabric`](TrainingError::Fabric) if the GPU failed or the lease was lost on the way: memory
    /// and module are freed, and the step is free to be done again. [`Replicated`](TrainingError::Replicated) with
    /// `VersionConflict` for a writer that builds on an old version, `StaleEpoch` for one that was fenced,
    /// `FingerprintConflict` for another payload under the same key, `InProgress` while somebody else of this epoch is
    /// at the step. Whatever it is, the same step can be asked for again.
    pub fn run(
        &mut self,
        module: &[u8],
        kernel: &str,
        batch: TrainingBatch,
        expected: Version,
    ) -> Result<TrainingStepOutcome, TrainingError> {
        batch.check()?;
        if self.lease.status() != LeaseStatus::Active {
            return Err(TrainingError::LeaseNotActive(self.lease.status()));
        }
        let reservation =
            self.effects.reserve(batch.key(), batch.operation(module, kernel), None, self.epoch)?;
        if let Some(version) = self.version_if_done(&batch, &reservation)? {
            let TrainingBatch { job_id, step, .. } = batch;
            return Ok(TrainingStepOutcome::Duplicate { job_id, step, version });
        }
        match self.compute(module, kernel, &batch, expected) {
            Ok(output) => self.publish(batch, output, expected, &reservation),
            Err(error) => {
                self.give_back(&reservation);
                Err(error)
            }
        }
    }

    /// Whether the step was done, and as which version if that is known.
    fn version_if_done(
        &mut self,
        batch: &TrainingBatch,
        reservation: &Reservation,
    ) -> Result<Option<Option<Version>>, TrainingError> {
        let Reservation { key, version, value, .. } = reservation;
        let name = checkpoint_name(&batch.job_id);
        let made = |checkpoints: &ReplicatedCheckpoint| checkpoints.step_version(&name, key, value.operation);
        if let IdempotencyOutcome::Completed { effect } = &value.outcome {
            let recorded = effect.as_deref().and_then(version_of_effect);
            return match recorded {
                Some(version) => Ok(Some(Some(version))),
                None => Ok(Some(made(self.checkpoints)?)),
            };
        }
        // Whoever was at it before may have published the state and not said so.
        let Some(found) = made(self.checkpoints)? else { return Ok(None) };
        self.effects.complete(key.clone(), *version, completed(found), self.epoch)?;
        Ok(Some(Some(found)))
    }

    /// The state after the step. Nothing outside of the GPU changes.
    fn compute(
        &self,
        module: &[u8],
        kernel: &str,
        batch: &TrainingBatch,
        expected: Version,
    ) -> Result<Vec<u8>, TrainingError> {
        // The commit looks again, and decides. This look only spares the GPU work that would be thrown away.
        let name = checkpoint_name(&batch.job_id);
        let current = self.checkpoints.current_version(&name)?;
        if current != expected {
            return Err(ReplicatedError::VersionConflict { checkpoint: name, expected, current }.into());
        }
        Ok(kernel::run(self.lease, module, kernel, batch)?)
    }

    fn publish(
        &mut self,
        batch: TrainingBatch,
        output: Vec<u8>,
        expected: Version,
        reservation: &Reservation,
    ) -> Result<TrainingStepOutcome, TrainingError> {
        let TrainingBatch { job_id, step, .. } = batch;
        let state = TrainingCheckpoint { job_id, step, output };
        let published = match state.encode() {
            Ok(bytes) => self.save(&state, &bytes, expected, reservation),
            Err(error) => Err(error),
        };
        match published {
            Ok(version) => {
                let TrainingCheckpoint { job_id, step, output } = state;
                Ok(TrainingStepOutcome::Completed { job_id, step, output, version })
            }
            Err(error) => {
                if is_known_to_have_done_nothing(&error) {
                    self.give_back(reservation);
                }
                Err(error.into())
            }
        }
    }

    fn save(
        &mut self,
        state: &TrainingCheckpoint,
        bytes: &[u8],
        expected: Version,
        reservation: &Reservation,
    ) -> Result<Version, ReplicatedError> {
        let (name, epoch) = (checkpoint_name(&state.job_id), self.epoch);
        match self.commit {
            Commit::AsOne => {
                let effect = effect_of_version(expected.next());
                let commit = StepCommit {
                    checkpoint: &name,
                    expected,
                    bytes,
                    reservation,
                    effect: Some(&effect),
                    epoch,
                };
                Ok(commit_step(self.checkpoints, self.effects, commit)?.version)
            }
            Commit::InTwoSteps => {
                let (key, operation) = (reservation.key.clone(), reservation.value.operation);
                let saved =
                    self.checkpoints.save_step(name, expected, bytes, epoch, key.clone(), operation)?;
                self.effects.complete(key, reservation.version, completed(saved.version), epoch)?;
                Ok(saved.version)
            }
        }
    }

    /// The step has had no effect, so whoever comes next need not wait for this holder.
    fn give_back(&mut self, reservation: &Reservation) {
        let (key, version) = (reservation.key.clone(), reservation.version);
        if let Err(error) = self.effects.abandon(key, version, self.epoch) {
            // Nothing is lost: this handle goes on with the reservation, and a newer epoch takes it over.
            tracing::debug!(key = %reservation.key, %error, "the key of a failed step was not given back");
        }
    }
}

impl TrainingCheckpoint {
    fn encode(&self) -> Result<Vec<u8>, ReplicatedError> {
        postcard::to_allocvec(self).map_err(|cause| ReplicatedError::Serialization {
            what: "the state after the step can't be encoded",
            cause,
        })
    }
}

/// Errors after which the state is certainly not published.
fn is_known_to_have_done_nothing(error: &ReplicatedError) -> bool {
    matches!(
        error,
        ReplicatedError::VersionConflict { .. }
            | ReplicatedError::QuorumNotMet { .. }
            | ReplicatedError::Serialization { .. }
            | ReplicatedError::TooLarge { .. }
    )
}

fn completed(version: Version) -> IdempotencyOutcome {
    IdempotencyOutcome::Completed { effect: Some(effect_of_version(version).to_vec()) }
}

/// What is remembered of a step: the version that it made, as eight little-endian bytes.
fn effect_of_version(version: Version) -> [u8; 8] {
    version.0.to_le_bytes()
}

/// `None` for an effect that somebody else recorded, in a form of their own.
fn version_of_effect(effect: &[u8]) -> Option<Version> {
    Some(Version(u64::from_le_bytes(effect.try_into().ok()?)))
}
