//! `kernels/reduce.cu`.

use super::blocks;
use crate::Case;
use crate::random::Random;

const MODULE: &str = "reduce";

/// `(n, threads per block)`, a power of two of threads.
const POWERS: &[(u32, u32)] = &[(0, 32), (1, 1), (1, 64), (256, 128), (257, 128), (1000, 256), (2500, 1024)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = POWERS.iter().map(|&(n, threads)| block_sum(n, threads)).collect();
    cases.extend([(0, 1, 32), (1, 3, 64), (5000, 3, 64), (4096, 4, 256)].map(grid_sum));
    cases.extend([(0, 32), (1, 64), (256, 128), (1000, 96), (2049, 1024)].map(warp_sum));
    cases.extend([(0, 32), (1, 1), (1000, 96), (3000, 256)].map(atomic_reduce));
    cases.extend([(1, 1), (700, 64)].map(atomic_sum_f32));
    cases.extend([(1, 1), (32, 32), (100, 32), (200, 96)].map(locked_count));
    cases
}

/// The tree of the kernel.
fn tree(mut partial: Vec<f32>) -> f32 {
    let mut half = partial.len() / 2;
    while half > 0 {
        for t in 0..half {
            partial[t] += partial[t + half];
        }
        half /= 2;
    }
    partial[0]
}

fn block_sum(n: u32, threads: u32) -> Case {
    let x = Random::new(1).floats(n);
    let count = blocks(n, threads);
    let element = |i: u32| x.get(i as usize).copied().unwrap_or(0.0);
    let sum_of = |block: u32| tree((0..threads).map(|t| element(block * threads + t)).collect());
    let sums: Vec<f32> = (0..count).map(sum_of).collect();
    let mut case = Case::new(MODULE, format!("block_sum n={n} threads={threads}"));
    let before = vec![f32::NAN; sums.len()];
    let (x, sums) = (case.input("x", &x), case.output("sums", &before, &sums));
    let args = vec![n.into(), x.into(), sums.into()];
    case.launch_with("block_sum", [count, 1, 1], [threads, 1, 1], 4 * threads, args);
    case
}

fn grid_sum((n, count, threads): (u32, u32, u32)) -> Case {
    let x = Random::new(2).floats(n);
    let stride = (count * threads) as usize;
    let of_thread = |first: u32| x.iter().skip(first as usize).step_by(stride).fold(0.0, |sum, x| sum + x);
    let sum_of = |block: u32| tree((0..threads).map(|t| of_thread(block * threads + t)).collect());
    let sums: Vec<f32> = (0..count).map(sum_of).collect();
    let mut case = Case::new(MODULE, format!("grid_sum n={n} blocks={count} threads={threads}"));
    let before = vec![f32::NAN; sums.len()];
    let (x, sums) = (case.input("x", &x), case.output("sums", &before, &sums));
    let args = vec![n.into(), x.into(), sums.into()];
    case.launch_with("grid_sum", [count, 1, 1], [threads, 1, 1], 4 * threads, args);
    case
}

fn warp_sum((n, threads): (u32, u32)) -> Case {
    let x = Random::new(3).words(n);
    let mut sums: Vec<u32> =
        x.chunks(threads as usize).map(|x| x.iter().fold(0, |sum: u32, x| sum.wrapping_add(*x))).collect();
    sums.resize(blocks(n, threads) as usize, 0);
    let mut case = Case::new(MODULE, format!("warp_sum n={n} threads={threads}"));
    let before = vec![u32::MAX; sums.len()];
    let (x, sums) = (case.input("x", &x), case.output("sums", &before, &sums));
    case.launch("warp_sum", blocks(n, threads), threads, vec![n.into(), x.into(), sums.into()]);
    case
}

fn atomic_reduce((n, threads): (u32, u32)) -> Case {
    let x = Random::new(4).words(n);
    let total = x.iter().fold(5_u64, |sum, x| sum + u64::from(*x));
    let greatest = x.iter().copied().fold(17, u32::max);
    let least = x.iter().map(|x| x.cast_signed()).fold(-3, i32::min);
    let parity = x.iter().fold(0x1234, |bits, x| bits ^ x);
    let mut case = Case::new(MODULE, format!("atomic_reduce n={n} threads={threads}"));
    let x = case.input("x", &x);
    let total = case.output("total", &[5_u64], &[total]);
    let greatest = case.output("greatest", &[17_u32], &[greatest]);
    let least = case.output("least", &[-3_i32], &[least]);
    let parity = case.output("parity", &[0x1234_u32], &[parity]);
    let args = vec![n.into(), x.into(), total.into(), greatest.into(), least.into(), parity.into()];
    case.launch("atomic_reduce", blocks(n, threads), threads, args);
    case
}

/// Multiples of 1/8 whose sums need fewer than 24 bits: exact in any order.
fn atomic_sum_f32((n, threads): (u32, u32)) -> Case {
    let x = Random::new(5).many(n, |random| random.below(1000) as f32 / 8.0);
    let total = x.iter().fold(0.5_f32, |sum, x| sum + x);
    let mut case = Case::new(MODULE, format!("atomic_sum_f32 n={n} threads={threads}"));
    let (x, total) = (case.input("x", &x), case.output("total", &[0.5_f32], &[total]));
    case.launch("atomic_sum_f32", blocks(n, threads), threads, vec![n.into(), x.into(), total.into()]);
    case
}

fn locked_count((n, threads): (u32, u32)) -> Case {
    let mut case = Case::new(MODULE, format!("locked_count n={n} threads={threads}"));
    let lock = case.output("lock", &[0_u32], &[0_u32]);
    let count = case.output("count", &[3_u32], &[3 + n]);
    case.launch("locked_count", blocks(n, threads), threads, vec![n.into(), lock.into(), count.into()]);
    case
}
