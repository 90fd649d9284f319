//! The command line: which sizes, how often, where, and what becomes of the result.

use std::path::PathBuf;

use clap::Parser;
use tempfile::TempDir;

use crate::Result;
use grafos_bench_support::ByteSize;

/// Times durable values beside raw direct I/O, redb, SQLite and write-fsync-rename.
#[derive(Debug, Parser)]
#[command(name = "bench durable", version)]
pub(crate) struct Args {
    /// Small sizes, few rounds: shows that the benchmark runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Sizes of the state, such as 512,4KiB,64MiB
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',')]
    sizes: Vec<ByteSize>,
    /// Where the volumes are made and removed again: on the disk to measure [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Writes the report and the plot to --out; without it the tables are only printed
    #[arg(long)]
    write: bool,
    /// The directory for durable.md and durable.svg
    #[arg(long, value_name = "DIR", default_value = "docs/benchmarks")]
    out: PathBuf,
    /// Fails if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl Args {
    const SIZES: [usize; 6] = [512, 4 << 10, 64 << 10, 1 << 20, 64 << 20, 256 << 20];
    const QUICK_SIZES: [usize; 3] = [512, 64 << 10, 4 << 20];

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    /// Ascending, each once.
    pub(crate) fn sizes(&self) -> Vec<ByteSize> {
        let mut sizes = match (self.sizes.is_empty(), self.quick) {
            (false, _) => self.sizes.clone(),
            (true, true) => Self::QUICK_SIZES.map(ByteSize::of).to_vec(),
            (true, false) => Self::SIZES.map(ByteSize::of).to_vec(),
        };
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// A fresh directory that is removed with the value. Beside this program by default, because that is on a disk
    /// where the system's own temporary directory often is not.
    pub(crate) fn work_dir(&self) -> Result<TempDir> {
        let parent = match &self.dir {
            Some(dir) => dir.clone(),
            None => std::env::current_exe()?.parent().ok_or("this program has no directory")?.to_owned(),
        };
        Ok(tempfile::Builder::new().prefix("bench-durable-").tempdir_in(parent)?)
    }

    pub(crate) fn out_dir(&self) -> Option<PathBuf> {
        self.write.then(|| self.out.clone())
    }

    /// How to ask for the same figures again, without the paths of this machine.
    pub(crate) fn as_command(&self) -> String {
        let mut command = "cargo xtask bench durable".to_owned();
        if self.quick {
            command += " --quick";
        }
        if let Some(rounds) = self.rounds {
            command += &format!(" --rounds {rounds}");
        }
        if !self.sizes.is_empty() {
            let sizes: Vec<String> = self.sizes.iter().map(ByteSize::compact).collect();
            command += &format!(" --sizes {}", sizes.join(","));
        }
        if self.write {
            command += " --write";
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Args {
        Args::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_printed_command_asks_for_the_same_run() {
        let args = parsed("bench --rounds 3 --sizes 4KiB,512 --write --dir /somewhere");
        assert_eq!(args.as_command(), "cargo xtask bench durable --rounds 3 --sizes 4KiB,512B --write");
        assert_eq!(args.sizes(), [ByteSize::of(512), ByteSize::of(4096)]);
        assert_eq!(args.out_dir(), Some(PathBuf::from("docs/benchmarks")));
    }

    #[test]
    fn nothing_is_written_unless_asked() {
        assert_eq!(parsed("bench --quick").out_dir(), None);
    }

    #[test]
    fn no_rounds_and_absurd_sizes_are_refused() {
        assert!(Args::try_parse_from(["bench", "--rounds", "0"]).is_err());
        assert!(Args::try_parse_from(["bench", "--sizes", "0"]).is_err());
        assert!(Args::try_parse_from(["bench", "--sizes", "100GiB"]).is_err());
    }
}
