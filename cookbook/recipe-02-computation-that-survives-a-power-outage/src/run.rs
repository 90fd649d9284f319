//! The loop of the recipe: restore or initialise, compute, checkpoint, and go on after every failure that can be
//! mended.
//!
//! Invariant: what [`Event::Checkpoint`] has announced is never computed again, and everything else is lost by at
//! most one checkpoint interval, whatever dies.

mod session;
mod status;

use std::num::NonZeroUsize;
use std::thread;

use fabricbios_core::lease::FenceEpoch;
use grafos_std::error::FabricError;
use grafos_std::host::Host;

use crate::error::{RecipeError, Result};
use crate::event::{Event, Observer};
use crate::policy::{CheckpointEvery, Patience};
use crate::share::Share;
use crate::state::SimState;
use crate::stop::StopFlag;

pub(crate) use session::{IfOther, MIN_BLOCKS, Part, run_part};
pub use status::{Status, status};

/// The seed of a run that names none.
pub const DEFAULT_SEED: u64 = 123;

/// What to compute, and where to keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The name of the block volume that holds the checkpoints.
    pub volume: String,
    /// Decides every random number. `None`: that of the run on the volume, else [`DEFAULT_SEED`].
    pub seed: Option<u64>,
    /// How many samples in all, with those of earlier runs on the volume. At least 1.
    pub iterations: u64,
    /// How much work a power cut may cost.
    pub every: CheckpointEvery,
    /// How many threads compute. The result does not depend on it.
    pub threads: NonZeroUsize,
    /// Throw away what the volume holds.
    pub fresh: bool,
}

impl Default for Job {
    /// Five billion samples on every core, a checkpoint a second.
    fn default() -> Self {
        Self {
            volume: "recipe-02".to_owned(),
            seed: None,
            iterations: 5_000_000_000,
            every: CheckpointEvery::default(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            fresh: false,
        }
    }
}

impl Job {
    pub(crate) fn check(&self) -> Result<()> {
        if self.iterations > 0 {
            return Ok(());
        }
        Err(RecipeError::InvalidJob { what: "iterations", expected: "at least 1", found: self.iterations })
    }

    /// The whole job as one part.
    fn part(&self) -> Part {
        Part {
            volume: self.volume.clone(),
            seed: self.seed,
            share: Share::WHOLE,
            goal: self.iterations,
            every: self.every,
            threads: self.threads,
            fresh: self.fresh,
            if_other: IfOther::Refuse,
        }
    }
}

/// Everything that a run takes from outside.
pub struct Context<'a> {
    /// Where leases come from; its clock is the run's clock.
    pub host: Host,
    /// Ends the run early.
    pub stop: StopFlag,
    /// How often what fails is tried again.
    pub patience: Patience,
    /// Hears what happens.
    pub observer: &'a mut dyn Observer,
}

impl<'a> Context<'a> {
    /// The ambient host, nobody to stop the run, usual patience.
    ///
    /// # Errors
    /// Those of [`Host::current`].
    pub fn new(observer: &'a mut dyn Observer) -> Result<Self, FabricError> {
        Ok(Self::on(Host::current()?, observer))
    }

    /// The same on this host.
    #[must_use]
    pub fn on(host: Host, observer: &'a mut dyn Observer) -> Self {
        Self { host, stop: StopFlag::default(), patience: Patience::default(), observer }
    }
}

/// How a run ended, when nothing went wrong. Either way the state is in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All samples are counted.
    Finished(SimState),
    /// The run was asked to end early.
    Interrupted {
        /// What is counted so far.
        state: SimState,
        /// The checkpoint that holds it.
        sequence: u64,
        /// The epoch of that checkpoint's writer.
        epoch: FenceEpoch,
    },
}

impl Outcome {
    /// The state at the end.
    #[must_use]
    pub fn state(&self) -> &SimState {
        match self {
            Self::Finished(state) | Self::Interrupted { state, .. } => state,
        }
    }

    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Finished(state) => Event::Finished { state: state.clone() },
            Self::Interrupted { state, sequence, epoch } => {
                Event::Interrupted { sequence: *sequence, epoch: *epoch, iteration: state.iter }
            }
        }
    }
}

/// Runs the job to its end, from wherever its volume stands.
///
/// ```
/// use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, Job, Outcome, run};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
///
/// let job = Job { iterations: 300_000, ..Job::default() };
/// let stop_at_once = |context: &mut Context| context.stop.raise();
///
/// let mut silent = |_: &_| ();
/// let mut context = Context::new(&mut silent)?;
/// stop_at_once(&mut context);
/// assert!(matches!(run(&job, &mut context)?, Outcome::Interrupted { .. }));
///
/// let outcome = run(&job, &mut Context::new(&mut silent)?)?;
/// assert_eq!(outcome.state().iter, 300_000);
/// assert!(outcome.state().estimate().sigmas_off() < 5.0);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RecipeError`]: the volume is in use, holds another run, or can't be written. Every checkpoint that was
/// announced stands.
pub fn run(job: &Job, context: &mut Context<'_>) -> Result<Outcome> {
    job.check()?;
    let outcome = run_part(&job.part(), context)?;
    context.observer.observe(&outcome.event());
    Ok(outcome)
}
