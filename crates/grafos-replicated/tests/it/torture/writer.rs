//! [`Writer`]: one of several processes that all want to do the next step. It takes over, works until it is fenced, reads,
//! mends, and begins again, until it is killed.

use std::path::Path;

use grafos_replicated::*;
use grafos_suite::Random;

use super::steps::{Step, decode, digest, encode, key, operation};
use crate::child::{hear_parent, say};
use crate::machine::Machine;
use crate::world::name;

/// Whoever sees no new version for so many reads takes over.
const MAX_READS: u64 = 40;

pub(crate) struct Writer {
    machine: Machine,
    job: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
    epoch: FenceEpoch,
    number: u64,
}

/// The child's part: reads its number and its seed, then goes on without end, and says what it has done.
pub(crate) fn play_writer(place: &Path) {
    let line = hear_parent().unwrap();
    let (number, seed) = line.split_once(' ').unwrap();
    let mut chance = Random(seed.parse().unwrap());
    let mut writer = Writer::open(place, number.parse().unwrap());
    loop {
        writer.watch(chance.below(8) as u64);
        if let Err(error) = writer.reign(&mut chance) {
            let shown = format!("{error:?}");
            say(&format!("told {}", shown.split([' ', '(']).next().unwrap()));
            // Only now, that the short name is out.
            if !is_expected(&error) {
                say(&format!("broken {error}"));
            }
        }
    }
}

/// What can be told to a writer among others whose disks come and go.
fn is_expected(error: &ReplicatedError) -> bool {
    matches!(
        error,
        ReplicatedError::StaleEpoch { .. }
            | ReplicatedError::VersionConflict { .. }
            | ReplicatedError::QuorumNotMet { .. }
            | ReplicatedError::ReservationLost { .. }
            | ReplicatedError::Store(StoreError::Unavailable { .. })
    )
}

impl Writer {
    pub(crate) fn open(home: &Path, number: u64) -> Self {
        let machine = Machine::open(home);
        let (job, effects) = (machine.checkpoints(FenceEpoch(1)), machine.effects(FenceEpoch(1)));
        Self { machine, job, effects, epoch: FenceEpoch(1), number }
    }

    /// Takes over, and does some steps.
    fn reign(&mut self, chance: &mut Random) -> Result<(), ReplicatedError> {
        self.take_over()?;
        for _ in 0..1 + chance.below(12) {
            self.step(chance.below(2) == 0)?;
            match chance.below(20) {
                0 => drop(self.job.collect_garbage(&name())?),
                1 => drop(self.job.repair(&name())?),
                2 => drop(self.job.status(&name())?),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn take_over(&mut self) -> Result<(), ReplicatedError> {
        // A handle knows the epoch that it was opened with, and those that it was given.
        (self.job, self.effects) =
            (self.machine.checkpoints(FenceEpoch(1)), self.machine.effects(FenceEpoch(1)));
        self.epoch = self.job.take_over(&name())?;
        self.effects.take_over_as(self.epoch)?;
        say(&format!("epoch {}", self.epoch));
        Ok(())
    }

    /// The step after the newest state, at once or in two parts.
    pub(crate) fn step(&mut self, is_at_once: bool) -> Result<(), ReplicatedError> {
        let loaded = self.job.load_latest(&name())?;
        let (version, bytes) = loaded.map_or((Version::NONE, encode(&[])), |it| (it.version, it.value));
        let Some(mut steps) = decode(&bytes) else {
            say(&format!("broken version {version} is no state"));
            return Ok(());
        };
        self.make_up_for_the_last(&steps)?;
        let step = Step { epoch: self.epoch.0, writer: self.number };
        steps.push(step);
        let number = steps.len();
        let (bytes, outcome) = (encode(&steps), step.outcome());
        let sequence = Some(number as u64);
        let reservation = self.effects.reserve(key(number), operation(number), sequence, self.epoch)?;
        if reservation.kind == ReservationKind::Completed {
            say(&format!("broken step {number} is done, and the newest state does not have it"));
        }
        let (name, epoch, expected) = (name(), self.epoch, version);
        let saved = if is_at_once {
            let IdempotencyOutcome::Completed { effect } = &outcome else { unreachable!() };
            let (effect, bytes, reservation) = (effect.as_deref(), &bytes[..], &reservation);
            let step = StepCommit { checkpoint: &name, expected, bytes, reservation, effect, epoch };
            commit_step(&mut self.job, &mut self.effects, step)?
        } else {
            self.job.save_step(name, expected, &bytes, epoch, key(number), operation(number))?
        };
        say(&format!("acked {} {} {}", saved.version, saved.epoch, digest(&steps)));
        if !is_at_once {
            self.effects.complete(key(number), reservation.version, outcome, epoch)?;
        }
        Ok(())
    }

    /// The last step is in the state; whoever did it may not have come to complete it.
    fn make_up_for_the_last(&mut self, steps: &[Step]) -> Result<(), ReplicatedError> {
        let Some(last) = steps.last() else { return Ok(()) };
        let number = steps.len();
        let found = self.effects.lookup(&key(number))?;
        if found.is_some_and(|found| found.outcome == last.outcome()) {
            return Ok(());
        }
        let sequence = Some(number as u64);
        let reservation = self.effects.reserve(key(number), operation(number), sequence, self.epoch)?;
        if reservation.kind != ReservationKind::Completed {
            self.effects.complete(key(number), reservation.version, last.outcome(), self.epoch)?;
        }
        Ok(())
    }

    /// Reads until others have made so many versions, or seem to have stopped.
    fn watch(&mut self, versions: u64) {
        let mut first = None;
        for _ in 0..MAX_READS.min(versions * 10) {
            match self.read() {
                Ok((version, digest)) => {
                    say(&format!("read {version} {digest}"));
                    if version.0 >= *first.get_or_insert(version.0) + versions {
                        return;
                    }
                }
                Err(error) if is_expected(&error) => say("told while reading"),
                Err(error) => say(&format!("broken {error}")),
            }
        }
    }

    fn read(&mut self) -> Result<(Version, u64), ReplicatedError> {
        let Some(loaded) = self.job.load_latest(&name())? else { return Ok((Version::NONE, digest(&[]))) };
        match decode(&loaded.value) {
            Some(steps) => Ok((loaded.version, digest(&steps))),
            None => {
                say(&format!("broken version {} is no state", loaded.version));
                Ok((loaded.version, 0))
            }
        }
    }
}
