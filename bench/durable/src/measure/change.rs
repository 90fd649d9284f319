//! A checkpoint after a hundredth of the state has changed: how much of it is written.
//!
//! A checkpoint goes over the older slot, which holds the state before last. So it has to write what the last two
//! changes touched, in whole chunks: the same chunks twice if the program changes the same place again and again.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use grafos_bench_support::Samples;

use super::{Plan, settle};
use crate::Result;
use crate::contender::Commit;
use crate::ours::{CHUNK_BYTES, Ours, SLOTS};
use crate::state::{State, change_ranges};
use grafos_bench_support::ByteSize;
use grafos_bench_support::mixed;

/// Where the hundredth lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    ContiguousSamePlace,
    ContiguousMoving,
    PagesSamePlaces,
    PagesMoving,
}

impl Pattern {
    pub(crate) const ALL: [Self; 4] =
        [Self::ContiguousSamePlace, Self::ContiguousMoving, Self::PagesSamePlaces, Self::PagesMoving];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ContiguousSamePlace => "one piece, same place",
            Self::ContiguousMoving => "one piece, moving",
            Self::PagesSamePlaces => "4 KiB pages, same places",
            Self::PagesMoving => "4 KiB pages, moving",
        }
    }

    /// What the `step`-th change touches.
    fn ranges(self, size: ByteSize, step: u64) -> Vec<Range<usize>> {
        let hundredth = size.bytes() / 100;
        match self {
            Self::ContiguousSamePlace => vec![piece(hundredth * 40, hundredth)],
            Self::ContiguousMoving => {
                let place = usize::try_from(step % 90).unwrap_or(0);
                vec![piece(hundredth * (place + 5), hundredth)]
            }
            Self::PagesSamePlaces => scattered(size, hundredth / PAGE_BYTES, 0),
            Self::PagesMoving => scattered(size, hundredth / PAGE_BYTES, step),
        }
    }
}

const PAGE_BYTES: usize = 4096;

/// From the start of the chunk at `near`, so that the piece touches no more chunks than it must.
fn piece(near: usize, len: usize) -> Range<usize> {
    let start = near / CHUNK_BYTES * CHUNK_BYTES;
    start..start + len
}

/// So many different pages, chosen by `seed`.
fn scattered(size: ByteSize, count: usize, seed: u64) -> Vec<Range<usize>> {
    let pages = (size.bytes() / PAGE_BYTES) as u64;
    let mut chosen = BTreeSet::new();
    let mut word = mixed(seed ^ 0x5eed);
    while chosen.len() < count {
        word = mixed(word.wrapping_add(1));
        chosen.insert(usize::try_from(word % pages).unwrap_or(0));
    }
    chosen.into_iter().map(|page| page * PAGE_BYTES..(page + 1) * PAGE_BYTES).collect()
}

/// What was written, and how long it took. The counts are those of the round that wrote most beside what was due.
#[derive(Debug)]
pub(crate) struct ChangeResult {
    pub(crate) size: ByteSize,
    pub(crate) pattern: Pattern,
    pub(crate) worst: Counts,
    /// Seconds per checkpoint.
    pub(crate) secs: Samples,
}

/// Bytes of one change and its checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// What the change touched.
    pub(crate) dirty_bytes: usize,
    /// The chunks that hold it.
    pub(crate) dirty_chunks_bytes: usize,
    /// The chunks in which the slot that is written differed from the state.
    pub(crate) due_chunks_bytes: usize,
    /// What the checkpoint says it wrote.
    pub(crate) written_bytes: u64,
}

impl Counts {
    /// Bytes written per byte of the chunks that had to be.
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
    pub(crate) fn written_over_due(&self) -> f64 {
        self.written_bytes as f64 / self.due_chunks_bytes as f64
    }
}

