//! The worker's loop within this process: GPUs that are taken away, workers that are told to end or die, at every step.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::audit::PreemptionKind;
use cookbook_recipe_52_clean_preemptible_gpu_training::report::plot;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::{Event, StrideEnd};
use cookbook_recipe_52_clean_preemptible_gpu_training::run::place::replica_dirs;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::store::JobStore;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::stride::StrideRecord;
use cookbook_recipe_52_clean_preemptible_gpu_training::run::{
    Context, Controls, Job, Outcome, Patience, RunError, run,
};
use cookbook_recipe_52_clean_preemptible_gpu_training::training::{
    Digits, StateError, Trainer, TrainingPlan, TrainingState,
};
use fabricbios_core::recovery::Recovery;
use grafos_replicated::Version;
use grafos_std::gpu::GpuBuilder;
use grafos_std::host::LocalHost;

use crate::job_world::{INTERVAL, PLAN, World, count, finished, is_step, undisturbed};

#[test]
fn an_undisturbed_run_commits_every_interval_and_at_its_end() {
    let world = World::new();
    let (outcome, told) = world.run(&world.job(), |_, _| ());
    let done = finished(outcome);
    world.assert_sound(&done, "undisturbed");
    assert_eq!((done.step, done.version), (PLAN.steps, Version(3)));
    let strides: Vec<_> =
        world.audit().strides.iter().map(|stride| (stride.from, stride.to, stride.version)).collect();
    assert_eq!(strides, [(0, 5, 1), (5, 10, 2), (10, 12, 3)]);
    let steps =
        told.iter().filter_map(|event| if let Event::Step { step, .. } = event { Some(*step) } else { None });
    assert!(steps.into_iter().eq(1..=PLAN.steps));
    assert!(matches!(told.first(), Some(Event::Started { version: 0, step: 0, epoch: 2, .. })), "{told:?}");
    assert!(matches!(told.last(), Some(Event::Finished { version: 3, .. })), "{told:?}");
}

#[test]
fn a_finished_job_answers_again_and_does_nothing() {
    let world = World::new();
    let first = world.finish(&world.job());
    let (outcome, told) = world.run(&world.job(), |_, _| ());
    let again = finished(outcome);
    assert_eq!(
        (again.weights, again.version, again.accuracy),
        (first.weights, first.version, first.accuracy)
    );
    assert_eq!(count(&told, |event| matches!(event, Event::Step { .. } | Event::Committed { .. })), 0);
}

#[test]
fn a_finished_job_can_be_made_longer_and_not_shorter() {
    let world = World::new();
    let short = TrainingPlan { steps: 7, ..PLAN };
    world.finish(&Job { plan: short, ..world.job() });
    let done = world.finish(&world.job());
    world.assert_sound(&done, "made longer");
    let (refused, _) = world.run(&Job { plan: short, ..world.job() }, |_, _| ());
    assert!(matches!(refused, Err(RunError::PastTheEnd { requested: 7, found: 12, .. })), "{refused:?}");
}

#[test]
fn a_gpu_that_is_revoked_at_any_step_costs_only_the_steps_since_the_commit() {
    for at in 1..=PLAN.steps {
        let world = World::new();
        let mut has_struck = false;
        let (outcome, told) = world.run(&world.job(), |event, controls| {
            if is_step(event, at) && !std::mem::replace(&mut has_struck, true) {
                controls.revoke();
            }
        });
        world.assert_sound(&finished(outcome), &format!("revoked at step {at}"));
        let lost = told.iter().find_map(|event| match event {
            Event::LeaseLost { status, step, committed, .. } => Some((status.as_str(), *step, *committed)),
            _ => None,
        });
        // The step that was being told is done; the loss is noticed by whatever comes next.
        assert_eq!(lost, Some(("revoked", at, (at - 1) / INTERVAL * INTERVAL)), "{told:?}");
        assert_eq!(count(&told, |event| matches!(event, Event::Leased { .. })), 2);
        assert_eq!(world.audit().leases_lost(), 1);
    }
}

#[test]
fn a_lease_that_runs_out_at_any_step_is_replaced() {
    for at in [1, 4, 5, 6, 11, 12] {
        let world = World::new();
        let mut has_struck = false;
        let job = world.job();
        let (outcome, told) = world.run(&job, |event, controls| {
            if is_step(event, at) && !std::mem::replace(&mut has_struck, true) {
                world.let_expire(&job, controls);
            }
        });
        world.assert_sound(&finished(outcome), &format!("expired at step {at}"));
        assert_eq!(
            count(&told, |event| matches!(event, Event::LeaseLost { status, .. } if status == "expired")),
            1
        );
    }
}

