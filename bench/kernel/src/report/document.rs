//! `kernel.md`: the tables, with what was measured and how, so that a reader can judge the figures or repeat them.

use super::{Report, table};

/// The whole document.
pub(super) fn markdown(report: &Report) -> String {
    let Report { command, computer, file_system, rounds, results } = report;
    format!(
        "# Kernel checkpoints, measured\n\n\
         `{command}`\n\n\
         {computer}, {file_system}. Medians of {rounds} rounds.\n\n\
         ![Speed of each operation, ours beside that of ringkernel-core, and the durable save by compression](kernel.svg)\n\n\
         {}\n{HOW}",
        table::all(results),
    )
}

const HOW: &str = "\
## How to read this

Only the ratios carry over to another machine. Ours and theirs run in turns in every round, with the file system synced \
between turns, off the clock. *Times as fast* is median over median, and is what targets are judged on, for states of \
256 MiB or more; beside it stand the median and the range of the ratios of single rounds, which tell how steady the \
machine was. What each has made is read back and compared. GB are 10⁹ bytes; rates are bytes of state a second, however \
short the file.

- **State**: a control block of 256 bytes and one region of device memory. *Noise* does not compress.
- **Theirs** is [ringkernel-core](https://crates.io/crates/ringkernel-core) 1.1.0, built with the same optimization, \
which works on one thread and writes version 1 of the format; ours writes version 2, on as many threads as there are \
cores. Its checksum is a CRC-32; ours are BLAKE3 digests, of each MiB and of the whole.
- **Encode** is `to_bytes` of both crates into *fresh memory*, that was just allocated; *a buffer used before* is our \
`encode_into`, for programs that checkpoint again and again. **Decode** is `from_bytes` of both into fresh memory; *memory \
used before* is our `CheckpointReader::read_chunk_into`, as when the memory of a kernel is filled again. Theirs has neither \
call, and is measured as it is. Fresh memory has a price that no format changes, because the system clears each page when \
it is touched first: the plain copy below the table pays it too. So nothing was promised of it.
- **Digest** is `content_digest` of both.
- **Save, load** are those of both crates' `FileStorage`. Our save is durable when it returns: the data is synced, the \
file gets its name in one step, and the directory is synced. Theirs overwrites the old file and syncs nothing. Each is \
loaded once before the load that counts, so that both are in the page cache.
- **A delta**: eight bytes change in each hundredth page of 4 KiB. Ours holds those pages; theirs holds every region in \
which anything changed. Ours is made with the digest of its parent, which the parent's save has told. Rates are those of \
the state, since all of it is compared.
- **Compression** is chosen for a checkpoint and done by segments of 1 MiB; one that does not shrink is stored as it is.
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
        let command = "cargo xtask bench kernel --write".to_owned();
        let file_system = "ext4".to_owned();
        let text =
            markdown(&Report { command, computer, file_system, rounds: 7, results: sample::results() });
        let parts = [
            "`cargo xtask bench kernel --write`",
            "2 cores (A chip",
            "6.1.0, ext4. Medians of 7 rounds",
            "(kernel.svg)",
            "## 256 MiB beside ringkernel-core",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        assert!(text.lines().all(|line| !line.ends_with(' ')), "a line ends in a space");
    }
}
