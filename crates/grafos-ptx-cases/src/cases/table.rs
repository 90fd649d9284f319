//! `kernels/table.cu`.

use super::{SIZES, blocks};
use crate::Case;
use crate::random::Random;

const MODULE: &str = "table";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    let mut cases: Vec<Case> = each(crc32).chain(each(median_of_seven)).chain(each(interpret)).collect();
    cases.push(count_launches());
    cases
}

/// Bit by bit, with no table at all.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn crc32(n: u32, threads: u32) -> Case {
    let piece_bytes = 13_u32;
    let x = Random::new(1).many(n * piece_bytes, |random| random.next_u32().to_le_bytes()[0]);
    let crcs: Vec<u32> = x.chunks(13).map(crc).collect();
    let mut case = Case::new(MODULE, format!("crc32 n={n} threads={threads}"));
    let (x, crcs) = (case.input("x", &x), case.output("crcs", &vec![1; crcs.len()], &crcs));
    let args = vec![n.into(), piece_bytes.into(), x.into(), crcs.into()];
    case.launch("crc32", blocks(n, threads), threads, args);
    case
}

fn median_of_seven(n: u32, threads: u32) -> Case {
    let x: Vec<i16> = Random::new(2).many(n + 6, |random| {
        let [a, b, ..] = random.next_u32().to_le_bytes();
        i16::from_le_bytes([a, b])
    });
    let median = |seven: &[i16]| {
        let mut sorted = seven.to_vec();
        sorted.sort_unstable();
        sorted[3]
    };
    let medians: Vec<i16> = x.windows(7).map(median).collect();
    let mut case = Case::new(MODULE, format!("median_of_seven n={n} threads={threads}"));
    let (x, medians) = (case.input("x", &x), case.output("medians", &vec![1; medians.len()], &medians));
    case.launch("median_of_seven", blocks(n, threads), threads, vec![n.into(), x.into(), medians.into()]);
    case
}

/// Every code, and skips that part the threads of a warp.
const PROGRAM: &[u8] = &[0, 3, 2, 7, 5, 200, 1, 0, 4, 7, 6, 3, 7, 3, 1, 0, 2, 255, 1, 6, 6, 6, 0, 7, 5];

fn top_after(program: &[u8], x: u32) -> u32 {
    let mut stack: Vec<u32> = Vec::new();
    let mut at = 0;
    while let Some(code) = program.get(at) {
        let top = stack.last().copied().unwrap_or(0);
        match code {
            0 => stack.push(x),
            1 | 2 => {
                stack.pop();
                let below =
                    stack.last_mut().unwrap_or_else(|| unreachable!("the program keeps the stack filled"));
                *below = if *code == 1 { below.wrapping_add(top) } else { below.wrapping_mul(top) };
            }
            3 => stack.push(top),
            4 => {
                let len = stack.len();
                stack.swap(len - 1, len - 2);
            }
            5 => {
                stack.pop();
                stack.push(top.wrapping_neg());
            }
            6 if stack.len() > 1 => {
                stack.pop();
            }
            6 => {}
            7 => at += usize::from(top % 2 == 1),
            value => stack.push(u32::from(*value)),
        }
        at += 1;
    }
    stack.last().copied().unwrap_or(0)
}

fn interpret(n: u32, threads: u32) -> Case {
    let x = Random::new(3).words(n);
    let tops: Vec<u32> = x.iter().map(|x| top_after(PROGRAM, *x)).collect();
    let mut case = Case::new(MODULE, format!("interpret n={n} threads={threads}"));
    let (program, x) = (case.input("program", PROGRAM), case.input("x", &x));
    let out = case.output("out", &vec![1; tops.len()], &tops);
    let length = u32::try_from(PROGRAM.len()).unwrap_or(0);
    let args = vec![n.into(), length.into(), program.into(), x.into(), out.into()];
    case.launch("interpret", blocks(n, threads), threads, args);
    case
}

fn count_launches() -> Case {
    let mut case = Case::new(MODULE, "count_launches three times");
    let out = case.output("out", &[0_u32], &[3_u32]);
    for _ in 0..3 {
        case.launch("count_launches", 2, 32, vec![out.into()]);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_gives_the_check_value_of_the_standard() {
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn threads_take_different_ways_through_the_program() {
        assert_eq!(top_after(&[0, 7, 5], 3), 3);
        assert_eq!(top_after(&[0, 7, 5], 4), 4_u32.wrapping_neg());
        assert_eq!(top_after(&[0, 3, 2, 9, 1], 5), 34);
    }
}
