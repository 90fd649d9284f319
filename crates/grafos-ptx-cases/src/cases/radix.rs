//! `kernels/radix.cu`.

use super::blocks;
use crate::Case;
use crate::random::Random;

const MODULE: &str = "radix";
const DIGITS: u32 = 16;
const SIZES: &[(u32, u32)] = &[(1, 32), (31, 64), (256, 128), (1000, 96), (2049, 1024)];

pub(super) fn cases() -> Vec<Case> {
    let step = SIZES.iter().map(|&(n, threads)| radix(n, threads, &[8], "one step"));
    let whole = [0, 4, 8, 12, 16, 20, 24, 28];
    let sort = SIZES.iter().map(|&(n, threads)| radix(n, threads, &whole, "sort"));
    step.chain(sort).collect()
}

/// Where each block's keys of each digit begin: what is in `counts` after `radix_offsets`.
fn offsets(keys: &[u32], shift: u32, threads: u32) -> Vec<u32> {
    let digit_of = |key: &u32| (key >> shift) % DIGITS;
    let chunks: Vec<_> = keys.chunks(threads as usize).collect();
    let mut sum = 0;
    let mut offsets = Vec::new();
    for digit in 0..DIGITS {
        for chunk in &chunks {
            offsets.push(sum);
            sum += chunk.iter().map(|key| u32::from(digit_of(key) == digit)).sum::<u32>();
        }
    }
    offsets
}

/// Steps by the digits at `shifts`, from buffer to buffer and back.
fn radix(n: u32, threads: u32, shifts: &[u32], what: &str) -> Case {
    let before = Random::new(1).words(n);
    let count = blocks(n, threads);
    let (mut from, mut to, mut counts) = (before.clone(), vec![0; before.len()], Vec::new());
    for shift in shifts {
        counts = offsets(&from, *shift, threads);
        to.clone_from(&from);
        to.sort_by_key(|key| (key >> shift) % DIGITS);
        std::mem::swap(&mut from, &mut to);
    }
    let mut case = Case::new(MODULE, format!("{what} n={n} threads={threads}"));
    let is_even = shifts.len().is_multiple_of(2);
    let (a, b) = if is_even { (from, to) } else { (to, from) };
    let a = case.output("a", &before, &a);
    let b = case.output("b", &vec![0; before.len()], &b);
    let buffer = case.output("counts", &vec![7; counts.len()], &counts);
    let (mut keys, mut sorted) = (a, b);
    for shift in shifts {
        let args = vec![n.into(), (*shift).into(), keys.into(), buffer.into()];
        case.launch("radix_count", count, threads, args);
        case.launch("radix_offsets", 1, 1, vec![(DIGITS * count).into(), buffer.into()]);
        let args = vec![n.into(), (*shift).into(), keys.into(), buffer.into(), sorted.into()];
        case.launch("radix_scatter", count, threads, args);
        std::mem::swap(&mut keys, &mut sorted);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_steps_sort() {
        for case in cases().iter().filter(|case| case.name.starts_with("sort")) {
            let keys: Vec<u32> = bytemuck::pod_collect_to_vec(&case.buffers[0].expected);
            let keys = &keys[..keys.len() - 4];
            assert!(keys.is_sorted(), "{}", case.name);
        }
    }
}
