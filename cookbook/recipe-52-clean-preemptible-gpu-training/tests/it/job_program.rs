//! Starts the program in a home of its own, and reads its events as they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything here takes: only a bug waits so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A training of a second or so.
pub(crate) const SHORT: [&str; 6] = ["--steps", "60", "--batch", "4", "--interval-steps", "8"];

pub(crate) fn home() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("recipe-52-").tempdir().unwrap()
}

/// `train` in this home, with nothing of our environment that it would heed.
pub(crate) fn train(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cookbook-recipe-52-clean-preemptible-gpu-training"));
    for variable in ["RUST_LOG", "GRAFOS_HOME", "GRAFOS_GPU"] {
        command.env_remove(variable);
    }
    command.arg("train").arg("--home").arg(home).args(arguments).stdin(Stdio::null());
    command
}

/// A running worker that tells its events as JSON, every step of them.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    stderr: Option<JoinHandle<String>>,
    seen: Vec<Event>,
}

/// What a worker has said in its life, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Event>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::spawn(train(home, arguments))
    }

    /// A worker that obeys lines on its standard input.
    pub(crate) fn start_controlled(home: &Path, arguments: &[&str]) -> Self {
        let mut command = train(home, arguments);
        command.arg("--control").stdin(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let command = command.args(["--json", "--every-step"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, events) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let event: Event =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert_eq!(serde_json::to_string(&event).unwrap(), line, "an event is all of its line");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let stdin = child.stdin.take();
        Self { child, stdin, events, stderr: Some(stderr), seen: Vec::new() }
    }

    /// The next event like this; `None` when the program ends without one.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> Option<Event> {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if is_it(&event) {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no event in {PATIENCE:?}, after {:?}", self.seen),
            }
        }
    }

    pub(crate) fn wait_for_step(&mut self, number: u64) {
        let found = self.wait_for(|event| matches!(event, Event::Step { step, .. } if *step >= number));
        assert!(found.is_some(), "it ended before step {number}: {:?}", self.seen);
    }

    /// Says a line to a worker that obeys.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Closes the worker's standard input, as the end of whoever started it would.
    pub(crate) fn abandon(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it lies stopped by a signal.
    pub(crate) fn wait_until_stopped(&self) {
        let path = format!("/proc/{}/stat", self.child.id());
        loop {
            let stat = std::fs::read_to_string(&path).unwrap();
            // The state follows the name, which is in parentheses.
            let state = stat.rsplit(')').next().unwrap().trim_start();
            if state.starts_with('T') {
                return;
            }
            assert!(!state.starts_with('Z'), "it ended");
            thread::yield_now();
        }
    }

    /// Kills it as a power cut would, and collects what it has said.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.wait_for(|_| false).is_some() {}
        let status = self.child.wait().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { status, events: std::mem::take(&mut self.seen), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves nothing behind that goes on computing.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Weights, images and accuracy, of a worker that has finished as it should.
    pub(crate) fn result(&self) -> (String, String, f64) {
        assert_eq!(self.code(), Some(0), "{self:?}");
        match self.events.last() {
            Some(Event::Finished { weights, consumed, accuracy, .. }) => {
                (weights.clone(), consumed.clone(), *accuracy)
            }
            other => panic!("{other:?}: {self:?}"),
        }
    }

    /// The step of the last commit that it has told.
    pub(crate) fn committed(&self) -> Option<u64> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Committed { to, .. } => Some(*to),
            _ => None,
        })
    }

    pub(crate) fn has(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(is_it)
    }
}

/// Runs a worker to its end.
pub(crate) fn run_to_end(home: &Path, arguments: &[&str]) -> Ended {
    Running::start(home, arguments).end()
}

/// What [`SHORT`] comes to when nobody disturbs it, in one stride and on one core.
pub(crate) fn undisturbed() -> &'static (String, String, f64) {
    static UNDISTURBED: std::sync::OnceLock<(String, String, f64)> = std::sync::OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let once = ["--steps", "60", "--batch", "4", "--interval-steps", "1000", "--threads", "1"];
        run_to_end(home().path(), &once).result()
    })
}

/// The answer of `--status`.
pub(crate) fn status(home: &Path) -> Event {
    let output = train(home, &["--status", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Holds the job of [`SHORT`] against the promise.
pub(crate) fn assert_sound(home: &Path, what: &str) {
    match status(home) {
        Event::Status { step: 60, examples: 240, violations, .. } => {
            assert_eq!(violations, [""; 0], "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}