#[test]
fn a_lease_is_renewed_as_long_as_all_is_well() {
    let world = World::new();
    let (outcome, told) = world.run(&world.job(), |event, _| {
        if matches!(event, Event::Step { .. }) {
            // Twelve steps take more than three leases.
            world.clock.advance(Duration::from_secs(8));
        }
    });
    finished(outcome);
    assert_eq!(count(&told, |event| matches!(event, Event::LeaseLost { .. })), 0, "{told:?}");
}

#[test]
fn steps_that_are_longer_than_a_lease_end_in_an_error_and_not_in_a_circle() {
    let world = World::new();
    let job = Job { lease_secs: 1, ..world.job() };
    let (outcome, told) = world.run_with(&job, 3, |event, _| {
        if matches!(event, Event::Step { .. }) {
            world.clock.advance(Duration::from_secs(2));
        }
    });
    let error = outcome.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Reacquire, "{error:?}");
    assert_eq!(count(&told, |event| matches!(event, Event::LeaseLost { .. })), 3, "{told:?}");
}

#[test]
fn a_gpu_may_be_lost_more_often_than_a_failure_would_be_tried_again() {
    let world = World::new();
    let mut left = 40;
    let (outcome, told) = world.run(&world.job(), |event, controls| {
        if is_step(event, 3) && left > 0 {
            left -= 1;
            controls.revoke();
        }
    });
    world.assert_sound(&finished(outcome), "lost forty times");
    assert_eq!(count(&told, |event| matches!(event, Event::LeaseLost { .. })), 40);
    let lost = world.audit().preemptions();
    assert!(
        lost.len() == 40 && lost.iter().all(|lost| lost.kind == PreemptionKind::GpuLost && lost.step == 3)
    );
}

#[test]
fn a_worker_that_is_asked_to_end_at_any_step_commits_first() {
    for at in 1..=PLAN.steps {
        let world = World::new();
        let (outcome, told) = world.run(&world.job(), |event, controls| {
            if is_step(event, at) {
                controls.stop();
            }
        });
        let what = format!("stopped at step {at}: {told:?}");
        match outcome.unwrap() {
            Outcome::Stopped { step, given_up: 0, .. } => assert_eq!(step, at, "{what}"),
            other => panic!("{other:?}, {what}"),
        }
        assert!(matches!(told.last(), Some(Event::Stopped { given_up: 0, .. })), "{what}");
        assert_eq!(world.audit().step(), at, "{what}");
        let end = world.audit().strides.last().unwrap().record.end;
        let expected = if at == PLAN.steps { StrideEnd::Done } else { StrideEnd::Stop };
        assert_eq!(end, expected, "{what}");

        let (outcome, told) = world.run(&world.job(), |_, _| ());
        let goes_on = matches!(told.first(), Some(Event::Started { step, committed_ago_ms: Some(0), .. }) if *step == at);
        assert!(goes_on, "{told:?}");
        world.assert_sound(&finished(outcome), &what);
        let gpu = world.host(&world.job());
        assert!(gpu.gpu_host().usage().unwrap().is_idle());
    }
}

#[test]
fn a_worker_without_time_gives_up_what_is_not_committed() {
    let world = World::new();
    let job = Job { notice: Duration::ZERO, ..world.job() };
    let (outcome, told) = world.run(&job, |event, controls| {
        if is_step(event, 8) {
            controls.stop();
        }
    });
    assert!(
        matches!(outcome, Ok(Outcome::Stopped { version: Version(1), step: 5, given_up: 3 })),
        "{outcome:?}, {told:?}"
    );
    assert_eq!(world.audit().step(), 5);
    world.assert_sound(&world.finish(&world.job()), "no time");
}

