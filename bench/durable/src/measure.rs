//! What is measured, and how the rounds go.
//!
//! In every round each contender has its turn, and the first turn moves on by one from round to round, so that
//! nobody always comes after the same neighbour. Before a turn the file system is synced, off the clock: what one
//! contender left to be written must not be paid by the next. Small operations are repeated within a turn, and the
//! turn counts as its median.

mod change;
mod commit;
mod encoding;
mod restore;
mod stall;

use std::path::Path;

#[cfg(test)]
pub(crate) use change::Counts;
pub(crate) use change::{ChangeResult, Pattern};
pub(crate) use commit::CommitResult;
pub(crate) use encoding::EncodingResult;
pub(crate) use restore::RestoreResult;
pub(crate) use stall::StallResult;

use grafos_bench_support::{ByteSize, Samples};
pub(crate) use grafos_bench_support::{repeats, settle, turns};

use crate::Result;
use crate::contender::Contender;

/// Where, how often, how large.
pub(crate) struct Plan<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) rounds: u32,
    pub(crate) sizes: Vec<ByteSize>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) commits: Vec<CommitResult>,
    pub(crate) stalls: Vec<StallResult>,
    pub(crate) restores: Vec<RestoreResult>,
    pub(crate) changes: Vec<ChangeResult>,
    pub(crate) encoding: Option<EncodingResult>,
}

/// Below this a copy takes less time than waking a thread, and a hundredth of the state is less than a chunk.
const SMALLEST_FOR_STALL: ByteSize = ByteSize::of(1 << 20);
const SMALLEST_FOR_CHANGE: ByteSize = ByteSize::of(4 << 20);
/// Element-wise encoding is compared at this size at most: how slow it is does not depend on more.
const LARGEST_FOR_ENCODING: ByteSize = ByteSize::of(64 << 20);

/// Measures everything, smallest first, and says on standard error where it is.
pub(crate) fn all(plan: &Plan<'_>) -> Result<Results> {
    let mut results = Results::default();
    for size in plan.sizes.iter().copied() {
        eprintln!("{size}: checkpoint, restore");
        results.commits.push(commit::measure(plan, size)?);
        results.restores.push(restore::measure(plan, size)?);
        if size >= SMALLEST_FOR_STALL {
            eprintln!("{size}: background checkpoint");
            results.stalls.push(stall::measure(plan, size)?);
        }
        if size >= SMALLEST_FOR_CHANGE {
            eprintln!("{size}: changes of 1%");
            for pattern in Pattern::ALL {
                results.changes.push(change::measure(plan, size, pattern)?);
            }
        }
    }
    let for_encoding = plan.sizes.iter().copied().filter(|size| *size <= LARGEST_FOR_ENCODING).max();
    if let Some(size) = for_encoding {
        eprintln!("{size}: encodings");
        results.encoding = Some(encoding::measure(plan, size)?);
    }
    Ok(results)
}

/// How much one call of the raw baseline moves: the fastest of these counts.
pub(crate) fn raw_steps(size: ByteSize) -> Vec<ByteSize> {
    let large = [ByteSize::of(1 << 20), ByteSize::of(4 << 20)];
    let fitting: Vec<ByteSize> = large.into_iter().filter(|step| *step <= size).collect();
    if fitting.is_empty() { vec![size] } else { fitting }
}

/// The fastest baseline.
pub(crate) fn best_raw(measured: &[(Contender, Samples)]) -> Samples {
    let raw = measured.iter().filter(|(contender, _)| matches!(contender, Contender::Raw { .. }));
    let best = raw.min_by(|(_, one), (_, other)| one.median().total_cmp(&other.median()));
    best.map(|(_, samples)| samples.clone()).unwrap_or_default()
}

/// The figures of Durable.
pub(crate) fn ours(measured: &[(Contender, Samples)]) -> Samples {
    let ours = measured.iter().find(|(contender, _)| *contender == Contender::Ours);
    ours.map(|(_, samples)| samples.clone()).unwrap_or_default()
}

/// Fails if a contender has not kept what it was given: then its time means nothing.
pub(crate) fn must_match(contender: &str, found: &[u8], expected: &[u8]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{contender} does not hold the state that was committed last: len_bytes={}", found.len())
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_baseline_counts() {
        let raw = |step, secs| (Contender::Raw { step: ByteSize::of(step) }, Samples::from_iter([secs]));
        let measured = [raw(1, 3.0), raw(4, 2.0), (Contender::Ours, Samples::from_iter([1.0]))];
        assert!((best_raw(&measured).median() - 2.0).abs() < 1e-12);
        assert!((ours(&measured).median() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_state_that_was_not_kept_is_an_error() {
        assert!(must_match("x", b"abc", b"abc").is_ok());
        let error = must_match("x", b"ab", b"abc").unwrap_err().to_string();
        assert_eq!(error, "x does not hold the state that was committed last: len_bytes=2");
    }
}
