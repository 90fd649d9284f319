//! `replicated.md`: the tables, with what was measured and how, so that a reader can judge the figures or repeat them.

use super::{Report, table};

/// The whole document.
pub(super) fn markdown(report: &Report) -> String {
    let Report { command, machine, rounds, results } = report;
    format!(
        "# Replicated checkpoints and effects, measured\n\n\
         `{command}`\n\n\
         {machine}. Medians of {rounds} rounds.\n\n\
         ![Saves as a share of three raw writes by size of the state, and steps a second by keys on record](replicated.svg)\n\n\
         {}\n{HOW}",
        table::all(results),
    )
}

const HOW: &str = "\
## How to read this

Only the ratios carry over to another machine. Ours and its baseline run in turns in every round, with the file \
system synced between turns, off the clock; small operations are repeated within a turn, which counts as its median. \
*Ratio* is median over median, and is what targets are judged on; beside it stand the median and the range of the \
ratios of single rounds, which tell how steady the machine was. Everything that was saved is loaded and compared.

- **Save**: `save_bytes` of a state of which every eight bytes are new, to three replicas, directories on one disk, \
with a write quorum of two; the register is moved too, and all three replicas have the state when it returns. \
A small one waits for two flushes, one after the other: of the blob and its directory, which are synced at the same \
time where that is quicker, and of the register's log; the raw write waits for file and directory, one after the \
other. The state before is removed in the background; raw files are removed off the clock.
- **Three raw writes**: the same bytes into three new files by three threads at once, each one write, `fsync` of the \
file, `fsync` of the directory. No digest, no register, no name that appears in one step.
- **Load**: `load_latest` into memory, every byte verified. **Raw read and BLAKE3**: one of the raw files read into \
memory, and its digest. Both from the page cache.
- **Register: read and move**: a linearizable read of a register's record as it is after some saves, and a guarded \
commit of another one. **Reserve** and **complete**: the two commits of a step. **Baseline**: `BEGIN IMMEDIATE`, one \
`INSERT` or `UPDATE` of as many bytes, `COMMIT`, in the same database with the same durability: no guards, no read. The \
log is begun anew after 1000 pages there, as SQLite has it, and after 512 with us, since a commit over what was there \
before is synced sooner than one that makes the file longer. *A log as short*: the baseline with 512 too.
- **A change of 1%**: one piece from the start of some chunk on, another one each time. *The second* save comes after \
one of the whole state. *Forty more* follow one another: since a state lies in a limited number of blobs, chunks of \
blobs that are hardly in use are gathered now and then.
- **A step beside many keys**: `reserve` and `complete` of a new key, one after the other. The keys that are there \
already were written before, a thousand to a transaction.

These figures tell nothing about what survives a power cut; `cargo xtask powercut` does. On a virtual machine a flush \
may be far quicker than on the metal, which makes small commits look cheaper for everybody.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_document_has_the_command_the_machine_the_plot_and_the_tables() {
        let (command, machine) = ("cargo xtask bench replicated --write".to_owned(), "2 cores".to_owned());
        let text = markdown(&Report { command, machine, rounds: 7, results: sample::results() });
        let parts = [
            "`cargo xtask bench replicated --write`",
            "2 cores. Medians of 7",
            "(replicated.svg)",
            "## Speed",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} is missing");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "a line ends in a space");
    }
}
