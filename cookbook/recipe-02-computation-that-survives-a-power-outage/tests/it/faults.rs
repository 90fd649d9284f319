//! The loop over a disk that loses power at every single operation, and over one that is full.

use std::sync::Arc;

use cookbook_recipe_02_computation_that_survives_a_power_outage::error::in_full;
use cookbook_recipe_02_computation_that_survives_a_power_outage::event::Event;
use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, run, status};
use cookbook_recipe_02_computation_that_survives_a_power_outage::state::SimState;
use fabricbios_core::clock::ManualClock;
use grafos_std::host::Host;
use grafos_std::host::testing::{Fault, FaultPlan, FaultyBlockHost, Keep, OpKind, RamBlockHost};

use crate::run_loop::{at_once, finished, job, run_on, undisturbed};

const ITERATIONS: u64 = 650_000;

struct Machine {
    disk: FaultyBlockHost,
    host: Host,
}

fn machine() -> Machine {
    let clock = Arc::new(ManualClock::default());
    let disk = FaultyBlockHost::new(Arc::new(RamBlockHost::new(clock.clone())));
    let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build().unwrap();
    Machine { disk, host }
}

/// How many operations a run does on its volume.
fn operations() -> usize {
    let Machine { disk, host } = machine();
    disk.set_plan(FaultPlan::none());
    finished(run_on(&host, &job(ITERATIONS), |_| ()));
    disk.ops().len()
}

/// Runs until the power goes. What was announced as durable, in samples.
fn run_into_the_dark(host: &Host) -> Option<u64> {
    let mut announced = None;
    let mut observer = |event: &Event| {
        if let Event::Checkpoint { iteration, .. } = event {
            announced = Some(*iteration);
        }
    };
    let mut context = Context::on(host.clone(), &mut observer);
    context.patience = at_once();
    context.patience.max_tries = 1;
    run(&job(ITERATIONS), &mut context).unwrap_err();
    announced
}

/// After the power is back: nothing that was announced is lost, and the result is the undisturbed one.
fn goes_on(host: &Host, announced: Option<u64>, expected: &SimState, case: &str) {
    let mut first = None;
    let state = finished(run_on(host, &job(ITERATIONS), |event| {
        first.get_or_insert(event.clone());
    }));
    let from = match first {
        Some(Event::Started { .. }) => None,
        Some(Event::Resumed { iteration, .. }) => Some(iteration),
        other => panic!("{case}: {other:?}"),
    };
    assert!(from >= announced, "{case}: {announced:?} was announced, and it went on from {from:?}");
    assert_eq!(state, *expected, "{case}");
}

#[test]
fn a_power_cut_at_every_operation_loses_no_announced_checkpoint() {
    let expected = undisturbed(ITERATIONS);
    let operations = operations();
    assert!(operations >= 10, "only {operations} operations: what is tested here?");
    for at in 0..operations {
        for keep in [Keep::None, Keep::All, Keep::Seeded(at as u64)] {
            let case = format!("power cut at operation {at}, {keep:?} of what was unflushed is kept");
            let Machine { disk, host } = machine();
            disk.set_plan(FaultPlan::none().at(at, Fault::PowerCut { keep }));
            let announced = run_into_the_dark(&host);
            disk.power_on().unwrap();
            goes_on(&host, announced, &expected, &case);
        }
    }
}

#[test]
fn a_process_that_dies_at_every_operation_loses_no_announced_checkpoint() {
    let expected = undisturbed(ITERATIONS);
    for at in 0..operations() {
        let Machine { disk, host } = machine();
        disk.set_plan(FaultPlan::none().at(at, Fault::Kill));
        let announced = run_into_the_dark(&host);
        disk.power_on().unwrap();
        goes_on(&host, announced, &expected, &format!("killed at operation {at}"));
    }
}

#[test]
fn a_host_that_comes_back_is_found_again_within_the_same_run() {
    let expected = undisturbed(ITERATIONS);
    for at in 0..operations() {
        let Machine { disk, host } = machine();
        disk.set_plan(FaultPlan::none().at(at, Fault::PowerCut { keep: Keep::None }));
        let mut waits = 0;
        let state = finished(run_on(&host, &job(ITERATIONS), |event| {
            if matches!(event, Event::Retrying { .. } | Event::Reopening { .. }) {
                waits += 1;
                disk.power_on().unwrap();
            }
        }));
        assert_eq!(state, expected, "power cut at operation {at}");
        assert!(waits > 0, "power cut at operation {at}: nobody noticed");
    }
}

#[test]
fn a_host_that_stays_away_ends_the_run_and_says_so() {
    let Machine { disk, host } = machine();
    disk.set_plan(FaultPlan::none().at(6, Fault::PowerCut { keep: Keep::None }));
    let mut waits = 0;
    let error = run_on(&host, &job(ITERATIONS), |event| {
        waits += u32::from(matches!(event, Event::Retrying { .. } | Event::Reopening { .. }));
    })
    .unwrap_err();
    assert!(in_full(&error).contains("can't be reached"), "{}", in_full(&error));
    assert_eq!(waits, at_once().max_tries - 1);
}

#[test]
fn a_failing_disk_ends_the_run_and_keeps_the_checkpoint_before() {
    const EIO: i32 = 5;
    let Machine { disk, host } = machine();
    let before = finished(run_on(&host, &job(300_000), |_| ()));
    disk.set_plan(FaultPlan::none().at_every(OpKind::Write, Fault::Fail { errno: EIO }));
    let error = run_on(&host, &job(ITERATIONS), |_| ()).unwrap_err();
    assert!(in_full(&error).contains("errno=5"), "{}", in_full(&error));

    disk.set_plan(FaultPlan::none());
    assert_eq!(status(&host, "recipe-02").unwrap().unwrap().state, before);
    assert_eq!(finished(run_on(&host, &job(ITERATIONS), |_| ())), undisturbed(ITERATIONS));
}
