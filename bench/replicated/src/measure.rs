//! What is measured, and how the rounds go.
//!
//! In every round each contender has its turn, and the first turn moves on by one from round to round. Before a turn
//! the file system is synced, off the clock: what one contender left to be written must not be paid by the next. Small
//! operations are repeated within a turn, and the turn counts as its median.

mod change;
mod commit;
mod keys;
mod payload;

use std::path::Path;

use grafos_bench_support::{ByteSize, Samples};

pub(crate) use change::{ChangeResult, Counts};
pub(crate) use commit::CommitResult;
pub(crate) use keys::KeysResult;

use crate::Result;

/// Where, how often, how large, how many.
pub(crate) struct Plan<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) rounds: u32,
    pub(crate) sizes: Vec<ByteSize>,
    pub(crate) keys: Vec<u64>,
}

/// Ours and its baseline, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub(crate) ours: Samples,
    pub(crate) baseline: Samples,
}

/// Saving and loading states of one size.
#[derive(Debug)]
pub(crate) struct PayloadResult {
    pub(crate) size: ByteSize,
    pub(crate) save: Pair,
    pub(crate) load: Pair,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) payloads: Vec<PayloadResult>,
    pub(crate) changes: Vec<ChangeResult>,
    pub(crate) commits: Vec<CommitResult>,
    pub(crate) keys: Vec<KeysResult>,
}

/// A hundredth of less than this is less than a chunk.
const SMALLEST_FOR_CHANGE: ByteSize = ByteSize::of(4 << 20);

/// Measures everything, smallest first, and says on standard error where it is.
pub(crate) fn all(plan: &Plan<'_>) -> Result<Results> {
    let mut results = Results::default();
    for size in plan.sizes.iter().copied() {
        eprintln!("{size}: save, load");
        results.payloads.push(payload::measure(plan, size)?);
        if size >= SMALLEST_FOR_CHANGE {
            eprintln!("{size}: a change of 1%");
            results.changes.push(change::measure(plan, size)?);
        }
    }
    eprintln!("commits");
    results.commits = commit::measure(plan)?;
    results.keys = keys::measure(plan)?;
    Ok(results)
}

/// Fails if a contender has not kept what it was given: then its time means nothing.
fn must_match(contender: &str, found: &[u8], expected: &[u8]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let len = found.len();
    Err(format!("{contender} does not hold the state that was saved last: len_bytes={len}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_not_kept_is_an_error() {
        assert!(must_match("x", b"abc", b"abc").is_ok());
        let error = must_match("x", b"ab", b"abc").unwrap_err().to_string();
        assert_eq!(error, "x does not hold the state that was saved last: len_bytes=2");
    }
}
