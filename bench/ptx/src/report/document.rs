//! `ptx.md`: the tables, with what was measured and how, so that a reader can judge the figures or repeat them.

use super::{Report, table};

/// The whole document.
pub(super) fn markdown(report: &Report) -> String {
    let Report { command, computer, rounds, results } = report;
    format!(
        "# PTX on the processor, measured\n\n\
         `{command}`\n\n\
         {computer}. Medians of {rounds} rounds.\n\n\
         ![Thread-instructions a second by kernel, on one core and on two](ptx.svg)\n\n\
         {}\n{HOW}",
        table::all(results),
    )
}

const HOW: &str = "\
## How to read this

The PTX is that of `kernels/`, made by clang 19. *Instructions* are thread-instructions: one for each active thread, \
so a warp that executes one counts 32. *G/s* are thousand millions of them a second. Every access is checked for bounds \
and alignment, and the results are compared bit by bit with those of plain Rust.

- **Plain Rust** is the same computation on one core, optimized and vectorized by the compiler, memory for its result \
included. It shows what the virtual machine costs; a kernel that is to be fast belongs on a GPU.
- **Two cores**: blocks run in parallel. The ratio is that of the medians; beside it the median and the range by round, \
which tell how steady the machine was.
- **Loading** parses, checks and decodes a module of several kernels; each round is the mean of 20 loads.
- **Stopping** is the time from `Interrupt::stop` until the launch has returned, ten times a round for each kernel, with \
8 blocks of 1,024 threads on all cores. The slowest one includes what the operating system does meanwhile.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_document_has_the_command_the_machine_the_plot_and_the_tables() {
        let computer = grafos_bench_support::Machine {
            cores: 2,
            processor: "A chip".to_owned(),
            memory_gib: 24,
            kernel: "6.1.0".to_owned(),
        };
        let command = "cargo xtask bench ptx --write".to_owned();
        let text = markdown(&Report { command, computer, rounds: 9, results: sample::results() });
        for part in
            ["`cargo xtask bench ptx --write`", "2 cores (A chip", "9 rounds", "(ptx.svg)", "## Kernels"]
        {
            assert!(text.contains(part), "{part} is missing");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "a line ends in a space");
    }
}
