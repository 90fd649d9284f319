//! The loop of the library: the result depends on nothing but seed and number of samples, and leases may end at any
//! time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cookbook_recipe_02_computation_that_survives_a_power_outage::error::RecipeError;
use cookbook_recipe_02_computation_that_survives_a_power_outage::event::Event;
use cookbook_recipe_02_computation_that_survives_a_power_outage::policy::{CheckpointEvery, Patience};
use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, Job, Outcome, run, status};
use cookbook_recipe_02_computation_that_survives_a_power_outage::state::SimState;
use fabricbios_core::clock::ManualClock;
use fabricbios_core::lease::RenewalPolicy;
use fabricbios_core::recovery::Recovery;
use grafos_std::error::FabricError;
use grafos_std::host::{Host, LocalHost};

use crate::support::home;

const ITERATIONS: u64 = 1_050_000;

pub(crate) fn job(iterations: u64) -> Job {
    let every = CheckpointEvery::Samples(200_000);
    Job { iterations, every, threads: NonZeroUsize::new(2).unwrap(), ..Job::default() }
}

/// Tries again at once: these tests have no time to lose.
pub(crate) fn at_once() -> Patience {
    Patience {
        backoff: RenewalPolicy { max_backoff: Duration::ZERO, ..Default::default() },
        ..Default::default()
    }
}

/// Runs the job and passes every event on.
pub(crate) fn run_on(
    host: &Host,
    job: &Job,
    mut observer: impl FnMut(&Event),
) -> Result<Outcome, RecipeError> {
    let mut context = Context::on(host.clone(), &mut observer);
    context.patience = at_once();
    run(job, &mut context)
}

pub(crate) fn finished(outcome: Result<Outcome, RecipeError>) -> SimState {
    match outcome.unwrap() {
        Outcome::Finished(state) => state,
        interrupted => panic!("{interrupted:?}"),
    }
}

/// What every run of so many samples must come to.
pub(crate) fn undisturbed(iterations: u64) -> SimState {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    finished(run_on(&host, &job(iterations), |_| ()))
}

#[test]
fn the_result_does_not_depend_on_threads_or_checkpoints() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let expected = undisturbed(ITERATIONS);
    for (threads, every) in [
        (1, CheckpointEvery::Samples(u64::MAX)),
        (1, CheckpointEvery::Samples(1)),
        (3, CheckpointEvery::Samples(300_000)),
        (5, CheckpointEvery::Time(Duration::from_millis(1))),
        (64, CheckpointEvery::Time(Duration::from_secs(3600))),
    ] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let job = Job { threads, every, fresh: true, ..job(ITERATIONS) };
        assert_eq!(finished(run_on(&host, &job, |_| ())), expected, "{job:?}");
    }
}

#[test]
fn a_run_that_is_stopped_after_every_checkpoint_ends_with_the_same_bits() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let job = Job { seed: Some(7), ..job(ITERATIONS) };
    let mut lives = 0;
    let state = loop {
        lives += 1;
        let stop = cookbook_recipe_02_computation_that_survives_a_power_outage::stop::StopFlag::default();
        let mut observer = |event: &Event| {
            if matches!(event, Event::Progress { .. }) {
                stop.raise();
            }
        };
        let mut context = Context::on(host.clone(), &mut observer);
        context.stop = stop.clone();
        match run(&job, &mut context).unwrap() {
            Outcome::Finished(state) => break state,
            Outcome::Interrupted { state, sequence, .. } => {
                let held = status(&host, &job.volume).unwrap().unwrap();
                assert_eq!((held.state, held.sequence), (state, sequence), "everything is in the checkpoint");
            }
        }
        assert!(lives < 100, "no progress");
    };
    assert!(lives > 2, "it was never stopped");
    let undisturbed_home = crate::support::home();
    let undisturbed_host = LocalHost::builder().home(undisturbed_home.path()).open().unwrap();
    assert_eq!(state, finished(run_on(&undisturbed_host, &job, |_| ())));
}

