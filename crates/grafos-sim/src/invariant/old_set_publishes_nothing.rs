//! A writer of an old replica set publishes nothing: generations never fall, only a change of the replica set raises that of
//! a register, a version is published only by a writer who knows the register's generation at that very moment, and a step
//! is reserved or settled only by one who knows that of the effects.

use super::{Broken, Invariant};
use crate::fact::{Aim, Fact};
use crate::layout::EFFECTS;

#[derive(Debug)]
pub(super) struct OldSetPublishesNothing;

impl Invariant for OldSetPublishesNothing {
    fn name(&self) -> &'static str {
        "a writer of an old replica set publishes nothing"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Moved { op, before: Some(before), after, .. } => {
                let (was, is) = (before.generation, after.generation);
                if is < was || (is == was && before.layout != after.layout) {
                    return Err(format!("the register went from replica set {was} to {is}"));
                }
                if is != was && (op.aim != Aim::ChangeReplicas || before.version != after.version) {
                    return Err(format!("{:?} moved the register from replica set {was} to {is}", op.aim));
                }
                let known = op.generations.get(op.space.index()).copied().unwrap_or(0);
                if before.version != after.version && known != was.0 {
                    let version = after.version;
                    return Err(format!("{version} was published by who knew set {known}, under {was}"));
                }
                Ok(())
            }
            Fact::HeadMoved { before: Some(before), after: Some(after) }
                if after.generation < before.generation =>
            {
                Err(format!(
                    "the effects' generation fell from {} to {}",
                    before.generation, after.generation
                ))
            }
            Fact::EffectMoved { op, step, before, after: Some(after), head: Some(head) } => {
                let is_barrier = before.is_some_and(|before| before.version == after.version);
                let known = op.generations.get(EFFECTS).copied().unwrap_or(0);
                if !is_barrier && known != head.generation.0 {
                    let current = head.generation;
                    return Err(format!("step {step} was changed by who knew set {known}, under {current}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use grafos_replicated::{EffectsHead, IdempotencyOutcome, Register, ResourceGeneration};

    use super::super::testing::{effect, head, register, save};
    use super::*;
    use crate::fact::Op;

    fn of_set(generation: u64, register: Register) -> Register {
        Register { generation: ResourceGeneration(generation), ..register }
    }

    fn moved(op: &Op, before: &Register, after: &Register) -> Broken {
        OldSetPublishesNothing.see(&Fact::Moved { op, before: Some(before), after, state: None })
    }

    fn knowing(generation: u64, aim: Aim) -> Op {
        Op { aim, generations: [generation; 3], ..save(1, 1, 0) }
    }

    const SAVE: Aim = Aim::Save { expected: 0, payload: 1, step: None };

    #[test]
    fn a_version_of_who_knows_another_set_is_caught() {
        let publish = |known| {
            moved(&knowing(known, SAVE), &of_set(2, register(1, 0..0)), &of_set(2, register(1, 1..=1)))
        };
        assert_eq!(publish(2), Ok(()));
        assert!(publish(1).is_err());
        assert!(publish(3).is_err());
    }

    #[test]
    fn a_register_that_goes_back_to_a_set_or_moves_by_accident_is_caught() {
        let change = |aim, from, to| {
            moved(&knowing(from, aim), &of_set(from, register(1, 1..=1)), &of_set(to, register(1, 1..=1)))
        };
        assert_eq!(change(Aim::ChangeReplicas, 1, 2), Ok(()));
        assert!(change(Aim::ChangeReplicas, 2, 1).is_err());
        assert!(change(Aim::TakeOver, 1, 2).is_err());
        let grown = moved(
            &knowing(1, Aim::ChangeReplicas),
            &of_set(1, register(1, 0..0)),
            &of_set(2, register(1, 1..=1)),
        );
        assert!(grown.is_err(), "a change of the set makes no version");
    }

    #[test]
    fn a_step_of_who_knows_another_generation_is_caught() {
        let (before, after) =
            (effect(1, 1, IdempotencyOutcome::Reserved), effect(1, 2, IdempotencyOutcome::Abandoned));
        let head = EffectsHead { generation: ResourceGeneration(2), ..head(1, 0) };
        let see = |known| {
            let (op, before, after) = (knowing(known, Aim::Effect), Some(&before), Some(&after));
            OldSetPublishesNothing.see(&Fact::EffectMoved {
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

    #[test]
    fn effects_that_go_back_to_a_generation_are_caught() {
        let of = |generation| EffectsHead { generation: ResourceGeneration(generation), ..head(1, 0) };
        let see = |from, to| {
            let (before, after) = (of(from), of(to));
            OldSetPublishesNothing.see(&Fact::HeadMoved { before: Some(&before), after: Some(&after) })
        };
        assert_eq!(see(1, 2), Ok(()));
        assert!(see(2, 1).is_err());
    }
}
