//! [`RecipeWorkload`]: the recipe's own program, as a user runs it.
//!
//! It waits for nobody, so an acknowledgement may be heard late: the rig then believes a checkpoint to be promised
//! later than it was, never earlier.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{Place, Workload, command, unexpected};
use crate::error::XtaskError;
use crate::powercut::PowercutError;
use crate::powercut::history::Fact;
use crate::powercut::judge::Found;

const VOLUME: &str = "powercut";

/// So few that a checkpoint comes every few milliseconds.
const SAMPLES_PER_CHECKPOINT: &str = "100_000";

/// More than it ever gets to.
const ITERATIONS: &str = "1000G";

/// How many checkpoints it must still manage after a cut.
const CHECKPOINTS_AFTER: u64 = 2;

/// The recipe.
#[derive(Clone, Debug)]
pub(crate) struct RecipeWorkload {
    pub(crate) program: PathBuf,
}

/// What the recipe says with `--json`; fields that are of no interest here are left aside.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    Started {
        epoch: u64,
    },
    Resumed {
        sequence: u64,
        epoch: u64,
        iteration: u64,
    },
    Checkpoint {
        sequence: u64,
        iteration: u64,
    },
    Status {
        sequence: u64,
        #[serde(default)]
        iteration: u64,
    },
    Error {
        message: String,
    },
}

impl RecipeWorkload {
    fn run(&self, home: &Path) -> Command {
        let mut command = command(&self.program, home);
        command.args(["--json", "--volume", VOLUME]);
        command
    }

    fn event(&self, line: &str) -> Result<Event, PowercutError> {
        serde_json::from_str(line).map_err(|_| unexpected(self.name(), line))
    }

    /// What the volume holds, without going on.
    fn status(&self, home: &Path, place: &Place<'_>) -> Result<Result<(u64, u64), String>, XtaskError> {
        let mut status = self.run(home);
        status.arg("--status");
        let lines = match place.lines_of("recipe --status", status)? {
            Ok(lines) => lines,
            Err(message) => return Ok(Err(message)),
        };
        let [line] = lines.as_slice() else {
            return Err(unexpected("recipe --status", &lines.join(" ")).into());
        };
        match self.event(line)? {
            Event::Status { sequence, iteration } => Ok(Ok((sequence, iteration))),
            _ => Err(unexpected("recipe --status", line).into()),
        }
    }

    /// Starts the program again, sees it go on from `sequence`, and returns its epoch.
    fn resume(
        &self,
        home: &Path,
        place: &Place<'_>,
        sequence: u64,
    ) -> Result<Result<u64, String>, XtaskError> {
        let recipe = place.start("recipe", self.drive(home))?;
        let first = recipe.expect()?.text;
        let (epoch, resumed, mut last) = match self.event(&first)? {
            Event::Started { epoch } => (epoch, 0, None),
            Event::Resumed { sequence, epoch, iteration } => (epoch, sequence, Some(iteration)),
            Event::Error { message } => return Ok(Err(format!("it did not go on: {message}"))),
            _ => return Err(unexpected("recipe", &first).into()),
        };
        if resumed != sequence {
            return Ok(Err(format!(
                "it went on from another checkpoint: --status={sequence}, resumed={resumed}"
            )));
        }
        for expected in sequence + 1..=sequence.saturating_add(CHECKPOINTS_AFTER) {
            let line = recipe.expect()?.text;
            match self.event(&line)? {
                Event::Checkpoint { sequence, iteration }
                    if sequence == expected && Some(iteration) > last =>
                {
                    last = Some(iteration);
                }
                _ => {
                    return Ok(Err(format!("it did not go on: expected checkpoint={expected}, said {line}")));
                }
            }
        }
        Ok(Ok(epoch))
    }
}

impl Workload for RecipeWorkload {
    fn name(&self) -> &'static str {
        "recipe"
    }

    fn is_lock_step(&self) -> bool {
        false
    }

    fn must_lose(&self) -> bool {
        false
    }

    fn drive(&self, home: &Path) -> Command {
        let mut command = self.run(home);
        command.args(["--iterations", ITERATIONS, "--checkpoint-every", SAMPLES_PER_CHECKPOINT]);
        command.args(["--threads", "1", "--seed", "7"]);
        command
    }

    fn facts(&self, line: &str) -> Result<Vec<Fact>, PowercutError> {
        let volume = || VOLUME.to_owned();
        Ok(match self.event(line)? {
            Event::Started { epoch } => vec![Fact::Granted { volume: volume(), epoch }],
            Event::Resumed { sequence, epoch, iteration } => vec![
                Fact::Granted { volume: volume(), epoch },
                Fact::Read { volume: volume(), sequence, value: iteration },
            ],
            Event::Checkpoint { sequence, iteration } => {
                vec![Fact::Saved { volume: volume(), sequence, value: iteration }]
            }
            Event::Status { .. } | Event::Error { .. } => return Err(unexpected("recipe", line)),
        })
    }

    fn check(&self, home: &Path, place: &Place<'_>) -> Result<Result<Vec<Found>, String>, XtaskError> {
        let (sequence, value) = match self.status(home, place)? {
            Ok(status) => status,
            Err(message) => return Ok(Err(message)),
        };
        let found = |epoch| vec![Found { volume: VOLUME.to_owned(), sequence, value, epoch }];
        Ok(self.resume(home, place, sequence)?.map(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_recipe_are_understood() {
        let recipe = RecipeWorkload { program: PathBuf::new() };
        let facts = |line: &str| recipe.facts(line);
        let volume = || VOLUME.to_owned();
        let resumed = r#"{"event":"resumed","sequence":3,"epoch":5,"iteration":300}"#;
        let expected = [
            Fact::Granted { volume: volume(), epoch: 5 },
            Fact::Read { volume: volume(), sequence: 3, value: 300 },
        ];
        assert_eq!(facts(resumed).unwrap(), expected);
        let checkpoint = r#"{"event":"checkpoint","sequence":4,"epoch":5,"iteration":400}"#;
        assert_eq!(facts(checkpoint).unwrap(), [Fact::Saved { volume: volume(), sequence: 4, value: 400 }]);
        assert_eq!(facts(r#"{"event":"started","epoch":1,"iteration":0}"#).unwrap().len(), 1);
        for line in
            ["Checkpoint 4", r#"{"event":"error","message":"m","recovery":"r"}"#, r#"{"event":"checkpoint"}"#]
        {
            assert!(facts(line).is_err(), "{line}");
        }
    }
}
