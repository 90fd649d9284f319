//! [`Running`]: the program in a process of its own, which tells its events as JSON.

use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use cookbook_kernel_checkpoint_resume::event::Event;
use cookbook_kernel_checkpoint_resume::{Reference, Simulation};
use rustix::process::{Pid, Signal, kill_process};

/// A small box: some thousand cells in two slabs, the second one not full.
pub(crate) const SMALL: Simulation = Simulation { size: 12 };
pub(crate) const STEPS: u64 = 90;
pub(crate) const ARGUMENTS: [&str; 6] = ["--size", "12", "--steps", "90", "--checkpoint-every", "7"];

/// The program, with nothing of our environment that it would heed.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cookbook-kernel-checkpoint-resume"));
    for variable in ["RUST_LOG", "GRAFOS_GPU", "GRAFOS_HOME", "GRAFOS_IO"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    events: Vec<Event>,
}

/// All that a program has said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Event>,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts the small simulation with more arguments, of which later ones win.
    pub(crate) fn start(home: &Path, more: &[&str]) -> Self {
        Self::of(program().args(ARGUMENTS), home, more)
    }

    pub(crate) fn of(command: &mut Command, home: &Path, more: &[&str]) -> Self {
        let command = command.arg("--home").arg(home).arg("--json").args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, events: Vec::new() }
    }

    /// Listens until an event is what is waited for; `false` if the program ends before.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) -> bool {
        for line in &mut self.lines {
            let line = line.unwrap();
            let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let found = is_it(&event);
            self.events.push(event);
            if found {
                return true;
            }
        }
        false
    }

    pub(crate) fn wait_for_step(&mut self, step: u64) -> bool {
        self.wait_for(|event| matches!(event, Event::Step { step: found } if *found >= step))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Listens to its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.wait_for(|_| false) {}
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        Ended { status, events: std::mem::take(&mut self.events), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The digest of the field at the end of a run that came there.
    pub(crate) fn field(&self) -> &str {
        assert!(self.status.success(), "{self:?}");
        let found = self.events.iter().find_map(|event| match event {
            Event::Finished { field, .. } => Some(field),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The last step that was told to be durable.
    pub(crate) fn saved(&self) -> Option<u64> {
        let saved = self.events.iter().rev().find_map(|event| match event {
            Event::Saved { step, .. } => Some(*step),
            _ => None,
        });
        saved.or_else(|| self.started().map(|(step, _)| step).filter(|step| *step > 0))
    }

    /// Where it began, and with how many deltas behind a full checkpoint.
    pub(crate) fn started(&self) -> Option<(u64, u32)> {
        self.events.iter().find_map(|event| match event {
            Event::Started { step, deltas, .. } => Some((*step, *deltas)),
            _ => None,
        })
    }
}

/// Runs the small simulation to its end.
pub(crate) fn run_to_end(home: &Path) -> Ended {
    Running::start(home, &[]).end()
}

/// The digest of the field that plain Rust comes to.
pub(crate) fn expected() -> &'static str {
    static EXPECTED: OnceLock<String> = OnceLock::new();
    EXPECTED.get_or_init(|| field_after(SMALL, STEPS))
}

pub(crate) fn field_after(simulation: Simulation, steps: u64) -> String {
    let mut reference = Reference::new(simulation);
    (0..steps).for_each(|_| reference.step());
    let mut hasher = blake3::Hasher::new();
    for pressure in reference.now.iter().chain(&reference.before) {
        hasher.update(&pressure.to_le_bytes());
    }
    hasher.finalize().to_string()
}