#[test]
fn a_step_that_does_not_end_in_time_is_given_up() {
    let world = World::new();
    // One step of this takes far longer than the notice.
    let plan = TrainingPlan { batch_len: 1024, hidden: [256, 256], ..PLAN };
    let job = Job { plan, notice: Duration::from_millis(40), ..world.job() };
    let host = LocalHost::builder().home(world.path().join("hosts").join("host-a")).open().unwrap();
    let (controls, mut told) = (Controls::default(), Vec::new());
    let mut observer = |event: &Event| told.push(event.clone());
    let mut context = Context {
        host: host.clone(),
        controls: controls.clone(),
        patience: Patience::default(),
        overrun: None,
        observer: &mut observer,
    };
    let is_over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while host.gpu_host().usage().unwrap().launches == 0 && !is_over.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            controls.stop();
        });
        let outcome = run(&job, &mut context);
        is_over.store(true, Ordering::SeqCst);
        outcome
    });
    assert!(
        matches!(outcome, Ok(Outcome::Stopped { version: Version::NONE, step: 0, .. })),
        "{outcome:?}, {told:?}"
    );
    let lost = count(
        &told,
        |event| matches!(event, Event::LeaseLost { status, step: 0, .. } if status == "revoked"),
    );
    assert_eq!((lost, count(&told, |event| matches!(event, Event::Step { .. }))), (1, 0), "{told:?}");
    assert!(host.gpu_host().usage().unwrap().is_idle());
}

/// The process dies at every event in turn: also between a commit and its acknowledgement.
#[test]
fn a_worker_that_dies_at_any_event_is_followed_by_one_that_ends_alike() {
    let events = {
        let world = World::new();
        world.run(&world.job(), |_, _| ()).1
    };
    for (at, event) in events.iter().enumerate() {
        let world = World::new();
        let mut seen = 0;
        let died = catch_unwind(AssertUnwindSafe(|| {
            world.run(&world.job(), |_, _| {
                seen += 1;
                assert!(seen <= at, "this worker dies here, on purpose");
            })
        }));
        assert!(died.is_err());
        world.assert_sound(&world.finish(&world.job()), &format!("died at {event:?}"));
        let killed = count_of(&world, PreemptionKind::Killed);
        // Strides tell of it if there is one on both sides.
        let is_between = (1..12).contains(&committed_until(&events[..=at]));
        assert_eq!(killed, usize::from(is_between), "died at {event:?}");
    }
}

fn committed_until(events: &[Event]) -> u64 {
    events
        .iter()
        .rev()
        .find_map(|event| if let Event::Committed { to, .. } = event { Some(*to) } else { None })
        .unwrap_or(0)
}

fn count_of(world: &World, kind: PreemptionKind) -> usize {
    world.audit().preemptions().iter().filter(|preemption| preemption.kind == kind).count()
}

/// At every event of one worker, another one on another machine takes over and finishes; then the first goes on.
#[test]
fn a_worker_that_was_overtaken_anywhere_is_fenced_and_publishes_nothing() {
    let events = {
        let world = World::new();
        world.run(&world.job(), |_, _| ()).1
    };
    // Once all is committed there is nothing left to be fenced from.
    let last_commit = events.iter().rposition(|event| matches!(event, Event::Committed { .. })).unwrap();
    for (at, event) in events.iter().enumerate().take(last_commit) {
        let world = World::new();
        let other = Job { host: "host-b".parse().unwrap(), ..world.job() };
        let (mut seen, mut by_other) = (0, None);
        let (outcome, told) = world.run(&world.job(), |_, _| {
            if seen == at {
                by_other = Some((world.finish(&other), world.audit()));
            }
            seen += 1;
        });
        let what = format!("overtaken at {event:?}");
        let (done, audit) = by_other.unwrap();
        let Err(RunError::Fenced { held, current }) = &outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!((held.0, current.0), (2, 3), "{what}");
        assert!(matches!(told.last(), Some(Event::Fenced { held: 2, current: 3, .. })), "{what}: {told:?}");
        assert!(outcome.unwrap_err().to_string().contains("fenced by epoch 3"), "{what}");
        assert_eq!(world.audit(), audit, "{what}: it has published nothing");
        world.assert_sound(&done, &what);
    }
}

