//! The work itself: samples of the distance between two random points of the unit cube, in batches.
//!
//! Each coordinate has [`COORDINATE_BITS`] random bits, so a squared distance is an exact integer, and the only
//! rounding of a sample is one square root, which IEEE 754 defines to the last bit. The root is then rounded to a
//! fixed-point integer, and everything that follows is integer addition. Hence the invariant that the whole recipe
//! stands on: **the sums of a set of samples are the same bits on every machine, in every order, for any number of
//! threads and workers.**
//!
//! The grid shifts the mean by less than 1e-12, and the fixed point by less than 1e-13: a thousandth of what ten
//! million billion samples could show.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// How many samples a full batch has: the unit of parallel work, and of checkpoint positions.
pub const BATCH_SAMPLES: u32 = 100_000;

/// Random bits per coordinate: three coordinates fit into one 64-bit word.
pub const COORDINATE_BITS: u32 = 21;

/// Distances are counted in units of 2^-45 of the cube's edge.
pub const DISTANCE_BITS: u32 = COORDINATE_BITS + ROOT_BITS;

/// Binary digits that are kept behind the point of a root, which is measured in steps of the grid.
const ROOT_BITS: u32 = 24;

/// 2^52: added to a number below it, it leaves an integer in the low 52 bits of the sum, rounded to the nearest.
const TWO_POW_52: f64 = (1_u64 << 52) as f64;
const ROOT_SCALE: f64 = (1_u64 << ROOT_BITS) as f64;

/// A run of samples of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which batch; each has a stream of random numbers of its own.
    pub batch: u64,
    /// The first sample, counted within the batch.
    pub from: u32,
    /// One past the last sample, at most [`BATCH_SAMPLES`].
    pub to: u32,
}

/// What the samples of a piece add up to. At most a batch, so neither sum can overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PieceSums {
    /// Sum of the distances, in units of 2^-[`DISTANCE_BITS`].
    pub sum: u64,
    /// Sum of the squared distances, in units of 2^-(2 × [`COORDINATE_BITS`]).
    pub sum_sq: u64,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The distance, in units of 2^-[`DISTANCE_BITS`].
    pub distance: u64,
    /// Its exact square, in units of 2^-(2 × [`COORDINATE_BITS`]).
    pub squared: u64,
}

/// Adds up the samples of `piece` in the computation with this seed.
///
/// ```
/// use cookbook_recipe_02_computation_that_survives_a_power_outage::estimator::{Piece, draw};
///
/// let whole = draw(7, &Piece { batch: 3, from: 0, to: 900 });
/// let (left, right) = (Piece { batch: 3, from: 0, to: 250 }, Piece { batch: 3, from: 250, to: 900 });
/// assert_eq!(whole.sum, draw(7, &left).sum + draw(7, &right).sum, "to the last bit");
/// ```
#[must_use]
pub fn draw(seed: u64, piece: &Piece) -> PieceSums {
    let to = piece.to.min(BATCH_SAMPLES);
    let mut sums = PieceSums::default();
    let mut samples = samples(seed, piece.batch);
    for _ in 0..piece.from.min(to) {
        samples.skip_one();
    }
    for _ in piece.from..to {
        let sample = samples.draw_one();
        sums.sum += sample.distance;
        sums.sum_sq += sample.squared;
    }
    sums
}

/// The samples of one batch, from its first one on.
#[must_use]
pub fn samples(seed: u64, batch: u64) -> Samples {
    Samples { generator: stream(seed, batch), left: BATCH_SAMPLES }
}

/// Iterator over the samples of a batch.
#[derive(Clone, Debug)]
pub struct Samples {
    generator: Xoshiro256PlusPlus,
    left: u32,
}

impl Samples {
    #[inline]
    fn draw_one(&mut self) -> Sample {
        let (a, b) = (self.generator.next_u64(), self.generator.next_u64());
        let squared = apart_squared(a, b, 0)
            + apart_squared(a, b, COORDINATE_BITS)
            + apart_squared(a, b, 2 * COORDINATE_BITS);
        Sample { distance: fixed_point_root(squared), squared }
    }

    #[inline]
    fn skip_one(&mut self) {
        self.generator.next_u64();
        self.generator.next_u64();
    }
}

impl Iterator for Samples {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        Some(self.draw_one())
    }
}

/// The generator of one batch: its whole state is a hash of seed and batch, so streams have nothing in common.
fn stream(seed: u64, batch: u64) -> Xoshiro256PlusPlus {
    let mut hasher = blake3::Hasher::new_derive_key("recipe-02 2026-11 stream of one batch");
    hasher.update(&seed.to_le_bytes()).update(&batch.to_le_bytes());
    Xoshiro256PlusPlus::from_seed(*hasher.finalize().as_bytes())
}

