//! Variation: several workers, a volume and a lease for each, and a coordinator that adds up what they have.
//!
//! Worker `i` of the run on volume `v` keeps its share on `v-worker-i`; `v` itself holds who the run is (seed,
//! number of workers) and at the end its result. Each worker is the [loop of the recipe](crate::run) over its
//! [share](crate::share::Share), so it goes on from its own last checkpoint, whatever became of the others. A worker
//! that dies is started again; one whose volume is gone computes its share anew. Sums are exact integers, so the
//! result is that of a single worker, bit for bit, for any number of workers.
//!
//! Invariant: the coordinator's volume is the authority. It is committed before any worker starts, and a worker's
//! volume that holds another run (because `--fresh` was cut short) is started over.

mod coordinator;
mod worker;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use grafos_collections::durable::Durable;
use grafos_std::block::BlockBuilder;
use grafos_std::error::FabricError;
use grafos_std::host::Host;
use serde::{Deserialize, Serialize};

use crate::error::{RecipeError, Result};
use crate::event::Event;
use crate::run::{Context, DEFAULT_SEED, IfOther, Job, MIN_BLOCKS, Outcome, Part, Status, status};
use crate::share::Share;
use crate::state::SimState;
use coordinator::Coordinator;

/// The schema tag of a coordinator's volume.
pub const FAN_OUT_SCHEMA: &str = "recipe-02.fan-out.v1";

/// What the coordinator's volume holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOutState {
    /// The seed of all workers.
    pub rng_seed: u64,
    /// How many workers share the samples.
    pub workers: u32,
    /// The whole computation, once all workers have finished; `None` before.
    pub result: Option<SimState>,
}

/// The name of a worker's volume.
#[must_use]
pub fn worker_volume(volume: &str, worker: u32) -> String {
    format!("{volume}-worker-{worker}")
}

