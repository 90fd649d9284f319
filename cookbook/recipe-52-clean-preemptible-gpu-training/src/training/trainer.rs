//! [`Trainer`]: does the steps, on a leased GPU.
//!
//! A step is two launches: the gradient of the batch, and Adam. Weights and moments stay on the device; the host keeps
//! the generator and the counts. Invariant: what [`state`](Trainer::state) answers is the state after a whole number of
//! steps, or an error.

mod memory;

use fabricbios_core::state::LeaseStatus;
use grafos_std::gpu::{GpuLease, GpuModule, GpuSession, KernelArgs};

use super::digits::Digits;
use super::outcome::Outcomes;
use super::plan::{GROUP, TrainingPlan};
use super::progress::{Progress, StateError, TrainingState};
use crate::TrainingError;
use memory::Memory;

/// The kernels; `kernels/digits.cu` is their source.
static KERNELS: &[u8] = include_bytes!("../../../../kernels/digits.ptx");

/// Threads of a block of `digits_gradient` and `digits_evaluate`.
const GROUP_THREADS: u32 = 128;
/// Threads of a block of `digits_update`.
const UPDATE_THREADS: u32 = 256;

/// Adam's constants, as in the kernel.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Which step it was: how many are done now.
    pub step: u64,
    /// The mean loss of the batch, before the step changed the weights.
    pub loss: f32,
    /// How many of its images were told right.
    pub correct: u32,
    /// How many images it has.
    pub examples: u32,
}

impl StepReport {
    pub(super) fn new(plan: &TrainingPlan, step: u64, outcomes: Outcomes) -> Self {
        let loss = outcomes.loss * scale(plan);
        Self { step, loss, correct: outcomes.correct, examples: plan.batch_len }
    }
}

/// What the loss of one image counts in the mean of a batch.
pub(super) fn scale(plan: &TrainingPlan) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "at most a thousand")]
    let examples = plan.batch_len.max(1) as f32;
    1.0 / examples
}

/// 1 - beta^t for both of Adam's moments, at step t.
pub(super) fn corrections(step: u64) -> [f32; 2] {
    #[allow(clippy::cast_possible_truncation, reason = "rounded once, on purpose")]
    [BETA1, BETA2].map(|beta| (1.0 - power(beta, step)) as f32)
}

/// By squaring. Not `powi`, whose last bit depends on how it is compiled.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut power, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            power *= square;
        }
        square *= square;
        rest /= 2;
    }
    power
}

/// A training on a GPU, as long as its lease lasts.
///
/// Dropping it frees everything that it has on the device.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::{Digits, Trainer, TrainingPlan, TrainingState};
/// use grafos_std::gpu::GpuBuilder;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
///
/// let plan = TrainingPlan { hidden: [32, 16], learning_rate: 3e-3, ..TrainingPlan::default() };
/// let lease = GpuBuilder::new().min_vram(Trainer::MAX_VRAM_BYTES).acquire()?;
/// let mut trainer = Trainer::new(&lease, &Digits::load()?, &plan, &TrainingState::initial(&plan))?;
/// let first = trainer.step()?;
/// for _ in 1..100 {
///     trainer.step()?;
/// }
/// assert!(trainer.step()?.loss < first.loss);
/// assert!(trainer.test_accuracy()? > 0.5);
/// let state = trainer.state()?; // to be saved
/// assert_eq!(state.step(), 101);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'lease> {
    lease: &'lease GpuLease,
    session: GpuSession,
    module: GpuModule,
    memory: Memory,
    plan: TrainingPlan,
    progress: Progress,
    batch: Vec<u32>,
    /// What is on the device is not a state: a step began, and its end was not seen.
    is_mid_step: bool,
}

impl<'lease> Trainer<'lease> {
    /// More device memory than any plan needs.
    pub const MAX_VRAM_BYTES: u64 = 16 << 20;

    /// A training that goes on from `state`. Opens a session on the lease, loads the kernels, and copies images and state
    /// to the device.
    ///
    /// # Errors
    /// [`TrainingError::LeaseNotActive`], and nothing was done on the device; [`TrainingError::Plan`];
    /// [`TrainingError::State`] if the state is of another plan; [`TrainingError::Fabric`] if the device does not do it.
    pub fn new(
        lease: &'lease GpuLease,
        digits: &Digits,
        plan: &TrainingPlan,
        state: &TrainingState,
    ) -> Result<Self, TrainingError> {
        check(lease)?;
        plan.checked()?;
        let (expected, found) = (plan.fingerprint(), state.plan_fingerprint());
        if expected != found {
            return Err(StateError::OtherPlan { expected, found }.into());
        }
        let mut session = GpuSession::new(lease);
        let module = session.module_load(KERNELS)?;
        let memory = Memory::allocate(&mut session, digits, plan)?;
        memory.upload(&session, &state.model)?;
        let progress = state.progress.clone();
        Ok(Self {
            lease,
            session,
            module,
            memory,
            plan: *plan,
            progress,
            batch: Vec::new(),
            is_mid_step: false,
        })
    }

