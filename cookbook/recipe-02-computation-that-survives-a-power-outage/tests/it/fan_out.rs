//! Several workers: the bits of one, whatever happens to any of them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cookbook_recipe_02_computation_that_survives_a_power_outage::error::RecipeError;
use cookbook_recipe_02_computation_that_survives_a_power_outage::event::Event;
use cookbook_recipe_02_computation_that_survives_a_power_outage::fan_out::{fan_out, worker_volume};
use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, Job, Outcome, run};
use cookbook_recipe_02_computation_that_survives_a_power_outage::stop::StopFlag;
use fabricbios_core::clock::ManualClock;
use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;
use grafos_std::host::{
    Host, LeasedMemory, LocalHost, LocalMemHost, MemGrant, MemHost, MemRequest, RevokeOutcome,
};
use serde_json::json;

use crate::run_loop::{at_once, finished, job, undisturbed};
use crate::support::{home, run_to_end};

const ITERATIONS: u64 = 2_050_000;

fn workers(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn fan_out_on(
    host: &Host,
    job: &Job,
    count: u32,
    mut observer: impl FnMut(&Event),
) -> Result<Outcome, RecipeError> {
    let mut context = Context::on(host.clone(), &mut observer);
    context.patience = at_once();
    fan_out(job, workers(count), &mut context)
}

#[test]
fn any_number_of_workers_comes_to_the_bits_of_one() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let expected = undisturbed(ITERATIONS);
    // More workers than batches, too: some have nothing to do.
    for count in [1, 2, 3, 7, 40] {
        let job = Job { volume: format!("of-{count}"), ..job(ITERATIONS) };
        assert_eq!(finished(fan_out_on(&host, &job, count, |_| ())), expected, "{count} workers");
    }
}

#[test]
fn a_finished_fan_out_tells_its_result_again_and_goes_on_when_more_is_asked_for() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let first = finished(fan_out_on(&host, &job(850_000), 3, |_| ()));
    let mut events = Vec::new();
    assert_eq!(finished(fan_out_on(&host, &job(850_000), 3, |event| events.push(event.clone()))), first);
    assert!(
        matches!(events[..], [Event::Resumed { iteration: 850_000, .. }, Event::Finished { .. }]),
        "{events:?}"
    );

    assert_eq!(finished(fan_out_on(&host, &job(ITERATIONS), 3, |_| ())), undisturbed(ITERATIONS));
    let too_short = fan_out_on(&host, &job(850_000), 3, |_| ()).unwrap_err();
    assert!(matches!(too_short, RecipeError::PastTheEnd { .. }), "{too_short}");
}

#[test]
fn a_stopped_fan_out_goes_on_where_every_worker_was() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let stop = StopFlag::default();
    let mut observer = |event: &Event| {
        if matches!(event, Event::OfWorker { event, .. } if event.iteration() == Some(200_000)) {
            stop.raise();
        }
    };
    let mut context = Context::on(host.clone(), &mut observer);
    context.stop = stop.clone();
    let outcome = fan_out(&job(20 * ITERATIONS), workers(3), &mut context).unwrap();
    let Outcome::Interrupted { state, .. } = outcome else { panic!("{outcome:?}") };
    assert!(state.iter >= 200_000);

    let mut first = None;
    let end = finished(fan_out_on(&host, &job(20 * ITERATIONS), 3, |event| {
        first.get_or_insert(event.clone());
    }));
    assert_eq!(first.and_then(|event| event.iteration()), Some(state.iter), "nothing is computed again");
    assert_eq!(end, undisturbed(20 * ITERATIONS));
}