#[test]
fn a_longer_run_goes_on_from_a_finished_one_to_the_bits_of_an_undisturbed_one() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    // The first ends in the middle of a batch.
    finished(run_on(&host, &job(250_001), |_| ()));
    let mut first = None;
    let state = finished(run_on(&host, &job(ITERATIONS), |event| {
        first.get_or_insert(event.clone());
    }));
    assert!(matches!(first, Some(Event::Resumed { iteration: 250_001, .. })), "{first:?}");
    assert_eq!(state, undisturbed(ITERATIONS));
}

#[test]
fn a_run_on_another_seed_or_past_the_end_is_refused_and_untouched() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let done = finished(run_on(&host, &job(ITERATIONS), |_| ()));
    let before = status(&host, "recipe-02").unwrap().unwrap();

    let other_seed = run_on(&host, &Job { seed: Some(5), ..job(ITERATIONS) }, |_| ()).unwrap_err();
    assert!(matches!(other_seed, RecipeError::OtherSeed { requested: 5, found: 123, .. }), "{other_seed}");
    let too_short = run_on(&host, &job(ITERATIONS - 1), |_| ()).unwrap_err();
    assert!(matches!(too_short, RecipeError::PastTheEnd { found: ITERATIONS, .. }), "{too_short}");
    for error in [other_seed, too_short] {
        assert_eq!(error.recovery(), Recovery::FixCaller);
    }

    let after = status(&host, "recipe-02").unwrap().unwrap();
    assert_eq!((after.sequence, after.state), (before.sequence, done));
}

#[test]
fn working_memory_that_is_revoked_mid_run_costs_time_and_nothing_else() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let (mut leased, mut lost, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
    let taker = host.clone();
    let state = finished(run_on(&host, &job(ITERATIONS), |event| match event {
        Event::MemoryLeased { lease_id } => leased.push(*lease_id),
        Event::Progress { .. } if leased.len() <= 5 => {
            let lease_id = leased.last().unwrap();
            taker.revoke(*lease_id).unwrap();
        }
        Event::MemoryLost { lease_id, reason } => {
            assert!(reason.contains("revoked"), "{reason}");
            lost.push(*lease_id);
        }
        Event::Checkpoint { sequence, .. } => sequences.push(*sequence),
        Event::Reopening { reason, .. } | Event::Retrying { reason, .. } => {
            panic!("the volume is fine: {reason}")
        }
        _ => {}
    }));
    assert_eq!(state, undisturbed(ITERATIONS));
    assert_eq!(lost, leased[..5], "each of the first five leases was taken and noticed");
    assert_eq!(
        sequences,
        (1..=sequences.len() as u64).collect::<Vec<_>>(),
        "no checkpoint was lost or repeated"
    );
}

#[test]
fn memory_that_can_not_be_had_ends_the_run_with_the_durable_state_intact() {
    let home = home();
    let poor = || LocalHost::builder().home(home.path()).mem_limit_bytes(100).open().unwrap();
    let error = run_on(&poor(), &job(ITERATIONS), |_| ()).unwrap_err();
    assert!(matches!(error, RecipeError::Fabric(FabricError::CapacityExceeded { .. })), "{error}");
    let rich = LocalHost::builder().home(home.path()).open().unwrap();
    assert_eq!(finished(run_on(&rich, &job(ITERATIONS), |_| ())), undisturbed(ITERATIONS));
}

