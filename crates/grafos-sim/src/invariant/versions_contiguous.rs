//! Versions are contiguous: a commit leaves the version as it is or makes the next one, and never rewrites an older one.

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
            return if old == after.history { Ok(()) } else { Err(format!("{is} was rewritten in place")) };
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
}
