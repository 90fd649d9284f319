//! The results as Markdown tables: ours beside theirs in every row, and the verdict where there is a target.

use grafos_bench_support::{ByteSize, Samples, Table, Target, Verdict, mebibytes, per_sec, rate, seconds};

use crate::measure::{DeltaResult, Operation, OperationResult, Results};

/// All tables, each under a heading.
pub(super) fn all(results: &Results) -> String {
    format!(
        "## {} beside ringkernel-core 1.1.0\n\n{}\n## A delta of 1 % of the pages\n\n{}\n## Compression\n\n{}",
        results.size,
        operations(results),
        delta(&results.delta, results.size),
        compressions(results),
    )
}

fn timed(samples: &Samples, size: ByteSize) -> String {
    let secs = samples.median();
    format!("{}, {}", seconds(secs), rate(size.bytes(), secs))
}

fn promised(target: Option<Target>) -> String {
    target.map_or_else(String::new, |target| target.to_string())
}

fn judged(verdict: Option<Verdict>) -> String {
    verdict.map_or_else(String::new, |verdict| verdict.to_string())
}

fn operations(results: &Results) -> String {
    let mut table = Table::new([
        "what",
        "ours",
        "theirs",
        "times as fast",
        "by round: median (range)",
        "target",
        "verdict",
    ]);
    let size = results.size;
    for result in &results.operations {
        let OperationResult { operation, ours, theirs } = result;
        let ratio = result.speedup();
        let what = match operation {
            Operation::Encode => "encode into a buffer used before",
            Operation::EncodeFresh => "encode into fresh memory",
            Operation::Decode => "decode into memory used before",
            Operation::DecodeFresh => "decode into fresh memory",
            Operation::Digest | Operation::Load => operation.name(),
            Operation::Save => "save: ours is durable, theirs is not",
        };
        table.push([
            what.to_owned(),
            timed(ours, size),
            timed(theirs, size),
            format!("{:.1}", ratio.of_medians),
            format!("{:.1} ({:.1}–{:.1})", ratio.median, ratio.lowest, ratio.highest),
            promised(result.target(size)),
            judged(result.verdict(size)),
        ]);
    }
    format!(
        "{}\nA plain copy of the state into fresh memory, on one thread: {}.\n",
        table.markdown(),
        timed(&results.copies, size)
    )
}

fn delta(delta: &DeltaResult, size: ByteSize) -> String {
    let mut table = Table::new(["what", "ours", "theirs", "target", "verdict"]);
    let bytes = |len: usize| {
        let share = per_sec(len, 0.01) / per_sec(size.bytes(), 1.0);
        format!("{}, {share:.2} % of the state", mebibytes(len))
    };
    let no_target = || [String::new(), String::new()];
    let mut push = |what: &str, ours: String, theirs: String, [target, verdict]: [String; 2]| {
        table.push([what.to_owned(), ours, theirs, target, verdict]);
    };
    push("length of the file", bytes(delta.ours_bytes), bytes(delta.theirs_bytes), no_target());
    push(
        "length ÷ that of the pages",
        format!("{:.3}", delta.over_dirty()),
        String::new(),
        [promised(DeltaResult::target(size)), judged(delta.verdict(size))],
    );
    push("to make it", timed(&delta.ours_made, size), timed(&delta.theirs_made, size), no_target());
    push("to apply it", timed(&delta.ours_applied, size), timed(&delta.theirs_applied, size), no_target());
    table.markdown()
}

fn compressions(results: &Results) -> String {
    let mut table = Table::new(["data", "compression", "file", "encode", "decode", "durable save"]);
    for result in &results.compressions {
        table.push([
            result.data.name().to_owned(),
            result.compression.to_string(),
            mebibytes(result.file_bytes),
            timed(&result.encode, results.size),
            timed(&result.decode, results.size),
            timed(&result.save, results.size),
        ]);
    }
    table.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn row<'a>(text: &'a str, begin: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(begin)).unwrap()
    }

    #[test]
    fn ours_stands_beside_theirs_and_a_promise_beside_its_verdict() {
        let text = all(&sample::results());
        let encode = row(&text, "| encode into a buffer");
        for cell in
            ["80.0 ms, 3.36 GB/s", "900 ms, 298 MB/s", "| 11.2 ", "11.2 (11.2–11.2)", "≥ 10.00", "| met "]
        {
            assert!(encode.contains(cell), "{cell}: {encode}");
        }
        let fresh = row(&text, "| encode into fresh");
        assert!(fresh.contains("| 6.0 ") && !fresh.contains("met"), "{fresh}");
        assert!(text.contains("on one thread: 110 ms"), "{text}");
        assert!(row(&text, "| digest ").contains("**missed**"), "{text}");
        assert!(row(&text, "| save: ours is durable").contains("≥ 5.00"), "{text}");
        assert!(!row(&text, "| load ").contains("met"), "{text}");
    }

    #[test]
    fn a_delta_has_its_share_and_a_compression_its_length() {
        let text = all(&sample::results());
        let bytes = row(&text, "| length of the file");
        assert!(bytes.contains("2.57 MiB, 1.01 % of the state") && bytes.contains("100.00 %"), "{bytes}");
        assert!(row(&text, "| length ÷").contains("1.006"), "{text}");
        let lz4 = text.lines().find(|line| line.contains("| lz4 ")).unwrap();
        assert!(lz4.contains("65.0 MiB") && lz4.contains("250 ms, 1.07 GB/s"), "{lz4}");
    }
}
