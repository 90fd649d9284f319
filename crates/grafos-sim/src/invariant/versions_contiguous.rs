//! Versions are contiguous: a commit leaves the version as it is or makes the next one, and never rewrites an older one.

use grafos_replicated::SavedVersion;

use super::{Broken, Invariant};
use crate::fact::Fact;

#[derive(Debug)]
pub(super) struct VersionsContiguous;

impl Invariant for VersionsContiguous {
    fn name(&self) -> &'static str {
        "versions contiguous"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        let Fact::Moved { before, after, .. } = fact else { return Ok(()) };
        let (was, is) = (before.map_or(0, |before| before.version.0), after.version.0);
        let old = before.map_or(&[][..], |before| before.history.as_slice());
        if is == was {
            let has_moved = before.is_some_and(|before| before.generation != after.generation);
            let is_same =
                if has_moved { is_same_elsewhere(old, &after.history) } else { old == after.history };
            return if is_same { Ok(()) } else { Err(format!("{is} was rewritten in place")) };
        }
        if is != was + 1 {
            return Err(format!("the register went from {was} to {is}"));
        }
        match after.history.split_last() {
            Some((head, kept)) if head.version.0 == is && old.ends_with(kept) => Ok(()),
            _ => Err(format!("the history before {is} is not the one that was there")),
        }
    }
}

/// The same versions on other replicas.
fn is_same_elsewhere(old: &[SavedVersion], new: &[SavedVersion]) -> bool {
    let same = |(old, new): (&SavedVersion, &SavedVersion)| {
        *old == SavedVersion { acknowledged: old.acknowledged, ..new.clone() }
    };
    old.len() == new.len() && old.iter().zip(new).all(same)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{register, save};
    use super::*;
    use grafos_replicated::Register;

    #[test]
    fn a_gap_a_step_back_and_a_rewritten_history_are_caught() {
        let two = register(1, 1..=2);
        let op = save(1, 1, 2);
        let see = |after: Register| {
            VersionsContiguous.see(&Fact::Moved { op: &op, before: Some(&two), after: &after, state: None })
        };
        assert_eq!(see(register(1, 1..=3)), Ok(()));
        assert_eq!(see(register(1, 3..=3)), Ok(()), "old versions go");
        assert!(see(register(1, 1..=4)).is_err());
        assert!(see(register(1, 1..=1)).is_err());
        assert!(see(register(2, 1..=2)).is_err(), "the same versions by another writer");
        let mut rewritten = register(1, 1..=3);
        rewritten.history[0].payload_bytes = 1;
        assert!(see(rewritten).is_err());
    }
    #[test]
    fn a_change_of_replicas_that_changes_more_is_caught() {
        let two = register(1, 1..=2);
        let op = save(1, 1, 2);
        let see = |flaw: fn(&mut Register)| {
            let mut after = two.clone();
            after.generation.0 += 1;
            flaw(&mut after);
            VersionsContiguous.see(&Fact::Moved { op: &op, before: Some(&two), after: &after, state: None })
        };
        assert_eq!(see(|after| after.history[0].acknowledged = 0b100), Ok(()));
        assert!(see(|after| after.history[0].payload_bytes = 1).is_err());
        assert!(see(|after| drop(after.history.remove(0))).is_err());
        assert!(see(|after| after.generation.0 = 1).is_ok());
        assert!(see(|after| (after.generation.0, after.history[0].acknowledged) = (1, 0b100)).is_err());
    }
}
