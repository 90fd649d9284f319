//! [`SimState`]: everything that a checkpoint holds, and nothing that can be computed again.
//!
//! Seed, position and two sums, a few dozen bytes. The sums are exact integers, so it does not matter in which order
//! the samples came, nor between which of them the process died.

use serde::{Deserialize, Serialize};

use crate::estimator::{COORDINATE_BITS, DISTANCE_BITS, PieceSums};
use crate::share::Share;

/// The mean distance of two random points of the unit cube, known in closed form (D. P. Robbins, *Average distance
/// between two points in a box*, American Mathematical Monthly 85, 1978; OEIS A073012):
/// (4 + 17√2 − 6√3 + 21 ln(1+√2) + 42 ln(2+√3) − 7π) / 105.
pub const EXACT_MEAN: f64 = 0.661_707_182_267_176_2;

/// The schema tag of checkpoints that hold a [`SimState`].
pub const SCHEMA: &str = "recipe-02.v1";

/// The state of the computation, or of one worker's share of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimState {
    /// Decides every random number.
    pub rng_seed: u64,
    /// Which batches are counted here.
    pub share: Share,
    /// How many samples of the share are counted; they are the first ones.
    pub iter: u64,
    /// Sum of their distances, in units of 2^-[`DISTANCE_BITS`].
    pub sum: u128,
    /// Sum of their squared distances, in units of 2^-(2 × [`COORDINATE_BITS`]).
    pub sum_sq: u128,
}

/// What the samples say of the mean distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean of the samples; 0 without samples.
    pub mean: f64,
    /// How far the mean may be off: one standard deviation. 0 for fewer than two samples, which do not tell.
    pub std_error: f64,
}

impl SimState {
    /// Before the first sample.
    #[must_use]
    pub fn new(rng_seed: u64, share: Share) -> Self {
        Self { rng_seed, share, iter: 0, sum: 0, sum_sq: 0 }
    }

    /// Counts the samples of one piece. The caller moves [`iter`](Self::iter) when all up to there are counted.
    pub(crate) fn add(&mut self, sums: &PieceSums) {
        self.sum += u128::from(sums.sum);
        self.sum_sq += u128::from(sums.sum_sq);
    }

    /// Mean and standard error.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "each conversion rounds once, the same on every machine")]
    pub fn estimate(&self) -> Estimate {
        if self.iter == 0 {
            return Estimate { mean: 0.0, std_error: 0.0 };
        }
        let count = self.iter as f64;
        let mean = self.sum as f64 / (1_u64 << DISTANCE_BITS) as f64 / count;
        let mean_sq = self.sum_sq as f64 / (1_u64 << (2 * COORDINATE_BITS)) as f64 / count;
        let variance = (mean_sq - mean * mean).max(0.0);
        let std_error = if self.iter < 2 { 0.0 } else { (variance / (count - 1.0)).sqrt() };
        Estimate { mean, std_error }
    }

