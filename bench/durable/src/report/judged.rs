//! [`Judged`]: a figure of ours, its baseline, and what was promised of their ratio.

use grafos_bench_support::{Ratio, Target, Verdict};

use crate::measure::{ChangeResult, CommitResult, Pattern, RestoreResult, Results, StallResult};
use grafos_bench_support::ByteSize;

/// From this size on, speed is a share of the disk's and not the cost of a system call.
pub(super) const LARGE: ByteSize = ByteSize::of(64 << 20);
/// The share of the raw speed that a large state has to reach, both ways.
pub(super) const SPEED_TARGET: f64 = 0.85;
/// From this size on, a copy takes long enough for the rest of the stall to vanish beside it.
const LARGE_FOR_STALL: ByteSize = ByteSize::of(256 << 20);
/// Up to this size, a commit is one write of 4 KiB.
const SMALL: ByteSize = ByteSize::of(512);

/// One figure of ours beside its baseline.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) what: &'static str,
    pub(super) size: ByteSize,
    /// Seconds.
    pub(super) ours: f64,
    /// Seconds.
    pub(super) baseline: f64,
    pub(super) ratio: Ratio,
    pub(super) target: Option<Target>,
}

impl Judged {
    /// `None` where nothing was promised.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.target.map(|target| target.judge(self.ratio.of_medians))
    }
}

/// Everything that has a time and a baseline.
pub(super) fn all(results: &Results) -> Vec<Judged> {
    let commits = results.commits.iter().map(commit);
    let restores = results.restores.iter().map(restore);
    let stalls = results.stalls.iter().map(stall);
    commits.chain(restores).chain(stalls).collect()
}

/// How many targets were missed, those of [`ChangeResult`] included.
pub(super) fn missed(results: &Results) -> usize {
    let timed = all(results).iter().filter(|row| row.verdict() == Some(Verdict::Missed)).count();
    timed + results.changes.iter().filter(|change| change.verdict() == Some(Verdict::Missed)).count()
}

fn commit(commit: &CommitResult) -> Judged {
    let small = commit.size <= SMALL;
    Judged {
        what: if small { "commit: time ÷ raw 4 KiB write" } else { "checkpoint: speed ÷ raw write" },
        size: commit.size,
        ours: commit.ours().median(),
        baseline: commit.raw().median(),
        ratio: if small { commit.ours_over_raw() } else { commit.share_of_raw() },
        target: match commit.size {
            _ if small => Some(Target::AtMost(1.5)),
            size => (size >= LARGE).then_some(Target::AtLeast(SPEED_TARGET)),
        },
    }
}

fn restore(restore: &RestoreResult) -> Judged {
    Judged {
        what: "restore: speed ÷ raw read",
        size: restore.size,
        ours: restore.ours().median(),
        baseline: restore.raw().median(),
        ratio: restore.share_of_raw(),
        target: (restore.size >= LARGE).then_some(Target::AtLeast(SPEED_TARGET)),
    }
}

fn stall(stall: &StallResult) -> Judged {
    Judged {
        what: "background stall ÷ one copy",
        size: stall.size,
        ours: stall.stall.median(),
        baseline: stall.copy.median(),
        ratio: stall.over_copy(),
        target: (stall.size >= LARGE_FOR_STALL).then_some(Target::AtMost(1.15)),
    }
}

impl ChangeResult {
    /// What was promised of what is written over what is due. Only of a change that
    /// stays in its place, since what is due of the others depends on the number of slots; and only of large
    /// states, whose header and digests are small beside a hundredth of them.
    pub(super) fn target(&self) -> Option<Target> {
        let stays = matches!(self.pattern, Pattern::ContiguousSamePlace | Pattern::PagesSamePlaces);
        (stays && self.size >= LARGE).then_some(Target::AtMost(1.1))
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.target().map(|target| target.judge(self.worst.written_over_due()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn targets_hold_from_the_size_on_that_they_were_set_for() {
        let rows = all(&sample::results());
        let found: Vec<_> = rows.iter().map(|row| (row.size.to_string(), row.target)).collect();
        let expected = [
            ("512 B", Some(Target::AtMost(1.5))),
            ("64 KiB", None),
            ("64 MiB", Some(Target::AtLeast(0.85))),
            ("64 MiB", Some(Target::AtLeast(0.85))),
            ("1 MiB", None),
            ("256 MiB", Some(Target::AtMost(1.15))),
        ];
        assert_eq!(found, expected.map(|(size, target)| (size.to_owned(), target)));
    }

    #[test]
    fn speed_is_judged_as_a_share_and_time_as_a_multiple() {
        let rows = all(&sample::results());
        assert!((rows[0].ratio.of_medians - 1.6).abs() < 1e-9);
        assert!((rows[2].ratio.of_medians - 0.9).abs() < 1e-9);
        assert_eq!(rows[0].verdict(), Some(Verdict::Missed));
        assert_eq!(rows[2].verdict(), Some(Verdict::Met));
    }

    #[test]
    fn missed_targets_of_every_kind_are_counted() {
        let mut results = sample::results();
        assert_eq!(missed(&results), 1);
        results.changes[0].worst.written_bytes *= 2;
        assert_eq!(missed(&results), 2);
    }
}
