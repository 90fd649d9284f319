//! The quick checker of histories says what the exhaustive one says, on short histories, good and bad.

use grafos_sim::history::{Kind, Operation, check};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::wgl::is_linearizable;

const FIRST_PAYLOAD: u64 = 1000;

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }
}

/// A history that took place: each operation at one moment, its call before and its return after it.
fn history(dice: &mut Dice) -> Vec<Operation> {
    let (mut version, mut current) = (0, FIRST_PAYLOAD);
    let count = dice.below(7) + 2;
    let mut operations = Vec::new();
    for at in 0..count {
        let moment = 1000 + at * 100;
        let (call, ret) = (moment - dice.below(280) * 2 - 1, Some(moment + dice.below(280) * 2 + 1));
        let payload = at + 1;
        let operation = match dice.below(4) {
            0 => Operation { call, ret, kind: Kind::Read { version, payload: Some(current) } },
            1 => {
                // Nobody was told; it took place, or not.
                let made = version + 1;
                if dice.below(2) == 0 {
                    (version, current) = (made, payload);
                }
                Operation { call, ret: None, kind: Kind::Save { payload, version: made } }
            }
            2 => Operation { call, ret, kind: Kind::Read { version, payload: None } },
            _ => {
                (version, current) = (version + 1, payload);
                Operation { call, ret, kind: Kind::Save { payload, version } }
            }
        };
        operations.push(operation);
    }
    distinct(&mut operations);
    operations
}

/// Gives every call and return a moment of its own, in the same order.
fn distinct(operations: &mut [Operation]) {
    let mut moments: Vec<(u64, usize, bool)> = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        moments.push((operation.call, at, false));
        moments.extend(operation.ret.map(|ret| (ret, at, true)));
    }
    moments.sort_unstable();
    for (moment, (_, at, is_return)) in (1..).zip(moments) {
        if is_return { operations[at].ret = Some(moment) } else { operations[at].call = moment }
    }
}

/// Something that may not have been so.
fn falsify(dice: &mut Dice, operations: &mut [Operation]) {
    let (at, other) = (dice.below(operations.len() as u64), dice.below(9));
    let Some(operation) = (0..).zip(operations.iter_mut()).find(|(index, _)| *index == at) else { return };
    let operation = operation.1;
    match (&mut operation.kind, dice.below(3)) {
        (Kind::Save { version, .. }, 0) => *version = dice.below(5) + 1,
        (Kind::Read { version, .. }, 0) => *version = dice.below(5),
        (Kind::Read { payload, .. }, 1) => *payload = Some(other),
        _ => {
            operation.call = 0;
            operation.ret = operation.ret.map(|_| dice.below(12) + 1);
        }
    }
    distinct(operations);
}

#[test]
fn what_took_place_is_explained() {
    let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(1));
    for _ in 0..20_000 {
        let operations = history(&mut dice);
        assert_eq!(check(0, Some(FIRST_PAYLOAD), &operations), Ok(()), "{operations:#?}");
    }
}

#[test]
fn both_checkers_agree_on_true_and_on_falsified_histories() {
    let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(2));
    let mut judged = [0_u32; 2];
    for _ in 0..40_000 {
        let mut operations = history(&mut dice);
        for _ in 0..dice.below(4) {
            falsify(&mut dice, &mut operations);
        }
        let quick = check(0, Some(FIRST_PAYLOAD), &operations);
        let is_right = is_linearizable(0, FIRST_PAYLOAD, &operations);
        assert_eq!(quick.is_ok(), is_right, "{quick:?} {operations:#?}");
        judged[usize::from(is_right)] += 1;
    }
    assert!(judged.iter().all(|count| *count > 4000), "both verdicts must occur: {judged:?}");
}
