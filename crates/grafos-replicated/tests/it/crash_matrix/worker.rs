//! The child's part: a process that does steps of a job, through one commit or two, and may be cut in one of them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use grafos_replicated::*;

use super::gate::{Gate, Point};
use super::state::{self, completed, key, operation};
use crate::child::{hear_parent, say};
use crate::world::name;

/// How a step is published and completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `commit_step`.
    OneCommit,
    /// `save_step`, then `complete`.
    TwoCommits,
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::OneCommit, Self::TwoCommits]
            .into_iter()
            .find(|way| format!("{way:?}") == text)
            .ok_or_else(|| text.to_owned())
    }
}

struct Worker<'a> {
    place: &'a Path,
    way: Way,
    gate: Arc<Gate>,
    job: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
    epoch: FenceEpoch,
}

/// Reads who it is, `<way> <epoch> <step> <point> <end>`, the last three only if it is to be cut; an epoch of 0 is "take
/// over". Then does what each line says, and says what came of it.
pub(crate) fn play_worker(place: &Path) {
    let said = hear_parent().unwrap();
    let words: Vec<&str> = said.split(' ').collect();
    let [way, epoch, rest @ ..] = words.as_slice() else { panic!("not understood: {said}") };
    let way: Way = way.parse().unwrap();
    let cut = match rest {
        [step, point, end] => {
            Some((key(step.parse().unwrap()), point.parse().unwrap(), end.parse().unwrap()))
        }
        _ => None,
    };
    let (machine, gate) = Gate::machine(place, way == Way::OneCommit, cut);
    let held = FenceEpoch(epoch.parse().unwrap());
    let (mut job, mut effects) = (machine.checkpoints(held), machine.effects(held));
    let epoch = if held == FenceEpoch(0) {
        let epoch = job.take_over(&name()).unwrap();
        effects.take_over_as(epoch).unwrap();
        epoch
    } else {
        held
    };
    say(&format!("epoch {epoch}"));
    let mut worker = Worker { place, way, gate, job, effects, epoch };
    while let Some(line) = hear_parent() {
        let outcome = match line.strip_prefix("step ") {
            Some(number) => worker.step(number.parse().unwrap()),
            None => worker.save_without_a_step(),
        };
        say(&outcome.unwrap_or_else(|error| told(&error)));
    }
}

fn told(error: &ReplicatedError) -> String {
    let shown = format!("{error:?}");
    format!("told {}", shown.split([' ', '(']).next().unwrap())
}

impl Worker<'_> {
    /// Does the step unless it was done, as a careful caller does. Says how the key was found, and which version the
    /// step has made.
    fn step(&mut self, number: u64) -> Result<String, ReplicatedError> {
        self.gate.reach_in(&key(number), Point::BeforeReserve);
        let reservation = self.effects.reserve(key(number), operation(number), Some(number), self.epoch)?;
        self.gate.reach_in(&key(number), Point::Reserved);
        let made = self.job.step_version(&name(), &key(number), operation(number))?;
        let version = match (reservation.kind, made) {
            (ReservationKind::Completed, made) => made.expect("a completed step has made a version"),
            // Published and not completed: what is left of the step is made up for, without its work.
            (_, Some(made)) if self.way == Way::OneCommit => {
                let landed = self.commit_at_once(number, &reservation, made, b"no second state")?;
                assert_eq!(landed, made);
                made
            }
            (_, Some(made)) => {
                self.effects.complete(key(number), reservation.version, completed(number), self.epoch)?;
                made
            }
            (_, None) => self.do_step(number, &reservation)?,
        };
        self.gate.reach_in(&key(number), Point::Completed);
        Ok(format!("done {:?} {version}", reservation.kind))
    }

    /// What a program does that knows nothing of steps.
    fn save_without_a_step(&mut self) -> Result<String, ReplicatedError> {
        let current = self.job.current_version(&name())?;
        let saved = self.job.save_bytes(name(), current, b"by whoever this is", self.epoch)?;
        Ok(format!("saved {}", saved.version))
    }

    fn do_step(&mut self, number: u64, reservation: &Reservation) -> Result<Version, ReplicatedError> {
        let loaded = self.job.load_latest(&name())?;
        let (expected, bytes) = loaded.map_or((Version::NONE, Vec::new()), |it| (it.version, it.value));
        let after = state::after(&bytes, number);
        self.note_launch(number);
        self.gate.reach_in(&key(number), Point::Launched);
        if self.way == Way::OneCommit {
            return self.commit_at_once(number, reservation, expected, &after);
        }
        let saved =
            self.job.save_step(name(), expected, &after, self.epoch, key(number), operation(number))?;
        self.effects.complete(key(number), reservation.version, completed(number), self.epoch)?;
        Ok(saved.version)
    }

    fn commit_at_once(
        &mut self,
        number: u64,
        reservation: &Reservation,
        expected: Version,
        bytes: &[u8],
    ) -> Result<Version, ReplicatedError> {
        let (checkpoint, effect) = (name(), state::effect(number));
        let epoch = self.epoch;
        let step = StepCommit {
            checkpoint: &checkpoint,
            expected,
            bytes,
            reservation,
            effect: Some(&effect),
            epoch,
        };
        Ok(commit_step(&mut self.job, &mut self.effects, step)?.version)
    }

    /// The kernel runs: an effect in the world, which a retry may repeat until its result is published.
    fn note_launch(&self, number: u64) {
        let path = self.place.join(state::LAUNCHES);
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{} {number}", std::process::id()).unwrap();
    }
}
