//! A cloud that takes back what it lent, with real processes: a short trial, and the supervisor behind `--preempt-every`,
//! which leaves no process behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::audit::audit;
use cookbook_recipe_52_clean_preemptible_gpu_training::cloud::kind::Kind;
use cookbook_recipe_52_clean_preemptible_gpu_training::cloud::{TrialArgs, TrialError, Verdict, run_trial};
use fabricbios_core::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes: only a bug waits so long.
const PATIENCE: Duration = Duration::from_secs(120);

const STEPS: u64 = 240;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cookbook-recipe-52-clean-preemptible-gpu-training"))
}

fn short_trial(seed: u64) -> TrialArgs {
    TrialArgs {
        preemptions: 8,
        seed,
        steps: Some(STEPS),
        interval_steps: 3,
        batch: 4,
        at_events: true,
        keep: None,
    }
}

fn run(program: &Path, args: &TrialArgs) -> Result<Verdict, TrialError> {
    run_trial(program, args, &Arc::new(AtomicBool::new(false)))
}

#[test]
fn a_training_that_is_preempted_in_every_way_ends_with_the_bits_of_an_undisturbed_one() {
    let args = short_trial(1);
    let verdict = run(&program(), &args).unwrap_or_else(|error| panic!("{error}; replay: {}", args.replay()));
    assert_eq!(verdict.faults, [], "replay: {}", args.replay());
    let played: Vec<_> = verdict.summary.kinds.iter().filter_map(|row| row.kind).collect();
    assert_eq!(played, Kind::ALL);
    assert_eq!(verdict.summary.total.played, 8);
    assert_eq!(verdict.summary.zombies_fenced, verdict.summary.zombies);
    assert!(verdict.summary.zombies > 0);
    assert_eq!(verdict.weights.len(), 64);
}

#[test]
fn a_program_that_tells_no_events_is_no_training() {
    let error = run(Path::new("/bin/echo"), &short_trial(1)).unwrap_err();
    assert!(error.to_string().contains("no event"), "{error}");
    let error = run(Path::new("/bin/false"), &short_trial(1)).unwrap_err();
    assert!(error.to_string().contains("ended by itself"), "{error}");
    let error = run(Path::new("/no/such/program"), &short_trial(1)).unwrap_err();
    assert!(error.to_string().contains("can't be started"), "{error}");
}

#[test]
fn a_trial_that_is_to_end_ends_without_a_verdict() {
    let stop = Arc::new(AtomicBool::new(true));
    let error = run_trial(&program(), &short_trial(1), &stop).unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
}

#[test]
fn a_kept_trial_lies_in_a_directory_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mine"), "").unwrap();
    let args = TrialArgs { keep: Some(home.path().to_owned()), ..short_trial(1) };
    let error = run(&program(), &args).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

/// `train --preempt-every`, and the workers that it has started.
struct Supervisor {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    workers: Vec<i32>,
}

impl Supervisor {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args(["train", "--json", "--threads", "1", "--batch", "4", "--home"])
            .arg(home)
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("GRAFOS_GPU")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, workers: Vec::new() }
    }

    /// The next line, if there is one.
    fn next(&mut self) -> Option<Value> {
        let line = self.lines.next()?.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if event["event"] == "started" {
            self.workers.push(i32::try_from(event["pid"].as_i64().unwrap()).unwrap());
        }
        Some(event)
    }

    fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().expect("the supervisor ended early");
            if is_it(&event) {
                return event;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// All that it still tells, and how it ends.
    fn end(&mut self) -> (Vec<Value>, ExitStatus) {
        let mut events = Vec::new();
        while let Some(event) = self.next() {
            events.push(event);
        }
        (events, self.process.wait().unwrap())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // A failed test leaves nothing behind: the workers follow.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the process does anything any more. One that nobody has waited for yet is gone, too.
fn is_there(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, Some('Z' | 'X'))
}

/// Looks again and again until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = SystemClock.now().saturating_add(PATIENCE);
    while !is_so() {
        assert!(SystemClock.now() < deadline, "not so in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A directory that is not there yet: a home is its owner's alone.
fn home() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    (directory, home)
}

fn is(kind: &str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == kind
}

#[test]
fn a_supervisor_trains_to_the_end_through_preemptions_and_sums_them_up() {
    let ((_directory, home), (_other, peace)) = (home(), home());
    let arguments = ["--steps", "150", "--interval-steps", "5", "--lease-secs", "1"];
    let (events, status) = Supervisor::start(&peace, &arguments).end();
    assert!(status.success());
    let weights =
        |events: &[Value]| events.iter().find(|event| is("finished")(event)).unwrap()["weights"].clone();
    let expected = weights(&events);

    let mut cloudy = arguments.to_vec();
    cloudy.extend(["--preempt-every", "60ms", "--cloud-seed", "5"]);
    let mut supervisor = Supervisor::start(&home, &cloudy);
    let (events, status) = supervisor.end();
    assert!(status.success(), "{status} {events:#?}");
    assert_eq!(weights(&events), expected);
    let last = events.last().unwrap();
    let preempted = events.iter().filter(|event| is("preempted")(event)).count();
    assert!(preempted > 0, "{events:#?}");
    assert_eq!((&last["event"], &last["total"]["played"]), (&"preemptions".into(), &preempted.into()));
    assert!(supervisor.workers.iter().all(|&pid| !is_there(pid)));
    let audit = audit(&home, "digits").unwrap();
    assert_eq!((audit.violations.len(), audit.step()), (0, 150));
}

#[test]
fn a_supervisor_that_is_told_to_end_ends_its_workers_and_the_same_command_goes_on() {
    let (_directory, home) = home();
    let arguments = ["--steps", "100000", "--interval-steps", "5", "--preempt-every", "1min"];
    let mut supervisor = Supervisor::start(&home, &arguments);
    supervisor.wait_for(is("committed"));
    supervisor.signal(Signal::TERM);
    let (events, status) = supervisor.end();
    assert_eq!(status.code(), Some(75), "{events:#?}");
    assert!(events.iter().any(is("stopped")), "{events:#?}");
    assert!(supervisor.workers.iter().all(|&pid| !is_there(pid)));

    let step = audit(&home, "digits").unwrap().step();
    assert!(step > 0);
    let mut again = Supervisor::start(&home, &arguments);
    assert_eq!(again.wait_for(is("started"))["step"], step, "nothing is done again");
    again.signal(Signal::TERM);
    assert_eq!(again.end().1.code(), Some(75));
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_worker_behind_awake_or_stopped() {
    let (_directory, home) = home();
    let arguments =
        ["--steps", "1000000", "--interval-steps", "5", "--lease-secs", "1", "--preempt-every", "20ms"];
    let mut supervisor = Supervisor::start(&home, &arguments);
    // The stopped one lies there, and its successor has taken over.
    let frozen = supervisor.wait_for(|event| event["event"] == "preempted" && event["kind"] == "frozen");
    assert_ne!(supervisor.wait_for(is("started"))["host"], frozen["host"]);
    let workers = supervisor.workers.clone();
    let there: Vec<_> = workers.iter().copied().filter(|&pid| is_there(pid)).collect();
    assert!(there.len() >= 2, "{workers:?} {there:?}");

    supervisor.signal(Signal::KILL);
    until(|| workers.iter().all(|&pid| !is_there(pid)));
    drop(supervisor);
    // They have ended in peace: nothing keeps the next one out.
    let mut again = Supervisor::start(&home, &["--steps", "1000000", "--interval-steps", "5"]);
    again.wait_for(is("committed"));
    again.signal(Signal::TERM);
    assert_eq!(again.end().1.code(), Some(75));
}
