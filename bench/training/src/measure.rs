//! What is measured, and how: between any two steps of the loop that commits, a bare loop does one step of the same
//! training. So both meet the same machine, which may be faster or slower a second later by more than what is asked about.

use std::path::Path;

use cookbook_recipe_52_clean_preemptible_gpu_training::acquire_preemptible_training_lease;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::{
    Context, DEFAULT_INTERVAL_STEPS, Job, Outcome, place, run,
};
use cookbook_recipe_52_clean_preemptible_gpu_training::training::{
    Digits, Trainer, TrainingPlan, TrainingState,
};
use grafos_bench_support::{Samples, timed, turns};

use crate::Result;

/// How long a lease is: longer than any of the loops.
const LEASE_SECS: u64 = 3600;

/// Made by the job itself, which wants it to be private.
const HOME: &str = "home";

/// How often, how large.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// The training whose loop is measured; so many steps of it.
    pub(crate) training: TrainingPlan,
    /// Steps between two commits.
    pub(crate) intervals: Vec<u64>,
    /// Hidden layers of the networks whose commits are measured one by one.
    pub(crate) networks: Vec<[u32; 2]>,
    /// How often each of them commits.
    pub(crate) commits: u64,
}

impl Plan {
    /// The job of the README, for a part of its steps.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 1,
            training: TrainingPlan { steps: 4 * DEFAULT_INTERVAL_STEPS, ..TrainingPlan::default() },
            intervals: [10, 1].map(|part| DEFAULT_INTERVAL_STEPS / part).to_vec(),
            networks: vec![[16, 8], [128, 64], [256, 256]],
            commits: 300,
        }
    }

    pub(crate) fn quick() -> Self {
        let hidden = [32, 16];
        Self {
            training: TrainingPlan { steps: 2 * DEFAULT_INTERVAL_STEPS, hidden, ..TrainingPlan::default() },
            intervals: vec![DEFAULT_INTERVAL_STEPS / 4, DEFAULT_INTERVAL_STEPS],
            networks: vec![[16, 8], hidden],
            commits: 20,
            ..Self::full()
        }
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) training: TrainingPlan,
    pub(crate) state_bytes: usize,
    /// Launches of a step.
    pub(crate) launches: f64,
    pub(crate) intervals: Vec<IntervalResult>,
    pub(crate) stalls: Vec<StallResult>,
}

/// The loop with commits, and the bare one between its steps.
#[derive(Debug)]
pub(crate) struct IntervalResult {
    pub(crate) steps: u64,
    /// Of the whole loop, without what it waited for the bare one.
    pub(crate) secs: Samples,
    /// Of the bare one.
    pub(crate) bare: Samples,
    /// Of each commit of all rounds.
    pub(crate) stalls: Vec<f64>,
}

/// Commits one after the other, each after a step.
#[derive(Debug)]
pub(crate) struct StallResult {
    pub(crate) hidden: [u32; 2],
    pub(crate) state_bytes: usize,
    pub(crate) stalls: Vec<f64>,
}

/// Measures everything, and says on standard error where it is.
pub(crate) fn all(plan: &Plan, dir: &Path) -> Result<Results> {
    let mut results = Results {
        training: plan.training,
        state_bytes: state_bytes(&plan.training),
        launches: 0.0,
        intervals: plan
            .intervals
            .iter()
            .map(|steps| IntervalResult {
                steps: *steps,
                secs: Samples::default(),
                bare: Samples::default(),
                stalls: Vec::new(),
            })
            .collect(),
        stalls: Vec::new(),
    };
    for round in 0..plan.rounds as usize {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for interval in turns(u32::try_from(round)?, plan.intervals.len()) {
            results.launches = both(&plan.training, dir, &mut results.intervals[interval])?;
        }
    }
    for hidden in &plan.networks {
        eprintln!("commits of {hidden:?}");
        results.stalls.push(stalls(*hidden, plan.commits, dir)?);
    }
    Ok(results)
}

fn state_bytes(plan: &TrainingPlan) -> usize {
    TrainingState::initial(plan).encode().len()
}

/// The real loop of the recipe, from the moment that it has its GPU to the last commit, and in between steps and nothing
/// else. Returns how many launches a step takes.
fn both(plan: &TrainingPlan, dir: &Path, into: &mut IntervalResult) -> Result<f64> {
    let home = tempfile::tempdir_in(dir)?;
    let host = place::open_host(&home.path().join(HOME), &"bare".parse()?, None)?;
    let lease = host.scope(|| acquire_preemptible_training_lease(Trainer::MAX_VRAM_BYTES, LEASE_SECS))?;
    let mut trainer = Trainer::new(&lease, &Digits::load()?, plan, &TrainingState::initial(plan))?;
    let launches_before = host.gpu_host().usage()?.launches;
    let (mut bare_secs, mut bare_done) = (0.0, Ok(()));
    let (weights, heard) = observed(plan, into.steps, dir, &mut || {
        let (done, secs) = timed(|| trainer.step());
        bare_secs += secs;
        if let Err(error) = done {
            bare_done = Err(error);
        }
    })?;
    bare_done?;
    let launches = host.gpu_host().usage()?.launches - launches_before;
    if trainer.state()?.weights_digest().to_string() != weights {
        return Err("commits have changed the weights".into());
    }
    into.secs.push(heard.secs - bare_secs);
    into.bare.push(bare_secs);
    into.stalls.extend(heard.stalls);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(launches as f64 / plan.steps as f64)
}

/// What was heard of a run.
#[derive(Default)]
struct Heard {
    secs: f64,
    stalls: Vec<f64>,
}

fn observed(
    plan: &TrainingPlan,
    interval_steps: u64,
    dir: &Path,
    after_step: &mut dyn FnMut(),
) -> Result<(String, Heard)> {
    let home = tempfile::tempdir_in(dir)?;
    let job = Job {
        plan: *plan,
        interval_steps,
        lease_secs: LEASE_SECS,
        ..Job::new(home.path().join(HOME), "bench".parse()?, "bench".parse()?)
    };
    let clock = place::open_host(&job.home, &job.host, None)?.clock().clone();
    let (mut heard, mut begin) = (Heard::default(), None);
    let mut observer = |event: &Event| match event {
        Event::Leased { .. } => begin = Some(clock.now()),
        Event::Step { .. } => after_step(),
        Event::Committed { stall_ms, .. } => {
            heard.stalls.push(stall_ms / 1e3);
            heard.secs = begin.map_or(f64::NAN, |begin| clock.now().saturating_since(begin).as_secs_f64());
        }
        _ => {}
    };
    let outcome = run(&job, &mut Context::new(&job, None, &mut observer)?)?;
    let Outcome::Finished(finished) = outcome else { return Err("the run did not finish".into()) };
    Ok((finished.weights, heard))
}

/// A commit after each step.
fn stalls(hidden: [u32; 2], commits: u64, dir: &Path) -> Result<StallResult> {
    let plan = TrainingPlan { hidden, steps: commits, batch_len: 4, ..TrainingPlan::default() };
    let (_, heard) = observed(&plan, 1, dir, &mut || ())?;
    Ok(StallResult { hidden, state_bytes: state_bytes(&plan), stalls: heard.stalls })
}