    /// A fingerprint of every bit of the state, as 64 hexadecimal digits. Two runs that did the same work agree in
    /// it, however often they were stopped.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("recipe-02 2026-11 digest of a state");
        hasher.update(&self.rng_seed.to_le_bytes());
        hasher.update(&self.share.index.to_le_bytes()).update(&self.share.of.to_le_bytes());
        hasher.update(&self.iter.to_le_bytes());
        hasher.update(&self.sum.to_le_bytes()).update(&self.sum_sq.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The whole computation out of the shares of all its workers, in any order. `None` if they are not the shares
    /// of one computation, each once.
    #[must_use]
    pub fn merged(shares: &[Self]) -> Option<Self> {
        let first = shares.first()?;
        let mut whole = Self::new(first.rng_seed, Share::WHOLE);
        let mut seen = vec![false; shares.len()];
        for part in shares {
            let of_the_same =
                part.rng_seed == whole.rng_seed && usize::try_from(part.share.of).ok()? == shares.len();
            let slot = seen.get_mut(usize::try_from(part.share.index).ok()?)?;
            if !of_the_same || std::mem::replace(slot, true) {
                return None;
            }
            whole.iter = whole.iter.checked_add(part.iter)?;
            whole.sum = whole.sum.checked_add(part.sum)?;
            whole.sum_sq = whole.sum_sq.checked_add(part.sum_sq)?;
        }
        Some(whole)
    }
}

impl Estimate {
    /// How many standard errors the mean is away from the [exact value](EXACT_MEAN); 0 if the error is unknown.
    #[must_use]
    pub fn sigmas_off(&self) -> f64 {
        if self.std_error > 0.0 { (self.mean - EXACT_MEAN).abs() / self.std_error } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::{Piece, draw};

    fn after(seed: u64, share: Share, iterations: u64) -> SimState {
        let mut state = SimState::new(seed, share);
        let cuts = crate::share::Cuts::new(0, share.samples_of(iterations), u64::MAX);
        for index in 0..cuts.count() {
            state.add(&draw(seed, &cuts.piece(&share, index)));
        }
        state.iter = share.samples_of(iterations);
        state
    }

    #[test]
    fn the_exact_mean_is_its_closed_form() {
        let (root2, root3) = (2_f64.sqrt(), 3_f64.sqrt());
        let logs = 21.0 * (1.0 + root2).ln() + 42.0 * (2.0 + root3).ln();
        let closed = (4.0 + 17.0 * root2 - 6.0 * root3 + logs - 7.0 * std::f64::consts::PI) / 105.0;
        assert!((closed - EXACT_MEAN).abs() < 1e-15, "{closed}");
    }

    #[test]
    fn the_estimate_is_within_five_standard_errors_of_the_exact_value() {
        for seed in [1, 2, 3] {
            let estimate = after(seed, Share::WHOLE, 1_000_000).estimate();
            assert!(estimate.sigmas_off() < 5.0, "seed {seed}: {estimate:?}");
            // The standard deviation of one distance is 0.2493.
            assert!((estimate.std_error / 0.249_3e-3 - 1.0).abs() < 0.01, "seed {seed}: {estimate:?}");
        }
    }

    #[test]
    fn no_samples_and_one_sample_claim_no_error() {
        assert_eq!(SimState::new(1, Share::WHOLE).estimate(), Estimate { mean: 0.0, std_error: 0.0 });
        let mut one = SimState::new(1, Share::WHOLE);
        one.add(&draw(1, &Piece { batch: 0, from: 0, to: 1 }));
        one.iter = 1;
        assert_eq!(one.estimate().std_error, 0.0);
        assert_eq!(one.estimate().sigmas_off(), 0.0);
    }

    #[test]
    fn shares_merge_to_the_bits_of_a_single_run() {
        let single = after(5, Share::WHOLE, 1_234_567);
        let mut shares: Vec<_> = (0..3).map(|index| after(5, Share { index, of: 3 }, 1_234_567)).collect();
        assert_eq!(SimState::merged(&shares), Some(single.clone()));
        shares.reverse();
        assert_eq!(SimState::merged(&shares).map(|state| state.digest()), Some(single.digest()));
    }

    #[test]
    fn shares_of_different_runs_do_not_merge() {
        let share = |seed, index, of| SimState::new(seed, Share { index, of });
        assert_eq!(SimState::merged(&[]), None);
        assert_eq!(SimState::merged(&[share(1, 0, 2)]), None, "one is missing");
        assert_eq!(SimState::merged(&[share(1, 0, 2), share(1, 0, 2)]), None, "one came twice");
        assert_eq!(SimState::merged(&[share(1, 0, 2), share(2, 1, 2)]), None, "another seed");
        assert_eq!(SimState::merged(&[share(1, 0, 2), share(1, 7, 2)]), None, "no such worker");
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let state = after(5, Share::WHOLE, 1000);
        let changed = [
            SimState { rng_seed: 6, ..state.clone() },
            SimState { share: Share { index: 1, of: 1 }, ..state.clone() },
            SimState { share: Share { index: 0, of: 2 }, ..state.clone() },
            SimState { iter: 1001, ..state.clone() },
            SimState { sum: state.sum + 1, ..state.clone() },
            SimState { sum_sq: state.sum_sq ^ (1 << 100), ..state.clone() },
        ];
        for other in changed {
            assert_ne!(other.digest(), state.digest(), "{other:?}");
        }
    }

    /// The whole chain, pinned: random numbers, rounding, sums, digest. A program in another language has computed
    /// the same. Never edited.
    #[test]
    fn a_known_run_keeps_its_bits() {
        let state = after(123, Share::WHOLE, 1_000_000);
        assert_eq!(format!("{:016x}", state.estimate().mean.to_bits()), "3fe530bd7338499a");
        let digest = "506fcb4efa178e340105d75e5be10242eda40d193108df1c81cf36dc92430cee";
        assert_eq!(state.digest(), digest);
    }
}
