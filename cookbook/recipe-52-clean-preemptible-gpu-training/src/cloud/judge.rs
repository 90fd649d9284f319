//! What a preempted run promised, held against what is there at its end. Pure: facts in, faults out.
//!
//! Every rule has a test that breaks it by hand, in `judge/tests.rs`.

mod fault;

use std::collections::BTreeMap;

use super::chronicle::{Chronicle, Commit, End, Fate, Life, commit_of};
use super::kind::Kind;
use crate::run::event::Event;

pub use fault::Fault;

/// A stride by the record of its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its first step.
    pub from: u64,
    /// How many steps are done with it.
    pub to: u64,
    /// The version that it made.
    pub version: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// How many images were consumed from the first step on.
    pub examples: u64,
}

/// What is held against the chronicle.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence<'a> {
    /// The strides by their effects, from step 0 on.
    pub strides: &'a [Applied],
    /// The `finished` of a run of the same plan that nobody disturbed, and the losses of its steps.
    pub undisturbed: &'a Life,
    /// How many preemptions were asked for.
    pub asked: usize,
    /// What is still there of the run that should be gone.
    pub leftovers: &'a [String],
}

/// Judges a preempted run. Nothing is returned for one that kept its promises.
#[must_use]
pub fn judge(chronicle: &Chronicle, evidence: &Evidence<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    judge_lives(&chronicle.lives, &mut faults);
    judge_ends(&chronicle.lives, &mut faults);
    judge_blows(chronicle, evidence.asked, &mut faults);
    faults.extend(losses_that_differ(&chronicle.lives, losses(evidence.undisturbed).collect()));
    judge_strides(&chronicle.lives, evidence, &mut faults);
    judge_result(&chronicle.lives, evidence.undisturbed, &mut faults);
    faults.extend(evidence.leftovers.iter().map(|what| Fault::LeftBehind { what: what.clone() }));
    faults
}

/// Judges a run of which nothing is known but what its workers have told, and which may have been stopped before its
/// end.
#[must_use]
pub fn judge_play(chronicle: &Chronicle) -> Vec<Fault> {
    let mut faults = Vec::new();
    judge_lives(&chronicle.lives, &mut faults);
    // A worker that is still there, or a run without an end, has its own error.
    judge_ends(&chronicle.lives, &mut faults);
    faults.retain(|fault| !matches!(fault, Fault::StillThere { .. } | Fault::NotFinished));
    faults.extend(losses_that_differ(&chronicle.lives, BTreeMap::new()));
    faults
}

/// Whoever takes over knows all that was acknowledged, and whoever was taken over from publishes nothing any more.
fn judge_lives(lives: &[Life], faults: &mut Vec<Fault>) {
    let mut known = Commit { version: 0, epoch: 0, from: 0, to: 0 };
    for (life, worker) in lives.iter().enumerate() {
        if let Some(start) = worker.start() {
            if start.epoch <= known.epoch {
                faults.push(Fault::EpochRepeated { life, before: known.epoch, found: start.epoch });
            }
            if start.version < known.version {
                faults.push(Fault::AcknowledgedLost {
                    life,
                    acknowledged: known.version,
                    found: start.version,
                });
            }
            if start.version == known.version && start.step != known.to {
                faults.push(Fault::WrongPlace {
                    life,
                    version: start.version,
                    expected: known.to,
                    found: start.step,
                });
            }
            known = Commit { version: start.version, epoch: start.epoch, from: start.step, to: start.step };
        }
        let heir = lives.iter().skip(life + 1).find_map(Life::start);
        for event in &worker.told {
            // A commit whose answer got lost, found again.
            if let Event::Duplicate { version, step, .. } = *event {
                known = Commit { version, to: step, ..known };
            }
            let Some(commit) = commit_of(event) else { continue };
            let Some(start) = worker.start() else {
                faults.push(Fault::Invented { life, version: commit.version });
                continue;
            };
            // Of a worker that was not there any more, the same is a loss, which its heir shows.
            let was_there = worker.fate == Fate::Frozen;
            if was_there && heir.is_some_and(|heir| commit.version > heir.version) {
                faults.push(Fault::PublishedAfterFence { life, version: commit.version });
                continue;
            }
            if commit.epoch != start.epoch {
                faults.push(Fault::WrongEpoch { life, version: commit.version, found: commit.epoch });
            }
            if commit.version != known.version + 1 || commit.from != known.to || commit.to <= commit.from {
                faults.push(Fault::OutOfOrder { life, after: known.version, commit });
            }
            known = commit;
        }
    }
}

