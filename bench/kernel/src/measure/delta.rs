//! A delta of one page in a hundred, beside theirs, which holds whole regions.

use grafos_bench_support::{Samples, timed, turns};
use grafos_kernel::checkpoint::{self as ours, DeltaOptions, WriteOptions};
use ringkernel_core::checkpoint as theirs;

use super::{Plan, must_be_same};
use crate::Result;
use crate::state::{self, Data, PAGE_BYTES};

/// What a delta costs.
#[derive(Debug)]
pub(crate) struct DeltaResult {
    /// How many bytes lie in pages that changed.
    pub(crate) dirty_bytes: usize,
    /// Length of our file.
    pub(crate) ours_bytes: usize,
    /// Length of theirs.
    pub(crate) theirs_bytes: usize,
    /// To make it, where the digest of the parent is known from its save; seconds.
    pub(crate) ours_made: Samples,
    pub(crate) theirs_made: Samples,
    /// To apply it.
    pub(crate) ours_applied: Samples,
    pub(crate) theirs_applied: Samples,
}

pub(super) fn all(plan: &Plan<'_>) -> Result<DeltaResult> {
    let old = Data::Noise.region(plan.size.bytes());
    let mut new = old.clone();
    let dirty_bytes = state::touch_a_hundredth(&mut new) * PAGE_BYTES;
    let ours = [state::ours(old.clone(), 1), state::ours(new.clone(), 2)];
    let theirs = [state::theirs(old, 1), state::theirs(new, 2)];
    // A program knows it from the save of the parent.
    let options = DeltaOptions::new().parent(ours[0].contents());

    let mut result = DeltaResult {
        dirty_bytes,
        ours_bytes: 0,
        theirs_bytes: theirs::Checkpoint::delta_from(&theirs[0], &theirs[1]).to_bytes().len(),
        ours_made: Samples::default(),
        theirs_made: Samples::default(),
        ours_applied: Samples::default(),
        theirs_applied: Samples::default(),
    };
    for round in 0..plan.rounds {
        for turn in turns(round, 2) {
            if turn == 0 {
                let (delta, secs) = timed(|| options.between(&ours[0], &ours[1]));
                let delta = delta?;
                result.ours_made.push(secs);
                let (applied, secs) = timed(|| ours::Checkpoint::applied_with_delta(&ours[0], &delta));
                must_be_same("our delta", applied?.chunks == ours[1].chunks)?;
                result.ours_applied.push(secs);
                result.ours_bytes = delta.encode(&WriteOptions::new())?.len();
            } else {
                let (delta, secs) = timed(|| theirs::Checkpoint::delta_from(&theirs[0], &theirs[1]));
                result.theirs_made.push(secs);
                let (applied, secs) = timed(|| theirs::Checkpoint::applied_with_delta(&theirs[0], &delta));
                let applied = applied?;
                let same =
                    applied.chunks.iter().zip(&theirs[1].chunks).all(|(one, other)| one.data == other.data);
                must_be_same("their delta", same && applied.chunks.len() == theirs[1].chunks.len())?;
                result.theirs_applied.push(secs);
            }
        }
    }
    Ok(result)
}
