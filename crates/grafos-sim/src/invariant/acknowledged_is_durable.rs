//! Acknowledged is durable: each blob of a version has good copies on the write quorum of the replica set that the register
//! is in, but for those that faults have destroyed since they were stored. So it can be read while fewer replicas than the
//! quorum were lost. This is held against every published version, acknowledged or not, for as long as the register names
//! it, and against all of them when the register moves to another set; and the register says of no replica that it has a
//! version that it never had.

use std::collections::{BTreeMap, BTreeSet};

use grafos_replicated::{BlobTag, Register, SavedVersion};

use super::{Broken, Invariant};
use crate::fact::Fact;
use crate::state::Space;

#[derive(Debug, Default)]
struct Copies {
    /// Replicas, as bits.
    good: u32,
    /// Replicas whose copy a fault has taken since the newest set was drawn up.
    destroyed: u32,
    /// The same from before: each with the set that was drawn up then, whose members were asked what they have after that.
    destroyed_before: Vec<(u64, u32)>,
    /// A restore may have made it vanish rightly.
    is_excused: bool,
}

impl Copies {
    /// Replicas that have a copy, or had one that a fault took, while this set could come into force.
    fn known_in(&self, generation: u64) -> u32 {
        let later = self.destroyed_before.iter().filter(|(drawn_up, _)| *drawn_up > generation);
        later.fold(self.good | self.destroyed, |known, (_, destroyed)| known | destroyed)
    }
}

#[derive(Debug)]
struct Set {
    members: Vec<usize>,
    bits: u32,
    write_quorum: u32,
}

#[derive(Debug)]
pub(super) struct AcknowledgedIsDurable {
    copies: BTreeMap<(Space, BlobTag), Copies>,
    named: [BTreeSet<BlobTag>; 2],
    sets: BTreeMap<u64, Set>,
    /// The replica set that each register is in.
    current: [u64; 2],
    era: u32,
}

impl Default for AcknowledgedIsDurable {
    fn default() -> Self {
        let (copies, sets) = (BTreeMap::new(), BTreeMap::new());
        Self { copies, named: Default::default(), sets, current: [1; 2], era: 0 }
    }
}

impl AcknowledgedIsDurable {
    fn copies(&mut self, space: Space, tag: BlobTag) -> &mut Copies {
        self.copies.entry((space, tag)).or_default()
    }

    fn check(&mut self, space: Space, tag: BlobTag) -> Broken {
        let generation = self.current[space.index()];
        let copies = self.copies(space, tag);
        let (good, known, is_excused) = (copies.good, copies.known_in(generation), copies.is_excused);
        let Some(Set { bits, write_quorum, .. }) = self.sets.get(&generation) else {
            return Err(format!("nobody has drawn up replica set {generation}"));
        };
        if is_excused || (known & bits).count_ones() >= *write_quorum {
            return Ok(());
        }
        let (left, had) = ((good & bits).count_ones(), (known & bits).count_ones());
        Err(format!(
            "{tag:?} of {space:?} has {left} good copies in set {generation}, and had {had}, of {write_quorum}"
        ))
    }

    /// Whether the replicas that the register says have a version ever had it.
    fn check_acknowledged(&mut self, space: Space, saved: &SavedVersion) -> Broken {
        let generation = self.current[space.index()];
        let copies = self.copies(space, saved.manifest);
        let (known, is_excused) = (copies.known_in(generation), copies.is_excused);
        let members = self.sets.get(&generation).map(|set| set.members.as_slice()).unwrap_or_default();
        for place in (0..32).filter(|place| saved.acknowledged >> place & 1 == 1) {
            let has = members.get(place).is_some_and(|replica| known >> replica & 1 == 1);
            if !has && !is_excused {
                let version = saved.version;
                return Err(format!(
                    "version {version} of {space:?} is said to be at place {place} of set {generation}, and was never there"
                ));
            }
        }
        Ok(())
    }

