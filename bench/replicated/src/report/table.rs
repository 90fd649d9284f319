//! The results as Markdown tables: ours beside its baseline in every row, and the verdict where there is a target.

use grafos_bench_support::{Target, Verdict, mebibytes, rate, seconds, three_digits};

use super::judged::Judged;
use crate::measure::{ChangeResult, Counts, KeysResult, PayloadResult, Results};
use grafos_bench_support::Table;

/// All tables, each under a heading.
pub(super) fn all(results: &Results) -> String {
    let mut sections = vec![
        ("Ours beside the baseline", beside_baseline(&super::judged::all(results))),
        ("Speed", speeds(&results.payloads)),
    ];
    if !results.changes.is_empty() {
        sections.push(("A change of 1%", changes(&results.changes)));
    }
    sections.push(("A step beside many keys", keys(&results.keys)));
    let sections: Vec<String> =
        sections.iter().map(|(title, table)| format!("## {title}\n\n{table}")).collect();
    sections.join("\n")
}

fn beside_baseline(rows: &[Judged]) -> String {
    let head =
        ["what", "state", "ours", "baseline", "ratio", "by round: median (range)", "target", "verdict"];
    let mut table = Table::new(head);
    for row in rows {
        let ratio = row.ratio;
        table.push([
            row.what.clone(),
            row.size.clone(),
            seconds(row.ours),
            seconds(row.baseline),
            format!("{:.2}", ratio.of_medians),
            format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.lowest, ratio.highest),
            row.target.as_ref().map_or_else(String::new, Target::to_string),
            row.verdict().as_ref().map_or_else(String::new, Verdict::to_string),
        ]);
    }
    table.markdown()
}

/// Of one copy: three are written at that speed together.
fn speeds(payloads: &[PayloadResult]) -> String {
    let mut table =
        Table::new(["state", "save", "three raw writes", "load and verify", "raw read and BLAKE3"]);
    for payload in payloads {
        let samples =
            [&payload.save.ours, &payload.save.baseline, &payload.load.ours, &payload.load.baseline];
        let cells = samples.map(|samples| rate(payload.size.bytes(), samples.median()));
        table.push(std::iter::once(payload.size.to_string()).chain(cells));
    }
    table.markdown()
}

fn changes(changes: &[ChangeResult]) -> String {
    let mut table = Table::new([
        "save",
        "state",
        "changed",
        "its chunks",
        "written",
        "ratio",
        "target",
        "verdict",
        "time",
    ]);
    for change in changes {
        let (target, verdict) = (ChangeResult::TARGET.to_string(), change.verdict().to_string());
        let rest = [target, verdict, seconds(change.secs.median())];
        table.push(cells("the second", change, change.second).into_iter().chain(rest));
        let rest = [String::new(), String::new(), String::new()];
        table.push(cells("forty more, together", change, change.series).into_iter().chain(rest));
    }
    table.markdown()
}

fn cells(what: &str, change: &ChangeResult, counts: Counts) -> [String; 6] {
    let bytes = |bytes: u64| mebibytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    let Counts { changed, chunks, written } = counts;
    let ratio = format!("{:.3}", counts.ratio());
    [what.to_owned(), change.size.to_string(), bytes(changed), bytes(chunks), bytes(written), ratio]
}

fn keys(results: &[KeysResult]) -> String {
    let mut table = Table::new([
        "keys on record",
        "reserve + complete",
        "steps a second",
        "÷ the fewest keys",
        "slowest",
    ]);
    let first = results.first().map_or(f64::NAN, |first| first.secs.median());
    for result in results {
        let secs = result.secs.median();
        table.push([
            result.keys.to_string(),
            seconds(secs),
            three_digits(1.0 / secs),
            format!("{:.2}", secs / first),
            seconds(result.slowest),
        ]);
    }
    table.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn row(text: &str, start: &str, state: &str) -> Vec<String> {
        let rows = text.lines().map(|line| line.split('|').map(|cell| cell.trim().to_owned()));
        let mut rows = rows.map(Iterator::collect::<Vec<_>>);
        rows.find(|cells| cells.len() > 5 && cells[1].starts_with(start) && cells[2].starts_with(state))
            .unwrap()
    }

    #[test]
    fn every_figure_stands_beside_its_baseline_with_the_verdict() {
        let text = all(&sample::results());
        let save = ["2.00 ms", "1.60 ms", "0.80", "0.80 (0.80–0.80)", "≥ 0.70", "met"];
        assert_eq!(row(&text, "save", "64 KiB")[3..9], save);
        assert_eq!(row(&text, "load", "64 KiB")[7..9], ["", ""], "nothing was promised");
        let reserve = ["300 µs", "200 µs", "1.50", "1.50 (1.50–1.50)", "≤ 1.30", "**missed**"];
        assert_eq!(row(&text, "reserve", "")[3..9], reserve);
        assert!(text.contains("537 MB/s"), "{text}");
    }

    #[test]
    fn a_change_says_what_had_to_be_and_what_was_written() {
        let text = all(&sample::results());
        let second = ["655 KiB", "1.00 MiB", "1.00 MiB", "1.001", "≤ 1.10", "met", "4.00 ms"];
        assert_eq!(row(&text, "the second", "64 MiB")[3..10], second);
        assert_eq!(row(&text, "forty", "64 MiB")[5..8], ["15.0 MiB", "1.500", ""]);
    }

    #[test]
    fn keys_say_how_the_cost_has_grown() {
        let text = all(&sample::results());
        assert_eq!(row(&text, "1000000", "")[2..6], ["1.00 ms", "1000", "2.00", "7.00 ms"]);
    }
}