    /// How many steps are done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    /// Does the next step, with the next mini-batch.
    ///
    /// # Errors
    /// [`TrainingError::LeaseNotActive`] if the lease had ended before: nothing was submitted then.
    /// [`TrainingError::Fabric`] if it ended within the step, or the device failed: what is on the device is lost.
    /// [`TrainingError::StepUnfinished`] after that. [`TrainingError::NoStepsLeft`] at the plan's end.
    pub fn step(&mut self) -> Result<StepReport, TrainingError> {
        self.check()?;
        if self.progress.step >= self.plan.steps {
            return Err(TrainingError::NoStepsLeft { steps: self.plan.steps });
        }
        self.is_mid_step = true;
        self.progress.advance(self.plan.batch_len, &mut self.batch);
        self.memory.write_batch(&self.session, &self.batch)?;
        self.launch_gradient()?;
        self.launch_update()?;
        // The only wait of a step.
        let outcomes = self.memory.outcomes(&self.session)?;
        self.is_mid_step = false;
        Ok(StepReport::new(&self.plan, self.progress.step, outcomes))
    }

    /// The state after the last step, read back from the device.
    ///
    /// # Errors
    /// As those of [`step`](Self::step).
    pub fn state(&mut self) -> Result<TrainingState, TrainingError> {
        self.check()?;
        let model = self.memory.download(&self.session)?;
        Ok(TrainingState::new(&self.plan, self.progress.clone(), model))
    }

    /// The share of the images to test with that the network tells right now. Changes nothing.
    ///
    /// # Errors
    /// As those of [`step`](Self::step).
    pub fn test_accuracy(&mut self) -> Result<f64, TrainingError> {
        self.check()?;
        let [hidden1, hidden2] = self.plan.hidden;
        let args = KernelArgs::new()
            .push_u32(hidden1)
            .push_u32(hidden2)
            .push_buffer(&self.memory.pixels)
            .push_buffer(&self.memory.labels)
            .push_buffer(&self.memory.test)
            .push_buffer(&self.memory.parameters)
            .push_buffer(&self.memory.test_outcomes);
        let grid = [self.memory.test_len / GROUP, 1, 1];
        self.session.launch_with_args(&self.module, "digits_evaluate", grid, [GROUP_THREADS, 1, 1], args)?;
        let outcomes = self.memory.test_outcomes(&self.session)?;
        Ok(f64::from(outcomes.correct) / f64::from(self.memory.test_len))
    }

    /// Unloads the kernels, frees the memory and closes the session. Dropping does the same, but does not report.
    ///
    /// # Errors
    /// [`TrainingError::Fabric`] if the lease had ended, or the device does not do it.
    pub fn close(mut self) -> Result<(), TrainingError> {
        self.session.module_unload(self.module)?;
        self.memory.free(&mut self.session)?;
        Ok(self.session.close()?)
    }

    fn check(&self) -> Result<(), TrainingError> {
        check(self.lease)?;
        if self.is_mid_step {
            return Err(TrainingError::StepUnfinished { step: self.progress.step });
        }
        Ok(())
    }

    fn launch_gradient(&self) -> Result<(), TrainingError> {
        let [hidden1, hidden2] = self.plan.hidden;
        let args = KernelArgs::new()
            .push_u32(hidden1)
            .push_u32(hidden2)
            .push_f32(scale(&self.plan))
            .push_buffer(&self.memory.pixels)
            .push_buffer(&self.memory.labels)
            .push_buffer(&self.memory.batch)
            .push_buffer(&self.memory.parameters)
            .push_buffer(&self.memory.trace)
            .push_buffer(&self.memory.outcomes);
        let grid = [self.plan.batch_len / GROUP, 1, 1];
        Ok(self.session.launch_with_args(
            &self.module,
            "digits_gradient",
            grid,
            [GROUP_THREADS, 1, 1],
            args,
        )?)
    }

    fn launch_update(&self) -> Result<(), TrainingError> {
        let [hidden1, hidden2] = self.plan.hidden;
        let [correction1, correction2] = corrections(self.progress.step);
        let args = KernelArgs::new()
            .push_u32(hidden1)
            .push_u32(hidden2)
            .push_u32(self.plan.batch_len / GROUP)
            .push_f32(self.plan.learning_rate)
            .push_f32(correction1)
            .push_f32(correction2)
            .push_buffer(&self.memory.trace)
            .push_buffer(&self.memory.parameters)
            .push_buffer(&self.memory.means)
            .push_buffer(&self.memory.squares);
        let grid = [self.memory.parameter_count.div_ceil(UPDATE_THREADS), 1, 1];
        Ok(self.session.launch_with_args(
            &self.module,
            "digits_update",
            grid,
            [UPDATE_THREADS, 1, 1],
            args,
        )?)
    }
}

fn check(lease: &GpuLease) -> Result<(), TrainingError> {
    match lease.status() {
        LeaseStatus::Active => Ok(()),
        ended => Err(TrainingError::LeaseNotActive(ended)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_those_of_the_paper_at_any_step() {
        assert_eq!(corrections(1), [0.1, 0.001]);
        let [first, second] = corrections(3);
        assert!((f64::from(first) - (1.0 - 0.9 * 0.9 * 0.9)).abs() < 1e-7);
        assert!((f64::from(second) - (1.0 - 0.999 * 0.999 * 0.999)).abs() < 1e-9);
        assert_eq!(corrections(10_000_000_000), [1.0, 1.0]);
    }
}