    fn name(&mut self, space: Space, register: Option<&Register>) {
        let blobs =
            register.into_iter().flat_map(|register| &register.history).flat_map(|saved| &saved.blobs);
        if let Some(named) = self.named.get_mut(space.index()) {
            *named = blobs.copied().collect();
        }
    }

    /// What a commit made of a register. `is_of_old` if it was decided before a restore.
    fn moved(
        &mut self,
        space: Space,
        before: Option<&Register>,
        after: &Register,
        is_of_old: bool,
    ) -> Broken {
        let is_new = before.map_or(0, |before| before.version.0) != after.version.0;
        let has_moved = before.is_some_and(|before| before.generation != after.generation);
        self.current[space.index()] = after.generation.0;
        if !is_new && !has_moved {
            return Ok(());
        }
        self.name(space, Some(after));
        let of_head = after.history.len().saturating_sub(1);
        let versions = after.history.get(if has_moved { 0 } else { of_head }..).unwrap_or_default();
        for saved in versions {
            for tag in &saved.blobs {
                let copies = self.copies(space, *tag);
                // What was uploaded before a restore may have been collected before it, rightly: only a takeover right
                // after a restore keeps such a save from publishing. Who moves to another set has seen all copies there.
                copies.is_excused = is_of_old || (copies.is_excused && !has_moved);
                self.check(space, *tag)?;
            }
            self.check_acknowledged(space, saved)?;
        }
        Ok(())
    }

    fn drawn_up(&mut self, generation: u64, members: &[usize], write_quorum: usize) {
        let bits = members.iter().fold(0, |bits, member| bits | 1 << member);
        for copies in self.copies.values_mut().filter(|copies| copies.destroyed != 0) {
            copies.destroyed_before.push((generation, std::mem::take(&mut copies.destroyed)));
        }
        let write_quorum = u32::try_from(write_quorum).unwrap_or(u32::MAX);
        self.sets.insert(generation, Set { members: members.to_vec(), bits, write_quorum });
    }
}

