//! The results as Markdown tables.

use grafos_bench_support::{Table, seconds};

use super::{TARGET, median, quantile, verdict};
use crate::measure::{Results, StallResult};

/// All tables, each under a heading.
pub(super) fn all(results: &Results) -> String {
    format!(
        "## Commits beside none\n\n{}\n{}\n## How long training stands still\n\n{}",
        loops(results),
        facts(results),
        stalls(&results.stalls)
    )
}

fn loops(results: &Results) -> String {
    let mut table = Table::new([
        "steps between commits",
        "loop",
        "without commits",
        "with ÷ without",
        "by round: median (range)",
        "commits ÷ loop",
        "a commit: median",
        "99 of 100",
        "target",
        "verdict",
    ]);
    let none = || "—".to_owned();
    for interval in &results.intervals {
        let ratio = interval.secs.over(&interval.bare);
        let verdict = verdict(interval);
        table.push([
            interval.steps.to_string(),
            seconds(interval.secs.median()),
            seconds(interval.bare.median()),
            format!("{:.3}", ratio.of_medians),
            format!("{:.3} ({:.3}–{:.3})", ratio.median, ratio.lowest, ratio.highest),
            format!("{:.2} %", 100.0 * interval.stalls.iter().sum::<f64>() / interval.secs.sum()),
            seconds(median(&interval.stalls)),
            seconds(quantile(&interval.stalls, 0.99)),
            verdict.map_or_else(none, |_| TARGET.to_string()),
            verdict.map_or_else(none, |verdict| verdict.to_string()),
        ]);
    }
    table.markdown()
}

fn facts(results: &Results) -> String {
    let Results { training, state_bytes, launches, .. } = results;
    let [hidden1, hidden2] = training.hidden;
    format!(
        "{} steps of 64 → {hidden1} → {hidden2} → 10 with {} images each, {} parameters; {launches} launches a step, \
         {state_bytes} bytes of state.\n",
        training.steps,
        training.batch_len,
        training.parameter_count(),
    )
}

fn stalls(stalls: &[StallResult]) -> String {
    let mut table =
        Table::new(["network", "bytes of state", "commits", "median", "90 of 100", "99 of 100", "slowest"]);
    for StallResult { hidden: [hidden1, hidden2], state_bytes, stalls } in stalls {
        table.push([
            format!("64 → {hidden1} → {hidden2} → 10"),
            state_bytes.to_string(),
            stalls.len().to_string(),
            seconds(median(stalls)),
            seconds(quantile(stalls, 0.9)),
            seconds(quantile(stalls, 0.99)),
            seconds(quantile(stalls, 1.0)),
        ]);
    }
    table.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_loop_with_commits_stands_beside_the_one_without() {
        let text = all(&sample::results(1.03));
        let row = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        for cell in ["| 8.00 s | 4.00 s ", "| 2.000 ", "0.19 %", "4.00 ms", "9.00 ms"] {
            assert!(row("| 10 ").contains(cell), "{cell}: {text}");
        }
        assert!(!row("| 10 ").contains("met") && row("| 10 ").contains("—"));
        assert!(text.contains("1.030") && text.contains("≤ 1.02") && text.contains("**missed**"), "{text}");
        assert!(text.contains("2 launches a step, 206864 bytes of state"), "{text}");
        for cell in ["64 → 16 → 8 → 10", "15800", "1.50 ms", "2.00 ms"] {
            assert!(row("| 64 ").contains(cell), "{cell}: {text}");
        }
    }
}
