//! [`Report`]: the tables, and the document around them.

mod document;
#[cfg(test)]
mod sample;
mod table;

use std::fs;
use std::path::Path;

use cookbook_recipe_52_clean_preemptible_gpu_training::run::DEFAULT_INTERVAL_STEPS;
use grafos_bench_support::{Samples, Target, Verdict};

use crate::Result;
use crate::measure::{IntervalResult, Results};

pub(crate) struct Report {
    /// What was asked for, on a command line.
    pub(crate) command: String,
    pub(crate) computer: grafos_bench_support::Machine,
    pub(crate) rounds: u32,
    pub(crate) results: Results,
}

/// How much longer the loop may take with its commits, at the interval of the recipe.
const TARGET: Target = Target::AtMost(1.02);

impl Report {
    /// All tables, as Markdown.
    pub(crate) fn tables(&self) -> String {
        format!("{}\n\n{}", self.computer, table::all(&self.results))
    }

    /// Writes `training.md`.
    pub(crate) fn write_to(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("training.md"), document::markdown(self))?;
        Ok(())
    }

    /// How many targets were missed.
    pub(crate) fn missed(&self) -> usize {
        let judged = self.results.intervals.iter().filter_map(verdict);
        judged.filter(|verdict| *verdict == Verdict::Missed).count()
    }
}

/// Whether an interval keeps what was promised, if anything was.
fn verdict(interval: &IntervalResult) -> Option<Verdict> {
    let is_chosen = interval.steps == DEFAULT_INTERVAL_STEPS;
    is_chosen.then(|| TARGET.judge(interval.secs.over(&interval.bare).of_medians))
}

/// The figure below which this share of all are: the nearest rank.
fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn median(figures: &[f64]) -> f64 {
    figures.iter().copied().collect::<Samples>().median()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_the_recipe_alone_is_judged() {
        let results = sample::results(1.01);
        let verdicts: Vec<_> = results.intervals.iter().map(verdict).collect();
        assert_eq!(verdicts, [None, Some(Verdict::Met)]);
        let computer = grafos_bench_support::Machine::of_this_run().unwrap();
        let mut report = Report { command: String::new(), computer, rounds: 1, results };
        assert_eq!(report.missed(), 0);
        report.results = sample::results(1.03);
        assert_eq!(report.missed(), 1);
    }

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        let figures: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let found = [0.0, 0.5, 0.99, 1.0].map(|share| quantile(&figures, share));
        assert_eq!(found, [1.0, 100.0, 198.0, 200.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
