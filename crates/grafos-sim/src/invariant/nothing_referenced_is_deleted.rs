//! Nothing referenced is deleted: when a replica removes a blob because it was told to, the register names it nowhere and
//! no commit can come to name it.

use super::{Broken, Invariant};
use crate::fact::Fact;

#[derive(Debug)]
pub(super) struct NothingReferencedIsDeleted;

impl Invariant for NothingReferencedIsDeleted {
    fn name(&self) -> &'static str {
        "nothing referenced is deleted"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        let Fact::Removed { replica, space, tag, register, is_of_old: false } = fact else { return Ok(()) };
        let Some(register) = register else {
            return Err(format!(
                "replica {replica} removed {tag:?} of {space:?} before there was a register"
            ));
        };
        if register.history.iter().any(|saved| saved.blobs.contains(tag)) {
            return Err(format!("replica {replica} removed {tag:?} of {space:?}, which is in use"));
        }
        // Not `Register::is_dead`, which is what the collector goes by: said again in other words.
        let can_be_published =
            tag.epoch > register.epoch || (tag.epoch == register.epoch && tag.version > register.version);
        if can_be_published {
            return Err(format!(
                "replica {replica} removed {tag:?} of {space:?}, which may yet be published"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{register, tag};
    use super::*;
    use crate::state::Space;

    #[test]
    fn a_blob_that_is_in_use_or_may_come_to_be_is_not_removed_unseen() {
        let two = register(1, 1..=2);
        let see = |tag, is_of_old| {
            let (space, register) = (Space::Plain, Some(&two));
            NothingReferencedIsDeleted.see(&Fact::Removed { replica: 0, space, tag, register, is_of_old })
        };
        let lost_attempt = grafos_replicated::BlobTag { nonce: grafos_replicated::Nonce(99), ..tag(1, 2) };
        assert_eq!(see(lost_attempt, false), Ok(()));
        assert!(see(tag(1, 2), false).unwrap_err().contains("in use"));
        assert!(see(tag(1, 3), false).unwrap_err().contains("may yet be published"));
        assert!(see(tag(2, 1), false).unwrap_err().contains("may yet be published"));
        assert_eq!(see(tag(1, 2), true), Ok(()), "the order is from before a restore");
    }
}
