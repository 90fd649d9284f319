//! Kills the program with SIGKILL at random moments, again and again, and compares the result bit by bit.
//!
//! `GRAFOS_TORTURE_ROUNDS` says how many rounds (8 without it), `GRAFOS_TORTURE_SEED` decides the moments; each test
//! prints its seed, so that a failure can be tried again.

use std::env;
use std::path::Path;
use std::time::Duration;

use fabricbios_core::clock::{Clock, SystemClock};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::ledger::Ledger;
use crate::support::{Ended, Outcome, Running, home, now, run_to_end};

const ITERATIONS: &str = "8M";
const INTERVAL: u64 = 200_000;

/// A round that lives longer than this is not making progress.
const MAX_LIVES: u32 = 60;

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, found={text}")))
}

fn rounds() -> u64 {
    number_from("GRAFOS_TORTURE_ROUNDS").unwrap_or(8)
}

/// The moments of this test; printed, so that they can be had again.
fn chance(test: &str) -> Xoshiro256PlusPlus {
    let seed = number_from("GRAFOS_TORTURE_SEED").unwrap_or_else(|| SystemClock.unix_ms());
    println!("{test}: again with GRAFOS_TORTURE_SEED={seed} GRAFOS_TORTURE_ROUNDS={}", rounds());
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn below(chance: &mut Xoshiro256PlusPlus, limit: u64) -> u64 {
    chance.next_u64() % limit.max(1)
}

/// An undisturbed run, and how long it takes.
fn undisturbed(arguments: &[&str]) -> (Outcome, Duration) {
    let home = home();
    let before = now();
    let ended = run_to_end(home.path(), arguments);
    (ended.result(), now().saturating_since(before))
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    After(Duration),
    AtCheckpoint(u64),
}

impl Moment {
    /// Any moment of a life, or right after a checkpoint was announced.
    fn choose(chance: &mut Xoshiro256PlusPlus, lifetime: Duration) -> Self {
        if below(chance, 3) == 0 {
            return Self::AtCheckpoint(1 + below(chance, 12));
        }
        let micros = u64::try_from(lifetime.as_micros()).unwrap();
        Self::After(Duration::from_micros(below(chance, micros)))
    }
}

/// One life: from its start to the moment, or to its end if that comes first.
fn live(home: &Path, arguments: &[&str], moment: Moment) -> Ended {
    let mut running = Running::start(home, arguments);
    match moment {
        Moment::After(time) => running.let_run(time),
        Moment::AtCheckpoint(count) => {
            let all_seen = (0..count).all(|_| running.wait_for("checkpoint").is_some());
            if !all_seen {
                return running.end();
            }
        }
    }
    running.kill()
}

/// Lives and dies until the run has finished. The result, and how often it was killed.
fn torture(
    chance: &mut Xoshiro256PlusPlus,
    arguments: &[&str],
    lifetime: Duration,
    interval: Option<u64>,
) -> (Outcome, u32) {
    let home = home();
    let mut ledger = Ledger::new(interval);
    let mut story = Vec::new();
    let mut kills = 0;
    for _ in 0..MAX_LIVES {
        let moment = Moment::choose(chance, lifetime);
        let ended = live(home.path(), arguments, moment);
        story.push((moment, ended.events.clone()));
        ledger.book(&ended.events).unwrap_or_else(|reason| panic!("{reason}\nthe whole story: {story:#?}"));
        kills += u32::from(ended.was_killed());
        if ended.events.last().is_some_and(is_final) {
            return (result_of(&ended), kills);
        }
        assert!(ended.was_killed(), "it ended by itself: {ended:?}");
    }
    panic!("not finished after {MAX_LIVES} lives: {story:#?}");
}

fn is_final(event: &Value) -> bool {
    event["event"] == "finished" && event["worker"].is_null()
}

/// The result of a life that has told it, whether it was killed afterwards or not.
fn result_of(ended: &Ended) -> Outcome {
    let last = ended.events.last().unwrap();
    let text = |field: &str| last[field].as_str().unwrap().to_owned();
    let iteration = last["iteration"].as_u64().unwrap();
    Outcome { iteration, mean_bits: text("mean_bits"), digest: text("digest") }
}

#[test]
fn torture_a_run_that_is_killed_at_any_moment_ends_with_the_bits_of_an_undisturbed_one() {
    let mut chance = chance("single run");
    let interval = INTERVAL.to_string();
    let by_samples = ["--iterations", ITERATIONS, "--checkpoint-every", &interval];
    let by_time = ["--iterations", ITERATIONS, "--checkpoint-every", "20ms"];
    let (expected, lifetime) = undisturbed(&by_samples);
    let mut kills = 0;
    for round in 0..rounds() {
        let (arguments, interval) =
            if round % 4 == 3 { (&by_time, None) } else { (&by_samples, Some(INTERVAL)) };
        let (outcome, killed) = torture(&mut chance, arguments, lifetime, interval);
        assert_eq!(outcome, expected, "round {round}");
        kills += killed;
    }
    println!("killed {kills} times in {} rounds", rounds());
    assert!(rounds() < 8 || kills > 0, "nothing was ever killed: the moments are chosen badly");
}

#[test]
fn torture_a_fan_out_that_is_killed_at_any_moment_ends_with_the_bits_of_a_single_run() {
    let mut chance = chance("fan-out");
    let interval = INTERVAL.to_string();
    let alone = ["--iterations", ITERATIONS, "--checkpoint-every", &interval];
    let together = ["--iterations", ITERATIONS, "--checkpoint-every", &interval, "--workers", "3"];
    let (expected, lifetime) = undisturbed(&alone);
    for round in 0..rounds().div_ceil(2) {
        let home = home();
        let mut ledger = Ledger::of_workers(100_000);
        let mut kills = 0;
        let outcome = loop {
            let moment = Moment::choose(&mut chance, lifetime);
            let ended = live(home.path(), &together, moment);
            let of_workers: Vec<_> =
                ended.events.iter().filter(|event| !event["worker"].is_null()).cloned().collect();
            ledger.book(&of_workers).unwrap_or_else(|reason| panic!("{reason}: {of_workers:#?}"));
            if ended.events.last().is_some_and(is_final) {
                break result_of(&ended);
            }
            assert!(ended.was_killed(), "it ended by itself: {ended:?}");
            kills += 1;
            assert!(kills < MAX_LIVES, "round {round}: no progress");
        };
        assert_eq!(outcome, expected, "round {round}, after {kills} kills");
    }
}

#[test]
fn torture_of_two_processes_on_one_volume_exactly_one_computes() {
    let mut chance = chance("two processes");
    let arguments = ["--iterations", "50G", "--checkpoint-every", "100k"];
    for round in 0..rounds().div_ceil(2) {
        let home = home();
        let mut ledger = Ledger::new(Some(100_000));
        let (mut left, mut right) =
            (Running::start(home.path(), &arguments), Running::start(home.path(), &arguments));
        let first_events = (left.first_event(), right.first_event());
        let (mut winner, loser) = match (first_events.0.as_str(), first_events.1.as_str()) {
            ("started", "error") => (left, right.end()),
            ("error", "started") => (right, left.end()),
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!(loser.status.code(), Some(1), "round {round}: {loser:?}");
        assert_eq!(loser.kinds(), ["error"]);
        assert_eq!(loser.events[0]["recovery"], "RetryLater");
        assert!(loser.stderr.contains("in use"), "{}", loser.stderr);

        // By now the winner has said who it is.
        winner.wait_for("checkpoint").unwrap();
        let third = run_to_end(home.path(), &arguments);
        assert_eq!(third.status.code(), Some(1));
        let pid = format!("holder_pid={}", winner.pid());
        assert!(third.stderr.contains(&pid), "expected {pid} in {}", third.stderr);

        winner.let_run(Duration::from_micros(below(&mut chance, 50_000)));
        ledger.book(&winner.kill().events).unwrap();
        // A dead holder's volume is free at once.
        let mut heir = Running::start(home.path(), &arguments);
        assert!(heir.wait_for("resumed").is_some(), "{:?}", heir.end());
        ledger.book(&heir.kill().events).unwrap();
    }
}
