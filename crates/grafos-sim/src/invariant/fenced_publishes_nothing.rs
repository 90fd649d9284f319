//! A fenced writer publishes nothing: a version is published only by a writer who holds the register's epoch at that very
//! moment, and a step is reserved or settled only by one who holds the effects' epoch.

use super::{Broken, Invariant};
use crate::fact::Fact;

#[derive(Debug)]
pub(super) struct FencedPublishesNothing;

impl Invariant for FencedPublishesNothing {
    fn name(&self) -> &'static str {
        "a fenced writer publishes nothing"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Moved { op, before, after, .. } => {
                let (was, version) = (before.map_or(0, |before| before.version.0), after.version.0);
                if version == was {
                    return Ok(());
                }
                let current = before.map_or(0, |before| before.epoch.0);
                let told = after.head().map_or(0, |head| head.epoch.0);
                if [op.epoch, told, after.epoch.0].iter().any(|epoch| *epoch != current) {
                    let held = op.epoch;
                    return Err(format!(
                        "{version} was published as {told} by who held {held}, under {current}"
                    ));
                }
                Ok(())
            }
            Fact::EffectMoved { op, step, before, after: Some(after), head } => {
                let is_barrier = before.is_some_and(|before| before.version == after.version);
                let current = head.map_or(0, |head| head.epoch.0);
                if !is_barrier && op.epoch != current {
                    return Err(format!("step {step} was changed by who held {}, under {current}", op.epoch));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{effect, head, register, save};
    use super::*;
    use grafos_replicated::IdempotencyOutcome;

    #[test]
    fn a_writer_of_an_older_epoch_that_publishes_is_caught() {
        let (none, one) = (register(2, 0..0), register(2, 1..=1));
        let see = |held| {
            let op = save(1, held, 0);
            FencedPublishesNothing.see(&Fact::Moved {
                op: &op,
                before: Some(&none),
                after: &one,
                state: None,
            })
        };
        assert_eq!(see(2), Ok(()));
        assert!(see(1).is_err());
    }

    #[test]
    fn a_holder_of_an_older_epoch_that_settles_is_caught() {
        let (before, after) =
            (effect(1, 1, IdempotencyOutcome::Reserved), effect(1, 2, IdempotencyOutcome::Abandoned));
        let head = head(2, 0);
        let see = |held| {
            let (op, before, after) = (save(1, held, 0), Some(&before), Some(&after));
            FencedPublishesNothing.see(&Fact::EffectMoved {
                op: &op,
                step: 1,
                before,
                after,
                head: Some(&head),
            })
        };
        assert_eq!(see(2), Ok(()));
        assert!(see(1).is_err());
    }
}
