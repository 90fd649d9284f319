//! What is measured, and how the rounds go: in every round the loop runs once without commits and once with each interval,
//! in an order that moves on by one.

use std::path::Path;

use cookbook_recipe_52_clean_preemptible_gpu_training::acquire_preemptible_training_lease;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::{
    Context, DEFAULT_INTERVAL_STEPS, Job, Outcome, place, run,
};
use cookbook_recipe_52_clean_preemptible_gpu_training::training::{
    Digits, Trainer, TrainingPlan, TrainingState,
};
use grafos_bench_support::{Samples, timed};

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
            training: TrainingPlan { steps: 8 * DEFAULT_INTERVAL_STEPS, ..TrainingPlan::default() },
            intervals: [10, 4, 2, 1].map(|part| DEFAULT_INTERVAL_STEPS / part).to_vec(),
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
    /// Seconds of the loop without commits.
    pub(crate) bare: Samples,
    pub(crate) intervals: Vec<IntervalResult>,
    pub(crate) stalls: Vec<StallResult>,
}

/// The loop with commits.
#[derive(Debug)]
pub(crate) struct IntervalResult {
    pub(crate) steps: u64,
    /// Of the whole loop.
    pub(crate) secs: Samples,
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
        bare: Samples::default(),
        intervals: plan
            .intervals
            .iter()
            .map(|steps| IntervalResult { steps: *steps, secs: Samples::default(), stalls: Vec::new() })
            .collect(),
        stalls: Vec::new(),
    };
    let turns = plan.intervals.len() + 1;
    let mut weights = None;
    for round in 0..plan.rounds as usize {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for turn in 0..turns {
            let found = match (round + turn) % turns {
                0 => bare(&plan.training, dir, &mut results)?,
                interval => committing(&plan.training, dir, &mut results.intervals[interval - 1])?,
            };
            if *weights.get_or_insert(found.clone()) != found {
                return Err("commits have changed the weights".into());
            }
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

/// Steps and nothing else. Returns the weights, as all of these do.
fn bare(plan: &TrainingPlan, dir: &Path, results: &mut Results) -> Result<String> {
    let home = tempfile::tempdir_in(dir)?;
    let host = place::open_host(&home.path().join(HOME), &"bench".parse()?, None)?;
    let lease = host.scope(|| acquire_preemptible_training_lease(Trainer::MAX_VRAM_BYTES, LEASE_SECS))?;
    let mut trainer = Trainer::new(&lease, &Digits::load()?, plan, &TrainingState::initial(plan))?;
    let launches_before = host.gpu_host().usage()?.launches;
    let (done, secs) = timed(|| (0..plan.steps).try_for_each(|_| trainer.step().map(|_| ())));
    done?;
    results.bare.push(secs);
    let launches = host.gpu_host().usage()?.launches - launches_before;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    {
        results.launches = launches as f64 / plan.steps as f64;
    }
    Ok(trainer.state()?.weights_digest().to_string())
}

/// The real loop of the recipe, from the moment that it has its GPU to the last commit.
fn committing(plan: &TrainingPlan, dir: &Path, into: &mut IntervalResult) -> Result<String> {
    let (weights, heard) = observed(plan, into.steps, dir)?;
    into.secs.push(heard.secs);
    into.stalls.extend(heard.stalls);
    Ok(weights)
}

/// What was heard of a run.
#[derive(Default)]
struct Heard {
    secs: f64,
    stalls: Vec<f64>,
}

fn observed(plan: &TrainingPlan, interval_steps: u64, dir: &Path) -> Result<(String, Heard)> {
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
    let (_, heard) = observed(&plan, 1, dir)?;
    Ok(StallResult { hidden, state_bytes: state_bytes(&plan), stalls: heard.stalls })
}
