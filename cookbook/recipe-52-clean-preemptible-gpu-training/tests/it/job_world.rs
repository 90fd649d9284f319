//! [`World`]: jobs in a home of their own, run within this process, over a clock that stands still.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::audit::{Audit, audit};
use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::{
    Context, Controls, Finished, Job, Outcome, Patience, RunError, run,
};
use cookbook_recipe_52_clean_preemptible_gpu_training::training::TrainingPlan;
use fabricbios_core::clock::ManualClock;
use fabricbios_core::lease::RenewalPolicy;
use grafos_std::host::{Host, LocalHost};

/// A plan whose steps take a millisecond.
pub(crate) const PLAN: TrainingPlan =
    TrainingPlan { seed: 3, batch_len: 8, steps: 12, learning_rate: 3e-3, hidden: [16, 8] };

/// Steps between two commits.
pub(crate) const INTERVAL: u64 = 5;

/// A home, a machine, a clock.
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("recipe-52-").tempdir().unwrap();
        LocalHost::builder().home(home.path()).open_home().unwrap();
        Self { home, clock: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn job(&self) -> Job {
        let names = ("digits".parse().unwrap(), "host-a".parse().unwrap());
        Job {
            plan: PLAN,
            interval_steps: INTERVAL,
            lease_secs: 30,
            ..Job::new(self.path(), names.0, names.1)
        }
    }

    pub(crate) fn host(&self, job: &Job) -> Host {
        let home = self.path().join("hosts").join(job.host.as_str());
        LocalHost::builder().home(home).clock(self.clock.clone()).open().unwrap()
    }

    /// Runs a worker. What it tells, `act` hears, with the controls in hand.
    pub(crate) fn run(
        &self,
        job: &Job,
        act: impl FnMut(&Event, &Controls),
    ) -> (Result<Outcome, RunError>, Vec<Event>) {
        self.run_with(job, Patience::default().max_tries, act)
    }

    /// The same with so many tries of what fails, one soon after the other.
    pub(crate) fn run_with(
        &self,
        job: &Job,
        max_tries: u32,
        mut act: impl FnMut(&Event, &Controls),
    ) -> (Result<Outcome, RunError>, Vec<Event>) {
        let backoff = RenewalPolicy { max_backoff: Duration::from_millis(1), ..RenewalPolicy::default() };
        let (controls, mut told) = (Controls::default(), Vec::new());
        let heard = controls.clone();
        let mut observer = |event: &Event| {
            told.push(event.clone());
            act(event, &heard);
        };
        let mut context = Context {
            host: self.host(job),
            controls,
            patience: Patience { max_tries, backoff },
            overrun: None,
            observer: &mut observer,
        };
        let outcome = run(job, &mut context);
        (outcome, told)
    }

    /// Runs the job to its end, undisturbed from here on.
    pub(crate) fn finish(&self, job: &Job) -> Finished {
        finished(self.run(job, |_, _| ()).0)
    }

    pub(crate) fn audit(&self) -> Audit {
        audit(self.path(), "digits").unwrap()
    }

    /// Holds the job's records, and what it came to, against the promise.
    pub(crate) fn assert_sound(&self, finished: &Finished, what: &str) {
        let audit = self.audit();
        assert_eq!(audit.violations, [], "{what}");
        assert_eq!(audit.open, [0; 0], "{what}: everything that was begun was committed");
        assert_eq!(audit.step(), PLAN.steps, "{what}");
        let last = audit.strides.last().unwrap();
        assert_eq!(last.examples, PLAN.steps * u64::from(PLAN.batch_len), "{what}");
        let peace = undisturbed();
        assert_eq!(finished.weights, peace.weights, "{what}");
        assert_eq!((finished.consumed, finished.accuracy), (peace.consumed, peace.accuracy), "{what}");
    }

    /// Lets a lease of the job run out.
    pub(crate) fn let_expire(&self, job: &Job, controls: &Controls) {
        controls.stop_renewing();
        self.clock.advance(Duration::from_secs(job.lease_secs));
    }
}

pub(crate) fn finished(outcome: Result<Outcome, RunError>) -> Finished {
    match outcome {
        Ok(Outcome::Finished(finished)) => finished,
        other => panic!("{other:?}"),
    }
}

/// What the plan comes to when nobody disturbs it: in one stride, so that no interval is built into it.
pub(crate) fn undisturbed() -> &'static Finished {
    static UNDISTURBED: std::sync::OnceLock<Finished> = std::sync::OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let world = World::new();
        world.finish(&Job { interval_steps: PLAN.steps, ..world.job() })
    })
}

pub(crate) fn is_step(event: &Event, number: u64) -> bool {
    matches!(event, Event::Step { step, .. } if *step == number)
}

/// How many events are of a kind.
pub(crate) fn count(events: &[Event], is_such: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| is_such(event)).count()
}
