//! Saving a whole state that nobody has seen before, and loading it.

use std::sync::Arc;

use grafos_bench_support::{ByteSize, Samples, fill, repeats, settle, timed, turns};

use super::{Pair, PayloadResult, Plan, must_match};
use crate::Result;
use crate::ours::{Ours, changed};
use crate::raw::Raw;

pub(super) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<PayloadResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let (mut ours, mut raw) = (Ours::create(dir.path())?, Raw::create(dir.path())?);
    let mut state = Arc::new(vec![0; size.bytes()]);
    let mut stamps = 0..u64::MAX;
    let mut next = |state: &mut Arc<Vec<u8>>| {
        let stamp = stamps.next().unwrap_or(0);
        changed(state, |bytes| fill(bytes, stamp))
    };
    let mut result = PayloadResult { size, save: Pair::default(), load: Pair::default() };
    // The first round makes directories and fills caches, and does not count.
    for round in 0..=plan.rounds {
        let (mut save, mut load) = (Pair::default(), Pair::default());
        for turn in turns(round, 2) {
            settle(dir.path())?;
            for _ in 0..repeats(size) {
                next(&mut state)?;
                if turn == 0 {
                    let (saved, secs) = timed(|| ours.save(&state));
                    must_be_whole(saved?.written_bytes, size)?;
                    save.ours.push(secs);
                    let (loaded, secs) = timed(|| ours.load());
                    must_match("ours", &loaded?, &state)?;
                    load.ours.push(secs);
                } else {
                    let (written, secs) = timed(|| raw.write(&state));
                    written?;
                    save.baseline.push(secs);
                    let (read, secs) = timed(|| raw.read());
                    must_match("the raw file", &read?.0, &state)?;
                    load.baseline.push(secs);
                }
            }
            // Off the clock, and for both what the other's turn must not pay.
            if turn == 0 { ours.tidy()? } else { raw.tidy()? }
        }
        if round > 0 {
            push(&mut result.save, &save);
            push(&mut result.load, &load);
        }
    }
    Ok(result)
}

/// A turn counts as its median.
fn push(all: &mut Pair, turn: &Pair) {
    let median = |samples: &Samples| samples.median();
    all.ours.push(median(&turn.ours));
    all.baseline.push(median(&turn.baseline));
}

/// Fails if a save wrote less than the state: then it has not done the work that it is compared for.
fn must_be_whole(written_bytes: u64, size: ByteSize) -> Result<()> {
    if written_bytes < size.bytes() as u64 {
        return Err(format!("not all of the state was written: size={size}, written={written_bytes}").into());
    }
    Ok(())
}
