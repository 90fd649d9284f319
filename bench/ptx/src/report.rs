//! [`Report`]: the tables, the document around them, and the plot.

mod document;
mod plot;
#[cfg(test)]
mod sample;
mod table;

use std::fs;
use std::path::Path;

use grafos_bench_support::{Target, Verdict};

use crate::Result;
use crate::measure::Results;

pub(crate) struct Report {
    /// What was asked for, on a command line.
    pub(crate) command: String,
    pub(crate) computer: grafos_bench_support::Machine,
    pub(crate) rounds: u32,
    pub(crate) results: Results,
}

/// How many times as fast as one core two have to be.
const SPEEDUP_TARGET: f64 = 1.8;
/// What loading a module of a thousand lines may take.
const LOAD_TARGET_SECS: f64 = 5e-3;

/// What stopping a kernel may take.
const STOP_TARGET_SECS: f64 = 1e-3;

impl Report {
    /// All tables, as Markdown.
    pub(crate) fn tables(&self) -> String {
        format!("{}\n\n{}", self.computer, table::all(&self.results))
    }

    /// Writes `ptx.md` and `ptx.svg`.
    pub(crate) fn write_to(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("ptx.svg"), plot::svg(&self.results.kernels)?)?;
        fs::write(dir.join("ptx.md"), document::markdown(self))?;
        Ok(())
    }

    /// How many targets were missed.
    pub(crate) fn missed(&self) -> usize {
        judged(&self.results).iter().filter(|row| row.verdict() == Verdict::Missed).count()
    }
}

/// Something that was promised.
#[derive(Debug)]
struct Judged {
    what: String,
    found: f64,
    unit: &'static str,
    target: Target,
}

impl Judged {
    fn verdict(&self) -> Verdict {
        self.target.judge(self.found)
    }
}

/// Every promise, kept or not.
fn judged(results: &Results) -> Vec<Judged> {
    let mut rows = Vec::new();
    for kernel in &results.kernels {
        let Some(target) = kernel.target else { continue };
        rows.push(Judged {
            what: format!("{}, one core", kernel.name),
            found: kernel.rate(&kernel.one),
            unit: "G/s",
            target: Target::AtLeast(target),
        });
        rows.push(Judged {
            what: format!("{}, two cores ÷ one", kernel.name),
            found: kernel.speedup().of_medians,
            unit: "×",
            target: Target::AtLeast(SPEEDUP_TARGET),
        });
    }
    rows.push(Judged {
        what: format!("load and decode {} lines", results.loading.lines),
        found: results.loading.secs.median() * 1e3,
        unit: "ms",
        target: Target::AtMost(LOAD_TARGET_SECS * 1e3),
    });
    rows.extend(results.stopping.iter().map(|stopped| Judged {
        what: format!("stop {}", stopped.name),
        found: stopped.secs.median() * 1e3,
        unit: "ms",
        target: Target::AtMost(STOP_TARGET_SECS * 1e3),
    }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_judged_where_there_are_any() {
        let results = sample::results();
        let rows = judged(&results);
        let found: Vec<_> = rows.iter().map(|row| (row.what.as_str(), row.verdict())).collect();
        let expected = [
            ("axpy, one core", Verdict::Met),
            ("axpy, two cores ÷ one", Verdict::Missed),
            ("load and decode 1000 lines", Verdict::Met),
            ("stop a loop", Verdict::Met),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn missed_targets_are_counted() {
        let computer = grafos_bench_support::Machine::of_this_run().unwrap();
        let mut report = Report { command: String::new(), computer, rounds: 1, results: sample::results() };
        assert_eq!(report.missed(), 1);
        report.results.loading.secs = [0.0051].into_iter().collect();
        assert_eq!(report.missed(), 2);
    }
}