/// The first stride is committed under the worker's own epoch, as by a request of its own that it never heard of again.
fn commit_first_stride(world: &World) {
    let (host, plan) = (world.host(&Job { host: "host-b".parse().unwrap(), ..world.job() }), PLAN);
    let mut store = JobStore::open(world.path(), &"digits".parse().unwrap()).unwrap();
    let epoch = store.epoch().unwrap();
    let reservation = store.reserve(&plan.fingerprint(), 0, epoch).unwrap();
    let lease = GpuBuilder::new().on(&host).min_vram(Trainer::MAX_VRAM_BYTES).acquire().unwrap();
    let digits = Digits::load().unwrap();
    let mut trainer = Trainer::new(&lease, &digits, &plan, &TrainingState::initial(&plan)).unwrap();
    let losses: Vec<_> = (0..INTERVAL).map(|_| trainer.step().unwrap().loss).collect();
    let state = trainer.state().unwrap();
    let record = StrideRecord {
        from: 0,
        to: INTERVAL,
        version: 1,
        epoch: epoch.0,
        host: "host-b".into(),
        pid: 1,
        committed_unix_ms: 0,
        end: StrideEnd::Interval,
        examples: state.consumed().examples,
        correct: 0,
        consumed_examples: state.consumed().examples,
        consumed_digest: state.consumed().digest,
        steps_per_loss: 1,
        losses,
        lost: Vec::new(),
        leases_lost: 0,
    };
    let (bytes, record) = (state.encode(), record.encode().unwrap());
    store.commit(&reservation, Version::NONE, &bytes, &record, epoch).unwrap();
}

#[test]
fn a_stride_that_turns_out_to_be_committed_is_not_done_again() {
    let world = World::new();
    let mut is_done = false;
    let (outcome, told) = world.run(&world.job(), |event, _| {
        if matches!(event, Event::Leased { .. }) && !std::mem::replace(&mut is_done, true) {
            commit_first_stride(&world);
        }
    });
    world.assert_sound(&finished(outcome), "a duplicate");
    let duplicates =
        count(&told, |event| matches!(event, Event::Duplicate { from: 0, step: INTERVAL, version: 1 }));
    let first =
        told.iter().find_map(|event| if let Event::Step { step, .. } = event { Some(*step) } else { None });
    assert_eq!((duplicates, first), (1, Some(INTERVAL + 1)), "{told:?}");
}

#[test]
fn a_lost_replica_directory_is_made_anew_and_said() {
    let world = World::new();
    let dirs = replica_dirs(world.path());
    world
        .run(&world.job(), |event, controls| {
            if is_step(event, 8) {
                controls.stop();
            }
        })
        .0
        .unwrap();
    fs::remove_dir_all(&dirs[1]).unwrap();
    let (outcome, told) = world.run(&world.job(), |_, _| ());
    world.assert_sound(&finished(outcome), "replica b lost");
    let repaired = Event::Repaired { copied: 2, failed: 0, replicas: vec!["b".into()] };
    assert_eq!(told.first(), Some(&repaired), "{told:?}");
    assert_eq!(files_in(&dirs[1]), files_in(&dirs[0]));
}

#[test]
fn a_damaged_copy_is_found_and_made_anew_and_said() {
    let world = World::new();
    let dirs = replica_dirs(world.path());
    world
        .run(&world.job(), |event, controls| {
            if is_step(event, 8) {
                controls.stop();
            }
        })
        .0
        .unwrap();
    let blob = files_in(&dirs[2]).into_iter().last().unwrap();
    let path = dirs[2].join(&blob);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (outcome, told) = world.run(&world.job(), |_, _| ());
    world.assert_sound(&finished(outcome), "replica c damaged");
    let repaired = Event::Repaired { copied: 1, failed: 0, replicas: vec!["c".into()] };
    assert_eq!(told.first(), Some(&repaired), "{told:?}");
}

#[test]
fn a_replica_directory_that_is_lost_under_a_worker_is_made_anew_while_it_works() {
    let world = World::new();
    let dirs = replica_dirs(world.path());
    let job = Job { interval_steps: 1, ..world.job() };
    let (outcome, told) = world.run(&job, |event, _| {
        if matches!(event, Event::Committed { version: 7, .. }) {
            fs::remove_dir_all(&dirs[0]).unwrap();
        }
    });
    world.assert_sound(&finished(outcome), "lost under a worker");
    let repaired = count(
        &told,
        |event| matches!(event, Event::Repaired { failed: 0, replicas, .. } if *replicas == ["a"]),
    );
    assert_eq!(repaired, 1, "{told:?}");
    assert_eq!(files_in(&dirs[0]), files_in(&dirs[1]));
}

