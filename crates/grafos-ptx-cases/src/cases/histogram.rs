//! `kernels/histogram.cu`.

use super::blocks;
use crate::Case;
use crate::random::Random;

const MODULE: &str = "histogram";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [(0, 1, 32), (1, 2, 64), (1000, 3, 96), (5000, 4, 256), (777, 1, 1024)].map(histogram_bytes).into();
    cases.extend([(0, 32, 3), (1, 1, 1), (1000, 96, 10), (3000, 256, 7)].map(histogram_unit));
    cases
}

#[allow(clippy::cast_possible_truncation, reason = "a byte of the word")]
fn histogram_bytes((n, count, threads): (u32, u32, u32)) -> Case {
    // The minimum of two: small bytes are frequent, so that threads of a warp meet at one count.
    let x = Random::new(1).many(n, |random| (random.next_u32() as u8).min(random.next_u32() as u8) / 3);
    let mut counts = [4_u32; 256];
    for byte in &x {
        counts[usize::from(*byte)] += 1;
    }
    let mut case = Case::new(MODULE, format!("histogram_bytes n={n} blocks={count} threads={threads}"));
    let (x, counts) = (case.input("x", &x), case.output("counts", &[4_u32; 256], &counts));
    case.launch("histogram_bytes", count, threads, vec![n.into(), x.into(), counts.into()]);
    case
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bin, as the kernel finds it")]
fn histogram_unit((n, threads, bins): (u32, u32, u32)) -> Case {
    let mut x = Random::new(2).many(n, |random| random.unit() * 0.6 + 0.5);
    for (place, odd) in x.iter_mut().zip([1.0, 0.0, f32::NAN, -0.0, 1.000_000_1, -1e-45]) {
        *place = odd;
    }
    let (mut counts, mut outside) = (vec![0_u32; bins as usize], 0_u32);
    for x in &x {
        if (0.0..=1.0).contains(x) {
            counts[((x * bins as f32) as u32).min(bins - 1) as usize] += 1;
        } else {
            outside += 1;
        }
    }
    let mut case = Case::new(MODULE, format!("histogram_unit n={n} threads={threads} bins={bins}"));
    let x = case.input("x", &x);
    let counts = case.output("counts", &vec![0; counts.len()], &counts);
    let outside = case.output("outside", &[0_u32], &[outside]);
    let args = vec![n.into(), bins.into(), x.into(), counts.into(), outside.into()];
    case.launch("histogram_unit", blocks(n, threads), threads, args);
    case
}
