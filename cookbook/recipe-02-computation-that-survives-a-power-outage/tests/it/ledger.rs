//! [`Ledger`]: keeps the books over the lives of a run, and objects when a promise is broken.
//!
//! The promises: what was announced as a checkpoint is never lost, at most one interval is computed again, sequences
//! and epochs never fall or repeat.

use std::collections::BTreeMap;

use serde_json::Value;

/// The books of one run, over all of its lives.
pub(crate) struct Ledger {
    rules: Rules,
    accounts: BTreeMap<Option<u64>, Account>,
}

/// What a run has promised.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// The largest distance of two checkpoints, in samples; `None` if time decides.
    interval: Option<u64>,
    /// How many checkpoints may have become durable without a chance to say so.
    most_unannounced: u64,
}

/// The books of one volume.
#[derive(Clone, Debug, Default)]
struct Account {
    epoch: u64,
    /// The last checkpoint that was announced, with the samples in it.
    announced: Option<(u64, u64)>,
    /// Whether the next checkpoint is the first after a start.
    is_new: bool,
}

/// A checkpoint, as an event tells of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    sequence: u64,
    epoch: u64,
    samples: u64,
}

impl Ledger {
    /// A run that announces each checkpoint before it goes on.
    pub(crate) fn new(interval: Option<u64>) -> Self {
        Self { rules: Rules { interval, most_unannounced: 1 }, accounts: BTreeMap::new() }
    }

    /// Workers that go on while their coordinator announces.
    pub(crate) fn of_workers(interval: u64) -> Self {
        let rules = Rules { interval: Some(interval), most_unannounced: u64::MAX };
        Self { rules, accounts: BTreeMap::new() }
    }

    /// Books all events of one life.
    pub(crate) fn book(&mut self, life: &[Value]) -> Result<(), String> {
        life.iter().try_for_each(|event| self.book_one(event).map_err(|reason| format!("{reason}: {event}")))
    }

    fn book_one(&mut self, event: &Value) -> Result<(), String> {
        let number = |field: &str| event[field].as_u64().ok_or(format!("no {field}"));
        let entry = || {
            let (sequence, epoch, samples) = (number("sequence")?, number("epoch")?, number("iteration")?);
            Ok::<_, String>(Entry { sequence, epoch, samples })
        };
        let account = self.accounts.entry(event["worker"].as_u64()).or_default();
        match event["event"].as_str() {
            Some("started") => account.start(number("epoch")?),
            Some("resumed") => account.resume(entry()?, self.rules),
            Some("checkpoint") => account.checkpoint(entry()?, self.rules),
            Some("finished" | "interrupted") => account.end(number("iteration")?),
            _ => Err("an event that nobody expects".into()),
        }
    }
}

impl Account {
    fn start(&mut self, epoch: u64) -> Result<(), String> {
        self.new_epoch(epoch)?;
        match self.announced {
            Some(lost) => Err(format!("checkpoint {lost:?} was announced and is lost")),
            None => Ok(()),
        }
    }

    fn resume(&mut self, from: Entry, rules: Rules) -> Result<(), String> {
        self.new_epoch(from.epoch)?;
        let (announced, samples) = self.announced.unwrap_or((0, 0));
        let more = from.sequence.checked_sub(announced).filter(|more| *more <= rules.most_unannounced);
        let Some(more) = more else {
            return Err(format!("went on from checkpoint {}, announced was {announced}", from.sequence));
        };
        let farthest = rules.interval.map_or(u64::MAX, |interval| samples + more * interval);
        let farthest = if more == 0 { samples } else { farthest };
        if !(samples..=farthest).contains(&from.samples) {
            return Err(format!("went on from {} samples, expected {samples} to {farthest}", from.samples));
        }
        self.announced = Some((from.sequence, from.samples));
        Ok(())
    }