pub(crate) fn measure(plan: &Plan<'_>, size: ByteSize, pattern: Pattern) -> Result<ChangeResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut ours = Ours::create(dir.path(), size)?;
    let mut state = State::new(size);
    state.change(0);
    ours.prepare(&state);
    // Once per slot in full; the payloads of the last checkpoints, the newest last.
    let mut payloads = VecDeque::new();
    for _ in 0..SLOTS {
        ours.timed_checkpoint()?;
        payloads.push_back(ours.payload()?);
    }
    let mut result = ChangeResult { size, pattern, worst: Counts::default(), secs: Samples::default() };
    let mut worst_ratio = 0.0;
    for step in 0..u64::from(plan.rounds) + WARM_UP {
        let ranges = pattern.ranges(size, step);
        change_ranges(ours.bytes_mut(), &ranges, step + 1);
        settle(dir.path())?;
        let (committed, secs) = ours.timed_checkpoint()?;
        let payload = ours.payload()?;
        let counts = Counts {
            dirty_bytes: ranges.iter().map(ExactSizeIterator::len).sum(),
            dirty_chunks_bytes: payloads.back().map_or(0, |last| differing_chunks_bytes(last, &payload)),
            due_chunks_bytes: payloads
                .front()
                .map_or(0, |in_the_slot| differing_chunks_bytes(in_the_slot, &payload)),
            written_bytes: committed.written_bytes,
        };
        payloads.pop_front();
        payloads.push_back(payload);
        if step >= WARM_UP {
            result.secs.push(secs);
            if counts.written_over_due() > worst_ratio {
                worst_ratio = counts.written_over_due();
                result.worst = counts;
            }
        }
    }
    Ok(result)
}

/// Changes before anything counts: every slot then holds one of the pattern.
const WARM_UP: u64 = SLOTS as u64;

/// The size of all chunks of `new` that `old` does not have in the same place.
fn differing_chunks_bytes(old: &[u8], new: &[u8]) -> usize {
    let old = old.chunks(CHUNK_BYTES).map(Some).chain(std::iter::repeat(None));
    let differing = new.chunks(CHUNK_BYTES).zip(old).filter(|(new, old)| Some(*new) != *old);
    differing.map(|(new, _)| new.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_touches_a_hundredth() {
        let size = ByteSize::of(64 << 20);
        for pattern in Pattern::ALL {
            for step in [0, 1, 500] {
                let ranges = pattern.ranges(size, step);
                let touched: usize = ranges.iter().map(ExactSizeIterator::len).sum();
                let hundredth = size.bytes() / 100;
                assert!((hundredth - PAGE_BYTES..=hundredth).contains(&touched), "{pattern:?}: {touched}");
                assert!(ranges.iter().all(|range| range.end <= size.bytes()), "{pattern:?}");
            }
        }
    }

    #[test]
    fn moving_patterns_move_and_the_others_stay() {
        let size = ByteSize::of(64 << 20);
        for pattern in Pattern::ALL {
            let moves = matches!(pattern, Pattern::ContiguousMoving | Pattern::PagesMoving);
            assert_eq!(pattern.ranges(size, 1) != pattern.ranges(size, 4), moves, "{pattern:?}");
        }
    }

    #[test]
    fn a_chunk_counts_once_and_the_last_one_by_its_length() {
        let old = vec![0; CHUNK_BYTES * 2 + 100];
        let with = |changed: &[usize]| {
            let mut new = old.clone();
            changed.iter().for_each(|at| new[*at] = 1);
            new
        };
        assert_eq!(differing_chunks_bytes(&old, &old), 0);
        assert_eq!(differing_chunks_bytes(&old, &with(&[0, 5])), CHUNK_BYTES);
        assert_eq!(differing_chunks_bytes(&old, &with(&[CHUNK_BYTES - 1, CHUNK_BYTES])), 2 * CHUNK_BYTES);
        assert_eq!(differing_chunks_bytes(&old, &with(&[2 * CHUNK_BYTES + 99])), 100);
        assert_eq!(differing_chunks_bytes(&old[..CHUNK_BYTES], &old), CHUNK_BYTES + 100);
    }
}
