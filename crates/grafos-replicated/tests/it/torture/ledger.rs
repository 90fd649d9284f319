//! [`Ledger`]: what writers have said, and whether it fits together and with what is there in the end. Pure.

use std::collections::{BTreeMap, BTreeSet};

use grafos_replicated::IdempotencyOutcome;

use super::steps::{Step, digest};

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By version: the epoch and the digest of the state.
    acked: BTreeMap<u64, (u64, u64)>,
    read: BTreeMap<u64, u64>,
    epochs: BTreeSet<u64>,
    /// The newest version that a writer has seen, and never sees an older one after.
    newest: BTreeMap<usize, u64>,
    /// How often each error was told.
    pub(crate) told: BTreeMap<String, u64>,
}

impl Ledger {
    pub(crate) fn acked(&self) -> usize {
        self.acked.len()
    }

    pub(crate) fn take_overs(&self) -> usize {
        self.epochs.len()
    }

    /// Notes one line of one writer.
    ///
    /// # Errors
    /// It contradicts what was said before.
    pub(crate) fn book(&mut self, writer: usize, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let what = words.next().unwrap_or_default();
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        match (what, numbers.as_slice()) {
            ("epoch", [epoch]) if self.epochs.insert(*epoch) => Ok(()),
            ("epoch", [epoch]) => Err(format!("epoch {epoch} was given out twice")),
            ("acked", [version, epoch, digest]) => {
                if let Some(before) = self.acked.insert(*version, (*epoch, *digest)) {
                    return Err(format!("version {version} was acknowledged twice, before with {before:?}"));
                }
                self.look(writer, *version)
            }
            ("read", [version, digest]) => {
                if self.read.insert(*version, *digest).is_some_and(|before| before != *digest) {
                    return Err(format!("version {version} was read in two forms"));
                }
                self.look(writer, *version)
            }
            ("told", _) => {
                *self.told.entry(line.trim_start_matches("told ").to_owned()).or_default() += 1;
                Ok(())
            }
            _ => Err(line.to_owned()),
        }
    }

    fn look(&mut self, writer: usize, version: u64) -> Result<(), String> {
        let newest = self.newest.entry(writer).or_default();
        if version < *newest {
            return Err(format!("writer {writer} saw version {version} after {newest}"));
        }
        *newest = version;
        Ok(())
    }

    /// Holds everything against what is there when all have ended.
    ///
    /// # Errors
    /// What is lost or wrong.
    pub(crate) fn settle(
        &self,
        steps: &[Step],
        outcome: impl Fn(usize) -> Option<IdempotencyOutcome>,
    ) -> Result<(), String> {
        // Every version is the first so many steps of the last one.
        let digests: Vec<u64> = (0..=steps.len()).map(|len| digest(&steps[..len])).collect();
        let at = |version: &u64| usize::try_from(*version).ok().and_then(|at| digests.get(at)).copied();
        for (version, (epoch, digest)) in &self.acked {
            if at(version) != Some(*digest) {
                return Err(format!("version {version} was acknowledged and is not there"));
            }
            let step = usize::try_from(version - 1).ok().and_then(|at| steps.get(at));
            if step.is_none_or(|step| step.epoch != *epoch) {
                return Err(format!("version {version} was acknowledged under epoch {epoch}: {step:?}"));
            }
        }
        if let Some((version, _)) = self.read.iter().find(|(version, digest)| at(version) != Some(**digest)) {
            return Err(format!("version {version} was read and was never there"));
        }
        if !steps.is_sorted_by_key(|step| step.epoch) {
            return Err(format!("a fenced writer has published: {steps:?}"));
        }
        match (1..=steps.len()).find(|number| outcome(*number) != Some(steps[number - 1].outcome())) {
            Some(number) => {
                Err(format!("step {number} is not completed as it was done: {:?}", outcome(number)))
            }
            None => Ok(()),
        }
    }
}

const STEPS: [Step; 3] =
    [Step { epoch: 2, writer: 0 }, Step { epoch: 2, writer: 0 }, Step { epoch: 5, writer: 1 }];

fn done(number: usize) -> Option<IdempotencyOutcome> {
    STEPS.get(number - 1).map(|step| step.outcome())
}

fn ledger(lines: &[(usize, String)]) -> Result<Ledger, String> {
    let mut ledger = Ledger::default();
    lines.iter().try_for_each(|(writer, line)| ledger.book(*writer, line))?;
    Ok(ledger)
}

fn lines() -> Vec<(usize, String)> {
    let digest = |len: usize| digest(&STEPS[..len]);
    vec![
        (0, "epoch 2".to_owned()),
        (0, format!("acked 1 2 {}", digest(1))),
        (0, format!("acked 2 2 {}", digest(2))),
        (1, "epoch 5".to_owned()),
        (1, format!("read 2 {}", digest(2))),
        (0, "told StaleEpoch".to_owned()),
        (1, format!("acked 3 5 {}", digest(3))),
    ]
}

#[test]
fn what_fits_together_is_accepted_and_one_step_more_may_be_there() {
    let ledger = ledger(&lines()).unwrap();
    ledger.settle(&STEPS, done).unwrap();
    assert_eq!((ledger.acked(), ledger.take_overs(), ledger.told["StaleEpoch"]), (3, 2, 1));
    let without_last = self::ledger(&lines()[..6]).unwrap();
    without_last.settle(&STEPS, done).unwrap();
}

#[test]
fn what_contradicts_itself_is_found_at_once() {
    for wrong in [
        (1, "epoch 2".to_owned()),
        (1, format!("acked 3 6 {}", digest(&STEPS))),
        (1, "read 2 77".to_owned()),
        (1, format!("read 1 {}", digest(&STEPS[..1]))),
        (1, "broken promise".to_owned()),
        (1, "acked".to_owned()),
    ] {
        let lines: Vec<_> = lines().into_iter().chain([wrong.clone()]).collect();
        assert!(ledger(&lines).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_lost_or_wrong_in_the_end_is_found() {
    let ledger = ledger(&lines()).unwrap();
    let wrong = |what: &str, steps: &[Step], done: fn(usize) -> Option<IdempotencyOutcome>| {
        assert!(ledger.settle(steps, done).is_err(), "{what}");
    };
    wrong("the last version is lost", &STEPS[..2], done);
    wrong("another did the last", &[STEPS[0], STEPS[1], Step { epoch: 6, writer: 1 }], done);
    wrong("a step is there twice", &[STEPS[0], STEPS[0], STEPS[1], STEPS[2]], done);
    let and_a_zombie = [STEPS[0], STEPS[1], STEPS[2], Step { epoch: 2, writer: 0 }];
    wrong("a zombie has published", &and_a_zombie, and_zombie_done);
    wrong("a step is not completed", &STEPS, |number| done(number).filter(|_| number != 2));
    wrong("a step is completed as another", &STEPS, |_| done(3));
    let mut read = Ledger::default();
    read.book(0, "read 3 77").unwrap();
    assert!(read.settle(&STEPS, done).is_err(), "a state was read that was never there");
}

fn and_zombie_done(number: usize) -> Option<IdempotencyOutcome> {
    done(number).or(Some(Step { epoch: 2, writer: 0 }.outcome()))
}
