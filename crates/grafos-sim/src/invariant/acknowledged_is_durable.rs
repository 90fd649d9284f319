//! Acknowledged is durable: each blob of a version has as many good copies as the write quorum, less those that faults have
//! destroyed since they were stored. So it can be read while fewer replicas than the quorum were lost. This is held against
//! every published version, acknowledged or not, for as long as the register names it.

use std::collections::{BTreeMap, BTreeSet};

use grafos_replicated::{BlobTag, Register};

use super::{Broken, Invariant};
use crate::fact::Fact;
use crate::state::Space;

#[derive(Debug, Default)]
struct Copies {
    /// Replicas, as bits.
    good: u32,
    destroyed: u32,
}

#[derive(Debug)]
pub(super) struct AcknowledgedIsDurable {
    write_quorum: u32,
    copies: BTreeMap<(Space, BlobTag), Copies>,
    named: [BTreeSet<BlobTag>; 2],
    era: u32,
}

impl AcknowledgedIsDurable {
    pub(super) fn new(write_quorum: usize) -> Self {
        let write_quorum = u32::try_from(write_quorum).unwrap_or(u32::MAX);
        Self { write_quorum, copies: BTreeMap::new(), named: Default::default(), era: 0 }
    }

    fn copies(&mut self, space: Space, tag: BlobTag) -> &mut Copies {
        self.copies.entry((space, tag)).or_default()
    }

    fn check(&mut self, space: Space, tag: BlobTag) -> Broken {
        let write_quorum = self.write_quorum;
        let Copies { good, destroyed } = *self.copies(space, tag);
        let left = good.count_ones();
        if left + destroyed >= write_quorum {
            return Ok(());
        }
        Err(format!(
            "{tag:?} of {space:?} has {left} good copies, and {destroyed} were destroyed, of {write_quorum}"
        ))
    }

    fn name(&mut self, space: Space, register: Option<&Register>) {
        let blobs =
            register.into_iter().flat_map(|register| &register.history).flat_map(|saved| &saved.blobs);
        if let Some(named) = self.named.get_mut(space.index()) {
            *named = blobs.copied().collect();
        }
    }
}

impl Invariant for AcknowledgedIsDurable {
    fn name(&self) -> &'static str {
        "acknowledged is durable"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Stored { replica, space, tag } => self.copies(*space, *tag).good |= 1 << replica,
            Fact::Destroyed { replica, space, tag } => {
                let copies = self.copies(*space, *tag);
                copies.good &= !(1 << replica);
                copies.destroyed += 1;
            }
            Fact::Removed { replica, space, tag, .. } | Fact::Vanished { replica, space, tag } => {
                let is_of_old = matches!(fact, Fact::Removed { is_of_old: true, .. });
                let copies = self.copies(*space, *tag);
                copies.good &= !(1 << replica);
                copies.destroyed += u32::from(is_of_old);
                if self.named.get(space.index()).is_some_and(|named| named.contains(tag)) {
                    return self.check(*space, *tag);
                }
            }
            Fact::Moved { op, before, after, .. } => {
                if before.map_or(0, |before| before.version.0) == after.version.0 {
                    return Ok(());
                }
                self.name(op.space, Some(after));
                // What was uploaded before a restore may have been collected before it, rightly: only a takeover right
                // after a restore keeps such a save from publishing.
                let lost = if op.era == self.era { 0 } else { self.write_quorum };
                for tag in after.head().map(|head| head.blobs.clone()).unwrap_or_default() {
                    self.copies(op.space, tag).destroyed += lost;
                    self.check(op.space, tag)?;
                }
            }
            Fact::Restored { registers } => {
                self.era += 1;
                for (space, register) in Space::ALL.into_iter().zip(registers) {
                    self.name(space, *register);
                    let named = self.named.get(space.index()).cloned().unwrap_or_default();
                    // What was collected since the copy was made, the restore has lost.
                    for tag in named {
                        let write_quorum = self.write_quorum;
                        self.copies(space, tag).destroyed += write_quorum;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{register, save, tag};
    use super::*;

    fn stored(invariant: &mut AcknowledgedIsDurable, replica: usize) {
        invariant.see(&Fact::Stored { replica, space: Space::Plain, tag: tag(1, 1) }).unwrap();
    }

    fn publish(invariant: &mut AcknowledgedIsDurable) -> Broken {
        let (none, one) = (register(1, 0..0), register(1, 1..=1));
        invariant.see(&Fact::Moved { op: &save(1, 1, 0), before: Some(&none), after: &one, state: None })
    }

    #[test]
    fn a_version_on_too_few_replicas_is_caught() {
        let mut invariant = AcknowledgedIsDurable::new(2);
        stored(&mut invariant, 0);
        assert!(publish(&mut invariant).is_err());
        let mut invariant = AcknowledgedIsDurable::new(2);
        stored(&mut invariant, 0);
        stored(&mut invariant, 2);
        assert_eq!(publish(&mut invariant), Ok(()));
    }

    #[test]
    fn a_copy_that_goes_without_a_fault_is_caught_and_one_that_a_fault_takes_is_not() {
        let mut invariant = AcknowledgedIsDurable::new(2);
        stored(&mut invariant, 0);
        stored(&mut invariant, 1);
        publish(&mut invariant).unwrap();
        let (space, tag) = (Space::Plain, tag(1, 1));
        assert_eq!(invariant.see(&Fact::Destroyed { replica: 0, space, tag }), Ok(()));
        let removed = Fact::Removed { replica: 1, space, tag, register: None, is_of_old: false };
        assert!(invariant.see(&removed).is_err());
    }
}
