//! `kernels/attention.cu`.

use crate::random::Random;
use crate::{Case, Check};

const MODULE: &str = "attention";
const WIDTH: usize = 32;

/// Scores are below 6 here, computed with an error of about 6 * 2^-20 (32 fused steps) and rounded again before each
/// power; errors of powers stay below 2^-18 of the weights, which sum up to one, of values below one.
const CHECK: Check = Check::Near { absolute: 1e-5, relative: 1e-5 };

pub(super) fn cases() -> Vec<Case> {
    [(1, 1, 32), (5, 31, 32), (32, 32, 32), (33, 40, 16), (70, 100, 64)].map(attention).into()
}

#[allow(clippy::cast_possible_truncation, reason = "the reference is rounded once, at the end")]
fn attention((queries, keys, threads): (u32, u32, u32)) -> Case {
    let mut random = Random::new(1);
    let width = 32;
    let q = random.floats(queries * width);
    let k = random.many(keys * width, |random| random.unit() * 2.0);
    let v = random.floats(keys * width);
    let row = |q: &[f32]| -> Vec<f32> {
        let dot = |k: &[f32]| q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>();
        let powers: Vec<f64> = k.chunks(WIDTH).map(|k| (dot(k) / 32_f64.sqrt()).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let column = |d: usize| -> f64 {
            powers.iter().zip(v.chunks(WIDTH)).map(|(power, v)| power * f64::from(v[d])).sum()
        };
        (0..WIDTH).map(|d| (column(d) / sum) as f32).collect()
    };
    let out: Vec<f32> = q.chunks(WIDTH).flat_map(row).collect();
    let mut case = Case::new(MODULE, format!("attention {queries} queries {keys} keys threads={threads}"));
    let (q, k, v) = (case.input("q", &q), case.input("k", &k), case.input("v", &v));
    let out = case.buffer("out", &vec![-9.0; out.len()], &out, CHECK);
    let args = vec![queries.into(), keys.into(), q.into(), k.into(), v.into(), out.into()];
    case.launch("attention", queries.div_ceil(threads), threads, args);
    case
}