#[test]
fn another_number_of_workers_or_another_kind_of_run_is_refused() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    finished(fan_out_on(&host, &job(ITERATIONS), 3, |_| ()));
    let other = fan_out_on(&host, &job(ITERATIONS), 4, |_| ()).unwrap_err();
    assert!(matches!(other, RecipeError::OtherWorkers { requested: 4, found: 3, .. }), "{other}");
    let seed = fan_out_on(&host, &Job { seed: Some(1), ..job(ITERATIONS) }, 3, |_| ()).unwrap_err();
    assert!(matches!(seed, RecipeError::OtherSeed { requested: 1, found: 123, .. }), "{seed}");

    let mut silent = |_: &Event| ();
    let mut context = Context::on(host.clone(), &mut silent);
    let alone = run(&job(ITERATIONS), &mut context).unwrap_err();
    assert!(matches!(alone, RecipeError::Durable { .. }), "the schema is another one: {alone}");
    let part =
        run(&Job { volume: worker_volume("recipe-02", 1), ..job(ITERATIONS) }, &mut context).unwrap_err();
    assert!(matches!(part, RecipeError::OtherShare { .. }), "{part}");

    // What somebody throws away on purpose may be of any kind.
    let fresh = Job { fresh: true, seed: Some(1), ..job(ITERATIONS) };
    let outcome = finished(fan_out_on(&host, &fresh, 4, |_| ()));
    assert_eq!(outcome.rng_seed, 1);
}

#[test]
fn a_worker_whose_volume_is_gone_computes_its_share_anew_and_only_that() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    finished(fan_out_on(&host, &job(ITERATIONS), 3, |_| ()));
    let volumes = LocalHost::builder().home(home.path()).open_block_host().unwrap();
    volumes.remove_volume(&worker_volume("recipe-02", 1).parse().unwrap()).unwrap();

    let longer = ITERATIONS + 900_000;
    let mut starts = Vec::new();
    let state = finished(fan_out_on(&host, &job(longer), 3, |event| {
        if let Event::OfWorker { worker, event } = event
            && let Event::Started { .. } | Event::Resumed { .. } = **event
        {
            starts.push((*worker, event.iteration() == Some(0)));
        }
    }));
    starts.sort_unstable();
    assert_eq!(starts, [(0, false), (1, true), (2, false)]);
    assert_eq!(state, undisturbed(longer));
}

#[test]
fn a_worker_whose_lease_is_revoked_takes_a_new_one() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let taker = host.clone();
    let (mut leases, mut reopened) = (vec![None; 3], 0);
    let state = finished(fan_out_on(&host, &job(20 * ITERATIONS), 3, |event| {
        let Event::OfWorker { worker, event } = event else { return };
        match **event {
            Event::Started { lease_id, .. } => leases[*worker as usize] = Some(lease_id),
            Event::Checkpoint { iteration: 1.., .. } if *worker == 1 => {
                if let Some(lease_id) = leases[1].take() {
                    taker.revoke(lease_id).unwrap();
                }
            }
            Event::Reopening { .. } => reopened += 1,
            _ => {}
        }
    }));
    assert_eq!(reopened, 1);
    assert_eq!(state, undisturbed(20 * ITERATIONS));
}

#[test]
fn a_coordinator_keeps_its_lease_while_the_workers_work() {
    let home = home();
    let clock = Arc::new(ManualClock::default());
    let host = LocalHost::builder().home(home.path()).clock(clock.clone()).open().unwrap();
    let mut hours = 0;
    let state = finished(fan_out_on(&host, &job(20 * ITERATIONS), 2, |event| {
        if matches!(event, Event::Progress { .. }) && hours < 40 {
            clock.advance(Duration::from_secs(3600));
            hours += 1;
        }
    }));
    assert!(hours > 24, "the lease could not run out in {hours} hours");
    assert_eq!(state, undisturbed(20 * ITERATIONS));
}

/// Memory that makes the thread that writes to it panic, at some writes: the crash of a worker.
#[derive(Debug)]
struct CrashingMemHost {
    inner: LocalMemHost,
    writes: Arc<AtomicU64>,
    /// Which writes crash, counted over all leases.
    crash_at: fn(u64) -> bool,
}

#[derive(Debug)]
struct CrashingMemory {
    inner: Box<dyn LeasedMemory>,
    writes: Arc<AtomicU64>,
    crash_at: fn(u64) -> bool,
}

