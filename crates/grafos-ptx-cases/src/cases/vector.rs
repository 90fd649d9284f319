//! `kernels/vector.cu`.

use super::{SIZES, blocks};
use crate::Case;
use crate::random::Random;

const MODULE: &str = "vector";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    let mut cases: Vec<Case> = each(axpy)
        .chain(each(axpy_fused))
        .chain(each(axpy_f64))
        .chain(each(add_u32x4))
        .chain(each(clamp))
        .chain(each(div_rem_i64))
        .chain(each(hypot_ratio))
        .chain(each(convert))
        .collect();
    cases.push(axpy_of_odd_floats());
    cases
}

fn axpy(n: u32, threads: u32) -> Case {
    let mut random = Random::new(1);
    let (a, x, y) = (1.7_f32, random.floats(n), random.floats(n));
    let after: Vec<f32> = x.iter().zip(&y).map(|(x, y)| a * x + y).collect();
    let mut case = Case::new(MODULE, format!("axpy n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy", blocks(n, threads), threads, vec![n.into(), a.into(), x.into(), y.into()]);
    case
}

/// Infinities, subnormals, zeros of both signs, the largest float: everything but NaN, whose bits IEEE leaves open.
fn axpy_of_odd_floats() -> Case {
    let odd = [0.0, -0.0, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, -1e-45, 3e-39, -f32::MAX, 1.0, -7e-42];
    let x: Vec<f32> = odd.iter().flat_map(|x| [*x; 10]).collect();
    let y: Vec<f32> = odd.iter().cycle().take(100).copied().collect();
    let a = 0.3_f32;
    let after: Vec<f32> = x.iter().zip(&y).map(|(x, y)| a * x + y).collect();
    let mut case = Case::new(MODULE, "axpy of odd floats");
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy", 4, 32, vec![100_u32.into(), a.into(), x.into(), y.into()]);
    case
}

fn axpy_fused(n: u32, threads: u32) -> Case {
    let mut random = Random::new(2);
    let (a, x, y) = (-0.3_f32, random.floats(n), random.floats(n));
    let after: Vec<f32> = x.iter().zip(&y).map(|(x, y)| a.mul_add(*x, *y)).collect();
    let mut case = Case::new(MODULE, format!("axpy_fused n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy_fused", blocks(n, threads), threads, vec![n.into(), a.into(), x.into(), y.into()]);
    case
}

/// Two blocks whatever n is: threads go round.
fn axpy_f64(n: u32, threads: u32) -> Case {
    let mut random = Random::new(3);
    let (a, x, y) = (0.1_f64, random.many(n, Random::unit_f64), random.many(n, Random::unit_f64));
    let after: Vec<f64> = x.iter().zip(&y).map(|(x, y)| a * x + y).collect();
    let mut case = Case::new(MODULE, format!("axpy_f64 n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.output("y", &y, &after));
    case.launch("axpy_f64", 2, threads, vec![u64::from(n).into(), a.into(), x.into(), y.into()]);
    case
}

fn add_u32x4(n: u32, threads: u32) -> Case {
    let mut random = Random::new(4);
    let (x, y) = (random.words(4 * n), random.words(4 * n));
    let sums: Vec<u32> = x.iter().zip(&y).map(|(x, y)| x.wrapping_add(*y)).collect();
    let mut case = Case::new(MODULE, format!("add_u32x4 n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.input("y", &y));
    let z = case.output("z", &vec![0; sums.len()], &sums);
    case.launch("add_u32x4", blocks(n, threads), threads, vec![n.into(), x.into(), y.into(), z.into()]);
    case
}

fn clamp(n: u32, threads: u32) -> Case {
    let mut random = Random::new(5);
    let mut x: Vec<f32> = random.many(n, |random| random.unit() * 4.0);
    for (place, odd) in x.iter_mut().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-45]) {
        *place = odd;
    }
    let (low, high) = (-1.5_f32, 2.25_f32);
    let after: Vec<f32> = x.iter().map(|x| if x.is_nan() { low } else { x.clamp(low, high) }).collect();
    let mut case = Case::new(MODULE, format!("clamp n={n} threads={threads}"));
    let x = case.output("x", &x, &after);
    case.launch("clamp", blocks(n, threads), threads, vec![n.into(), low.into(), high.into(), x.into()]);
    case
}

fn div_rem_i64(n: u32, threads: u32) -> Case {
    let mut random = Random::new(6);
    let sized = |random: &mut Random| random.next_u64().cast_signed() >> random.below(63);
    let a = random.many(n, sized);
    let b = random.many(n, |random| match sized(random) {
        0 => -1,
        b => b,
    });
    let zeros = vec![0_i64; a.len()];
    let quotients: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a.wrapping_div(*b)).collect();
    let rests: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a.wrapping_rem(*b)).collect();
    let mut case = Case::new(MODULE, format!("div_rem_i64 n={n} threads={threads}"));
    let (a, b) = (case.input("a", &a), case.input("b", &b));
    let (q, r) = (case.output("q", &zeros, &quotients), case.output("r", &zeros, &rests));
    let args = vec![n.into(), a.into(), b.into(), q.into(), r.into()];
    case.launch("div_rem_i64", blocks(n, threads), threads, args);
    case
}

fn hypot_ratio(n: u32, threads: u32) -> Case {
    let mut random = Random::new(7);
    let (x, y) = (random.many(n, Random::unit_f64), random.many(n, |random| random.unit_f64() * 1e-3));
    let zeros = vec![0_f64; x.len()];
    let hypots: Vec<f64> = x.iter().zip(&y).map(|(x, y)| (x * x + y * y).sqrt()).collect();
    let ratios: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x / y).collect();
    let mut case = Case::new(MODULE, format!("hypot_ratio n={n} threads={threads}"));
    let (x, y) = (case.input("x", &x), case.input("y", &y));
    let (hypot, ratio) = (case.output("hypot", &zeros, &hypots), case.output("ratio", &zeros, &ratios));
    let args = vec![n.into(), x.into(), y.into(), hypot.into(), ratio.into()];
    case.launch("hypot_ratio", blocks(n, threads), threads, args);
    case
}

/// Rust's `as` saturates and turns NaN into 0, as the instruction does.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what the kernel computes")]
fn convert(n: u32, threads: u32) -> Case {
    let mut random = Random::new(8);
    let mut x: Vec<f32> = random.many(n, |random| random.unit() * f32::from(1_u16 << random.below(16)) * 7e5);
    for (place, odd) in x.iter_mut().zip([f32::NAN, f32::INFINITY, f32::MIN, -0.5, 2_147_483_648.0]) {
        *place = odd;
    }
    let whole: Vec<i32> = x.iter().map(|x| *x as i32).collect();
    let bytes: Vec<u8> = whole.iter().map(|whole| *whole as u8).collect();
    let back: Vec<f32> = whole.iter().map(|whole| *whole as f32).collect();
    let mut case = Case::new(MODULE, format!("convert n={n} threads={threads}"));
    let x = case.input("x", &x);
    let as_int = case.output("as_int", &vec![7_i32; whole.len()], &whole);
    let as_byte = case.output("as_byte", &vec![7_u8; bytes.len()], &bytes);
    let back = case.output("back", &vec![7_f32; back.len()], &back);
    let args = vec![n.into(), x.into(), as_int.into(), as_byte.into(), back.into()];
    case.launch("convert", blocks(n, threads), threads, args);
    case
}