/// Runs the job with `workers` workers, from wherever their volumes stand. The threads of the job are divided among
/// them, at least one for each.
///
/// ```
/// use std::num::NonZeroU32;
/// use cookbook_recipe_02_computation_that_survives_a_power_outage::fan_out::fan_out;
/// use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, Job, run};
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
///
/// let mut silent = |_: &_| ();
/// let single = Job { volume: "single".into(), iterations: 400_000, ..Job::default() };
/// let several = Job { volume: "several".into(), ..single.clone() };
/// let three = NonZeroU32::new(3).ok_or("zero")?;
///
/// let alone = run(&single, &mut Context::new(&mut silent)?)?;
/// let together = fan_out(&several, three, &mut Context::new(&mut silent)?)?;
/// assert_eq!(together.state().digest(), alone.state().digest());
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RecipeError`]: the first error of the coordinator or a worker that a new start does not mend. The other workers
/// have taken a last checkpoint then.
pub fn fan_out(job: &Job, workers: NonZeroU32, context: &mut Context<'_>) -> Result<Outcome> {
    job.check()?;
    let mut durable = open(job, workers, &context.host)?;
    let manifest = durable.inner().clone();
    let first_word = opening_event(&durable, &context.host);
    if durable.restored().is_none() {
        durable.checkpoint().map_err(RecipeError::durable(&job.volume))?;
    }
    let outcome = match manifest.result {
        Some(result) if result.iter == job.iterations => {
            context.observer.observe(&first_word(result.iter));
            Outcome::Finished(result)
        }
        Some(result) if result.iter > job.iterations => {
            let (requested, found) = (job.iterations, result.iter);
            return Err(RecipeError::PastTheEnd { volume: job.volume.clone(), requested, found });
        }
        _ => {
            let parts = parts(job, workers, manifest.rng_seed);
            let states =
                Coordinator::new(context, durable.lease(), parts, job.iterations, first_word).run()?;
            conclude(job, &states, &mut durable, context)?
        }
    };
    let released = durable.into_block_lease().map_err(FabricError::from).and_then(|lease| lease.release());
    if let Err(error) = released {
        tracing::warn!(%error, "the coordinator's volume could not be released");
    }
    context.observer.observe(&outcome.event());
    Ok(outcome)
}

/// Leases the coordinator's volume and restores what it holds, if that is the run that was asked for.
fn open(job: &Job, workers: NonZeroU32, host: &Host) -> Result<Durable<FanOutState>> {
    let volume = &job.volume;
    let init =
        || FanOutState { rng_seed: job.seed.unwrap_or(DEFAULT_SEED), workers: workers.get(), result: None };
    let lease = BlockBuilder::new().on(host).volume(volume).min_blocks(MIN_BLOCKS).acquire()?;
    let options = Durable::options().schema(FAN_OUT_SCHEMA);
    if job.fresh {
        return Ok(options.start(init(), lease));
    }
    let durable = options.open_or_init(lease, init).map_err(RecipeError::durable(volume))?;
    if durable.workers != workers.get() {
        let (requested, found) = (workers.get(), durable.workers);
        return Err(RecipeError::OtherWorkers { volume: volume.clone(), requested, found });
    }
    match job.seed {
        Some(requested) if requested != durable.rng_seed => {
            Err(RecipeError::OtherSeed { volume: volume.clone(), requested, found: durable.rng_seed })
        }
        _ => Ok(durable),
    }
}

/// The coordinator's first event, once it is known how many samples the workers have.
fn opening_event(durable: &Durable<FanOutState>, host: &Host) -> impl Fn(u64) -> Event + use<> {
    let (lease_id, epoch) = (durable.lease().lease_id(), durable.lease().epoch());
    let rejected = durable.rejected().to_vec();
    let restored = durable.restored().map(|restored| {
        let age_ms = host.clock().unix_ms().saturating_sub(restored.unix_ms);
        (restored.sequence, Duration::from_millis(age_ms))
    });
    move |iteration| match restored {
        None => Event::Started { lease_id, epoch },
        Some((sequence, age)) => {
            Event::Resumed { lease_id, epoch, sequence, iteration, age, rejected: rejected.clone() }
        }
    }
}

/// What each worker has to do.
fn parts(job: &Job, workers: NonZeroU32, seed: u64) -> Vec<Part> {
    let threads = job.threads.get() / usize::try_from(workers.get()).unwrap_or(usize::MAX);
    let part = |index| {
        let share = Share { index, of: workers.get() };
        Part {
            volume: worker_volume(&job.volume, index),
            seed: Some(seed),
            share,
            goal: share.samples_of(job.iterations),
            every: job.every,
            threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
            fresh: job.fresh,
            if_other: IfOther::StartOver,
        }
    };
    (0..workers.get()).map(part).collect()
}

/// Adds up what the workers have, and keeps it if it is everything.
fn conclude(
    job: &Job,
    states: &[SimState],
    durable: &mut Durable<FanOutState>,
    context: &mut Context<'_>,
) -> Result<Outcome> {
    let state = SimState::merged(states).ok_or(RecipeError::InvalidJob {
        what: "workers",
        expected: "one state of each",
        found: states.len() as u64,
    })?;
    let epoch = durable.lease().epoch();
    if state.iter < job.iterations {
        return Ok(Outcome::Interrupted { state, sequence: durable.sequence(), epoch });
    }
    durable.inner_mut().result = Some(state.clone());
    let committed = durable.checkpoint().map_err(RecipeError::durable(&job.volume))?;
    tracing::info!(iteration = state.iter, %epoch, sequence = committed.sequence, "all workers have finished");
    let (sequence, iteration) = (committed.sequence, state.iter);
    context.observer.observe(&Event::Checkpoint { sequence, epoch, iteration });
    Ok(Outcome::Finished(state))
}

/// What the volumes of a fan-out hold: the coordinator's with the sums over all workers, then each worker's.
///
/// # Errors
/// As [`status`].
pub fn fan_out_status(
    host: &Host,
    volume: &str,
    workers: NonZeroU32,
) -> Result<(Option<Status>, Vec<Option<Status>>)> {
    let looking = Job { volume: volume.to_owned(), ..Job::default() };
    let durable = open(&looking, workers, host)?;
    let of_workers = (0..workers.get())
        .map(|worker| status(host, &worker_volume(volume, worker)))
        .collect::<Result<Vec<_>>>()?;
    let mut sums = SimState::new(durable.rng_seed, Share::WHOLE);
    for state in of_workers.iter().flatten().map(|status| &status.state) {
        sums.iter = sums.iter.saturating_add(state.iter);
        sums.sum = sums.sum.saturating_add(state.sum);
        sums.sum_sq = sums.sum_sq.saturating_add(state.sum_sq);
    }
    let whole = durable.restored().map(|restored| Status {
        sequence: restored.sequence,
        epoch: restored.epoch,
        age: Duration::from_millis(host.clock().unix_ms().saturating_sub(restored.unix_ms)),
        state: sums,
        rejected: durable.rejected().to_vec(),
    });
    Ok((whole, of_workers))
}
