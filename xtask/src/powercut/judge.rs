//! What was found after a cut, held against what had been promised. Pure: facts in, verdict out.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Fact, Heard, History};

/// What was found on a volume after a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) volume: String,
    /// Of the newest checkpoint; 0 for none.
    pub(crate) sequence: u64,
    /// What it holds.
    pub(crate) value: u64,
    /// Under which epoch the volume was granted to the one who looked.
    pub(crate) epoch: u64,
}

/// One way in which a state is not as promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("lost: volume={volume}, promised sequence={promised}, found sequence={found}")]
    Lost { volume: String, promised: u64, found: u64 },
    #[error("an epoch repeated: volume={volume}, granted before={before}, granted after the cut={after}")]
    EpochRepeated { volume: String, before: u64, after: u64 },
    #[error("a promised volume was not looked at: volume={volume}")]
    NotLookedAt { volume: String },
    #[error("can't be read: {message}")]
    Unreadable { message: String },
    #[error("another value: volume={volume}, sequence={sequence}, found={found}")]
    WrongValue { volume: String, sequence: u64, found: u64 },
    #[error(
        "a checkpoint that nobody wrote: volume={volume}, last known sequence={known}, found sequence={found}"
    )]
    Invented { volume: String, known: u64, found: u64 },
    #[error("the file system can't be mounted: {message}")]
    NoFileSystem { message: String },
}

impl Fault {
    /// A store that never flushes may lose; but nothing excuses a value that was never written.
    pub(crate) fn is_loss(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::EpochRepeated { .. } | Self::Unreadable { .. } => true,
            Self::NotLookedAt { .. }
            | Self::WrongValue { .. }
            | Self::Invented { .. }
            | Self::NoFileSystem { .. } => false,
        }
    }
}

/// What became of one crash state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Exactly what had been promised.
    Kept,
    /// More than that: a checkpoint had arrived, but not yet its acknowledgement.
    InFlight,
    /// Not as promised.
    Broken(Vec<Fault>),
}

#[derive(Debug, Default)]
struct Promised {
    sequence: u64,
    epoch: u64,
}

/// Judges what was `found` after a cut. `said` is the part of `history` that had been heard by then.
///
/// With `is_lock_step` the workload waits for each acknowledgement to be heard, so at most one checkpoint can be
/// ahead of what was heard; two, if the first of them was on its way when the workload was killed, and was found by
/// its successor.
pub(crate) fn judge(history: &History, said: &[Heard], found: &[Found], is_lock_step: bool) -> Verdict {
    let promised = promised(said);
    let values = values(history);
    let mut faults = Vec::new();
    let mut is_ahead = false;
    for volume in promised.keys().filter(|volume| found.iter().all(|found| found.volume != **volume)) {
        faults.push(Fault::NotLookedAt { volume: (*volume).to_owned() });
    }
    for Found { volume, sequence, value, epoch } in found {
        let nothing = Promised::default();
        let promise = promised.get(volume.as_str()).unwrap_or(&nothing);
        if *sequence < promise.sequence {
            faults.push(Fault::Lost { volume: volume.clone(), promised: promise.sequence, found: *sequence });
        }
        if *epoch <= promise.epoch {
            faults.push(Fault::EpochRepeated {
                volume: volume.clone(),
                before: promise.epoch,
                after: *epoch,
            });
        }
        let known = |sequence: u64| values.get(&(volume.as_str(), sequence));
        let is_written = |sequence: u64| sequence == 0 || known(sequence).is_some();
        let next = promise.sequence.saturating_add(1);
        let last =
            if was_found_unacknowledged(history, volume, next) { next.saturating_add(1) } else { next };
        let is_too_far = is_lock_step && *sequence > last;
        if is_too_far || (!is_written(*sequence) && !is_written(sequence - 1)) {
            faults.push(Fault::Invented {
                volume: volume.clone(),
                known: promise.sequence,
                found: *sequence,
            });
        } else if known(*sequence).is_some_and(|values| !values.contains(value)) {
            faults.push(Fault::WrongValue { volume: volume.clone(), sequence: *sequence, found: *value });
        }
        is_ahead |= *sequence > promise.sequence;
    }
    match (faults.is_empty(), is_ahead) {
        (false, _) => Verdict::Broken(faults),
        (true, true) => Verdict::InFlight,
        (true, false) => Verdict::Kept,
    }
}

/// Whether the checkpoint was found by a successor without ever having been acknowledged.
fn was_found_unacknowledged(history: &History, of: &str, at: u64) -> bool {
    let facts = || history.heard.iter().map(|heard| &heard.fact);
    let is_read =
        |fact: &Fact| matches!(fact, Fact::Read { volume, sequence, .. } if volume == of && *sequence == at);
    let is_saved =
        |fact: &Fact| matches!(fact, Fact::Saved { volume, sequence, .. } if volume == of && *sequence == at);
    facts().any(is_read) && !facts().any(is_saved)
}

fn promised(said: &[Heard]) -> BTreeMap<&str, Promised> {
    let mut promised: BTreeMap<&str, Promised> = BTreeMap::new();
    for Heard { fact, .. } in said {
        match fact {
            Fact::Granted { volume, epoch } => {
                let promised = promised.entry(volume).or_default();
                promised.epoch = promised.epoch.max(*epoch);
            }
            Fact::Saved { volume, sequence, .. } => {
                let promised = promised.entry(volume).or_default();
                promised.sequence = promised.sequence.max(*sequence);
            }
            Fact::Read { .. } => {}
        }
    }
    promised
}

