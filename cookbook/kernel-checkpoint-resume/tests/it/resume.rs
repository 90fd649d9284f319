//! Runs that are cut off go on in another process, and end with the bits of plain Rust.

use std::path::Path;

use cookbook_kernel_checkpoint_resume::event::Event;
use grafos_kernel::checkpoint::{CheckpointStorage, FileStorage};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rustix::process::Signal;

use crate::program::{Ended, Running, STEPS, expected, run_to_end};

fn names(home: &Path) -> Vec<String> {
    FileStorage::new(home.join("checkpoints")).list().unwrap()
}

#[test]
fn an_undisturbed_run_ends_with_the_bits_of_plain_rust() {
    let home = tempfile::tempdir().unwrap();
    let done = run_to_end(home.path());
    assert_eq!(done.field(), expected());
    let steps = done.events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
    assert_eq!(steps as u64, STEPS);
    // Full ones behind steps 7, 42 and 77, of which two are kept, and the deltas behind them.
    let kept = ["delta_49", "delta_56", "delta_63", "delta_70", "delta_84", "delta_90", "step_42", "step_77"];
    assert_eq!(names(home.path()), kept.map(|name| format!("wave_0_{name}")));

    // There is nothing left to do, and it says the same again.
    let again = run_to_end(home.path());
    assert_eq!((again.field(), again.started()), (expected(), None));
}

#[test]
fn every_checkpoint_is_bit_for_bit_that_of_a_run_in_one_go() {
    let (disturbed, undisturbed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run_to_end(undisturbed.path());
    for revoke_at in ["17", "50", "89"] {
        let cut = Running::start(disturbed.path(), &["--revoke-at", revoke_at]).end();
        assert_eq!(cut.status.code(), Some(75), "{cut:?}");
    }
    assert_eq!(run_to_end(disturbed.path()).field(), expected());
    let storage = |home: &Path| FileStorage::new(home.join("checkpoints"));
    for name in names(undisturbed.path()) {
        let [one, other] = [&disturbed, &undisturbed].map(|home| storage(home.path()).load(&name).unwrap());
        assert_eq!(one.chunks, other.chunks, "control block, queues, halos and both fields: {name}");
    }
}

#[test]
fn a_revoked_kernel_goes_on_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    let mut begun = 0;
    // Before the first checkpoint, in the middle, at a checkpoint, and in the last interval.
    for (revoke_at, saved) in [(3, None), (25, Some(21)), (28, Some(21)), (88, Some(84))] {
        let cut = Running::start(home.path(), &["--revoke-at", &revoke_at.to_string()]).end();
        assert_eq!(cut.status.code(), Some(75), "{cut:?}");
        assert_eq!(cut.events.last(), Some(&Event::Revoked { step: revoke_at, saved }), "{cut:?}");
        assert_eq!(cut.started().unwrap().0, begun, "{cut:?}");
        begun = saved.unwrap_or(0);
    }
    let done = run_to_end(home.path());
    assert_eq!((done.started(), done.field()), (Some((84, 1)), expected()));
}

#[test]
fn a_run_that_is_killed_at_random_moments_loses_nothing_that_was_saved() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(6);
    for _ in 0..3 {
        let home = tempfile::tempdir().unwrap();
        let mut saved = 0;
        for _ in 0..6 {
            let mut running = Running::start(home.path(), &[]);
            let ahead = saved + 1 + random.next_u64() % 20;
            if !running.wait_for_step(ahead) {
                break;
            }
            let killed = running.kill();
            let begun = killed.started().unwrap().0;
            assert!(begun >= saved, "it began at {begun}, and step {saved} was durable");
            saved = killed.saved().unwrap_or(saved).max(saved);
            assert!(killed.was_killed() || killed.status.success(), "{killed:?}");
        }
        assert_eq!(run_to_end(home.path()).field(), expected());
    }
}

#[test]
fn a_run_that_is_asked_to_end_saves_what_it_has_and_another_goes_on_from_there() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = tempfile::tempdir().unwrap();
        let mut running = Running::start(home.path(), &["--steps", "100000", "--checkpoint-every", "1000"]);
        assert!(running.wait_for_step(10));
        running.signal(signal);
        let stopped = running.end();
        assert_eq!(stopped.status.code(), Some(75), "{stopped:?}");
        let [.., Event::Saved { step: saved, .. }, Event::Stopped { step }] = stopped.events.as_slice()
        else {
            panic!("{stopped:?}")
        };
        assert_eq!(saved, step);
        assert!(step % 1000 != 0, "it stopped behind the step that it was at, of those that were submitted");
        let steps = (step + 5).to_string();
        let done = Running::start(home.path(), &["--steps", &steps]).end();
        assert_eq!(done.started().unwrap().0, *step, "nothing is done again");
        assert_eq!(done.field(), crate::program::field_after(crate::program::SMALL, step + 5));
    }
}

#[test]
fn a_run_whose_notice_is_over_ends_and_what_was_saved_before_is_there() {
    let home = tempfile::tempdir().unwrap();
    let mut running = Running::start(home.path(), &["--notice-secs", "0"]);
    assert!(running.wait_for_step(30));
    running.signal(Signal::TERM);
    let ended: Ended = running.end();
    assert!([Some(75), Some(0)].contains(&ended.status.code()), "{ended:?}");
    let done = run_to_end(home.path());
    assert_eq!(done.field(), expected());
}
