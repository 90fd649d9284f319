//! An effect is applied once: a step makes at most one version, in its turn and on the state before it; a step is completed
//! only after that; what was completed never changes, and never looks new after it was forgotten.

use std::collections::{BTreeMap, BTreeSet};

use grafos_replicated::{EffectRecord, EffectsHead, IdempotencyOutcome, Version};

use super::{Broken, Invariant};
use crate::fact::{Aim, Fact, Op};
use crate::state::Space;

#[derive(Debug, Default)]
pub(super) struct EffectOnce {
    /// The version that each step made.
    applied: BTreeMap<u64, u64>,
    /// The state of each version of the job.
    payloads: BTreeMap<u64, u64>,
    done: BTreeSet<u64>,
    era: u32,
}

impl EffectOnce {
    fn effect(
        &mut self,
        op: &Op,
        step: u64,
        before: Option<&EffectRecord>,
        after: Option<&EffectRecord>,
        head: Option<&EffectsHead>,
    ) -> Broken {
        let is_done = |record: &EffectRecord| matches!(record.outcome, IdempotencyOutcome::Completed { .. });
        match (before, after) {
            (Some(before), None) => {
                let low_water = head.map_or(0, |head| head.low_water);
                let is_settled = before.outcome != IdempotencyOutcome::Reserved;
                let is_below = before.sequence.is_some_and(|sequence| sequence < low_water);
                if op.era != self.era {
                    // Who has raised the mark before a restore may forget by it after.
                    self.done.remove(&step);
                } else if !(is_settled && is_below) {
                    return Err(format!(
                        "step {step} was forgotten, settled={is_settled}, low_water={low_water}"
                    ));
                }
                if op.era == self.era && is_done(before) {
                    self.done.insert(step);
                }
            }
            (Some(before), Some(after)) if is_done(before) => {
                let same = |record: &EffectRecord| (record.outcome.clone(), record.version, record.epoch);
                if same(before) != same(after) {
                    return Err(format!("step {step} was done, and was changed"));
                }
            }
            (None, Some(_)) if self.done.contains(&step) => {
                return Err(format!("step {step} was done, and looks new"));
            }
            (before, Some(after)) if is_done(after) => {
                let held = before.map(|before| (before.holder, before.epoch, before.outcome.clone()));
                if held != Some((after.holder, after.epoch, IdempotencyOutcome::Reserved)) {
                    return Err(format!("step {step} was completed by who did not hold it"));
                }
                // Who has done it before a restore may still say so after.
                if op.era == self.era && !self.applied.contains_key(&step) {
                    return Err(format!("step {step} was completed and never done"));
                }
                self.done.insert(step);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Invariant for EffectOnce {
    fn name(&self) -> &'static str {
        "an effect is applied once"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Moved { op, before, after, state: Some(state) } if op.space == Space::Job => {
                let version = after.version;
                if before.map_or(Version::NONE, |before| before.version) == version {
                    return Ok(());
                }
                let Aim::Save { step: Some(step), .. } = op.aim else { return Ok(()) };
                if let Some(other) = self.applied.insert(step, version.0) {
                    return Err(format!("step {step} made version {other} and version {version}"));
                }
                let before = self.payloads.get(&(version.0 - 1)).copied().unwrap_or(0);
                self.payloads.insert(version.0, state.payload);
                // A program that has seen the state before a restore may go on with it: the version is all that it names.
                let is_in_turn = state.steps == step && state.made_from == before;
                if op.era == self.era && !is_in_turn {
                    return Err(format!("step {step} was done on another state: {state:?}, before={before}"));
                }
            }
            Fact::EffectMoved { op, step, before, after, head } => {
                return self.effect(op, *step, *before, *after, *head);
            }
            Fact::Restored { registers } => {
                let last = registers.get(Space::Job.index()).copied().flatten();
                let last = last.map_or(0, |register| register.version.0);
                self.era += 1;
                self.applied.retain(|_, version| *version <= last);
                self.payloads.retain(|version, _| *version <= last);
                // A step may have been published and not yet completed when the copy was made.
                self.done.clear();
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{effect, head, register, step};
    use super::*;
    use crate::state::State;

    const DONE: IdempotencyOutcome = IdempotencyOutcome::Completed { effect: None };

    fn publish(invariant: &mut EffectOnce, version: u64, number: u64, state: State) -> Broken {
        let op = step(version, 1, version - 1, number);
        let (before, after) = (register(1, 1..version), register(1, 1..=version));
        invariant.see(&Fact::Moved { op: &op, before: Some(&before), after: &after, state: Some(&state) })
    }

    fn effect_moved(
        invariant: &mut EffectOnce,
        before: Option<&EffectRecord>,
        after: Option<&EffectRecord>,
        low_water: u64,
    ) -> Broken {
        let (op, head) = (step(9, 1, 0, 1), head(1, low_water));
        invariant.see(&Fact::EffectMoved { op: &op, step: 1, before, after, head: Some(&head) })
    }

    #[test]
    fn a_step_that_makes_two_versions_is_caught() {
        let mut invariant = EffectOnce::default();
        let first = State { payload: 5, made_from: 0, steps: 1 };
        assert_eq!(publish(&mut invariant, 1, 1, first), Ok(()));
        let again = State { payload: 6, made_from: 5, steps: 2 };
        assert!(publish(&mut invariant, 2, 1, again).unwrap_err().contains("version 1 and version 2"));
    }

    #[test]
    fn a_step_on_a_state_that_is_not_the_one_before_is_caught() {
        let mut invariant = EffectOnce::default();
        publish(&mut invariant, 1, 1, State { payload: 5, made_from: 0, steps: 1 }).unwrap();
        let lost_update = State { payload: 6, made_from: 4, steps: 2 };
        assert!(publish(&mut invariant, 2, 2, lost_update).is_err());
    }

    #[test]
    fn a_completion_without_the_step_or_by_another_is_caught() {
        let (reserved, done) = (effect(1, 1, IdempotencyOutcome::Reserved), effect(1, 2, DONE));
        let mut invariant = EffectOnce::default();
        assert!(
            effect_moved(&mut invariant, Some(&reserved), Some(&done), 0).unwrap_err().contains("never done")
        );
        publish(&mut invariant, 1, 1, State { payload: 5, made_from: 0, steps: 1 }).unwrap();
        assert_eq!(effect_moved(&mut invariant, Some(&reserved), Some(&done), 0), Ok(()));
        let other = EffectRecord { epoch: grafos_replicated::FenceEpoch(2), ..reserved };
        assert!(
            effect_moved(&mut invariant, Some(&other), Some(&done), 0).unwrap_err().contains("did not hold")
        );
    }

    #[test]
    fn a_done_step_that_changes_or_is_forgotten_early_or_looks_new_is_caught() {
        let (reserved, done) = (effect(1, 1, IdempotencyOutcome::Reserved), effect(1, 2, DONE));
        let mut invariant = EffectOnce::default();
        publish(&mut invariant, 1, 1, State { payload: 5, made_from: 0, steps: 1 }).unwrap();
        effect_moved(&mut invariant, Some(&reserved), Some(&done), 0).unwrap();
        assert!(effect_moved(&mut invariant, Some(&done), Some(&reserved), 0).is_err());
        assert!(effect_moved(&mut invariant, Some(&done), None, 1).is_err(), "its sequence is 1");
        assert_eq!(effect_moved(&mut invariant, Some(&done), None, 2), Ok(()));
        assert!(effect_moved(&mut invariant, None, Some(&reserved), 2).unwrap_err().contains("looks new"));
    }
}
