//! [`Generator`]: the random numbers of a training, whose whole state is one number that a checkpoint can keep.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Its numbers decide
//! weights, so they never change.

/// A generator of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generator(u64);

impl Generator {
    pub(super) fn new(state: u64) -> Self {
        Self(state)
    }

    /// From which [`new`](Self::new) goes on as this one would.
    pub(super) fn state(self) -> u64 {
        self.0
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn next_u32(&mut self) -> u32 {
        let [.., a, b, c, d] = self.next().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Below `bound`, which is not 0, each number as likely as another (Lemire, "Fast random integer generation in an
    /// interval", 2019).
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        // Products whose low half is below this belong to numbers that would come once too often.
        let surplus = bound.wrapping_neg() % bound;
        loop {
            let [a, b, c, d, high @ ..] = (u64::from(self.next_u32()) * u64::from(bound)).to_le_bytes();
            if u32::from_le_bytes([a, b, c, d]) >= surplus {
                return u32::from_le_bytes(high);
            }
        }
    }

    /// Of [-1, 1): a multiple of 2^-23, so no step of this is rounded.
    pub(super) fn unit(&mut self) -> f32 {
        #[allow(clippy::cast_precision_loss, reason = "24 bits fit")]
        let whole = (self.next_u32() >> 8) as f32;
        whole / 8_388_608.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        // What the authors' program gives for the seed 1234567.
        let mut generator = Generator::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| generator.next()), expected);
        let mut again = Generator::new(generator.state());
        assert_eq!(again.next(), generator.next());
    }

    #[test]
    fn bounded_numbers_stay_below_and_come_alike() {
        let mut generator = Generator::new(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[generator.below(7) as usize] += 1;
        }
        // The standard deviation is 93.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 450), "{counts:?}");
        assert!((0..1000).all(|_| generator.below(1) == 0));
        assert!((0..1000).all(|_| generator.below(u32::MAX) < u32::MAX));
        assert!((0..1000).map(|_| generator.unit()).all(|unit| (-1.0..1.0).contains(&unit)));
    }
}
