//! Restoring a state, verified, beside reading as many bytes from the disk into memory nobody has touched before.

use grafos_bench_support::{Ratio, Samples, timed};

use super::{Plan, must_match, ours, raw_steps, repeats, settle, turns};
use crate::Result;
use crate::contender::{Commit, Contender};
use crate::ours::Ours;
use crate::raw::RawFile;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// Seconds per restore, and per raw read.
#[derive(Debug)]
pub(crate) struct RestoreResult {
    pub(crate) size: ByteSize,
    pub(crate) measured: Vec<(Contender, Samples)>,
}

impl RestoreResult {
    pub(crate) fn raw(&self) -> Samples {
        super::best_raw(&self.measured)
    }

    pub(crate) fn ours(&self) -> Samples {
        ours(&self.measured)
    }

    /// Which part of the raw read's speed we have.
    pub(crate) fn share_of_raw(&self) -> Ratio {
        self.raw().over(&self.ours())
    }
}

pub(crate) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<RestoreResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut state = State::new(size);
    state.change(1);
    let mut ours = Ours::create(dir.path(), size)?;
    ours.prepare(&state);
    ours.commit(&state)?;
    let mut raw_files = Vec::new();
    for step in raw_steps(size) {
        let mut raw = RawFile::create(&dir.path().join(format!("raw-{}", step.bytes())), size, step)?;
        raw.commit(&state)?;
        raw_files.push((step, raw));
    }
    let mut measured = vec![(Contender::Ours, Samples::default())];
    measured.extend(raw_files.iter().map(|(step, _)| (Contender::Raw { step: *step }, Samples::default())));
    for round in 0..plan.rounds {
        for nth in turns(round, measured.len()) {
            settle(dir.path())?;
            let mut times = Samples::default();
            for _ in 0..repeats(size) {
                times.push(match nth.checked_sub(1) {
                    None => ours.restore()?,
                    Some(raw) => timed_read(&raw_files[raw].1, &state)?,
                });
            }
            measured[nth].1.push(times.median());
        }
    }
    must_match(Contender::Ours.name(), &ours.read_back()?, state.bytes())?;
    Ok(RestoreResult { size, measured })
}

fn timed_read(raw: &RawFile, state: &State) -> Result<f64> {
    let (memory, secs) = timed(|| raw.read());
    must_match("the raw file", &memory?[..state.bytes().len()], state.bytes())?;
    Ok(secs)
}
