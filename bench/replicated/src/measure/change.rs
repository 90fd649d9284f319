//! Saves of which a hundredth is new: how much of each is written.

use std::sync::Arc;

use grafos_bench_support::{ByteSize, Samples, fill, mixed, settle, timed};
use grafos_replicated::DEFAULT_CHUNK_BYTES;

use super::{Plan, must_match};
use crate::Result;
use crate::ours::{Ours, changed};

/// How many saves one after the other tell what a program pays that goes on.
const SERIES: u64 = 40;

/// What was written for a hundredth.
#[derive(Debug)]
pub(crate) struct ChangeResult {
    pub(crate) size: ByteSize,
    /// The second save, after one of the whole state: of the rounds the one that wrote most beside its chunks.
    pub(crate) second: Counts,
    /// Seconds of it.
    pub(crate) secs: Samples,
    /// Many saves one after the other, each with another hundredth new, all together.
    pub(crate) series: Counts,
}

/// Bytes of changes and saves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// What was changed.
    pub(crate) changed: u64,
    /// The chunks that hold it.
    pub(crate) chunks: u64,
    /// What the saves say they wrote to each replica.
    pub(crate) written: u64,
}

impl Counts {
    /// Bytes written per byte of the chunks that had to be.
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
    pub(crate) fn ratio(&self) -> f64 {
        self.written as f64 / self.chunks as f64
    }
}

pub(super) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<ChangeResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut ours = Ours::create(dir.path())?;
    let mut state = Arc::new(vec![0; size.bytes()]);
    let mut result =
        ChangeResult { size, second: Counts::default(), secs: Samples::default(), series: Counts::default() };
    for round in 0..u64::from(plan.rounds) {
        changed(&mut state, |bytes| fill(bytes, round << 32))?;
        ours.save(&state)?;
        ours.tidy()?;
        settle(dir.path())?;
        let (counts, secs) = change_and_save(&mut ours, &mut state, round + 1)?;
        result.secs.push(secs);
        if counts.ratio() > result.second.ratio() || round == 0 {
            result.second = counts;
        }
    }
    for step in 1..=SERIES {
        let (counts, _) = change_and_save(&mut ours, &mut state, step << 40)?;
        result.series.changed += counts.changed;
        result.series.chunks += counts.chunks;
        result.series.written += counts.written;
        ours.tidy()?;
    }
    must_match("ours", &ours.load()?, &state)?;
    Ok(result)
}

/// Changes a hundredth in one piece, from the start of some chunk.
fn change_and_save(ours: &mut Ours, state: &mut Arc<Vec<u8>>, stamp: u64) -> Result<(Counts, f64)> {
    let hundredth = state.len() / 100;
    let places = (state.len() - hundredth) / DEFAULT_CHUNK_BYTES;
    let place = usize::try_from(mixed(stamp) % (places as u64 + 1))? * DEFAULT_CHUNK_BYTES;
    let end = (place + hundredth).min(state.len());
    changed(state, |bytes| fill(&mut bytes[place..end], stamp))?;
    let last_chunk_end = end.next_multiple_of(DEFAULT_CHUNK_BYTES).min(state.len());
    let (saved, secs) = timed(|| ours.save(state));
    let counts = Counts {
        changed: (end - place) as u64,
        chunks: (last_chunk_end - place) as u64,
        written: saved?.written_bytes,
    };
    Ok((counts, secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_what_was_written_by_what_had_to_be() {
        let counts = Counts { changed: 10, chunks: 100, written: 110 };
        assert!((counts.ratio() - 1.1).abs() < 1e-12);
        assert!(Counts::default().ratio().is_nan());
    }
}