impl Invariant for AcknowledgedIsDurable {
    fn name(&self) -> &'static str {
        "acknowledged is durable"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::DrawnUp { generation, members, write_quorum } => {
                self.drawn_up(*generation, members, *write_quorum);
            }
            Fact::Stored { replica, space, tag } => self.copies(*space, *tag).good |= 1 << replica,
            Fact::Destroyed { replica, space, tag } => {
                let copies = self.copies(*space, *tag);
                copies.good &= !(1 << replica);
                copies.destroyed |= 1 << replica;
            }
            Fact::Removed { replica, space, tag, .. } | Fact::Vanished { replica, space, tag } => {
                let is_of_old = matches!(fact, Fact::Removed { is_of_old: true, .. });
                let copies = self.copies(*space, *tag);
                copies.good &= !(1 << replica);
                copies.is_excused |= is_of_old;
                if self.named.get(space.index()).is_some_and(|named| named.contains(tag)) {
                    return self.check(*space, *tag);
                }
            }
            Fact::Moved { op, before, after, .. } => {
                return self.moved(op.space, *before, after, op.era != self.era);
            }
            Fact::Restored { registers } => {
                self.era += 1;
                for (space, register) in Space::ALL.into_iter().zip(registers) {
                    self.name(space, *register);
                    self.current[space.index()] = register.map_or(1, |register| register.generation.0);
                    let named = self.named.get(space.index()).cloned().unwrap_or_default();
                    // What was collected since the copy was made, the restore has lost.
                    for tag in named {
                        self.copies(space, tag).is_excused = true;
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
    use grafos_replicated::ResourceGeneration;

    fn invariant() -> AcknowledgedIsDurable {
        let mut invariant = AcknowledgedIsDurable::default();
        invariant.see(&Fact::DrawnUp { generation: 1, members: &[0, 1, 2], write_quorum: 2 }).unwrap();
        invariant
    }

    fn stored(invariant: &mut AcknowledgedIsDurable, replica: usize) {
        invariant.see(&Fact::Stored { replica, space: Space::Plain, tag: tag(1, 1) }).unwrap();
    }

    fn publish(invariant: &mut AcknowledgedIsDurable) -> Broken {
        let (none, one) = (register(1, 0..0), register(1, 1..=1));
        invariant.see(&Fact::Moved { op: &save(1, 1, 0), before: Some(&none), after: &one, state: None })
    }

    /// The register, whose only version two members of the first set have, moves to the second one.
    fn change(members: &[usize], acknowledged: u32, copy_to: &[usize], lose: &[usize]) -> Broken {
        let mut invariant = invariant();
        stored(&mut invariant, 0);
        stored(&mut invariant, 1);
        publish(&mut invariant).unwrap();
        invariant.see(&Fact::DrawnUp { generation: 2, members, write_quorum: 2 }).unwrap();
        copy_to.iter().for_each(|replica| stored(&mut invariant, *replica));
        for replica in lose.iter().copied() {
            invariant.see(&Fact::Destroyed { replica, space: Space::Plain, tag: tag(1, 1) }).unwrap();
        }
        let one = register(1, 1..=1);
        let mut after = Register { generation: ResourceGeneration(2), ..one.clone() };
        after.history[0].acknowledged = acknowledged;
        invariant.see(&Fact::Moved { op: &save(2, 1, 1), before: Some(&one), after: &after, state: None })
    }

    #[test]
    fn a_version_on_too_few_replicas_is_caught() {
        let mut one = invariant();
        stored(&mut one, 0);
        assert!(publish(&mut one).is_err());
        let mut two = invariant();
        stored(&mut two, 0);
        stored(&mut two, 1);
        assert_eq!(publish(&mut two), Ok(()));
        let mut elsewhere = invariant();
        stored(&mut elsewhere, 0);
        stored(&mut elsewhere, 5);
        assert!(publish(&mut elsewhere).is_err(), "a copy outside the set counts for nothing");
    }

    #[test]
    fn a_version_that_is_said_to_be_where_it_never_was_is_caught() {
        let mut invariant = invariant();
        stored(&mut invariant, 0);
        stored(&mut invariant, 2);
        assert!(publish(&mut invariant).unwrap_err().contains("place 1"), "it is said to be at 0 and 1");
    }

    #[test]
    fn a_copy_that_goes_without_a_fault_is_caught_and_one_that_a_fault_takes_is_not() {
        let mut invariant = invariant();
        stored(&mut invariant, 0);
        stored(&mut invariant, 1);
        publish(&mut invariant).unwrap();
        let (space, tag) = (Space::Plain, tag(1, 1));
        assert_eq!(invariant.see(&Fact::Destroyed { replica: 0, space, tag }), Ok(()));
        let removed = Fact::Removed { replica: 1, space, tag, register: None, is_of_old: false };
        assert!(invariant.see(&removed).is_err());
    }

    #[test]
    fn a_set_whose_replicas_were_not_given_everything_is_caught() {
        assert_eq!(change(&[1, 3, 4], 0b011, &[3], &[]), Ok(()));
        assert!(change(&[1, 3, 4], 0b001, &[], &[]).is_err(), "only one of the new set has it");
        assert!(change(&[2, 3, 4], 0b000, &[], &[0]).is_err(), "the old set is of no help");
        assert_eq!(change(&[1, 3, 4], 0b011, &[3], &[3]), Ok(()), "a fault took it afterwards");
    }

    #[test]
    fn a_register_that_counts_replicas_in_the_old_order_is_caught() {
        assert!(change(&[3, 1, 0], 0b011, &[], &[]).unwrap_err().contains("place 0"));
        assert_eq!(change(&[3, 1, 0], 0b110, &[], &[]), Ok(()));
        assert!(change(&[1, 0], 0b111, &[], &[]).unwrap_err().contains("place 2"));
    }
}
