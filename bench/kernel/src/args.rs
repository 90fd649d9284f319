//! The command line: how large, how often, where, and what becomes of the result.

use std::path::{Path, PathBuf};

use clap::Parser;
use grafos_bench_support::ByteSize;
use tempfile::TempDir;

use crate::Result;

/// Times kernel checkpoints beside those of ringkernel-core.
#[derive(Debug, Parser)]
#[command(name = "bench kernel", version)]
pub(crate) struct Args {
    /// A small state, few rounds: shows that the benchmark runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Size of the state, such as 64MiB, at least 64KiB [default: 256MiB, with --quick 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<ByteSize>,
    /// Where the files are made and removed again: on the disk to measure [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Writes the report and the plot to --out; without it the tables are only printed
    #[arg(long)]
    write: bool,
    /// The directory for kernel.md and kernel.svg
    #[arg(long, value_name = "DIR", default_value = "docs/benchmarks")]
    out: PathBuf,
    /// Fails if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

/// Of less, a hundredth of the pages would be none.
const LEAST: ByteSize = ByteSize::of(64 << 10);

fn size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: grafos_bench_support::BadSize| error.to_string())?;
    if size < LEAST { Err(format!("expected at least {LEAST}")) } else { Ok(size) }
}

impl Args {
    const SIZE: ByteSize = ByteSize::of(256 << 20);
    const QUICK_SIZE: ByteSize = ByteSize::of(16 << 20);

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    pub(crate) fn size(&self) -> ByteSize {
        self.size.unwrap_or(if self.quick { Self::QUICK_SIZE } else { Self::SIZE })
    }

    /// A fresh directory that is removed with the value. Beside this program by default, because that is on a disk
    /// where the system's own temporary directory often is not.
    pub(crate) fn work_dir(&self) -> Result<TempDir> {
        let parent = match &self.dir {
            Some(dir) => dir.clone(),
            None => std::env::current_exe()?.parent().ok_or("this program has no directory")?.to_owned(),
        };
        Ok(tempfile::Builder::new().prefix("bench-kernel-").tempdir_in(parent)?)
    }

    pub(crate) fn out_dir(&self) -> Option<&Path> {
        self.write.then_some(self.out.as_path())
    }

    /// How to ask for the same figures again, without the paths of this machine.
    pub(crate) fn as_command(&self) -> String {
        let mut command = "cargo xtask bench kernel".to_owned();
        if self.quick {
            command += " --quick";
        }
        if let Some(rounds) = self.rounds {
            command += &format!(" --rounds {rounds}");
        }
        if let Some(size) = self.size {
            command += &format!(" --size {}", size.compact());
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
        let args = parsed("bench --rounds 3 --size 64MiB --write --dir /somewhere");
        assert_eq!(args.as_command(), "cargo xtask bench kernel --rounds 3 --size 64MiB --write");
        assert_eq!((args.size(), args.rounds()), (ByteSize::of(64 << 20), 3));
        assert_eq!(args.out_dir(), Some(Path::new("docs/benchmarks")));
    }

    #[test]
    fn nothing_is_written_unless_asked() {
        assert_eq!(parsed("bench --quick").out_dir(), None);
        assert_eq!(parsed("bench").size(), ByteSize::of(256 << 20));
    }

    #[test]
    fn no_rounds_and_absurd_sizes_are_refused() {
        for arguments in
            [["bench", "--rounds", "0"], ["bench", "--size", "1KiB"], ["bench", "--size", "9GiB"]]
        {
            assert!(Args::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
