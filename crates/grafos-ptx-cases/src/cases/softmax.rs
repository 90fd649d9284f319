//! `kernels/softmax.cu`.

use crate::random::Random;
use crate::{Case, Check};

const MODULE: &str = "softmax";

/// The argument of each power is rounded (|x - max| is below 40 here: 40 * 2^-24 = 2.4e-6 of the power), the power has a
/// relative error of 2^-22, and so have the terms of the sum.
const CHECK: Check = Check::Near { absolute: 1e-12, relative: 1e-5 };

pub(super) fn cases() -> Vec<Case> {
    [(1, 1), (3, 31), (5, 32), (4, 33), (7, 200), (2, 1000)].map(softmax).into()
}

#[allow(clippy::cast_possible_truncation, reason = "the reference is rounded once, at the end")]
fn softmax((rows, columns): (u32, u32)) -> Case {
    let x = Random::new(1).many(rows * columns, |random| random.unit() * 20.0);
    let row = |x: &[f32]| -> Vec<f32> {
        let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = x.iter().map(|x| (f64::from(*x) - f64::from(greatest)).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| (power / sum) as f32).collect()
    };
    let y: Vec<f32> = x.chunks(columns as usize).flat_map(row).collect();
    let mut case = Case::new(MODULE, format!("softmax {rows}x{columns}"));
    let x = case.input("x", &x);
    let y = case.buffer("y", &vec![-1.0; y.len()], &y, CHECK);
    case.launch("softmax", rows, 32, vec![columns.into(), x.into(), y.into()]);
    case
}
