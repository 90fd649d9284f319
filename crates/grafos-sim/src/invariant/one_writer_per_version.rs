//! One writer per version: each version is published by one save; a save publishes at most one; who was told that it saved
//! a version did, and who was told that it did not has published none, before or after.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Invariant};
use crate::fact::{Fact, Outcome};
use crate::state::Space;

#[derive(Debug, Default)]
pub(super) struct OneWriterPerVersion {
    writers: BTreeMap<(Space, u64), u64>,
    versions: BTreeMap<u64, u64>,
    failed: BTreeSet<u64>,
}

impl Invariant for OneWriterPerVersion {
    fn name(&self) -> &'static str {
        "one writer per version"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Moved { op, before, after, .. } => {
                let version = after.version.0;
                if before.map_or(0, |before| before.version.0) == version {
                    return Ok(());
                }
                if let Some(other) = self.writers.insert((op.space, version), op.id) {
                    return Err(format!(
                        "version {version} was published by save {other} and by save {}",
                        op.id
                    ));
                }
                if let Some(other) = self.versions.insert(op.id, version) {
                    return Err(format!("save {} published version {other} and version {version}", op.id));
                }
                if self.failed.contains(&op.id) {
                    return Err(format!("save {} was told that it failed, then published {version}", op.id));
                }
            }
            Fact::Ended { op, outcome: Outcome::Saved { version } } => {
                let writer = self.writers.get(&(op.space, *version));
                // A step that was done before is told the version that the first attempt made.
                let is_retry = matches!(op.aim, crate::fact::Aim::Save { step: Some(_), .. });
                if writer.is_none() || (writer != Some(&op.id) && !is_retry) {
                    return Err(format!("save {} was told {version}, which {writer:?} published", op.id));
                }
            }
            Fact::Ended { op, outcome: Outcome::Failed | Outcome::Conflict { .. } } => {
                if let Some(version) = self.versions.get(&op.id) {
                    return Err(format!("save {} published {version} and was told that it failed", op.id));
                }
                self.failed.insert(op.id);
            }
            Fact::Restored { registers } => {
                for (space, register) in Space::ALL.into_iter().zip(registers) {
                    let last = register.map_or(0, |register| register.version.0);
                    self.writers.retain(|(of, version), _| *of != space || *version <= last);
                }
                let writers: BTreeSet<_> = self.writers.values().copied().collect();
                self.versions.retain(|op, _| writers.contains(op));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{register, save};
    use super::*;

    #[test]
    fn two_writers_of_one_version_are_caught() {
        let mut invariant = OneWriterPerVersion::default();
        let (none, one) = (register(1, 0..0), register(1, 1..=1));
        let mut publish = |id| {
            invariant.see(&Fact::Moved { op: &save(id, 1, 0), before: Some(&none), after: &one, state: None })
        };
        assert_eq!(publish(7), Ok(()));
        assert!(publish(8).unwrap_err().contains("save 7 and by save 8"));
    }

    #[test]
    fn a_save_that_was_told_of_failure_and_published_is_caught_in_either_order() {
        let (none, one) = (register(1, 0..0), register(1, 1..=1));
        let op = save(7, 1, 0);
        let moved = Fact::Moved { op: &op, before: Some(&none), after: &one, state: None };
        let failed = Fact::Ended { op: &op, outcome: Outcome::Conflict { current: 1 } };
        for facts in [[&moved, &failed], [&failed, &moved]] {
            let mut invariant = OneWriterPerVersion::default();
            assert_eq!(invariant.see(facts[0]), Ok(()));
            assert!(invariant.see(facts[1]).is_err());
        }
    }

    #[test]
    fn an_acknowledged_version_of_another_is_caught() {
        let mut invariant = OneWriterPerVersion::default();
        let (none, one) = (register(1, 0..0), register(1, 1..=1));
        let (ours, theirs) = (save(7, 1, 0), save(8, 1, 0));
        invariant.see(&Fact::Moved { op: &theirs, before: Some(&none), after: &one, state: None }).unwrap();
        assert!(invariant.see(&Fact::Ended { op: &ours, outcome: Outcome::Saved { version: 1 } }).is_err());
    }
}
