//! How long a background checkpoint holds its caller up, beside one copy of the state.

use std::hint::black_box;

use grafos_bench_support::{Ratio, Samples, timed};

use super::{Plan, repeats, turns};
use crate::Result;
use crate::contender::Commit;
use crate::ours::Ours;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// Seconds per call, and per copy.
#[derive(Debug)]
pub(crate) struct StallResult {
    pub(crate) size: ByteSize,
    pub(crate) stall: Samples,
    pub(crate) copy: Samples,
}

impl StallResult {
    /// The stall over one copy.
    pub(crate) fn over_copy(&self) -> Ratio {
        self.stall.over(&self.copy)
    }
}

/// Background checkpoints before the clock counts: all buffers are then in place.
const WARM_UP: u64 = 3;

pub(crate) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<StallResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut ours = Ours::create(dir.path(), size)?;
    let mut state = State::new(size);
    let mut copy = vec![0_u8; size.bytes()];
    for stamp in 0..WARM_UP {
        state.change(stamp);
        ours.prepare(&state);
        ours.stall()?;
        copy.copy_from_slice(black_box(ours.bytes()));
    }
    let mut result = StallResult { size, stall: Samples::default(), copy: Samples::default() };
    for round in 0..plan.rounds {
        for turn in turns(round, 2) {
            let mut times = Samples::default();
            for repeat in 0..repeats(size) {
                // The same for both: the state is new in memory, and nothing else is going on.
                state.change(WARM_UP + u64::from(round) + ((repeat as u64) << 32));
                ours.prepare(&state);
                times.push(if turn == 0 { ours.stall()? } else { timed_copy(&ours, &mut copy) });
            }
            let samples = if turn == 0 { &mut result.stall } else { &mut result.copy };
            samples.push(times.median());
        }
    }
    Ok(result)
}

fn timed_copy(ours: &Ours, copy: &mut [u8]) -> f64 {
    let ((), secs) = timed(|| copy.copy_from_slice(black_box(ours.bytes())));
    black_box(copy);
    secs
}