/// The squared difference of one coordinate of two points, in squared steps of the grid.
#[inline]
fn apart_squared(a: u64, b: u64, shift: u32) -> u64 {
    const MASK: u64 = (1 << COORDINATE_BITS) - 1;
    let apart = ((a >> shift) & MASK).abs_diff((b >> shift) & MASK);
    apart * apart
}

/// The square root of `squared`, rounded to the nearest multiple of 2^-[`ROOT_BITS`], in units of that.
///
/// `squared` is below 2^44: the conversion is exact, the root below 2^22, the scaled root below 2^46. Adding 2^52
/// makes the hardware round it to an integer (ties to even) in the low bits of the sum.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "below 2^44, so exact")]
fn fixed_point_root(squared: u64) -> u64 {
    let root = (squared as f64).sqrt();
    (root * ROOT_SCALE + TWO_POW_52).to_bits() - TWO_POW_52.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise that a checkpoint of today is worth something tomorrow. These numbers, which a program in another
    /// language has computed too, are never edited.
    #[test]
    fn streams_are_the_same_for_ever() {
        let first = samples(123, 0).next().unwrap();
        assert_eq!(first, Sample { distance: 13_433_551_630_908, squared: 641_123_809_758 });
        let batch = PieceSums { sum: 2_332_530_746_566_496_936, sum_sq: 220_790_529_048_243_966 };
        assert_eq!(draw(123, &Piece { batch: 0, from: 0, to: BATCH_SAMPLES }), batch);
        let far_out = PieceSums { sum: 26_339_001_620_426, sum_sq: 1_233_175_521_775 };
        assert_eq!(draw(u64::MAX, &Piece { batch: u64::MAX, from: 5, to: 7 }), far_out);
    }

    #[test]
    fn roots_are_right_at_the_ends_and_near_squares() {
        let one = 1_u64 << ROOT_BITS;
        assert_eq!(fixed_point_root(0), 0);
        assert_eq!(fixed_point_root(1), one);
        let side = (1_u64 << COORDINATE_BITS) - 1;
        assert_eq!(fixed_point_root(side * side), side * one);
        for squared in [2, 3, 3 * side * side, side * side - 1, 123_456_789] {
            let root = u128::from(fixed_point_root(squared));
            let scaled = u128::from(squared) << (2 * ROOT_BITS);
            // |root - sqrt(scaled)| is at most a half, and a hair for the rounding of the root itself.
            assert!(root.saturating_sub(1).pow(2) < scaled && scaled < (root + 1).pow(2), "{squared}");
        }
    }

    #[test]
    fn the_largest_batch_overflows_neither_sum() {
        let side = (1_u64 << COORDINATE_BITS) - 1;
        let farthest = 3 * side * side;
        assert!(fixed_point_root(farthest).checked_mul(u64::from(BATCH_SAMPLES)).is_some());
        assert!(farthest.checked_mul(u64::from(BATCH_SAMPLES)).is_some());
    }

    #[test]
    fn a_sample_is_the_distance_of_two_points_of_the_cube() {
        let mut generator = stream(9, 4);
        let coordinates = |word: u64| {
            [0, 21, 42].map(|shift| ((word >> shift) & 0x1f_ffff) as f64 / f64::from(1 << COORDINATE_BITS))
        };
        for sample in samples(9, 4).take(1000) {
            let (a, b) = (coordinates(generator.next_u64()), coordinates(generator.next_u64()));
            let plain = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
            let ours = sample.distance as f64 / (1_u64 << DISTANCE_BITS) as f64;
            assert!((plain - ours).abs() < 1e-13, "{plain} {ours}");
        }
    }

    #[test]
    fn pieces_that_are_empty_or_out_of_range_add_nothing() {
        assert_eq!(draw(1, &Piece { batch: 0, from: 10, to: 10 }), PieceSums::default());
        assert_eq!(draw(1, &Piece { batch: 0, from: 20, to: 10 }), PieceSums::default());
        let past = Piece { batch: 0, from: BATCH_SAMPLES, to: u32::MAX };
        assert_eq!(draw(1, &past), PieceSums::default());
    }

    #[test]
    fn different_batches_and_seeds_have_different_streams() {
        let starts: std::collections::BTreeSet<_> = (0..50)
            .flat_map(|seed| (0..50).map(move |batch| samples(seed, batch).next().unwrap().squared))
            .collect();
        assert!(starts.len() > 2490, "only {} different starts", starts.len());
    }
}
