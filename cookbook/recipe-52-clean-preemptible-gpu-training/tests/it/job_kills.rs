//! Real workers: killed, told to end, frozen, abandoned, overtaken.

use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::{Event, StopCause, StrideEnd};
use rustix::process::Signal;

use crate::job_program::{Running, SHORT, assert_sound, home, run_to_end, status, undisturbed};

#[test]
fn a_worker_that_is_killed_again_and_again_ends_with_the_weights_of_an_undisturbed_one() {
    let home = home();
    let mut committed = 0;
    // In a stride, at its end, right after it, and before the first commit of a worker.
    for at in [5, 16, 17, 18, 41] {
        let mut running = Running::start(home.path(), &SHORT);
        let started = running.wait_for(|event| matches!(event, Event::Started { .. })).unwrap();
        let Event::Started { step, .. } = started else { unreachable!() };
        assert!(step >= committed, "it goes on from step {step}, and step {committed} was acknowledged");
        running.wait_for_step(at);
        let killed = running.kill();
        assert!(killed.was_killed(), "{killed:?}");
        committed = killed.committed().unwrap_or(committed);
    }
    let done = run_to_end(home.path(), &SHORT);
    assert_eq!(done.result(), *undisturbed());
    assert_sound(home.path(), "killed five times");
    let Event::Status { workers, .. } = status(home.path()) else { unreachable!() };
    assert_eq!(workers, 6);
}

#[test]
fn a_worker_that_is_asked_to_end_commits_and_says_that_it_can_go_on() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = home();
        let mut running = Running::start(home.path(), &SHORT);
        running.wait_for_step(11);
        running.signal(signal);
        let stopped = running.end();
        assert_eq!(stopped.code(), Some(75), "{stopped:?}");
        let [.., stopping, committed, last] = stopped.events.as_slice() else { panic!("{stopped:?}") };
        assert!(matches!(stopping, Event::Stopping { cause: StopCause::Signal, .. }), "{stopped:?}");
        let Event::Committed { to, end: StrideEnd::Stop, .. } = committed else { panic!("{stopped:?}") };
        assert!(matches!(last, Event::Stopped { step, given_up: 0, .. } if step == to), "{stopped:?}");

        let done = run_to_end(home.path(), &SHORT);
        assert!(
            matches!(&done.events[0], Event::Started { step, .. } if step == to),
            "nothing is done again"
        );
        assert_eq!(done.result(), *undisturbed());
        assert_sound(home.path(), "asked to end");
    }
}

#[test]
fn a_worker_that_gets_no_notice_ends_at_once_and_nothing_committed_is_lost() {
    let home = home();
    let mut running = Running::start(home.path(), &[&SHORT[..], &["--notice-secs", "0"]].concat());
    running.wait_for_step(11);
    running.signal(Signal::TERM);
    let stopped = running.end();
    assert_eq!(stopped.code(), Some(75), "{stopped:?}");
    let last = stopped.events.last();
    assert!(matches!(last, Some(Event::Stopped { step, .. }) if step % 8 == 0), "{stopped:?}");
    assert_eq!(run_to_end(home.path(), &SHORT).result(), *undisturbed());
    assert_sound(home.path(), "no notice");
}

#[test]
fn a_controlled_worker_loses_its_gpu_when_told_and_goes_on() {
    let home = home();
    let mut running = Running::start_controlled(home.path(), &[&SHORT[..], &["--lease-secs", "1"]].concat());
    running.say("revoke");
    let lost = |status: &'static str| move |event: &Event| matches!(event, Event::LeaseLost { status: s, .. } if s == status);
    assert!(running.wait_for(lost("revoked")).is_some(), "the first lease, though the word came before it");
    running.wait_for_step(10);
    running.say("revoke");
    assert!(running.wait_for(lost("revoked")).is_some());
    running.say("dance");
    let done = running.end();
    assert_eq!(done.result(), *undisturbed());
    assert!(done.stderr.contains("no such command: \"dance\""), "{}", done.stderr);
    assert_sound(home.path(), "revoked");
}

#[test]
fn a_controlled_worker_lets_its_lease_run_out_when_told_and_goes_on() {
    const LONG: [&str; 8] =
        ["--steps", "4000", "--batch", "4", "--interval-steps", "20", "--lease-secs", "1"];
    let home = home();
    let mut running = Running::start_controlled(home.path(), &LONG);
    running.wait_for_step(1);
    running.say("stop-renewing");
    let lost = running.wait_for(|event| matches!(event, Event::LeaseLost { .. }));
    let Some(Event::LeaseLost { status, step, committed, .. }) = lost else { panic!("{lost:?}") };
    assert_eq!(status, "expired");
    assert!(step >= committed && step - committed <= 20, "{step}, {committed}");
    assert!(running.wait_for(|event| matches!(event, Event::Leased { .. })).is_some());
    running.wait_for_step(committed + 1);
    running.abandon();
    let stopped = running.end();
    assert_eq!(stopped.code(), Some(75), "{stopped:?}");
    assert!(stopped.has(|event| matches!(event, Event::Stopping { cause: StopCause::Orphaned, .. })));
    let leases_lost = stopped.events.iter().filter(|event| matches!(event, Event::LeaseLost { .. })).count();
    assert_eq!(leases_lost, 1, "the next lease is renewed again");
}

#[test]
fn a_zombie_that_wakes_up_is_fenced_and_publishes_nothing() {
    let home = home();
    let mut zombie = Running::start(home.path(), &SHORT);
    zombie.wait_for_step(12);
    zombie.signal(Signal::STOP);
    zombie.wait_until_stopped();
    // It holds the GPU of its own machine: the job goes on on another one.
    let done = run_to_end(home.path(), &[&SHORT[..], &["--host", "host-b"]].concat());
    assert_eq!(done.result(), *undisturbed());
    let before = status(home.path());
    zombie.signal(Signal::CONT);
    let fenced = zombie.end();
    assert_eq!(fenced.code(), Some(76), "{fenced:?}");
    assert!(matches!(fenced.events.last(), Some(Event::Fenced { held: 2, current: 3, .. })), "{fenced:?}");
    assert_eq!(status(home.path()), before, "it has published nothing");
    assert_sound(home.path(), "a zombie");
}

#[test]
fn a_second_copy_takes_over_and_the_first_is_told_by_which_epoch() {
    const LONG: [&str; 6] = ["--steps", "100000", "--batch", "4", "--interval-steps", "8"];
    let home = home();
    let mut first = Running::start(home.path(), &LONG);
    first.wait_for_step(3);
    // On the same machine: it waits for the GPU until the first one is gone.
    let mut second = Running::start(home.path(), &LONG);
    let fenced = first.end();
    assert_eq!(fenced.code(), Some(76), "{fenced:?}");
    assert!(matches!(fenced.events.last(), Some(Event::Fenced { held: 2, current: 3, .. })), "{fenced:?}");
    let started = second.wait_for(|event| matches!(event, Event::Started { .. }));
    assert!(matches!(started, Some(Event::Started { epoch: 3, .. })), "{started:?}");
    assert!(second.wait_for(|event| matches!(event, Event::Committed { .. })).is_some());
    second.signal(Signal::TERM);
    assert_eq!(second.end().code(), Some(75));
    let Event::Status { violations, .. } = status(home.path()) else { unreachable!() };
    assert_eq!(violations, [""; 0]);
}