/// What each sequence stands for. More than one value if a checkpoint that was never acknowledged was lost with its
/// process and made anew.
fn values(history: &History) -> BTreeMap<(&str, u64), BTreeSet<u64>> {
    let mut values: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    for Heard { fact, .. } in &history.heard {
        if let Fact::Saved { volume, sequence, value } | Fact::Read { volume, sequence, value } = fact {
            values.entry((volume.as_str(), *sequence)).or_default().insert(*value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sessions of a volume: checkpoints 1 to 3 under epoch 4, read back and continued to 5 under epoch 6.
    fn history() -> History {
        let volume = || "v".to_owned();
        let saved = |sequence| Fact::Saved { volume: volume(), sequence, value: sequence * 10 };
        let facts = [
            Fact::Granted { volume: volume(), epoch: 4 },
            saved(1),
            saved(2),
            saved(3),
            Fact::Granted { volume: volume(), epoch: 6 },
            Fact::Read { volume: volume(), sequence: 3, value: 30 },
            saved(4),
            saved(5),
        ];
        let heard =
            facts.into_iter().enumerate().map(|(at, fact)| Heard { log_bytes: at as u64 * 100, fact });
        History { heard: heard.collect() }
    }

    /// The verdict on a cut when the log was `log_bytes` long.
    fn verdict(log_bytes: u64, sequence: u64, value: u64, epoch: u64, is_lock_step: bool) -> Verdict {
        let history = history();
        let found = Found { volume: "v".to_owned(), sequence, value, epoch };
        judge(&history, history.until(log_bytes), &[found], is_lock_step)
    }

    fn volume() -> String {
        "v".to_owned()
    }

    #[test]
    fn what_was_promised_is_kept_and_one_more_may_be_in_flight() {
        assert_eq!(verdict(250, 2, 20, 5, true), Verdict::Kept);
        assert_eq!(verdict(250, 3, 30, 5, true), Verdict::InFlight);
        assert_eq!(
            verdict(700, 6, 99, 7, true),
            Verdict::InFlight,
            "never acknowledged, so its value is not known"
        );
        assert_eq!(verdict(0, 0, 0, 5, true), Verdict::Kept, "granted, nothing saved yet");
        assert_eq!(
            verdict(250, 5, 50, 5, false),
            Verdict::InFlight,
            "heard late, if nobody waits for the rig"
        );
    }

    #[test]
    fn a_successor_may_go_on_from_a_checkpoint_that_was_never_acknowledged() {
        let mut history = history();
        history.heard.remove(3); // checkpoint 3 was on its way when the first session was killed
        let found = |sequence| [Found { volume: volume(), sequence, value: sequence * 10, epoch: 7 }];
        let verdict = |sequence| judge(&history, history.until(550), &found(sequence), true);
        assert_eq!(verdict(2), Verdict::Kept, "nobody has promised it");
        assert_eq!([verdict(3), verdict(4)], [Verdict::InFlight, Verdict::InFlight]);
        assert!(matches!(verdict(5), Verdict::Broken(_)));
    }

    #[test]
    fn a_lost_checkpoint_is_seen() {
        let lost = Fault::Lost { volume: volume(), promised: 3, found: 2 };
        assert_eq!(verdict(300, 2, 20, 5, true), Verdict::Broken(vec![lost.clone()]));
        assert!(lost.is_loss());
        assert!(matches!(verdict(300, 0, 0, 5, false), Verdict::Broken(_)));
    }

    #[test]
    fn a_repeated_epoch_is_seen() {
        let repeated = Fault::EpochRepeated { volume: volume(), before: 6, after: 6 };
        assert_eq!(verdict(700, 5, 50, 6, true), Verdict::Broken(vec![repeated.clone()]));
        assert!(repeated.is_loss());
        assert_eq!(verdict(300, 3, 30, 6, true), Verdict::Kept, "6 had not been granted yet");
    }

    #[test]
    fn another_value_is_seen_and_no_loss_excuses_it() {
        let wrong = Fault::WrongValue { volume: volume(), sequence: 3, found: 31 };
        assert_eq!(verdict(300, 3, 31, 5, true), Verdict::Broken(vec![wrong.clone()]));
        assert!(!wrong.is_loss());
    }

    #[test]
    fn a_checkpoint_that_nobody_wrote_is_seen() {
        let invented = Fault::Invented { volume: volume(), known: 2, found: 4 };
        assert_eq!(verdict(250, 4, 40, 5, true), Verdict::Broken(vec![invented.clone()]));
        assert!(!invented.is_loss());
        let invented = Fault::Invented { volume: volume(), known: 5, found: 7 };
        assert_eq!(verdict(700, 7, 70, 7, false), Verdict::Broken(vec![invented]));
    }

    #[test]
    fn a_promised_volume_that_nobody_looked_at_is_seen() {
        let history = history();
        let verdict = judge(&history, history.until(300), &[], true);
        assert_eq!(verdict, Verdict::Broken(vec![Fault::NotLookedAt { volume: volume() }]));
        assert_eq!(judge(&History::default(), &[], &[], true), Verdict::Kept);
    }
}
