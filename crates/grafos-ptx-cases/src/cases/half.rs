//! `kernels/half.cu`.

use super::{SIZES, blocks};
use crate::Case;
use crate::half::{from_half, to_half};
use crate::random::Random;

const MODULE: &str = "half";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    each(axpy).chain(each(axpy_x2)).chain(each(round)).chain(each(polynomial)).collect()
}

/// Halves of [-4, 4): sums and products of them, and of those, are exact in `f64`.
fn halves(random: &mut Random, count: u32) -> Vec<u16> {
    random.many(count, |random| to_half(f64::from(random.unit()) * 4.0))
}

fn fma(a: u16, b: u16, c: u16) -> u16 {
    to_half(from_half(a) * from_half(b) + from_half(c))
}

fn axpy(n: u32, threads: u32) -> Case {
    let mut random = Random::new(1);
    let (a, x, y) = (to_half(1.7), halves(&mut random, n), halves(&mut random, n));
    let rounded = |x: u16, y: u16| {
        let product = to_half(from_half(a) * from_half(x));
        to_half(from_half(product) + from_half(y))
    };
    let after: Vec<u16> = x.iter().zip(&y).map(|(x, y)| rounded(*x, *y)).collect();
    let mut case = Case::new(MODULE, format!("axpy_f16 n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy_f16", blocks(n, threads), threads, vec![n.into(), a.into(), x.into(), y.into()]);
    case
}

fn axpy_x2(pairs: u32, threads: u32) -> Case {
    let mut random = Random::new(2);
    let (even, odd) = (to_half(-0.3), to_half(2.6));
    let (x, y) = (halves(&mut random, 2 * pairs), halves(&mut random, 2 * pairs));
    let factors = [even, odd].into_iter().cycle();
    let after: Vec<u16> = x.iter().zip(&y).zip(factors).map(|((x, y), a)| fma(a, *x, *y)).collect();
    let mut case = Case::new(MODULE, format!("axpy_f16x2 n={pairs} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    let a = u32::from(even) | u32::from(odd) << 16;
    let args = vec![pairs.into(), a.into(), x.into(), y.into()];
    case.launch("axpy_f16x2", blocks(pairs, threads), threads, args);
    case
}

#[allow(clippy::cast_possible_truncation, reason = "a half is a float")]
fn round(n: u32, threads: u32) -> Case {
    let mut x =
        Random::new(3).many(n, |random| random.unit() * f32::from_bits((90 + random.below(55)) << 23));
    let odd = [65519.996, 65520.0, f32::INFINITY, -0.0, 2.980_232_2e-8, 2.980_232_6e-8, 1.000_488_3, -1e-45];
    for (place, odd) in x.iter_mut().zip(odd) {
        *place = odd;
    }
    let narrow: Vec<u16> = x.iter().map(|x| to_half(f64::from(*x))).collect();
    let back: Vec<f32> = narrow.iter().map(|narrow| from_half(*narrow) as f32).collect();
    let mut case = Case::new(MODULE, format!("round_f16 n={n} threads={threads}"));
    let x = case.input("x", &x);
    let narrow = case.output("narrow", &vec![9; narrow.len()], &narrow);
    let back = case.output("back", &vec![9.0; back.len()], &back);
    let args = vec![n.into(), x.into(), narrow.into(), back.into()];
    case.launch("round_f16", blocks(n, threads), threads, args);
    case
}

fn polynomial(n: u32, threads: u32) -> Case {
    let mut random = Random::new(4);
    let (c, x) = (halves(&mut random, 4), halves(&mut random, n));
    let value = |x: u16| fma(x, fma(x, fma(x, c[3], c[2]), c[1]), c[0]);
    let out: Vec<u16> = x.iter().map(|x| value(*x)).collect();
    let mut case = Case::new(MODULE, format!("polynomial_f16 n={n} threads={threads}"));
    let (c, x) = (case.input("c", &c), case.input("x", &x));
    let out = case.output("out", &vec![9; out.len()], &out);
    let args = vec![n.into(), c.into(), x.into(), out.into()];
    case.launch("polynomial_f16", blocks(n, threads), threads, args);
    case
}
