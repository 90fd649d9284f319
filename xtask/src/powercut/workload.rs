//! [`Workload`]: a program that promises, and how to see afterwards whether its promises were kept.

mod child;
mod recipe;

use std::path::Path;
use std::process::Command;

pub(crate) use child::{ChildMode, ChildWorkload};
pub(crate) use recipe::RecipeWorkload;

use super::PowercutError;
use super::disk::FileSystem;
use super::history::Fact;
use super::judge::Found;
use super::talker::{self, Stop, Talker};
use crate::error::XtaskError;

/// The variable that names the home directory of the local host.
const HOME: &str = "GRAFOS_HOME";

/// A program that promises.
pub(crate) trait Workload {
    /// For people, and for the names of files.
    fn name(&self) -> &'static str;

    /// Whether it does its next step only when it is told to, after the rig has heard of the last one.
    fn is_lock_step(&self) -> bool;

    /// What its disk is formatted with.
    fn file_system(&self) -> FileSystem {
        FileSystem::Ext4
    }

    /// Whether it is broken on purpose, to see whether the rig sees it.
    fn must_lose(&self) -> bool;

    /// The program at work, with its volumes under `home`.
    fn drive(&self, home: &Path) -> Command;

    /// What a line of the program at work means.
    fn facts(&self, line: &str) -> Result<Vec<Fact>, PowercutError>;

    /// Looks at what is under `home` after a cut, with the program's own means. `Ok(Err(message))` if those fail.
    fn check(&self, home: &Path, place: &Place<'_>) -> Result<Result<Vec<Found>, String>, XtaskError>;
}

/// Where a check may leave notes, and who can stop it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// A file for what programs say on standard error.
    pub(crate) stderr: &'a Path,
    /// Whether to stop.
    pub(crate) stop: &'a Stop,
}

impl Place<'_> {
    /// Starts a program that is only listened to.
    fn start(&self, name: &str, command: Command) -> Result<Talker, XtaskError> {
        Talker::start(name, command, self.stderr, self.stop, || 0)
    }

    /// Runs a program to its end. `Ok(Err(message))` if it fails.
    fn lines_of(&self, name: &str, command: Command) -> Result<Result<Vec<String>, String>, XtaskError> {
        let talker = self.start(name, command)?;
        let mut lines = Vec::new();
        while let Some(line) = talker.next()? {
            lines.push(line.text);
        }
        let said = talker.said_on_stderr();
        Ok(if talker.wait() { Ok(lines) } else { Err(format!("{name} failed: {} {said}", lines.join(" "))) })
    }
}

fn command(program: &Path, home: &Path) -> Command {
    let mut command = talker::tethered(program);
    command.env(HOME, home);
    command
}

fn unexpected(program: &str, line: &str) -> PowercutError {
    PowercutError::Unexpected { program: program.to_owned(), line: line.to_owned() }
}
