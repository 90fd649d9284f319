//! [`Summary`]: a preempted run in figures.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::chronicle::{Blow, Chronicle, End, Fate, Life};
use super::kind::Kind;

/// What a cloud did to a run, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// One for each kind that was played.
    pub kinds: Vec<Row>,
    /// All kinds together.
    pub total: Row,
    /// How many workers it took.
    pub workers: usize,
    /// The last version that was told.
    pub version: u64,
    /// How many workers were frozen, and had a successor.
    pub zombies: usize,
    /// How many of them were fenced once they woke up.
    pub zombies_fenced: usize,
}

/// What one kind of preemption cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which; `None` for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// How often it was played.
    pub played: usize,
    /// How many steps were done again.
    pub steps_lost: u64,
    /// Half of the recoveries took less, in milliseconds.
    pub recovery_ms_median: Option<f64>,
    /// The longest recovery.
    pub recovery_ms_max: Option<f64>,
}

impl Summary {
    /// The figures of this run.
    #[must_use]
    pub fn of(chronicle: &Chronicle) -> Self {
        let of_kind = |kind| chronicle.blows.iter().filter(move |blow| blow.kind == kind);
        let row = |kind| Row::of(Some(kind), of_kind(kind));
        let lives = &chronicle.lives;
        let is_zombie = |life: &&Life| life.fate == Fate::Frozen;
        let is_fenced = |life: &&Life| is_zombie(life) && life.end == Some(End::Code(super::judge::FENCED));
        Self {
            kinds: Kind::ALL.into_iter().map(row).filter(|row| row.played > 0).collect(),
            total: Row::of(None, chronicle.blows.iter()),
            workers: lives.len(),
            version: lives.iter().flat_map(Life::commits).map(|commit| commit.version).max().unwrap_or(0),
            zombies: lives.iter().filter(is_zombie).count(),
            zombies_fenced: lives.iter().filter(is_fenced).count(),
        }
    }
}

impl Row {
    fn of<'a>(kind: Option<Kind>, blows: impl Iterator<Item = &'a Blow>) -> Self {
        let (mut played, mut steps_lost, mut recoveries) = (0, 0, Vec::new());
        for blow in blows {
            played += 1;
            steps_lost += blow.steps_lost;
            recoveries.extend(blow.recovery);
        }
        recoveries.sort_unstable();
        let millis = |time: &Duration| time.as_secs_f64() * 1e3;
        let recovery_ms_median = recoveries.get(recoveries.len() / 2).map(millis);
        let recovery_ms_max = recoveries.last().map(millis);
        Self { kind, played, steps_lost, recovery_ms_median, recovery_ms_max }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, played, steps_lost, recovery_ms_median, recovery_ms_max } = self;
        let name = kind.map_or("all", Kind::name);
        let secs = |millis: &Option<f64>| {
            millis.map_or_else(|| "-".to_owned(), |millis| format!("{:.2} s", millis / 1e3))
        };
        let (median, max) = (secs(recovery_ms_median), secs(recovery_ms_max));
        write!(f, "{name:<17} {played:>6} {steps_lost:>12} {median:>16} {max:>9}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "preemption        played  steps again  recovery median       max")?;
        for row in self.kinds.iter().chain([&self.total]) {
            writeln!(f, "{row}")?;
        }
        let Self { workers, version, zombies, zombies_fenced, .. } = self;
        write!(
            f,
            "{workers} workers, {version} versions, {zombies_fenced} of {zombies} stopped workers fenced"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_blows() {
        let blow = |kind, steps_lost, recovery_ms: Option<u64>| {
            let recovery = recovery_ms.map(Duration::from_millis);
            Blow { kind, life: 0, step: 9, steps_lost, recovery }
        };
        let blows = vec![
            blow(Kind::Killed, 3, Some(300)),
            blow(Kind::Killed, 0, Some(100)),
            blow(Kind::Killed, 1, Some(200)),
            blow(Kind::ReplicaLost, 0, None),
        ];
        let mut zombie = Life::new("host-a");
        (zombie.fate, zombie.end) = (Fate::Frozen, Some(End::Code(76)));
        let mut sleeper = zombie.clone();
        sleeper.end = Some(End::Code(0));
        let summary = Summary::of(&Chronicle { lives: vec![zombie, sleeper], blows });
        assert_eq!(summary.kinds.len(), 2);
        let killed = &summary.kinds[0];
        assert_eq!((killed.played, killed.steps_lost), (3, 4));
        assert_eq!((killed.recovery_ms_median, killed.recovery_ms_max), (Some(200.0), Some(300.0)));
        assert_eq!(summary.kinds[1].recovery_ms_median, None);
        assert_eq!((summary.total.played, summary.total.steps_lost), (4, 4));
        assert_eq!((summary.zombies, summary.zombies_fenced), (2, 1));

        let table = summary.to_string();
        let widths: Vec<_> = table.lines().take(4).map(str::len).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        assert!(
            table.contains("SIGKILL") && table.contains("0.20 s") && table.contains("1 of 2 stopped"),
            "{table}"
        );
    }
}
