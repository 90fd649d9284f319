//! Epochs never fall, neither in a register nor in the head of the effects, nor does the low-water mark; and no epoch is
//! granted to two.

use std::collections::BTreeMap;

use super::{Broken, Invariant};
use crate::fact::{Fact, Outcome};
use crate::state::Space;

#[derive(Debug, Default)]
pub(super) struct EpochsNeverFall {
    granted: BTreeMap<(Space, u64), u64>,
}

impl Invariant for EpochsNeverFall {
    fn name(&self) -> &'static str {
        "epochs never fall"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Moved { before: Some(before), after, .. } if after.epoch < before.epoch => {
                Err(format!("the register's epoch fell from {} to {}", before.epoch, after.epoch))
            }
            Fact::HeadMoved { before: Some(before), after: Some(after) } => {
                if (after.epoch, after.low_water.max(before.low_water)) < (before.epoch, before.low_water) {
                    return Err(format!("the effects' epoch fell from {} to {}", before.epoch, after.epoch));
                }
                if after.low_water < before.low_water {
                    let (was, is) = (before.low_water, after.low_water);
                    return Err(format!("the low-water mark fell from {was} to {is}"));
                }
                Ok(())
            }
            Fact::HeadMoved { before: Some(_), after: None } => {
                Err("the head of the effects is gone".to_owned())
            }
            Fact::Ended { op, outcome: Outcome::Granted { epoch } } => {
                match self.granted.insert((op.space, *epoch), op.id) {
                    Some(other) => Err(format!("epoch {epoch} was granted to {other} and to {}", op.id)),
                    None => Ok(()),
                }
            }
            Fact::Restored { registers } => {
                for (space, register) in Space::ALL.into_iter().zip(registers) {
                    let last = register.map_or(0, |register| register.epoch.0);
                    self.granted.retain(|(of, epoch), _| *of != space || *epoch <= last);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{head, register, save};
    use super::*;

    #[test]
    fn a_register_whose_epoch_falls_is_caught() {
        let (two, three) = (register(2, 0..0), register(3, 0..0));
        let op = save(1, 1, 0);
        let see = |before, after| {
            EpochsNeverFall::default().see(&Fact::Moved { op: &op, before: Some(before), after, state: None })
        };
        assert_eq!(see(&two, &three), Ok(()));
        assert!(see(&three, &two).is_err());
    }

    #[test]
    fn a_head_whose_epoch_or_mark_falls_is_caught() {
        let see = |before, after| {
            EpochsNeverFall::default().see(&Fact::HeadMoved { before: Some(&before), after: Some(&after) })
        };
        assert_eq!(see(head(1, 5), head(2, 5)), Ok(()));
        assert!(see(head(2, 5), head(1, 6)).is_err());
        assert!(see(head(2, 5), head(2, 4)).is_err());
    }

    #[test]
    fn an_epoch_that_two_were_granted_is_caught() {
        let mut invariant = EpochsNeverFall::default();
        let mut grant =
            |id| invariant.see(&Fact::Ended { op: &save(id, 1, 0), outcome: Outcome::Granted { epoch: 4 } });
        assert_eq!(grant(1), Ok(()));
        assert!(grant(2).is_err());
    }
}
