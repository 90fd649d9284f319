//! [`Watch`]: sees every fact, holds the invariants against it, and keeps histories, totals and a hash of all that happened.

use grafos_replicated::Register;

use crate::fact::{Aim, Fact, Op, Outcome};
use crate::history::{self, Kind, Operation};
use crate::invariant::{self, Invariant};
use crate::state::Space;
use crate::totals::Totals;

/// What was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
    /// The step at which it showed.
    pub step: u64,
}

/// The history of one checkpoint since the last restore.
#[derive(Debug, Default)]
struct Recorded {
    version: u64,
    payload: Option<u64>,
    operations: Vec<Operation>,
    /// By operation: its place in the list, if it is a save, and its call.
    open: std::collections::BTreeMap<u64, (Option<usize>, u64)>,
    last_payload: std::collections::BTreeMap<u64, u64>,
}

#[derive(Debug)]
pub(crate) struct Watch {
    invariants: Vec<Box<dyn Invariant>>,
    histories: [Recorded; 2],
    moment: u64,
    hash: u64,
    era: u32,
    pub(crate) totals: Totals,
    pub(crate) violation: Option<Violation>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            invariants: invariant::all(),
            histories: Default::default(),
            moment: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            era: 0,
            totals: Totals::default(),
            violation: None,
        }
    }

    /// Mixes a number into the hash of all that happened.
    pub(crate) fn hash(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn hashed(&self) -> u64 {
        self.hash
    }

    pub(crate) fn era(&self) -> u32 {
        self.era
    }

    pub(crate) fn see(&mut self, fact: &Fact<'_>) {
        // What is told about a time that a restore took back, no invariant can hold anybody to.
        if let Fact::Ended { op, outcome } = fact {
            self.record_end(op, *outcome);
            if op.era != self.era {
                return;
            }
        }
        match fact {
            Fact::Began { op } => self.record_begin(op),
            Fact::Moved { op, before, after, state } => {
                self.hash(after.version.0 << 32 | after.epoch.0 << 8 | after.generation.0);
                if before.is_none_or(|before| before.version != after.version) {
                    self.totals.versions += 1;
                    if let (Some(history), Some(state)) = (self.histories.get_mut(op.space.index()), state) {
                        history.last_payload.insert(after.version.0, state.payload);
                    }
                }
            }
            Fact::Restored { registers } => self.restored(registers),
            _ => {}
        }
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.see(fact) {
                let (invariant, step) = (invariant.name(), self.totals.steps);
                self.violation.get_or_insert(Violation { invariant, what, step });
            }
        }
    }

    fn record_begin(&mut self, op: &Op) {
        self.moment += 1;
        let call = self.moment;
        let Some(history) = self.histories.get_mut(op.space.index()) else { return };
        let at = match op.aim {
            Aim::Save { expected, payload, .. } => {
                let kind = Kind::Save { payload, version: expected + 1 };
                history.operations.push(Operation { call, ret: None, kind });
                Some(history.operations.len() - 1)
            }
            _ => None,
        };
        history.open.insert(op.id, (at, call));
    }

    fn record_end(&mut self, op: &Op, outcome: Outcome) {
        self.moment += 1;
        let ret = Some(self.moment);
        let Some(history) = self.histories.get_mut(op.space.index()) else { return };
        let Some((at, call)) = history.open.remove(&op.id) else { return };
        if op.era != self.era {
            // It stays a save whose outcome is not known: it may have been taken back.
            return;
        }
        let operation = at.and_then(|at| history.operations.get_mut(at));
        match (outcome, operation) {
            (Outcome::Saved { version }, Some(save)) => {
                let Aim::Save { payload, step, .. } = op.aim else { return };
                if step.is_some() && history.last_payload.get(&version) != Some(&payload) {
                    // The step was done before, so this save has published nothing: it explains nothing.
                    save.kind = Kind::Save { payload: 0, version: 0 };
                } else {
                    save.ret = ret;
                }
            }
            (Outcome::Conflict { current }, Some(save)) => {
                *save = Operation { call, ret, kind: Kind::Read { version: current, payload: None } };
            }
            (Outcome::Failed, Some(save)) => save.kind = Kind::Save { payload: 0, version: 0 },
            (Outcome::Read { version, state }, None) => {
                let payload = state.map(|state| state.payload);
                history.operations.push(Operation { call, ret, kind: Kind::Read { version, payload } });
            }
            _ => {}
        }
    }

    /// Judges the histories so far.
    pub(crate) fn judge(&mut self) {
        for history in &self.histories {
            if let Err(error) = history::check(history.version, history.payload, &history.operations) {
                let (invariant, what) = ("some order explains what was told", error.to_string());
                self.violation.get_or_insert(Violation { invariant, what, step: self.totals.steps });
            }
        }
    }

    fn restored(&mut self, registers: &[Option<&Register>; 2]) {
        self.judge();
        self.era += 1;
        self.totals.restores += 1;
        for (space, register) in Space::ALL.into_iter().zip(registers) {
            let Some(history) = self.histories.get_mut(space.index()) else { continue };
            let version = register.map_or(0, |register| register.version.0);
            history.last_payload.retain(|of, _| *of <= version);
            // Saves that are under way may still take place.
            let open = history.open.iter();
            let open: Vec<_> = open.filter_map(|(op, (at, _))| Some((*op, (*at)?))).collect();
            let operations = open.iter().filter_map(|(_, at)| history.operations.get(*at).cloned());
            history.operations = operations.map(|operation| Operation { call: 0, ..operation }).collect();
            history.open = open.iter().enumerate().map(|(at, (op, _))| (*op, (Some(at), 0))).collect();
            (history.version, history.payload) = (version, history.last_payload.get(&version).copied());
        }
    }
}
