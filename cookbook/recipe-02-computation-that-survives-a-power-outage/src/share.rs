//! [`Share`]: which batches of a computation are whose.
//!
//! Worker `index` of `of` has every batch whose number leaves the rest `index` when divided by `of`. A worker
//! counts its own samples from 0 on, in the order of its batches, so that its position is one number; a single
//! worker's share is everything. Invariant: the shares of all workers cover every sample exactly once, for every
//! number of samples, and stay so when the number of samples grows.

use serde::{Deserialize, Serialize};

use crate::estimator::{BATCH_SAMPLES, Piece};

const BATCH: u64 = BATCH_SAMPLES as u64;

/// The part of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which worker, counted from 0.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl Share {
    /// Everything: the share of the only worker.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// How many of the first `iterations` samples of the computation are in this share.
    ///
    /// ```
    /// use cookbook_recipe_02_computation_that_survives_a_power_outage::share::Share;
    ///
    /// let shares = (0..3).map(|index| Share { index, of: 3 });
    /// assert_eq!(shares.map(|share| share.samples_of(1_234_567)).sum::<u64>(), 1_234_567);
    /// ```
    #[must_use]
    pub fn samples_of(&self, iterations: u64) -> u64 {
        let (index, of) = (u64::from(self.index), u64::from(self.of.max(1)));
        let (whole_batches, rest) = (iterations / BATCH, iterations % BATCH);
        let own_whole = (whole_batches + of - 1).saturating_sub(index) / of;
        let own_rest = if whole_batches % of == index { rest } else { 0 };
        own_whole * BATCH + own_rest
    }

    /// The samples from this share's `position` to the end of their batch, or to `until` if that comes first.
    pub(crate) fn piece(&self, position: u64, until: u64) -> Piece {
        let own_batch = position / BATCH;
        let in_batch = |at: u64| u32::try_from((at - own_batch * BATCH).min(BATCH)).unwrap_or(BATCH_SAMPLES);
        Piece {
            batch: own_batch.saturating_mul(u64::from(self.of.max(1))).saturating_add(u64::from(self.index)),
            from: in_batch(position),
            to: in_batch(until.max(position)),
        }
    }
}

/// Cuts the positions `from..until` of a share at the batches' ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    from: u64,
    until: u64,
}

impl Cuts {
    /// At most `max_pieces` pieces of `from..until`.
    pub(crate) fn new(from: u64, until: u64, max_pieces: u64) -> Self {
        let farthest = (from / BATCH).saturating_add(max_pieces).saturating_mul(BATCH);
        Self { from, until: until.min(farthest).max(from) }
    }

    /// How many pieces there are.
    pub(crate) fn count(&self) -> u64 {
        if self.from == self.until { 0 } else { self.until.div_ceil(BATCH) - self.from / BATCH }
    }

    /// The position behind the first `pieces` pieces.
    pub(crate) fn position_after(&self, pieces: u64) -> u64 {
        if pieces == 0 {
            return self.from;
        }
        (self.from / BATCH).saturating_add(pieces).saturating_mul(BATCH).min(self.until)
    }

    /// Piece number `index` of `share`.
    pub(crate) fn piece(&self, share: &Share, index: u64) -> Piece {
        share.piece(self.position_after(index), self.until)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_only_worker_has_every_batch_in_order() {
        let cuts = Cuts::new(0, 3 * BATCH + 5, u64::MAX);
        let pieces: Vec<_> = (0..cuts.count()).map(|index| cuts.piece(&Share::WHOLE, index)).collect();
        let whole = |batch| Piece { batch, from: 0, to: BATCH_SAMPLES };
        assert_eq!(pieces, [whole(0), whole(1), whole(2), Piece { batch: 3, from: 0, to: 5 }]);
    }

    #[test]
    fn a_share_at_the_end_of_the_numbers_neither_panics_nor_turns_back() {
        let share = Share { index: 2, of: 3 };
        let all: u64 = (0..3).map(|index| Share { index, of: 3 }.samples_of(u64::MAX)).sum();
        assert_eq!(all, u64::MAX);
        let cuts = Cuts::new(u64::MAX - 1, u64::MAX, u64::MAX);
        assert_eq!(cuts.position_after(cuts.count()), u64::MAX);
        assert!(cuts.piece(&share, 0).from < cuts.piece(&share, 0).to);
    }

    proptest! {
        #[test]
        fn shares_cover_every_sample_once_however_a_run_was_cut_and_extended(
            of in 1..6_u32, first in 0..12 * BATCH, more in 0..12 * BATCH, max_pieces in 1..5_u64,
        ) {
            let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
            for share in (0..of).map(|index| Share { index, of }) {
                let mut position = 0;
                for goal in [share.samples_of(first), share.samples_of(first + more)] {
                    while position < goal {
                        let cuts = Cuts::new(position, goal, max_pieces);
                        for index in 0..cuts.count() {
                            let piece = cuts.piece(&share, index);
                            let so_far = seen.entry(piece.batch).or_default();
                            prop_assert_eq!(*so_far, u64::from(piece.from), "a gap, or a sample twice");
                            *so_far = u64::from(piece.to);
                            let drawn = u64::from(piece.to - piece.from);
                            prop_assert_eq!(cuts.position_after(index) + drawn, cuts.position_after(index + 1));
                        }
                        position = cuts.position_after(cuts.count());
                    }
                }
            }
            prop_assert_eq!(seen.values().sum::<u64>(), first + more);
            let all_but_last = seen.values().rev().skip(1);
            prop_assert!(all_but_last.into_iter().all(|samples| *samples == BATCH), "holes in {:?}", seen);
        }
    }
}
