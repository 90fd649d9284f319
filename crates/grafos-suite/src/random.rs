//! [`Random`]: bytes and numbers that only their seed decides, so that a failure repeats.

/// A stream of SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(
    /// The seed.
    pub u64,
);

impl Random {
    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finalize(self.0)
    }

    /// Below `limit`, which is small.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    /// The next bytes, so many.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(len).collect()
    }
}

/// A number that looks like chance, and is decided by `state`.
pub fn mix(state: u64) -> u64 {
    finalize(state.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

fn finalize(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_paper() {
        let mut random = Random(1_234_567);
        let found = [random.next(), random.next()];
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn as_many_bytes_come_as_are_asked_for() {
        assert_eq!(Random(1).bytes(13).len(), 13);
        assert_eq!(Random(1).bytes(13)[..8], Random(1).next().to_le_bytes());
        assert!((0..100).all(|seed| Random(seed).below(3) < 3));
    }
}
