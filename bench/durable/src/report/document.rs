//! `durable.md`: the tables, with what was measured and how, so that a reader can judge the figures or repeat them.

use super::Report;
use super::table;

/// The whole document.
pub(super) fn markdown(report: &Report) -> String {
    let Report { command, machine, rounds, results } = report;
    format!(
        "# Durable values, measured\n\n\
         `{command}`\n\n\
         {machine}. Medians of {rounds} rounds.\n\n\
         ![Speed of one durable commit by size of the state, absolute and as a share of the raw write](durable.svg)\n\n\
         {}\n{HOW}",
        table::all(results),
    )
}

const HOW: &str = "\
## How to read this

Only the ratios carry over to another machine. Ours and its baseline run in turns in every round, with the file \
system synced between turns, off the clock; operations on small states are repeated within a turn, which counts as \
its median. *Ratio* is median over median, and is what targets are judged on; beside it stand the median and the \
range of the ratios of single rounds, which tell how steady the machine was. Every contender's state is read back \
and compared.

- **State**: a `Bulk<Vec<u8>>`, every eight bytes of it changed before each commit, so that no chunk can be skipped.
- **Raw write**: one thread, a file laid out and written before, aligned memory, direct I/O in writes of 1 MiB or 4 \
MiB, whichever is faster (of the whole state where it is smaller, at least 4 KiB), in two places in turn as with two \
slots, then `fdatasync`. No header, no digest, no choice between old and new: nothing that keeps data can be faster \
that way.
- **Raw read**: the same file read directly, with the same sizes, into memory that was just allocated. The page \
cache plays no part in it, nor in ours. Ours also verifies every byte and rebuilds the value.
- **One copy**: the state copied into memory that has been written before.
- **Stall**: the time inside `checkpoint_in_background` when the one before has finished; the rest happens on \
another thread.
- **redb**: one key, durability `Immediate`; it stores a value in a page of a power of two, so these sizes with \
their few bytes of header take twice the room, and at 60 instead of 64 MiB it is twice as fast. **SQLite rollback**: one row, `journal_mode=DELETE`, \
`synchronous=EXTRA`. **SQLite WAL**: `synchronous=FULL`. **fsync + rename**: postcard bytes into a new file, fsync, \
rename, fsync of the directory. All get the state as bytes, not element by element. In brackets: the share of the \
raw write's speed.
- **A change of 1%**: with two slots a checkpoint goes over the state before last, so the chunks *due* are those of \
the last two changes. *Written* is what the checkpoint reports, header and digests included.

These figures tell nothing about what survives a power cut; `cargo xtask powercut` does. On a virtual machine a \
flush may be far quicker than on the metal, which makes small commits look cheaper for everybody.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::sample;

    #[test]
    fn the_document_has_the_command_the_machine_the_plot_and_the_tables() {
        let machine = Machine {
            computer: grafos_bench_support::Machine {
                cores: 2,
                processor: "A chip".to_owned(),
                memory_gib: 24,
                kernel: "6.1.0".to_owned(),
            },
            file_system: "ext4".to_owned(),
            direct_io: true,
        };
        let command = "cargo xtask bench durable --write".to_owned();
        let text = markdown(&Report { command, machine, rounds: 7, results: sample::results() });
        for part in
            ["`cargo xtask bench durable --write`", "2 cores (A chip", "7 rounds", "(durable.svg)", "## Why"]
        {
            assert!(text.contains(part), "{part} is missing");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "a line ends in a space");
    }
}
