//! The training job: a loop that takes a GPU, trains, commits, and goes on after whatever can be mended.
//!
//! The unit of commitment is a *stride*, the mini-batches from one commit to the next. A stride is reserved before its
//! first launch, and its state and its record come to be in one transaction. A worker begins where the newest state
//! ends, so strides tile the steps, however often workers and GPUs are lost in between.
//!
//! Invariant: what [`Event::Committed`](event::Event::Committed) has told is never done again, and everything else is
//! lost by at most one stride, whatever dies.

mod controls;
pub mod error;
pub mod event;
mod notice;
mod patience;
pub mod place;
pub mod store;
pub mod stride;
mod tally;
mod worker;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grafos_replicated::Version;
use grafos_std::host::Host;

use crate::training::{Consumed, TrainingPlan};
use event::{Observer, WorkerSummary};
use notice::Watch;
use store::JobStore;
use worker::Worker;

pub use controls::Controls;
pub use error::RunError;
pub use patience::Patience;
pub use place::Name;

/// How many steps lie between two commits when nothing is said: some seconds on one core, so that commits cost no more
/// than a fiftieth of the time; `cargo xtask bench training` holds it.
pub const DEFAULT_INTERVAL_STEPS: u64 = 500;

/// How long a lease on the GPU is when nothing is said, in seconds.
pub const DEFAULT_LEASE_SECS: u64 = 30;

/// How long a worker may take to end when nothing is said.
pub const DEFAULT_NOTICE: Duration = Duration::from_secs(30);

/// What to train, where to keep it, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The directory of everything: see [`place`].
    pub home: PathBuf,
    /// The job's name: several of them lie in one home.
    pub name: Name,
    /// The machine that the worker plays.
    pub host: Name,
    /// What is trained. All workers of a job have the same.
    pub plan: TrainingPlan,
    /// How many steps lie between two commits, as a rule; at least 1. The result does not depend on it.
    pub interval_steps: u64,
    /// How long a lease on the GPU is, in seconds; at least 1. It is renewed as long as all is well.
    pub lease_secs: u64,
    /// How long the worker may take to end once it is asked to.
    pub notice: Duration,
}

impl Job {
    /// The job of the README in this home: see [`TrainingPlan::default`].
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, name: Name, host: Name) -> Self {
        Self {
            home: home.into(),
            name,
            host,
            plan: TrainingPlan::default(),
            interval_steps: DEFAULT_INTERVAL_STEPS,
            lease_secs: DEFAULT_LEASE_SECS,
            notice: DEFAULT_NOTICE,
        }
    }

    fn check(&self) -> Result<(), RunError> {
        self.plan.checked()?;
        let numbers =
            [("steps between two commits", self.interval_steps), ("seconds of a lease", self.lease_secs)];
        match numbers.into_iter().find(|(_, number)| *number == 0) {
            Some((what, found)) => Err(RunError::InvalidJob { what, expected: "at least 1", found }),
            None => Ok(()),
        }
    }
}

/// Everything that a worker takes from outside.
pub struct Context<'a> {
    /// Where GPUs come from; its clock is the worker's clock.
    pub host: Host,
    /// Reaches the worker from outside.
    pub controls: Controls,
    /// How often what fails is tried again.
    pub patience: Patience,
    /// Called when the worker was asked to end and is still there after its notice. A program ends the process.
    pub overrun: Option<fn()>,
    /// Hears what happens.
    pub observer: &'a mut dyn Observer,
}

impl<'a> Context<'a> {
    /// The machine that the job names, nobody who disturbs the worker, usual patience.
    ///
    /// # Errors
    /// Those of [`place::open_host`].
    pub fn new(
        job: &Job,
        threads: Option<NonZeroUsize>,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, RunError> {
        let host = place::open_host(&job.home, &job.host, threads)?;
        Ok(Self {
            host,
            controls: Controls::default(),
            patience: Patience::default(),
            overrun: None,
            observer,
        })
    }
}

/// How a worker ended, when nothing went wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are done and committed.
    Finished(Finished),
    /// It was asked to end. Another worker goes on.
    Stopped {
        /// The newest version.
        version: Version,
        /// How many steps it holds.
        step: u64,
        /// How many steps were done and not committed, for want of time.
        given_up: u64,
    },
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// How many steps were done.
    pub step: u64,
    /// The newest version.
    pub version: Version,
    /// The digest of the weights, in hexadecimal.
    pub weights: String,
    /// The part of the test images that is recognised.
    pub accuracy: f64,
    /// Which images were consumed.
    pub consumed: Consumed,
    /// How the last worker fared.
    pub worker: WorkerSummary,
}

/// Works on the job until it is done, from wherever it stands. Whoever worked on it before is fenced.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
/// use cookbook_recipe_52_clean_preemptible_gpu_training::run::{Context, Job, Outcome, run};
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::TrainingPlan;
/// # let home = tempfile::tempdir()?;
///
/// let plan = TrainingPlan { steps: 6, batch_len: 8, hidden: [16, 16], ..TrainingPlan::default() };
/// let job = Job { plan, interval_steps: 2, ..Job::new(home.path(), "digits".parse()?, "host-a".parse()?) };
///
/// // A preemptible GPU: it is taken away after the third step, once.
/// let mut heard = Vec::new();
/// let controls = Default::default();
/// let mut observer = |event: &Event| {
///     if matches!(event, Event::Step { step: 3, .. }) && !heard.iter().any(|e| matches!(e, Event::LeaseLost { .. })) {
///         cookbook_recipe_52_clean_preemptible_gpu_training::run::Controls::revoke(&controls);
///     }
///     heard.push(event.clone());
/// };
/// let mut context = Context::new(&job, None, &mut observer)?;
/// context.controls = controls.clone();
/// let Outcome::Finished(disturbed) = run(&job, &mut context)? else { panic!("nobody has stopped it") };
///
/// // The weights are those of a run that nobody disturbs.
/// let other = Job { name: "undisturbed".parse()?, ..job };
/// let mut silent = |_: &Event| ();
/// let Outcome::Finished(undisturbed) = run(&other, &mut Context::new(&other, None, &mut silent)?)? else { panic!() };
/// assert_eq!(disturbed.weights, undisturbed.weights);
/// assert!(heard.iter().any(|event| matches!(event, Event::LeaseLost { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RunError::Fenced`] once another worker has taken over; others as the variants say. Every commit that was told
/// stands.
pub fn run(job: &Job, context: &mut Context<'_>) -> Result<Outcome, RunError> {
    run_on(job, context, &mut |job| JobStore::open(&job.home, &job.name))
}

/// The same, with the store that `open` opens: for engines that are not in the job's home.
///
/// # Errors
/// Those of [`run`], and of `open`.
pub fn run_on(
    job: &Job,
    context: &mut Context<'_>,
    open: &mut dyn FnMut(&Job) -> Result<JobStore, RunError>,
) -> Result<Outcome, RunError> {
    job.check()?;
    let (controls, clock) = (context.controls.clone(), Arc::clone(context.host.clock()));
    let (watch, overrun) = (Arc::new(Watch::default()), context.overrun);
    let work = || Worker::start(job, context, &watch, open)?.work();
    watch.over(&controls, &clock, job.notice, overrun, work).map_err(RunError::Thread)?
}