    fn checkpoint(&mut self, new: Entry, rules: Rules) -> Result<(), String> {
        let (last, samples) = self.announced.unwrap_or((0, 0));
        if new.epoch != self.epoch {
            return Err(format!("written under epoch {} by the holder of {}", new.epoch, self.epoch));
        }
        // After a start, an earlier life may have written one that does not verify: its sequence is not used again.
        let follows = new.sequence == last + 1 || (std::mem::take(&mut self.is_new) && new.sequence > last);
        if !follows {
            return Err(format!("checkpoint {} after {last}", new.sequence));
        }
        let farthest = rules.interval.map_or(u64::MAX, |interval| samples + interval);
        if !(samples..=farthest).contains(&new.samples) {
            return Err(format!("{} samples, expected {samples} to {farthest}", new.samples));
        }
        self.announced = Some((new.sequence, new.samples));
        Ok(())
    }

    fn end(&self, iteration: u64) -> Result<(), String> {
        match self.announced {
            Some((_, samples)) if samples == iteration => Ok(()),
            other => Err(format!("ended with {iteration} samples, announced was {other:?}")),
        }
    }

    fn new_epoch(&mut self, epoch: u64) -> Result<(), String> {
        if epoch <= self.epoch {
            return Err(format!("epoch {epoch} after {}", self.epoch));
        }
        self.epoch = epoch;
        self.is_new = true;
        Ok(())
    }
}

mod tests {
    use serde_json::json;

    use super::*;

    fn started(epoch: u64) -> Value {
        json!({"event": "started", "epoch": epoch, "iteration": 0})
    }

    fn resumed(sequence: u64, epoch: u64, iteration: u64) -> Value {
        json!({"event": "resumed", "sequence": sequence, "epoch": epoch, "iteration": iteration})
    }

    fn checkpoint(sequence: u64, epoch: u64, iteration: u64) -> Value {
        json!({"event": "checkpoint", "sequence": sequence, "epoch": epoch, "iteration": iteration})
    }

    fn finished(iteration: u64) -> Value {
        json!({"event": "finished", "iteration": iteration})
    }

    fn books(interval: Option<u64>, lives: &[&[Value]]) -> Result<(), String> {
        let mut ledger = Ledger::new(interval);
        lives.iter().try_for_each(|life| ledger.book(life))
    }

    #[test]
    fn an_honest_run_is_accepted() {
        let first = [started(1), checkpoint(1, 1, 0), checkpoint(2, 1, 10)];
        let second = [resumed(3, 2, 20), checkpoint(4, 2, 30), finished(30)];
        books(Some(10), &[&[started(1)], &[started(2), checkpoint(1, 2, 0)]]).unwrap();
        books(Some(10), &[&first, &second]).unwrap();
        books(None, &[&first, &second]).unwrap();
    }

    #[test]
    fn every_broken_promise_is_noticed() {
        let honest = [started(1), checkpoint(1, 1, 0), checkpoint(2, 1, 10)];
        for broken in [
            vec![started(2)],
            vec![resumed(1, 2, 0)],
            vec![resumed(2, 2, 9)],
            vec![resumed(2, 2, 11)],
            vec![resumed(4, 2, 20)],
            vec![resumed(3, 2, 21)],
            vec![resumed(2, 1, 10)],
            vec![resumed(2, 2, 10), checkpoint(3, 1, 20)],
            vec![resumed(2, 2, 10), checkpoint(3, 2, 21)],
            vec![resumed(2, 2, 10), checkpoint(3, 2, 9)],
            vec![resumed(2, 2, 10), checkpoint(3, 2, 20), checkpoint(3, 2, 30)],
            vec![resumed(2, 2, 10), finished(20)],
            vec![json!({"event": "surprise"})],
        ] {
            books(Some(10), &[&honest, &broken]).expect_err(&format!("{broken:?}"));
        }
        books(Some(10), &[&[finished(5)]]).expect_err("the end of a run that never was");
    }

    #[test]
    fn workers_may_be_ahead_of_what_was_announced_but_not_behind() {
        let life = [started(1), checkpoint(1, 1, 0), checkpoint(2, 1, 10)];
        let next_life = |sequence, samples| {
            let mut ledger = Ledger::of_workers(10);
            ledger.book(&life).unwrap();
            ledger.book(&[resumed(sequence, 2, samples)])
        };
        next_life(2, 10).unwrap();
        next_life(5, 40).unwrap();
        next_life(5, 41).unwrap_err();
        next_life(1, 10).unwrap_err();
    }
}