impl MemHost for CrashingMemHost {
    fn acquire(&self, request: &MemRequest) -> grafos_std::Result<MemGrant> {
        let MemGrant { lease, memory: inner } = self.inner.acquire(request)?;
        let memory = CrashingMemory { inner, writes: Arc::clone(&self.writes), crash_at: self.crash_at };
        Ok(MemGrant { lease, memory: Box::new(memory) })
    }

    fn revoke(&self, lease_id: LeaseId) -> grafos_std::Result<RevokeOutcome> {
        self.inner.revoke(lease_id)
    }
}

impl LeasedMemory for CrashingMemory {
    fn num_bytes(&self) -> u64 {
        self.inner.num_bytes()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> grafos_std::Result<()> {
        self.inner.read(offset, into)
    }

    fn write(&self, offset: u64, from: &[u8]) -> grafos_std::Result<()> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        assert!(!(self.crash_at)(write), "a worker crashes on purpose at write {write}");
        self.inner.write(offset, from)
    }

    fn host_status(&self) -> LeaseStatus {
        self.inner.host_status()
    }

    fn renew(&self, lease_secs: u64) -> grafos_std::Result<Duration> {
        self.inner.renew(lease_secs)
    }
}

fn host_whose_workers_crash(home: &std::path::Path, crash_at: fn(u64) -> bool) -> Host {
    let block = LocalHost::builder().home(home).open_block_host().unwrap();
    let mem = CrashingMemHost { inner: LocalMemHost::default(), writes: Arc::default(), crash_at };
    Host::builder().block(Arc::new(block)).mem(Arc::new(mem)).build().unwrap()
}

#[test]
fn workers_that_crash_are_started_again_from_their_checkpoints() {
    let home = home();
    let host = host_whose_workers_crash(home.path(), |write| matches!(write, 3 | 11 | 17));
    let mut restarted = 0;
    let state = finished(fan_out_on(&host, &job(ITERATIONS), 3, |event| {
        if let Event::WorkerRestarted { reason, .. } = event {
            assert!(reason.contains("crashes on purpose"), "{reason}");
            restarted += 1;
        }
    }));
    assert_eq!(restarted, 3);
    assert_eq!(state, undisturbed(ITERATIONS));
}

#[test]
fn a_worker_that_always_crashes_ends_the_run_with_the_others_safe() {
    let home = home();
    let host = host_whose_workers_crash(home.path(), |write| write >= 8);
    let error = fan_out_on(&host, &job(ITERATIONS), 3, |_| ()).unwrap_err();
    assert!(matches!(error, RecipeError::WorkerDied { times: 8, .. }), "{error}");

    let sound = LocalHost::builder().home(home.path()).open().unwrap();
    assert_eq!(finished(fan_out_on(&sound, &job(ITERATIONS), 3, |_| ())), undisturbed(ITERATIONS));
}

#[test]
fn a_fan_out_on_the_command_line_tells_the_whole_and_each_worker() {
    let home = home();
    let arguments = ["--iterations", "1_050_000", "--checkpoint-every", "600k", "--workers", "2"];
    let ended = run_to_end(home.path(), &arguments);
    ended.result();
    assert_eq!(ended.events[0], json!({"event": "started", "epoch": 1, "iteration": 0}));
    for worker in [0, 1] {
        let of_worker = |kind| ended.all(kind).into_iter().filter(move |event| event["worker"] == worker);
        assert_eq!(of_worker("started").count(), 1);
        assert!(of_worker("checkpoint").count() >= 2);
    }

    let alone = run_to_end(home.path(), &["--iterations", "1_050_000", "--volume", "alone"]);
    assert_eq!(ended.result(), alone.result());

    let status = run_to_end(home.path(), &["--status", "--workers", "2"]).events;
    assert_eq!(status.len(), 3);
    assert_eq!(status[0]["iteration"], 1_050_000);
    assert_eq!((status[1]["iteration"].clone(), status[1]["worker"].clone()), (json!(550_000), json!(0)));
    assert_eq!((status[2]["iteration"].clone(), status[2]["worker"].clone()), (json!(500_000), json!(1)));

    let refused = run_to_end(home.path(), &["--iterations", "1_050_000", "--workers", "3"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("--workers 2"), "{}", refused.stderr);
}
