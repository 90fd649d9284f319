//! The results as Markdown tables: ours beside its baseline in every row, and the verdict where there is a target.

use grafos_bench_support::{Samples, Table, Target, Verdict, seconds};

use super::judged::Judged;
use crate::measure::{ChangeResult, CommitResult, EncodingResult, Results};
use grafos_bench_support::{ByteSize, mebibytes, rate};

/// All tables, each under a heading.
pub(super) fn all(results: &Results) -> String {
    let mut sections = vec![
        ("Ours beside the baseline", beside_baseline(&super::judged::all(results))),
        ("One durable commit, and what else there is", peers(&results.commits)),
    ];
    if !results.changes.is_empty() {
        sections.push(("A change of 1%", changes(&results.changes)));
    }
    if let Some(encoding) = &results.encoding {
        sections.push(("Why `Bulk`", encodings(encoding)));
    }
    let sections: Vec<String> =
        sections.iter().map(|(title, table)| format!("## {title}\n\n{table}")).collect();
    sections.join("\n")
}

fn beside_baseline(rows: &[Judged]) -> String {
    let mut table = Table::new([
        "what",
        "state",
        "ours",
        "baseline",
        "ratio",
        "by round: median (range)",
        "target",
        "verdict",
    ]);
    for row in rows {
        let ratio = row.ratio;
        table.push([
            row.what.to_owned(),
            row.size.to_string(),
            seconds(row.ours),
            seconds(row.baseline),
            format!("{:.2}", ratio.of_medians),
            format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.lowest, ratio.highest),
            target_cell(row.target),
            verdict_cell(row.verdict()),
        ]);
    }
    table.markdown()
}

fn target_cell(target: Option<Target>) -> String {
    target.map_or_else(String::new, |target| target.to_string())
}

fn verdict_cell(verdict: Option<Verdict>) -> String {
    verdict.map_or_else(String::new, |verdict| verdict.to_string())
}

/// Time, speed, and the share of the baseline's speed, for everybody.
fn peers(commits: &[CommitResult]) -> String {
    let names = commits.first().map(CommitResult::by_name).unwrap_or_default();
    let mut table = Table::new(std::iter::once("state").chain(names.iter().map(|(name, _)| *name)));
    for commit in commits {
        let raw = commit.raw();
        let cells = commit.by_name().into_iter().map(|(_, samples)| peer_cell(commit.size, &samples, &raw));
        table.push(std::iter::once(commit.size.to_string()).chain(cells));
    }
    table.markdown()
}

fn peer_cell(size: ByteSize, samples: &Samples, raw: &Samples) -> String {
    let secs = samples.median();
    format!("{}, {} ({:.2})", seconds(secs), rate(size.bytes(), secs), raw.median() / secs)
}

fn changes(changes: &[ChangeResult]) -> String {
    let mut table = Table::new([
        "what changes",
        "state",
        "changed",
        "its chunks",
        "chunks due",
        "written",
        "written ÷ due",
        "target",
        "verdict",
        "time",
    ]);
    for change in changes {
        table.push([
            change.pattern.name().to_owned(),
            change.size.to_string(),
            mebibytes(change.worst.dirty_bytes),
            mebibytes(change.worst.dirty_chunks_bytes),
            mebibytes(change.worst.due_chunks_bytes),
            mebibytes(usize::try_from(change.worst.written_bytes).unwrap_or(usize::MAX)),
            format!("{:.3}", change.worst.written_over_due()),
            target_cell(change.target()),
            verdict_cell(change.verdict()),
            seconds(change.secs.median()),
        ]);
    }
    table.markdown()
}

fn encodings(encoding: &EncodingResult) -> String {
    let EncodingResult { size, bulk, element_wise, rename } = encoding;
    let mut table = Table::new(["a vector of 64-bit words", "state", "time", "speed"]);
    let rows = [
        ("Durable, `Bulk`: as plain bytes", bulk),
        ("Durable, element by element", element_wise),
        ("fsync + rename, element by element", rename),
    ];
    for (name, samples) in rows {
        let secs = samples.median();
        table.push([name.to_owned(), size.to_string(), seconds(secs), rate(size.bytes(), secs)]);
    }
    table.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_figure_stands_beside_its_baseline_with_the_verdict() {
        let text = all(&sample::results());
        let row = |start: &str, state: &str| {
            let rows = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
            rows.into_iter()
                .find(|cells| cells.len() > 8 && cells[1].starts_with(start) && cells[2] == state)
                .unwrap()
        };
        let small = ["80.0 µs", "50.0 µs", "1.60", "1.60 (1.60–1.60)", "≤ 1.50", "**missed**"];
        assert_eq!(row("commit", "512 B")[3..9], small);
        let large = ["30.0 ms", "27.0 ms", "0.90", "0.90 (0.90–0.90)", "≥ 0.85", "met"];
        assert_eq!(row("checkpoint", "64 MiB")[3..9], large);
        assert_eq!(row("background stall", "256 MiB")[5..9], ["1.10", "1.10 (1.10–1.10)", "≤ 1.15", "met"]);
        assert_eq!(row("restore", "64 MiB")[5], "0.90");
        assert_eq!(row("checkpoint", "64 KiB")[7..9], ["", ""], "nothing was promised of this size");
        assert!(text.contains("| 30.0 ms, 2.24 GB/s (0.90) |"), "{text}");
    }

    #[test]
    fn a_change_says_what_was_due_and_what_was_written() {
        let text = all(&sample::results());
        let row = text.lines().find(|line| line.starts_with("| one piece, same place")).unwrap();
        assert!(row.contains("1.00 MiB") && row.contains("1.050") && row.contains("| met"), "{row}");
        let row = text.lines().find(|line| line.starts_with("| 4 KiB pages, moving")).unwrap();
        assert!(!row.contains("met") && !row.contains("missed"), "{row}");
    }
}
