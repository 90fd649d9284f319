//! No read goes back: a read returns a version that is not older than anything that was told to anybody before it began,
//! and with it the very state that was published as that version.

use std::collections::BTreeMap;

use super::{Broken, Invariant};
use crate::fact::{Fact, Outcome};
use crate::state::{Space, State};

#[derive(Debug, Default)]
pub(super) struct NoReadGoesBack {
    told: [u64; 2],
    current: [u64; 2],
    /// What had been told when the operation began.
    floors: BTreeMap<u64, u64>,
    states: BTreeMap<(Space, u64), State>,
}

impl NoReadGoesBack {
    fn told(&mut self, op: u64, space: Space, version: u64) -> Broken {
        let at = space.index();
        let floor = self.floors.get(&op).copied().unwrap_or(0);
        let current = self.current.get(at).copied().unwrap_or(0);
        if version < floor || version > current {
            return Err(format!("{op} was told {version}; told before: {floor}, published: {current}"));
        }
        if let Some(told) = self.told.get_mut(at) {
            *told = version.max(*told);
        }
        Ok(())
    }
}

impl Invariant for NoReadGoesBack {
    fn name(&self) -> &'static str {
        "no read goes back"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Broken {
        match fact {
            Fact::Began { op } => {
                self.floors.insert(op.id, self.told.get(op.space.index()).copied().unwrap_or(0));
            }
            Fact::Moved { op, after, state, .. } => {
                if let Some(current) = self.current.get_mut(op.space.index()) {
                    *current = after.version.0;
                }
                if let Some(state) = state {
                    self.states.insert((op.space, after.version.0), **state);
                }
            }
            Fact::Ended { op, outcome: Outcome::Read { version, state } } => {
                self.told(op.id, op.space, *version)?;
                let published = self.states.get(&(op.space, *version));
                if state.is_some() && state.as_ref() != published {
                    return Err(format!("{} read {state:?} as {version}, which is {published:?}", op.id));
                }
            }
            Fact::Ended { op, outcome: Outcome::Conflict { current } } => {
                self.told(op.id, op.space, *current)?;
            }
            // A step that was done before is told an older version: see `Landed`.
            Fact::Ended { op, outcome: Outcome::Saved { version } } => {
                if let Some(told) = self.told.get_mut(op.space.index()) {
                    *told = (*version).max(*told);
                }
            }
            Fact::Restored { registers } => {
                for (at, register) in registers.iter().enumerate() {
                    let last = register.map_or(0, |register| register.version.0);
                    (self.told[at], self.current[at]) = (self.told[at].min(last), last);
                }
                let current = self.current;
                self.states.retain(|(space, version), _| *version <= current[space.index()]);
                self.floors.clear();
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{read, register, save};
    use super::*;

    const STATE: State = State { payload: 1, made_from: 0, steps: 0 };

    fn with_two_versions() -> NoReadGoesBack {
        let mut invariant = NoReadGoesBack::default();
        for version in 1..=2 {
            let (before, after) = (register(1, 1..version), register(1, 1..=version));
            let state = State { payload: version, ..STATE };
            let op = save(version, 1, version - 1);
            let moved = Fact::Moved { op: &op, before: Some(&before), after: &after, state: Some(&state) };
            invariant.see(&moved).unwrap();
        }
        invariant
    }

    fn reads(invariant: &mut NoReadGoesBack, id: u64, version: u64, payload: u64) -> Broken {
        invariant.see(&Fact::Began { op: &read(id) })?;
        let outcome = Outcome::Read { version, state: Some(State { payload, ..STATE }) };
        invariant.see(&Fact::Ended { op: &read(id), outcome })
    }

    #[test]
    fn a_read_of_less_than_was_told_before_is_caught() {
        let mut invariant = with_two_versions();
        assert_eq!(reads(&mut invariant, 10, 1, 1), Ok(()));
        assert_eq!(reads(&mut invariant, 11, 2, 2), Ok(()));
        assert!(reads(&mut invariant, 12, 1, 1).is_err());
    }

    #[test]
    fn a_read_of_what_was_never_published_is_caught() {
        let mut invariant = with_two_versions();
        assert!(reads(&mut invariant, 10, 3, 3).is_err());
        assert!(reads(&mut invariant, 11, 2, 7).is_err(), "another state than was published");
    }
}
