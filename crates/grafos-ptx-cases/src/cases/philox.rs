//! `kernels/philox.cu`.

use super::{SIZES, blocks};
use crate::Case;

const MODULE: &str = "philox";

pub(super) fn cases() -> Vec<Case> {
    // The last range goes over the end of the counter's lower word.
    let starts = [(0, 0, 0), (0x1234_5678_9abc_def0, 77, 3), (u64::MAX, 0xffff_fff0, u32::MAX)];
    let with = move |&(n, threads): &(u32, u32)| {
        starts.map(|start| [words(n, threads, start), unit(n, threads, start)])
    };
    SIZES.iter().flat_map(with).flatten().collect()
}

fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let product = |a: u32, b: u32| {
        let wide = (u64::from(a) * u64::from(b)).to_le_bytes();
        let [a, b, c, d, e, f, g, h] = wide;
        (u32::from_le_bytes([e, f, g, h]), u32::from_le_bytes([a, b, c, d]))
    };
    for _ in 0..10 {
        let (high0, low0) = product(0xD251_1F53, counter[0]);
        let (high1, low1) = product(0xCD9E_8D57, counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn expected(n: u32, (seed, first, stream): (u64, u64, u32)) -> Vec<u32> {
    let at = |i: u32| {
        let [low, high] = halves(first.wrapping_add(u64::from(i)));
        philox4x32_10([low, high, stream, 0], halves(seed))
    };
    (0..n).flat_map(at).collect()
}

fn words(n: u32, threads: u32, start: (u64, u64, u32)) -> Case {
    let words = expected(n, start);
    let (seed, first, stream) = start;
    let mut case = Case::new(MODULE, format!("philox_words n={n} threads={threads} first={first}"));
    let out = case.output("out", &vec![0; words.len()], &words);
    let args = vec![n.into(), seed.into(), first.into(), stream.into(), out.into()];
    case.launch("philox_words", blocks(n, threads), threads, args);
    case
}

fn unit(n: u32, threads: u32, start: (u64, u64, u32)) -> Case {
    let floats: Vec<f32> = expected(n, start).iter().map(|word| (word >> 8) as f32 / 16_777_216.0).collect();
    let (seed, first, stream) = start;
    let mut case = Case::new(MODULE, format!("philox_unit n={n} threads={threads} first={first}"));
    let out = case.output("out", &vec![0_f32; floats.len()], &floats);
    let args = vec![n.into(), seed.into(), first.into(), stream.into(), out.into()];
    case.launch("philox_unit", blocks(n, threads), threads, args);
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123 1.09 carries in `kat_vectors`.
    #[test]
    fn the_reference_gives_the_known_answers() {
        let ones = u32::MAX;
        for (counter, key, answer) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox4x32_10(counter, key), answer);
        }
    }
}