/// Each worker ends as what was done to it makes it end.
fn judge_ends(lives: &[Life], faults: &mut Vec<Fault>) {
    for (life, worker) in lives.iter().enumerate() {
        let Some(end) = worker.end else {
            faults.push(Fault::StillThere { life });
            continue;
        };
        let is_last = life + 1 == lives.len();
        let is_right = match worker.fate {
            _ if worker.finished() => end == End::Code(0) || end == End::Signal(9),
            Fate::Left => false,
            Fate::Killed => end == End::Signal(9),
            // Before it listens for the signal, it dies of it.
            Fate::Terminated => {
                end == End::Code(RESUME) || (worker.start().is_none() && end == End::Signal(15))
            }
            Fate::Frozen => end == End::Code(FENCED) && was_told_it_is_fenced(worker),
        };
        if !is_right {
            let (fate, told) = (worker.fate, worker.told.last().cloned().map(Box::new));
            faults.push(Fault::WrongEnd { life, fate, end, told });
        }
        if is_last && !worker.finished() {
            faults.push(Fault::NotFinished);
        }
    }
}

/// What a worker exits with that can go on.
pub(super) const RESUME: i32 = 75;
/// What a worker exits with that was fenced.
pub(super) const FENCED: i32 = 76;

/// A worker that never took over has nobody to be fenced from; else it must have said so.
fn was_told_it_is_fenced(worker: &Life) -> bool {
    worker.told.iter().any(|event| matches!(event, Event::Fenced { held, current, .. } if held < current))
}

/// Enough was played, and every kind of it, and each blow did what it is named for.
fn judge_blows(chronicle: &Chronicle, asked: usize, faults: &mut Vec<Fault>) {
    let played = chronicle.blows.len();
    if played < asked {
        faults.push(Fault::TooFewPlayed { asked, played });
    }
    if asked >= Kind::ALL.len() {
        let is_missing = |kind: &Kind| chronicle.blows.iter().all(|blow| blow.kind != *kind);
        faults.extend(Kind::ALL.into_iter().filter(is_missing).map(|kind| Fault::NeverPlayed { kind }));
    }
    for (kind, status) in [(Kind::Revoked, "revoked"), (Kind::Expired, "expired")] {
        let asked_for = chronicle.blows.iter().filter(|blow| blow.kind == kind).count();
        let told =
            |event: &&Event| matches!(event, Event::LeaseLost { status: found, .. } if found == status);
        let heard = chronicle.lives.iter().flat_map(|life| &life.told).filter(told).count();
        if heard < asked_for {
            faults.push(Fault::LeaseOutlived { kind, asked: asked_for, heard });
        }
    }
}

/// A step that is done again is the same step: its loss has the same bits, whoever does it.
fn losses_that_differ(lives: &[Life], mut known: BTreeMap<u64, u32>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (life, worker) in lives.iter().enumerate() {
        for (step, found) in losses(worker) {
            let expected = *known.entry(step).or_insert(found);
            if expected != found && faults.len() < MANY {
                let (expected, found) = (f32::from_bits(expected), f32::from_bits(found));
                faults.push(Fault::OtherLoss { life, step, expected, found });
            }
        }
    }
    faults
}

