//! One durable commit of a state that has changed in every part.

use std::path::Path;

use grafos_bench_support::{Ratio, Samples, timed};

use super::{Plan, best_raw, must_match, ours, raw_steps, repeats, settle, turns};
use crate::Result;
use crate::contender::{Commit, Contender, RAW_NAME};
use crate::ours::Ours;
use crate::peer::{Journal, Redb, Rename, Sqlite};
use crate::raw::RawFile;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// Seconds per commit, by contender.
#[derive(Debug)]
pub(crate) struct CommitResult {
    pub(crate) size: ByteSize,
    pub(crate) measured: Vec<(Contender, Samples)>,
}

impl CommitResult {
    /// The fastest baseline.
    pub(crate) fn raw(&self) -> Samples {
        best_raw(&self.measured)
    }

    pub(crate) fn ours(&self) -> Samples {
        ours(&self.measured)
    }

    /// Everybody by name, in the order of the tables and plots: ours, the fastest baseline, the peers.
    pub(crate) fn by_name(&self) -> Vec<(&'static str, Samples)> {
        let own = [(Contender::Ours.name(), self.ours()), (RAW_NAME, self.raw())];
        let is_peer = |who: &Contender| !matches!(who, Contender::Ours | Contender::Raw { .. });
        let peers = self.measured.iter().filter(|(who, _)| is_peer(who));
        own.into_iter().chain(peers.map(|(who, samples)| (who.name(), samples.clone()))).collect()
    }

    /// Our time over the baseline's.
    pub(crate) fn ours_over_raw(&self) -> Ratio {
        self.ours().over(&self.raw())
    }

    /// The baseline's time over ours: which part of its speed we have.
    pub(crate) fn share_of_raw(&self) -> Ratio {
        self.raw().over(&self.ours())
    }
}

/// Commits before the clock counts: both slots, and the files of the peers, have then been written.
const WARM_UP: usize = 3;

pub(crate) fn measure(plan: &Plan<'_>, size: ByteSize) -> Result<CommitResult> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut contestants = contestants(dir.path(), size)?;
    let mut measured: Vec<_> = contestants.iter().map(|(who, _)| (*who, Samples::default())).collect();
    let mut state = State::new(size);
    let mut stamps = 1..;
    for (_, contestant) in &mut contestants {
        turn(contestant.as_mut(), &mut state, &mut stamps, WARM_UP)?;
    }
    for round in 0..plan.rounds {
        for nth in turns(round, contestants.len()) {
            settle(dir.path())?;
            let times = turn(contestants[nth].1.as_mut(), &mut state, &mut stamps, repeats(size))?;
            measured[nth].1.push(times.median());
            if round + 1 == plan.rounds {
                must_match(contestants[nth].0.name(), &contestants[nth].1.read_back()?, state.bytes())?;
            }
        }
    }
    Ok(CommitResult { size, measured })
}

/// So many commits, each of a new state; only the commit is on the clock.
fn turn(
    contestant: &mut dyn Commit,
    state: &mut State,
    stamps: &mut impl Iterator<Item = u64>,
    repeats: usize,
) -> Result<Samples> {
    let mut times = Samples::default();
    for stamp in stamps.take(repeats) {
        state.change(stamp);
        contestant.prepare(state);
        let (committed, secs) = timed(|| contestant.commit(state));
        committed?;
        times.push(secs);
    }
    Ok(times)
}

type Contestant = (Contender, Box<dyn Commit>);

fn contestants(dir: &Path, size: ByteSize) -> Result<Vec<Contestant>> {
    let mut contestants: Vec<Contestant> = vec![(Contender::Ours, Box::new(Ours::create(dir, size)?))];
    for step in raw_steps(size) {
        let path = dir.join(format!("raw-{}", step.bytes()));
        contestants.push((Contender::Raw { step }, Box::new(RawFile::create(&path, size, step)?)));
    }
    contestants.push((Contender::Redb, Box::new(Redb::create(&dir.join("redb"))?)));
    let rollback = Sqlite::create(&dir.join("rollback.sqlite"), Journal::Rollback)?;
    contestants.push((Contender::SqliteRollback, Box::new(rollback)));
    let wal = Sqlite::create(&dir.join("wal.sqlite"), Journal::Wal)?;
    contestants.push((Contender::SqliteWal, Box::new(wal)));
    contestants.push((Contender::Rename, Box::new(Rename::create(dir)?)));
    Ok(contestants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_commits_in_every_round() {
        let dir = tempfile::tempdir().unwrap();
        let size = ByteSize::of(2 << 20);
        let result = measure(&Plan { dir: dir.path(), rounds: 2, sizes: vec![size] }, size).unwrap();
        let names: Vec<_> = result.by_name().iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["Durable", "raw write", "redb", "SQLite rollback", "SQLite WAL", "fsync + rename"]
        );
        assert!(result.by_name().iter().all(|(_, samples)| samples.median() > 0.0));
        assert!((result.share_of_raw().of_medians * result.ours_over_raw().of_medians - 1.0).abs() < 1e-9);
    }
}
