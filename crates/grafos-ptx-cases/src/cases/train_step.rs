//! `kernels/train_step.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "train_step";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [(0, 1, 1), (1, 1, 1), (4, 1, 1), (1000, 1, 1), (1000, 3, 96), (5000, 4, 256)]
        .map(train_steps)
        .into();
    cases.push(leaves_the_rest_alone());
    cases
}

#[allow(clippy::cast_possible_truncation, reason = "the low byte")]
fn update(state: &mut [u8], step: u64) {
    for (i, byte) in (0_u64..).zip(state) {
        let mixed = (step.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i * 29);
        *byte = byte.wrapping_mul(5).wrapping_add(mixed.rotate_left(23) as u8);
    }
}

/// Steps 0, 1 and the greatest there is.
fn train_steps((n, blocks, threads): (u32, u32, u32)) -> Case {
    let steps = [0, 1, u64::MAX];
    let before = Random::new(1).many(n, |random| random.next_u32().to_le_bytes()[0]);
    let mut after = before.clone();
    for step in steps {
        update(&mut after, step);
    }
    let mut case = Case::new(MODULE, format!("train_step n={n} blocks={blocks} threads={threads}"));
    let state = case.output("state", &before, &after);
    for step in steps {
        case.launch("train_step", blocks, threads, vec![step.into(), n.into(), state.into()]);
    }
    case
}

fn leaves_the_rest_alone() -> Case {
    let before = [3_u8; 100];
    let mut after = before;
    update(&mut after[..41], 42);
    let mut case = Case::new(MODULE, "train_step of the first 41 bytes of 100");
    let state = case.output("state", &before, &after);
    case.launch("train_step", 2, 32, vec![42_u64.into(), 41_u32.into(), state.into()]);
    case
}
