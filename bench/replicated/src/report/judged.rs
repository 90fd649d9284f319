//! [`Judged`]: a figure of ours, its baseline, and what was promised of their ratio.

use grafos_bench_support::{Ratio, Target, Verdict};

use crate::measure::{ChangeResult, CommitResult, Pair, PayloadResult, Results};

/// The share of the raw writes' speed that a save has to reach.
pub(super) const SAVE_TARGET: f64 = 0.7;
/// How many times a bare transaction a commit may take.
const COMMIT_TARGET: f64 = 1.3;
/// How many times the chunks that changed may be written.
const CHANGE_TARGET: f64 = 1.1;

/// One figure of ours beside its baseline.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) what: String,
    /// The size of the state, where there is one.
    pub(super) size: String,
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
    let saves = results.payloads.iter().map(save);
    let loads = results.payloads.iter().map(load);
    saves.chain(loads).chain(results.commits.iter().flat_map(commit)).collect()
}

/// How many targets were missed, those of [`ChangeResult`] included.
pub(super) fn missed(results: &Results) -> usize {
    let timed = all(results).iter().filter(|row| row.verdict() == Some(Verdict::Missed)).count();
    timed + results.changes.iter().filter(|change| change.verdict() == Verdict::Missed).count()
}

fn save(payload: &PayloadResult) -> Judged {
    let target = Some(Target::AtLeast(SAVE_TARGET));
    speed("save: speed ÷ three raw writes", payload, &payload.save, target)
}

fn load(payload: &PayloadResult) -> Judged {
    speed("load: speed ÷ raw read and BLAKE3", payload, &payload.load, None)
}

/// A share of the baseline's speed, so its time over ours.
fn speed(what: &str, payload: &PayloadResult, pair: &Pair, target: Option<Target>) -> Judged {
    let ratio = pair.baseline.over(&pair.ours);
    judged(what, payload.size.to_string(), pair, ratio, target)
}

/// Beside SQLite as it comes, and as we set it, where nothing is promised: then only our own work is left.
fn commit(commit: &CommitResult) -> [Judged; 2] {
    let CommitResult { what, pair, short_log } = commit;
    let short = Pair { ours: pair.ours.clone(), baseline: short_log.clone() };
    let row = |what: &str, pair: &Pair, target| {
        judged(what, String::new(), pair, pair.ours.over(&pair.baseline), target)
    };
    [
        row(what, pair, Some(Target::AtMost(COMMIT_TARGET))),
        row(&format!("{what}, a log as short"), &short, None),
    ]
}

fn judged(what: &str, size: String, pair: &Pair, ratio: Ratio, target: Option<Target>) -> Judged {
    Judged {
        what: what.to_owned(),
        size,
        ours: pair.ours.median(),
        baseline: pair.baseline.median(),
        ratio,
        target,
    }
}

impl ChangeResult {
    /// What was promised of what the second save writes over the chunks that changed.
    pub(super) const TARGET: Target = Target::AtMost(CHANGE_TARGET);

    pub(super) fn verdict(&self) -> Verdict {
        Self::TARGET.judge(self.second.ratio())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn speed_is_judged_as_a_share_and_time_as_a_multiple() {
        let rows = all(&sample::results());
        let row = |what: &str| rows.iter().find(|row| row.what.starts_with(what)).unwrap();
        assert!((row("save").ratio.of_medians - 0.8).abs() < 1e-9);
        assert_eq!(row("save").verdict(), Some(Verdict::Met));
        assert_eq!(row("load").verdict(), None);
        assert!((row("register").ratio.of_medians - 1.25).abs() < 1e-9);
        assert_eq!(row("register").verdict(), Some(Verdict::Met));
        assert_eq!(row("reserve").verdict(), Some(Verdict::Missed));
        assert!((row("reserve, a log").ratio.of_medians - 2.0).abs() < 1e-9);
        assert_eq!(row("reserve, a log").verdict(), None);
    }

    #[test]
    fn missed_targets_of_every_kind_are_counted() {
        let mut results = sample::results();
        assert_eq!(missed(&results), 1);
        results.changes[0].second.written *= 2;
        assert_eq!(missed(&results), 2);
    }
}
