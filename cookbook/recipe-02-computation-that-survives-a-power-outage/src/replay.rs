//! Variation: deterministic replay. Large derived data stays out of the checkpoint and is computed again.
//!
//! The checkpoint holds a seed and a position: some ten bytes. The [`Histogram`] of all distances so far may be
//! large, and is made anew from the random streams when the run is opened. That costs time at every start, in
//! proportion to the position, and nothing at every checkpoint: right for data that is large and quick to compute,
//! wrong for hours of work, which the [main loop](crate::run) keeps as sums.

use grafos_collections::durable::Durable;
use grafos_std::block::BlockBuilder;
use grafos_std::host::Host;
use serde::{Deserialize, Serialize};

use crate::error::{RecipeError, Result};
use crate::estimator::{DISTANCE_BITS, samples};
use crate::run::MIN_BLOCKS;

/// The schema tag of checkpoints that hold a [`ReplayState`].
pub const REPLAY_SCHEMA: &str = "recipe-02.replay.v1";

/// Everything that is needed to compute the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayState {
    /// Decides every random number.
    pub rng_seed: u64,
    /// How many batches are counted.
    pub batches: u64,
}

/// How often distances fell into each of a number of equal bins between 0 and the cube's diagonal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    /// One more than the diagonal, √3, in the units of [`Sample::distance`](crate::estimator::Sample::distance).
    const RANGE: u128 = 60_941_120_090_265 + 1;

    /// Most bins that are allowed: a million distances of one batch would not fill more.
    const MAX_BINS: usize = 1 << 24;

    fn new(bins: usize) -> Result<Self> {
        if !(1..=Self::MAX_BINS).contains(&bins) {
            let (what, expected) = ("bins of the histogram", "1 to 16777216");
            return Err(RecipeError::InvalidJob { what, expected, found: bins as u64 });
        }
        Ok(Self { counts: vec![0; bins] })
    }

    fn count_batch(&mut self, seed: u64, batch: u64) {
        for sample in samples(seed, batch) {
            let bin = u128::from(sample.distance) * self.counts.len() as u128 / Self::RANGE;
            if let Some(count) = usize::try_from(bin).ok().and_then(|bin| self.counts.get_mut(bin)) {
                *count += 1;
            }
        }
    }

    /// How many distances fell into each bin.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The middle of a bin, as a part of the cube's edge.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn middle_of(&self, bin: usize) -> f64 {
        let diagonal = Self::RANGE as f64 / (1_u64 << DISTANCE_BITS) as f64;
        (bin as f64 + 0.5) * diagonal / self.counts.len() as f64
    }
}

/// A histogram on a volume, or so it seems: only seed and position are there.
///
/// ```
/// use cookbook_recipe_02_computation_that_survives_a_power_outage::replay::Replay;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
///
/// let mut replay = Replay::open(&host, "histogram", 7, 1000)?;
/// replay.advance(3);
/// replay.checkpoint()?;
/// let before = replay.histogram().clone();
/// drop(replay);
///
/// let again = Replay::open(&host, "histogram", 7, 1000)?;
/// assert_eq!(again.batches(), 3);
/// assert_eq!(*again.histogram(), before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    state: Durable<ReplayState>,
    histogram: Histogram,
}

impl Replay {
    /// Opens the run on `volume`, or starts one, and computes its histogram up to where it stands.
    ///
    /// # Errors
    /// [`RecipeError`]: as [`run`](crate::run::run), and for a number of bins out of range.
    pub fn open(host: &Host, volume: &str, rng_seed: u64, bins: usize) -> Result<Self> {
        let mut histogram = Histogram::new(bins)?;
        let lease = BlockBuilder::new().on(host).volume(volume).min_blocks(MIN_BLOCKS).acquire()?;
        let start = || ReplayState { rng_seed, batches: 0 };
        let state = Durable::options()
            .schema(REPLAY_SCHEMA)
            .open_or_init(lease, start)
            .map_err(RecipeError::durable(volume))?;
        if state.rng_seed != rng_seed {
            let (requested, found) = (rng_seed, state.rng_seed);
            return Err(RecipeError::OtherSeed { volume: volume.to_owned(), requested, found });
        }
        (0..state.batches).for_each(|batch| histogram.count_batch(rng_seed, batch));
        Ok(Self { state, histogram })
    }

    /// Counts the next batches.
    pub fn advance(&mut self, batches: u64) {
        for batch in (self.state.batches..).take(usize::try_from(batches).unwrap_or(usize::MAX)) {
            self.histogram.count_batch(self.state.rng_seed, batch);
            self.state.inner_mut().batches += 1;
        }
    }

    /// Commits the position, and returns the checkpoint's sequence.
    ///
    /// # Errors
    /// [`RecipeError::Durable`].
    pub fn checkpoint(&self) -> Result<u64> {
        let volume = self.state.lease().volume().as_str();
        Ok(self.state.checkpoint().map_err(RecipeError::durable(volume))?.sequence)
    }

    /// How many batches are counted.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.state.batches
    }

    /// The derived data.
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::BATCH_SAMPLES;

    #[test]
    fn every_distance_has_a_bin_and_most_lie_near_the_mean() {
        let mut histogram = Histogram::new(100).unwrap();
        histogram.count_batch(1, 0);
        assert_eq!(histogram.counts().iter().sum::<u64>(), u64::from(BATCH_SAMPLES));
        let fullest = (0..100).max_by_key(|bin| histogram.counts()[*bin]).unwrap();
        assert!((0.55..0.75).contains(&histogram.middle_of(fullest)), "{}", histogram.middle_of(fullest));
    }

    #[test]
    fn the_range_is_the_diagonal() {
        let diagonal = Histogram::RANGE as f64 / (1_u64 << DISTANCE_BITS) as f64;
        assert!((diagonal - 3_f64.sqrt()).abs() < 1e-12, "{diagonal}");
    }

    #[test]
    fn a_histogram_without_bins_or_with_too_many_is_refused() {
        for bins in [0, Histogram::MAX_BINS + 1, usize::MAX] {
            assert!(matches!(Histogram::new(bins), Err(RecipeError::InvalidJob { .. })), "{bins}");
        }
    }
}
