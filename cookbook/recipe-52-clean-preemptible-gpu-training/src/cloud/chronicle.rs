//! [`Chronicle`]: what the workers of a preempted run have told, and what was done to them. Data, no more.

use std::time::Duration;

use super::kind::Kind;
use crate::run::event::Event;

/// A whole run, however many workers it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chronicle {
    /// The workers, in the order in which they were started. Each but the first one was started once the one before
    /// had ended or lay frozen.
    pub lives: Vec<Life>,
    /// The preemptions, in the order in which they came.
    pub blows: Vec<Blow>,
}

/// One worker, from its start to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// The machine that it played.
    pub host: String,
    /// What it has told.
    pub told: Vec<Event>,
    /// What was done to it in the end.
    pub fate: Fate,
    /// How it ended; `None` while it is at it.
    pub end: Option<End>,
}

/// What was done to a worker in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it is to finish.
    Left,
    /// SIGKILL.
    Killed,
    /// SIGTERM, or its standard input was closed.
    Terminated,
    /// SIGSTOP, a successor, SIGCONT.
    Frozen,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A preemption that was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Blow {
    /// What.
    pub kind: Kind,
    /// Whom it struck, as a place in [`Chronicle::lives`].
    pub life: usize,
    /// How many steps it had done by what it had told.
    pub step: u64,
    /// How many of them have to be done again.
    pub steps_lost: u64,
    /// From the blow to the end of the next step, whoever does it. `None` if the work never stood still, or if the next
    /// blow came first.
    pub recovery: Option<Duration>,
}

impl Life {
    /// A worker that was just started.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), told: Vec::new(), fate: Fate::Left, end: None }
    }

    /// Epoch, version and step that it began with, once it has taken over.
    #[must_use]
    pub fn start(&self) -> Option<Start> {
        self.told.iter().find_map(|event| match *event {
            Event::Started { epoch, version, step, steps, .. } => Some(Start { epoch, version, step, steps }),
            _ => None,
        })
    }

    /// The strides that it said are durable.
    pub fn commits(&self) -> impl Iterator<Item = Commit> {
        self.told.iter().filter_map(commit_of)
    }

    /// The step that it had come to by what it has told last.
    #[must_use]
    pub fn step(&self) -> u64 {
        let step = |event: &Event| match *event {
            Event::Step { step, .. } | Event::Started { step, .. } => Some(step),
            Event::Committed { to, .. } => Some(to),
            Event::LeaseLost { committed, .. } => Some(committed),
            _ => None,
        };
        self.told.iter().rev().find_map(step).unwrap_or(0)
    }

    /// Whether it has told that all is done.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.told.iter().any(|event| matches!(event, Event::Finished { .. }))
    }
}

/// What a worker began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its epoch.
    pub epoch: u64,
    /// The version that it goes on from.
    pub version: u64,
    /// How many steps that version holds.
    pub step: u64,
    /// How many there will be.
    pub steps: u64,
}

/// A stride that a worker said is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its first step.
    pub from: u64,
    /// How many steps are done with it.
    pub to: u64,
}

/// The commit that the event tells of.
pub(super) fn commit_of(event: &Event) -> Option<Commit> {
    match *event {
        Event::Committed { version, epoch, from, to, .. } => Some(Commit { version, epoch, from, to }),
        _ => None,
    }
}
