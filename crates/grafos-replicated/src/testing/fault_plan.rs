//! [`FaultPlan`]: which fault happens at which call. [`FaultCounts`]: which did.
//!
//! Plain values: the same plan over the same calls makes the same faults, whatever the time or the machine.

use std::collections::BTreeMap;

use grafos_suite::mix;

/// Which faults happen at which calls of a decorator. Calls are counted from 0.
///
/// ```
/// use grafos_replicated::testing::{FaultPlan, StoreFault};
///
/// // The third call fails, and of all others one in fifty, in one of two ways.
/// let plan = FaultPlan::none()
///     .at(2, StoreFault::FailRead)
///     .seeded(7, 20, [StoreFault::FailBefore, StoreFault::UnknownLanded]);
/// # let _ = plan;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a plan does nothing by itself"]
pub struct FaultPlan<F> {
    at: BTreeMap<u64, F>,
    seeded: Option<Seeded<F>>,
    calls: u64,
}

#[derive(Clone, Debug)]
struct Seeded<F> {
    seed: u64,
    per_mille: u64,
    faults: Vec<F>,
}

impl<F> Default for FaultPlan<F> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), seeded: None, calls: 0 }
    }
}

impl<F: Clone> FaultPlan<F> {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// At call number `call` this happens, if it can happen to that call; a later word for the same call replaces it.
    pub fn at(mut self, call: u64, fault: F) -> Self {
        self.at.insert(call, fault);
        self
    }

    /// At so many of a thousand calls one of these happens, whichever can happen to that call; the seed decides. Where
    /// something was planned with [`at`](Self::at), that happens.
    pub fn seeded(mut self, seed: u64, per_mille: u64, faults: impl Into<Vec<F>>) -> Self {
        self.seeded = Some(Seeded { seed, per_mille, faults: faults.into() });
        self
    }

    /// What happens at the next call, of all that `fits` it.
    pub(super) fn next(&mut self, fits: impl Fn(&F) -> bool) -> Option<F> {
        let call = self.calls;
        self.calls += 1;
        if let Some(planned) = self.at.get(&call) {
            return Some(planned.clone()).filter(|fault| fits(fault));
        }
        let seeded = self.seeded.as_ref()?;
        let chance = mix(seeded.seed ^ mix(call));
        if chance % 1000 >= seeded.per_mille {
            return None;
        }
        let fitting: Vec<&F> = seeded.faults.iter().filter(|fault| fits(fault)).collect();
        let choice = mix(chance) % fitting.len().max(1) as u64;
        usize::try_from(choice).ok().and_then(|choice| fitting.get(choice)).map(|fault| (*fault).clone())
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }
}

/// How often each fault has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// How many calls there were.
    pub calls: u64,
    /// How many of them met a fault, by the fault's name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl FaultCounts {
    /// How many faults there were of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.faults.values().sum()
    }

    pub(super) fn add(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(mut plan: FaultPlan<u8>, calls: usize) -> Vec<Option<u8>> {
        std::iter::repeat_with(|| plan.next(|_| true)).take(calls).collect()
    }

    #[test]
    fn what_was_planned_for_a_call_happens_there_and_nowhere_else() {
        let plan = FaultPlan::none().at(1, 10).at(3, 30).at(1, 11);
        assert_eq!(happening(plan, 5), [None, Some(11), None, Some(30), None]);
    }

    #[test]
    fn what_does_not_fit_does_not_happen() {
        let mut plan = FaultPlan::none().at(0, 1_u8).seeded(1, 1000, [1, 2]);
        assert_eq!(plan.next(|fault| *fault != 1), None, "what was planned is not replaced by another");
        assert_eq!(plan.next(|fault| *fault != 1), Some(2));
        assert_eq!(plan.next(|_| false), None);
        assert_eq!(plan.calls(), 3);
    }

    #[test]
    fn a_seed_decides_how_often_and_what_and_always_alike() {
        let plan = |seed| FaultPlan::none().seeded(seed, 100, [1, 2, 3]);
        let found = happening(plan(7), 10_000);
        assert_eq!(found, happening(plan(7), 10_000));
        assert_ne!(found, happening(plan(8), 10_000));
        for fault in 1..=3 {
            let count = found.iter().filter(|found| **found == Some(fault)).count();
            assert!((250..420).contains(&count), "{fault} came {count} times of 10000");
        }
    }
}