#[test]
fn with_two_replicas_damaged_the_third_has_it_and_with_three_it_is_said() {
    let world = World::new();
    world
        .run(&world.job(), |event, controls| {
            if is_step(event, 8) {
                controls.stop();
            }
        })
        .0
        .unwrap();
    let dirs = replica_dirs(world.path());
    for dir in &dirs[..2] {
        fs::remove_dir_all(dir).unwrap();
    }
    let (outcome, _) = world.run(&world.job(), |event, controls| {
        if is_step(event, 9) {
            controls.stop();
        }
    });
    assert!(matches!(outcome, Ok(Outcome::Stopped { step: 9, .. })), "{outcome:?}");
    for dir in &dirs {
        fs::remove_dir_all(dir).unwrap();
    }
    let (outcome, _) = world.run(&world.job(), |_, _| ());
    let error = outcome.unwrap_err();
    assert_eq!(error.recovery(), Recovery::RestoreElsewhere, "{error:?}");
}

#[test]
fn another_plan_is_refused_and_touches_nothing() {
    let world = World::new();
    let stop = |event: &Event, controls: &Controls| {
        if is_step(event, 6) {
            controls.stop();
        }
    };
    world.run(&world.job(), stop).0.unwrap();
    let before = world.audit().strides;
    let other = Job { plan: TrainingPlan { seed: 4, ..PLAN }, ..world.job() };
    let (refused, _) = world.run(&other, |_, _| ());
    let Err(RunError::State { source: StateError::OtherPlan { .. }, version: 2, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(world.audit().strides, before);
    world.assert_sound(&world.finish(&world.job()), "after another plan");
}

#[test]
fn a_job_that_makes_no_sense_is_refused_before_anything_is_touched() {
    let world = World::new();
    for job in [
        Job { interval_steps: 0, ..world.job() },
        Job { lease_secs: 0, ..world.job() },
        Job { plan: TrainingPlan { batch_len: 7, ..PLAN }, ..world.job() },
    ] {
        let (refused, told) = world.run(&job, |_, _| ());
        let error = refused.unwrap_err();
        assert_eq!((error.recovery(), told.len()), (Recovery::FixCaller, 0), "{error}");
    }
    assert!(!world.path().join("replicated").exists());
}

#[test]
fn jobs_in_one_home_do_not_disturb_each_other() {
    let world = World::new();
    let mut other = None;
    let (outcome, _) = world.run(&world.job(), |event, _| {
        if is_step(event, 7) {
            let names = ("other".parse().unwrap(), "host-b".parse().unwrap());
            let job =
                Job { name: names.0, host: names.1, plan: TrainingPlan { seed: 9, ..PLAN }, ..world.job() };
            other = Some(world.finish(&job));
        }
    });
    world.assert_sound(&finished(outcome), "beside another job");
    assert_ne!(other.unwrap().weights, undisturbed().weights);
}

#[test]
fn the_drawing_marks_what_happened_to_all_workers() {
    let world = World::new();
    let mut has_struck = false;
    world
        .run(&world.job(), |event, controls| {
            if is_step(event, 3) && !std::mem::replace(&mut has_struck, true) {
                controls.revoke();
            }
            if is_step(event, 7) {
                controls.stop();
            }
        })
        .0
        .unwrap();
    let died = catch_unwind(AssertUnwindSafe(|| {
        world.run(&world.job(), |event, _| assert!(!is_step(event, 9), "this worker dies here, on purpose"))
    }));
    assert!(died.is_err());
    world.finish(&world.job());
    let kinds: Vec<_> =
        world.audit().preemptions().iter().map(|preemption| (preemption.step, preemption.kind)).collect();
    let expected = [(3, PreemptionKind::GpuLost), (7, PreemptionKind::Killed), (7, PreemptionKind::Stopped)];
    assert_eq!(kinds, expected, "the worker that died had committed nothing after step 7");
    let drawing = plot::svg("digits", &world.audit());
    for part in ["GPU taken away: 1", "killed or fenced: 1", "told to end: 1", "12 steps", "3 workers"] {
        assert!(drawing.contains(part), "{part} is missing");
    }
}

/// The blobs of a replica, by their paths in it.
fn files_in(replica: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for space in fs::read_dir(replica).unwrap().map(|entry| entry.unwrap().path()) {
        if space.is_dir() {
            files.extend(
                fs::read_dir(&space)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| path.is_file()),
            );
        }
    }
    let mut files: Vec<_> = files.iter().map(|path| path.strip_prefix(replica).unwrap().to_owned()).collect();
    files.sort();
    files
}