/// So many faults of one kind say enough.
const MANY: usize = 20;

fn losses(worker: &Life) -> impl Iterator<Item = (u64, u32)> {
    worker.told.iter().filter_map(|event| match *event {
        Event::Step { step, loss, .. } => Some((step, loss.to_bits())),
        _ => None,
    })
}

/// The effects say that each step was applied once, and what was acknowledged is among them.
fn judge_strides(lives: &[Life], evidence: &Evidence<'_>, faults: &mut Vec<Fault>) {
    let mut before = Applied { from: 0, to: 0, version: 0, epoch: 0, examples: 0 };
    for stride in evidence.strides {
        if stride.from != before.to || stride.to <= stride.from {
            faults.push(Fault::NotTiled { expected: before.to, from: stride.from, to: stride.to });
        }
        if stride.version != before.version + 1 {
            faults.push(Fault::VersionSkipped { after: before.version, found: stride.version });
        }
        if stride.epoch < before.epoch {
            faults.push(Fault::EpochFell { version: stride.version, from: before.epoch, to: stride.epoch });
        }
        before = stride.clone();
    }
    let steps = lives.iter().rev().find_map(Life::start).map_or(0, |start| start.steps);
    if before.to != steps {
        faults.push(Fault::NotTiled { expected: steps, from: before.from, to: before.to });
    }
    let by_version: BTreeMap<u64, &Applied> =
        evidence.strides.iter().map(|stride| (stride.version, stride)).collect();
    for (life, worker) in lives.iter().enumerate() {
        for commit in worker.commits() {
            let is_there = by_version.get(&commit.version).is_some_and(|stride| {
                (stride.from, stride.to, stride.epoch) == (commit.from, commit.to, commit.epoch)
            });
            if !is_there {
                let found = by_version.get(&commit.version).map(|stride| Box::new((*stride).clone()));
                faults.push(Fault::AcknowledgedNotApplied { life, commit, found });
            }
        }
    }
    let examples = lives.last().and_then(finished).map(|end| end.examples);
    if examples.is_some_and(|examples| examples != before.examples) {
        let (expected, found) = (examples.unwrap_or(0), before.examples);
        faults.push(Fault::OtherConsumption { expected, found });
    }
}

/// What a run has come to.
#[derive(Clone, Debug, PartialEq)]
struct Finished<'a> {
    weights: &'a str,
    accuracy: f64,
    consumed: &'a str,
    examples: u64,
    step: u64,
}

fn finished(worker: &Life) -> Option<Finished<'_>> {
    worker.told.iter().rev().find_map(|event| match event {
        Event::Finished { weights, accuracy, consumed, examples, step, .. } => {
            let (accuracy, examples, step) = (*accuracy, *examples, *step);
            Some(Finished { weights, accuracy, consumed, examples, step })
        }
        _ => None,
    })
}

/// The weights are those of the undisturbed run, bit for bit, and so is all else that it has come to.
fn judge_result(lives: &[Life], undisturbed: &Life, faults: &mut Vec<Fault>) {
    let Some(expected) = finished(undisturbed) else {
        faults.push(Fault::NothingToCompare);
        return;
    };
    let mut compare = |what, expected: String, found: String| {
        if expected != found {
            faults.push(Fault::OtherResult { what, expected, found });
        }
    };
    // More than one, if a worker was frozen between its last commit and its end. None is told of elsewhere.
    for found in lives.iter().filter_map(finished) {
        compare("weights", expected.weights.to_owned(), found.weights.to_owned());
        compare("steps", expected.step.to_string(), found.step.to_string());
        compare("images consumed", expected.examples.to_string(), found.examples.to_string());
        compare("order of the images", expected.consumed.to_owned(), found.consumed.to_owned());
        compare("accuracy", expected.accuracy.to_string(), found.accuracy.to_string());
    }
}

#[cfg(test)]
mod tests;
