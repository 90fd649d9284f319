//! [`ChildWorkload`]: small programs that do one step for each line they are sent.
//!
//! They live in `examples/powercut-child`, because they use the libraries that are being judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{Place, Workload, command, unexpected};
use crate::error::XtaskError;
use crate::powercut::PowercutError;
use crate::powercut::disk::FileSystem;
use crate::powercut::history::Fact;
use crate::powercut::judge::Found;

/// The variable that switches direct I/O off.
const IO_MODE: &str = "GRAFOS_IO";

/// What the child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildMode {
    /// A checkpoint of `Durable<T>` at each step.
    Durable,
    /// As `Durable`, with direct I/O switched off.
    Buffered,
    /// Leases a volume, marks it, and releases or drops another, at each step.
    Leases,
    /// Saves a kernel's checkpoint as a file, and deletes an old one, at each step.
    Kernel,
    /// As `Durable`, on a host that says it has flushed and has not.
    Control,
    /// A replicated checkpoint and the effects of its steps.
    Replicated,
    /// As `Replicated`, on a file system without a journal.
    Unjournaled,
    /// As `Replicated`, on replicas that acknowledge what is not durable.
    Unsynced,
}

/// A small program in lock-step.
#[derive(Clone, Debug)]
pub(crate) struct ChildWorkload {
    pub(crate) program: PathBuf,
    pub(crate) mode: ChildMode,
}

/// What the child says.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
enum Event {
    Granted { volume: String, epoch: u64 },
    Read { volume: String, sequence: u64, value: u64 },
    Saved { volume: String, sequence: u64, value: u64 },
    Found { volume: String, sequence: u64, value: u64, epoch: u64 },
    Committed { saved: Vec<Saved> },
}

/// One of several things that became durable together, or one right after the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    volume: String,
    sequence: u64,
    value: u64,
}

impl ChildWorkload {
    fn run(&self, home: &Path, verb: &str, what: &str) -> Command {
        let mut command = command(&self.program, home);
        command.args([verb, what]);
        command
    }

    fn event(&self, line: &str) -> Result<Event, PowercutError> {
        serde_json::from_str(line).map_err(|_| unexpected(self.name(), line))
    }
}

impl Workload for ChildWorkload {
    fn name(&self) -> &'static str {
        match self.mode {
            ChildMode::Durable => "durable",
            ChildMode::Buffered => "buffered",
            ChildMode::Leases => "leases",
            ChildMode::Kernel => "kernel",
            ChildMode::Control => "control",
            ChildMode::Replicated => "replicated",
            ChildMode::Unjournaled => "unjournaled",
            ChildMode::Unsynced => "unsynced",
        }
    }

    fn is_lock_step(&self) -> bool {
        true
    }

    fn file_system(&self) -> FileSystem {
        if self.mode == ChildMode::Unjournaled { FileSystem::Ext4WithoutJournal } else { FileSystem::Ext4 }
    }

    fn must_lose(&self) -> bool {
        matches!(self.mode, ChildMode::Control | ChildMode::Unsynced)
    }

    fn drive(&self, home: &Path) -> Command {
        let what = if self.mode == ChildMode::Unjournaled { "replicated" } else { self.name() };
        let mut command = self.run(home, "drive", what);
        if self.mode == ChildMode::Buffered {
            command.env(IO_MODE, "buffered");
        }
        command
    }

    fn facts(&self, line: &str) -> Result<Vec<Fact>, PowercutError> {
        match self.event(line)? {
            Event::Granted { volume, epoch } => Ok(vec![Fact::Granted { volume, epoch }]),
            Event::Read { volume, sequence, value } => Ok(vec![Fact::Read { volume, sequence, value }]),
            Event::Saved { volume, sequence, value } => Ok(vec![Fact::Saved { volume, sequence, value }]),
            Event::Committed { saved } => {
                let fact = |Saved { volume, sequence, value }| Fact::Saved { volume, sequence, value };
                Ok(saved.into_iter().map(fact).collect())
            }
            Event::Found { .. } => Err(unexpected(self.name(), line)),
        }
    }

    fn check(&self, home: &Path, place: &Place<'_>) -> Result<Result<Vec<Found>, String>, XtaskError> {
        // Whoever looks has no reason to leave flushes out.
        let what = match self.mode {
            ChildMode::Durable | ChildMode::Buffered | ChildMode::Control => "durable",
            ChildMode::Leases | ChildMode::Kernel => self.name(),
            ChildMode::Replicated | ChildMode::Unjournaled | ChildMode::Unsynced => "replicated",
        };
        let lines = match place.lines_of(self.name(), self.run(home, "check", what))? {
            Ok(lines) => lines,
            Err(message) => return Ok(Err(message)),
        };
        let found = lines.iter().map(|line| match self.event(line)? {
            Event::Found { volume, sequence, value, epoch } => Ok(Found { volume, sequence, value, epoch }),
            _ => Err(unexpected(self.name(), line)),
        });
        Ok(Ok(found.collect::<Result<_, PowercutError>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_child_are_understood_and_no_others() {
        let child = ChildWorkload { program: PathBuf::new(), mode: ChildMode::Durable };
        let facts = child.facts(r#"{"event":"saved","volume":"v","sequence":3,"value":9}"#).unwrap();
        assert_eq!(facts, [Fact::Saved { volume: "v".to_owned(), sequence: 3, value: 9 }]);
        let committed = r#"{"event":"committed","saved":[{"volume":"c","sequence":3,"value":9},{"volume":"e","sequence":3,"value":8}]}"#;
        let saved = |volume: &str, value| Fact::Saved { volume: volume.to_owned(), sequence: 3, value };
        assert_eq!(child.facts(committed).unwrap(), [saved("c", 9), saved("e", 8)]);
        for line in ["", "saved", "{}", r#"{"event":"saved","volume":"v"}"#, r#"{"event":"lost"}"#] {
            assert!(matches!(child.facts(line), Err(PowercutError::Unexpected { .. })), "{line}");
        }
    }
}
