//! Bytes that no compression and no comparison makes cheap.

/// Writes bytes that differ from those of every other `stamp` in every full eight bytes, and don't compress.
pub fn fill(bytes: &mut [u8], stamp: u64) {
    let mut word = mixed(stamp);
    for piece in bytes.chunks_mut(8) {
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        piece.copy_from_slice(&mixed(word).to_le_bytes()[..piece.len()]);
    }
}

/// A bijection of 64-bit words that spreads small differences (the finalizer of SplitMix64, Steele et al. 2014).
#[must_use]
pub fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_eight_bytes_differ_from_those_of_another_stamp() {
        let (mut one, mut other) = (vec![0; 10_003], vec![0; 10_003]);
        fill(&mut one, 1);
        fill(&mut other, 2);
        let same = one.chunks(8).zip(other.chunks(8)).filter(|(one, other)| one == other);
        assert_eq!(same.count(), 0);
        fill(&mut other, 1);
        assert!(one == other, "the same stamp gives the same bytes");
    }
}
