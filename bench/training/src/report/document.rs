//! `training.md`: the tables, with what was measured and how, so that a reader can judge the figures or repeat them.

use super::{Report, table};

/// The whole document.
pub(super) fn markdown(report: &Report) -> String {
    let Report { command, computer, rounds, results } = report;
    format!(
        "# Commits of a training, measured\n\n\
         `{command}`\n\n\
         {computer}. Medians of {rounds} rounds.\n\n\
         {}\n{HOW}",
        table::all(results),
    )
}

const HOW: &str = "\
## How to read this

The training is the job of recipe 52, on the local GPU: kernels on the processor, all cores. Each commit writes the whole \
state to three directories on one disk, two of which have to have it, and moves the register; the state and the record of \
the steps come to be in one transaction.

- **Loop** is the loop of the recipe as it is, from the moment that it has the GPU to its last commit: reservations, \
renewals of the lease, care for the replicas and what it tells are included.
- **Without commits** is a bare loop of steps on a GPU of its own, with nothing around it. It does a step after each step of \
the other, which does not count as the other's time: so both meet the same machine. Both have to end with the same \
weights, bit by bit.
- **With ÷ without** is the ratio of the medians, which is judged; beside it the median and the range of the rounds' own \
ratios, which tell how steady the machine was.
- **Commits ÷ loop** is the share of the loop's time that was spent in commits.
- **A commit** is the time for which training stands still: the reservation of the steps, the state read back from the \
device and encoded, and the transaction. In the second table a commit follows each step.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_document_has_the_command_the_machine_and_the_tables() {
        let computer = grafos_bench_support::Machine {
            cores: 2,
            processor: "A chip".to_owned(),
            memory_gib: 24,
            kernel: "6.1.0".to_owned(),
        };
        let command = "cargo xtask bench training --write".to_owned();
        let text = markdown(&Report { command, computer, rounds: 9, results: sample::results(1.0) });
        for part in
            ["`cargo xtask bench training --write`", "2 cores (A chip", "9 rounds", "## Commits beside none"]
        {
            assert!(text.contains(part), "{part} is missing");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "a line ends in a space");
    }
}
