//! `kernels/bfloat.cu`.

use super::{SIZES, blocks};
use crate::Case;
use crate::half::{from_bfloat, to_bfloat};
use crate::random::Random;

const MODULE: &str = "bfloat";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    each(axpy).chain(each(round)).chain([0, 1, 300].map(dot)).collect()
}

fn bfloats(random: &mut Random, count: u32) -> Vec<u16> {
    random.many(count, |random| to_bfloat(f64::from(random.unit()) * 4.0))
}

fn axpy(n: u32, threads: u32) -> Case {
    let mut random = Random::new(1);
    let (a, x, y) = (to_bfloat(1.7), bfloats(&mut random, n), bfloats(&mut random, n));
    let rounded = |x: u16, y: u16| {
        let product = to_bfloat(from_bfloat(a) * from_bfloat(x));
        to_bfloat(from_bfloat(product) + from_bfloat(y))
    };
    let after: Vec<u16> = x.iter().zip(&y).map(|(x, y)| rounded(*x, *y)).collect();
    let mut case = Case::new(MODULE, format!("axpy_bf16 n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy_bf16", blocks(n, threads), threads, vec![n.into(), a.into(), x.into(), y.into()]);
    case
}

fn round(n: u32, threads: u32) -> Case {
    let mut x = Random::new(2).many(n, |random| f32::from_bits(random.next_u32() & 0xbfff_ffff));
    let odd =
        [f32::MAX, f32::INFINITY, -0.0, f32::from_bits(0x3f80_8000), f32::from_bits(0x3f81_8000), 1e-45];
    for (place, odd) in x.iter_mut().zip(odd) {
        *place = odd;
    }
    let narrow: Vec<u16> = x.iter().map(|x| to_bfloat(f64::from(*x))).collect();
    let back: Vec<f32> = narrow.iter().map(|narrow| f32::from_bits(u32::from(*narrow) << 16)).collect();
    let mut case = Case::new(MODULE, format!("round_bf16 n={n} threads={threads}"));
    let x = case.input("x", &x);
    let narrow = case.output("narrow", &vec![9; narrow.len()], &narrow);
    let back = case.output("back", &vec![9.0; back.len()], &back);
    let args = vec![n.into(), x.into(), narrow.into(), back.into()];
    case.launch("round_bf16", blocks(n, threads), threads, args);
    case
}

#[allow(clippy::cast_possible_truncation, reason = "a bfloat16 is a float")]
fn dot(n: u32) -> Case {
    let mut random = Random::new(3);
    let (a, b) = (bfloats(&mut random, n), bfloats(&mut random, n));
    let float = |x: &u16| from_bfloat(*x) as f32;
    let sum = a.iter().zip(&b).fold(0.0_f32, |sum, (a, b)| float(a).mul_add(float(b), sum));
    let mut case = Case::new(MODULE, format!("dot_bf16 of {n}"));
    let (a, b) = (case.input("a", &a), case.input("b", &b));
    let dot = case.output("dot", &[f32::NAN], &[sum]);
    case.launch("dot_bf16", 2, 32, vec![n.into(), a.into(), b.into(), dot.into()]);
    case
}
