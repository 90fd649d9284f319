//! Starts the program in a home of its own, and reads its events as they come.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes: only a bug waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn now() -> BootTime {
    SystemClock.now()
}

/// A home for volumes that nothing else uses.
pub(crate) fn home() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("recipe-02-").tempdir().unwrap()
}

/// The program, with nothing of our environment that it would heed.
pub(crate) fn program(home: &Path) -> Command {
    let mut command =
        Command::new(env!("CARGO_BIN_EXE_cookbook-recipe-02-computation-that-survives-a-power-outage"));
    command.env("GRAFOS_HOME", home).env_remove("RUST_LOG").env_remove("GRAFOS_IO").stdin(Stdio::null());
    command
}

/// A running program that tells its events as JSON.
pub(crate) struct Running {
    child: Child,
    events: Receiver<Value>,
    stderr: Option<JoinHandle<String>>,
    seen: Vec<Value>,
}

/// What a program has said in its life, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut child = program(home)
            .args(arguments)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, events) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
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
        Self { child, events, stderr: Some(stderr), seen: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next event of this kind; `None` when the program ends without one.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Option<Value> {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if event["event"] == kind {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("no event in {PATIENCE:?}, after {:?}", self.seen),
            }
        }
    }

    /// What kind its first event is.
    pub(crate) fn first_event(&mut self) -> String {
        let event = self.events.recv_timeout(PATIENCE).unwrap();
        let kind = event["event"].as_str().unwrap().to_owned();
        self.seen.push(event);
        kind
    }

    /// Lets it run for so long, or until it ends.
    pub(crate) fn let_run(&mut self, time: Duration) {
        let until = now().saturating_add(time);
        loop {
            match self.events.recv_timeout(until.saturating_since(now())) {
                Ok(event) => self.seen.push(event),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it as a power cut would, and collects what it has said.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.wait_for("").is_some() {}
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
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["event"].as_str().unwrap()).collect()
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    /// The final event, of a program that has finished as it should.
    pub(crate) fn result(&self) -> Outcome {
        assert!(self.status.success(), "{self:?}");
        let last = self.events.last().unwrap();
        assert_eq!(last["event"], "finished", "{self:?}");
        let text = |field: &str| last[field].as_str().unwrap().to_owned();
        Outcome {
            iteration: last["iteration"].as_u64().unwrap(),
            mean_bits: text("mean_bits"),
            digest: text("digest"),
        }
    }
}

/// What two runs that did the same work agree in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) iteration: u64,
    pub(crate) mean_bits: String,
    pub(crate) digest: String,
}

/// Runs the program to its end.
pub(crate) fn run_to_end(home: &Path, arguments: &[&str]) -> Ended {
    Running::start(home, arguments).end()
}
