//! The command line: which sizes, how many keys, how often, where, and what becomes of the result.

use std::path::PathBuf;

use clap::Parser;
use grafos_bench_support::ByteSize;
use tempfile::TempDir;

use crate::Result;

/// Times replicated checkpoints and effects beside raw parallel writes and a bare SQLite transaction.
#[derive(Debug, Parser)]
#[command(name = "bench replicated", version)]
pub(crate) struct Args {
    /// Small sizes, few keys, few rounds: shows that the benchmark runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Sizes of the state, such as 64KiB,16MiB
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',')]
    sizes: Vec<ByteSize>,
    /// How many idempotency keys there are when reserving one more is timed, such as 1000,1000000
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    keys: Vec<u64>,
    /// Where everything is made and removed again: on the disk to measure [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Writes the report and the plot to --out; without it the tables are only printed
    #[arg(long)]
    write: bool,
    /// The directory for replicated.md and replicated.svg
    #[arg(long, value_name = "DIR", default_value = "docs/benchmarks")]
    out: PathBuf,
    /// Fails if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl Args {
    const SIZES: [usize; 3] = [64 << 10, 16 << 20, 256 << 20];
    const QUICK_SIZES: [usize; 2] = [64 << 10, 4 << 20];
    const KEYS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
    const QUICK_KEYS: [u64; 2] = [100, 1_000];

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    /// Ascending, each once.
    pub(crate) fn sizes(&self) -> Vec<ByteSize> {
        let usual = if self.quick { Self::QUICK_SIZES.as_slice() } else { &Self::SIZES };
        chosen(&self.sizes, usual.iter().copied().map(ByteSize::of))
    }

    /// Ascending, each once.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let usual = if self.quick { Self::QUICK_KEYS.as_slice() } else { &Self::KEYS };
        chosen(&self.keys, usual.iter().copied())
    }

    /// A fresh directory that is removed with the value. Beside this program by default, because that is on a disk
    /// where the system's own temporary directory often is not.
    pub(crate) fn work_dir(&self) -> Result<TempDir> {
        let parent = match &self.dir {
            Some(dir) => dir.clone(),
            None => std::env::current_exe()?.parent().ok_or("this program has no directory")?.to_owned(),
        };
        Ok(tempfile::Builder::new().prefix("bench-replicated-").tempdir_in(parent)?)
    }

    pub(crate) fn out_dir(&self) -> Option<PathBuf> {
        self.write.then(|| self.out.clone())
    }

    /// How to ask for the same figures again, without the paths of this machine.
    pub(crate) fn as_command(&self) -> String {
        let mut command = "cargo xtask bench replicated".to_owned();
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
        if !self.keys.is_empty() {
            let keys: Vec<String> = self.keys.iter().map(u64::to_string).collect();
            command += &format!(" --keys {}", keys.join(","));
        }
        if self.write {
            command += " --write";
        }
        command
    }
}

fn chosen<T: Ord + Copy>(asked: &[T], usual: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = if asked.is_empty() { usual.collect() } else { asked.to_vec() };
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Args {
        Args::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_printed_command_asks_for_the_same_run() {
        let args = parsed("bench --rounds 3 --sizes 4KiB,512 --keys 20,10,20 --write --dir /somewhere");
        let command = "cargo xtask bench replicated --rounds 3 --sizes 4KiB,512B --keys 20,10,20 --write";
        assert_eq!(args.as_command(), command);
        assert_eq!(args.sizes(), [ByteSize::of(512), ByteSize::of(4096)]);
        assert_eq!(args.keys(), [10, 20]);
        assert_eq!(args.out_dir(), Some(PathBuf::from("docs/benchmarks")));
    }

    #[test]
    fn nothing_is_written_unless_asked() {
        assert_eq!(parsed("bench --quick").out_dir(), None);
    }

    #[test]
    fn no_rounds_no_keys_and_absurd_sizes_are_refused() {
        assert!(Args::try_parse_from(["bench", "--rounds", "0"]).is_err());
        assert!(Args::try_parse_from(["bench", "--keys", "0"]).is_err());
        assert!(Args::try_parse_from(["bench", "--sizes", "100GiB"]).is_err());
    }
}