#[test]
fn a_volume_whose_lease_is_revoked_mid_run_is_leased_anew_and_goes_on_from_its_checkpoint() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let (mut lease, mut resumed, mut reopened, mut epochs) = (None, Vec::new(), 0, Vec::new());
    let taker = host.clone();
    let state = finished(run_on(&host, &job(ITERATIONS), |event| match event {
        Event::Started { lease_id, epoch } => (lease, epochs) = (Some(*lease_id), vec![*epoch]),
        Event::Resumed { lease_id, epoch, iteration, .. } => {
            epochs.push(*epoch);
            resumed.push(*iteration);
            lease = Some(*lease_id);
        }
        Event::Checkpoint { iteration: 400_000 | 800_000, .. } => {
            taker.revoke(lease.unwrap()).unwrap();
        }
        Event::Reopening { reason, .. } => {
            assert!(reason.contains("revoked"), "{reason}");
            reopened += 1;
        }
        _ => {}
    }));
    assert_eq!(state, undisturbed(ITERATIONS));
    assert_eq!((reopened, resumed), (2, vec![400_000, 800_000]), "one interval was computed again each time");
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

#[test]
fn a_machine_that_slept_through_all_its_leases_takes_new_ones() {
    let home = home();
    let clock = Arc::new(ManualClock::default());
    let host = LocalHost::builder().home(home.path()).clock(clock.clone()).open().unwrap();
    let (mut memory_lost, mut reopened, mut slept) = (0, 0, false);
    let state = finished(run_on(&host, &job(ITERATIONS), |event| match event {
        Event::Progress { iteration, .. } if *iteration > 500_000 && !slept => {
            slept = true;
            clock.advance(Duration::from_secs(48 * 3600));
        }
        Event::MemoryLost { .. } => memory_lost += 1,
        Event::Reopening { .. } => reopened += 1,
        _ => {}
    }));
    assert_eq!(state, undisturbed(ITERATIONS));
    assert_eq!((memory_lost, reopened), (1, 1));
}

#[test]
fn leases_are_renewed_while_no_checkpoint_is_due() {
    let home = home();
    let clock = Arc::new(ManualClock::default());
    let host = LocalHost::builder().home(home.path()).clock(clock.clone()).open().unwrap();
    let rare = Job { every: CheckpointEvery::Samples(u64::MAX), ..job(10 * ITERATIONS) };
    let mut days = 0;
    let state = finished(run_on(&host, &rare, |event| match event {
        // Leases are for a day, and so is what lies between two looks at them; but never more.
        Event::Progress { .. } => {
            clock.advance(Duration::from_secs(23 * 3600));
            days += 1;
        }
        Event::MemoryLost { reason, .. } | Event::Reopening { reason, .. } => panic!("{reason}"),
        _ => {}
    }));
    assert!(days >= 2, "no lease could run out");
    assert_eq!(state, undisturbed(10 * ITERATIONS));
}

#[test]
fn checkpoints_by_time_come_when_the_clock_says_so() {
    let home = home();
    let clock = Arc::new(ManualClock::default());
    let host = LocalHost::builder().home(home.path()).clock(clock.clone()).open().unwrap();
    let job = Job { every: CheckpointEvery::Time(Duration::from_secs(10)), ..job(10 * ITERATIONS) };
    let (mut advances, mut is_due) = (0, false);
    let mut checkpoints = Vec::new();
    finished(run_on(&host, &job, |event| match event {
        Event::Progress { .. } if !is_due && advances < 3 => {
            clock.advance(Duration::from_secs(10));
            (advances, is_due) = (advances + 1, true);
        }
        Event::Checkpoint { iteration, .. } => checkpoints.push((*iteration, std::mem::take(&mut is_due))),
        _ => {}
    }));
    let [(0, false), between @ .., (end, _)] = &checkpoints[..] else { panic!("{checkpoints:?}") };
    assert_eq!(*end, 10 * ITERATIONS);
    assert!(
        between.iter().all(|(_, is_due)| *is_due),
        "one came while the clock stood still: {checkpoints:?}"
    );
    assert_eq!(checkpoints.iter().filter(|(_, is_due)| *is_due).count(), advances, "one is missing");
    assert!(advances > 0);
}

#[test]
fn no_samples_at_all_are_no_job() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let error = run_on(&host, &job(0), |_| ()).unwrap_err();
    assert!(matches!(error, RecipeError::InvalidJob { .. }), "{error}");
}
