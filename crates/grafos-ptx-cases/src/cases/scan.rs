//! `kernels/scan.cu`.

use super::blocks;
use crate::Case;
use crate::random::Random;

const MODULE: &str = "scan";
const SIZES: &[(u32, u32)] =
    &[(1, 1), (1, 64), (256, 128), (257, 128), (1000, 96), (3000, 256), (2049, 1024)];

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    each(scan_in_three).chain(each(scan_chained)).collect()
}

fn prefix_sums(x: &[u32]) -> Vec<u32> {
    let sums = x.iter().scan(0_u32, |sum, x| {
        *sum = sum.wrapping_add(*x);
        Some(*sum)
    });
    sums.collect()
}

fn scan_in_three(n: u32, threads: u32) -> Case {
    let x = Random::new(1).words(n);
    let sums = prefix_sums(&x);
    let count = blocks(n, threads);
    let before: Vec<u32> = (0..count)
        .map(|block| match block * threads {
            0 => 0,
            first => sums[first as usize - 1],
        })
        .collect();
    let mut case = Case::new(MODULE, format!("scan in three launches n={n} threads={threads}"));
    let x = case.input("x", &x);
    let out = case.output("out", &vec![9; sums.len()], &sums);
    let totals = case.output("totals", &vec![9; before.len()], &before);
    let (grid, block) = ([count, 1, 1], [threads, 1, 1]);
    let args = vec![n.into(), x.into(), out.into(), totals.into()];
    case.launch_with("scan_blocks", grid, block, 4 * threads, args);
    case.launch_with("scan_totals", [1, 1, 1], [64, 1, 1], 256, vec![count.into(), totals.into()]);
    case.launch("scan_add", count, threads, vec![n.into(), out.into(), totals.into()]);
    case
}

fn scan_chained(n: u32, threads: u32) -> Case {
    let x = Random::new(2).words(n);
    let sums = prefix_sums(&x);
    let count = blocks(n, threads);
    let upto = |block: u32| sums[((block + 1) * threads).min(n) as usize - 1];
    let state: Vec<u32> = (0..count).flat_map(|block| [1, upto(block)]).collect();
    let mut case = Case::new(MODULE, format!("scan_chained n={n} threads={threads}"));
    let x = case.input("x", &x);
    let out = case.output("out", &vec![9; sums.len()], &sums);
    let ticket = case.output("ticket", &[0_u32], &[count]);
    let state = case.output("state", &vec![0; state.len()], &state);
    let args = vec![n.into(), x.into(), out.into(), ticket.into(), state.into()];
    case.launch_with("scan_chained", [count, 1, 1], [threads, 1, 1], 4 * threads, args);
    case
}
