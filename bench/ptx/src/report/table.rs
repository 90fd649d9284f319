//! The results as Markdown tables.

use grafos_bench_support::{Table, seconds};

use super::judged;
use crate::measure::{KernelResult, Results};
use crate::stopping::StopResult;

/// All tables, each under a heading.
pub(super) fn all(results: &Results) -> String {
    format!(
        "## Promised and kept\n\n{}\n## Kernels\n\n{}\n## Loading\n\n{} lines: {}\n\n## Stopping\n\n{}",
        promises(results),
        kernels(&results.kernels),
        results.loading.lines,
        seconds(results.loading.secs.median()),
        stops(&results.stopping),
    )
}

fn stops(stopping: &[StopResult]) -> String {
    let mut table = Table::new(["a kernel that never ends", "median", "slowest"]);
    for stopped in stopping {
        table.push([
            stopped.name.to_owned(),
            seconds(stopped.secs.median()),
            seconds(stopped.secs.highest()),
        ]);
    }
    table.markdown()
}

fn promises(results: &Results) -> String {
    let mut table = Table::new(["what", "found", "target", "verdict"]);
    for row in judged(results) {
        let found = format!("{:.2} {}", row.found, row.unit);
        table.push([row.what.clone(), found, row.target.to_string(), row.verdict().to_string()]);
    }
    table.markdown()
}

fn kernels(kernels: &[KernelResult]) -> String {
    let mut table = Table::new([
        "kernel",
        "size",
        "instructions",
        "one core",
        "two cores",
        "two ÷ one: by round (range)",
        "plain Rust, one core",
        "one core ÷ plain",
    ]);
    for kernel in kernels {
        let speedup = kernel.speedup();
        table.push([
            kernel.name.to_owned(),
            kernel.size.clone(),
            format!("{:.1} M", kernel.instructions / 1e6),
            format!("{}, {:.2} G/s", seconds(kernel.one.median()), kernel.rate(&kernel.one)),
            format!("{}, {:.2} G/s", seconds(kernel.two.median()), kernel.rate(&kernel.two)),
            format!("{:.2} ({:.2}–{:.2})", speedup.median, speedup.lowest, speedup.highest),
            seconds(kernel.plain.median()),
            format!("{:.1}", kernel.one.over(&kernel.plain).of_medians),
        ]);
    }
    table.markdown()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_kernel_stands_beside_plain_rust_and_a_promise_beside_its_verdict() {
        let text = all(&sample::results());
        let row = text.lines().find(|line| line.starts_with("| axpy ")).unwrap();
        for cell in
            ["100.0 M", "80.0 ms, 1.25 G/s", "50.0 ms, 2.00 G/s", "1.60 (1.60–1.60)", "10.0 ms", "| 8.0 "]
        {
            assert!(row.contains(cell), "{cell}: {row}");
        }
        let row = text.lines().find(|line| line.starts_with("| axpy, two")).unwrap();
        assert!(row.contains("1.60 ×") && row.contains("≥ 1.80") && row.contains("**missed**"), "{row}");
        assert!(text.contains("1000 lines: 2.00 ms"), "{text}");
        let row = text.lines().find(|line| line.starts_with("| a loop")).unwrap();
        assert!(row.contains("200 µs") && row.contains("900 µs"), "{row}");
    }
}
