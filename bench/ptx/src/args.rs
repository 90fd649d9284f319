//! The command line: how large, how often, and what becomes of the result.

use std::path::{Path, PathBuf};

use clap::Parser;

use crate::measure::Plan;
use crate::workload::Sizes;

/// Times kernels on the virtual machine beside plain Rust.
#[derive(Debug, Parser)]
#[command(name = "bench ptx", version)]
pub(crate) struct Args {
    /// Small sizes, few rounds: shows that the benchmark runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured [default: 9, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Measures this kernel alone, such as axpy; for a profiler, and never written to --out
    #[arg(long, value_name = "KERNEL", conflicts_with = "write")]
    only: Option<String>,
    /// Writes the report and the plot to --out; without it the tables are only printed
    #[arg(long)]
    write: bool,
    /// The directory for ptx.md and ptx.svg
    #[arg(long, value_name = "DIR", default_value = "docs/benchmarks")]
    out: PathBuf,
    /// Fails if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl Args {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 9 })
    }

    pub(crate) fn plan(&self) -> Plan {
        let sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        Plan { rounds: self.rounds(), sizes, only: self.only.clone() }
    }

    pub(crate) fn out_dir(&self) -> Option<&Path> {
        self.write.then_some(self.out.as_path())
    }

    /// How to ask for the same figures again, without the paths of this machine.
    pub(crate) fn as_command(&self) -> String {
        let mut command = "cargo xtask bench ptx".to_owned();
        if self.quick {
            command += " --quick";
        }
        if let Some(rounds) = self.rounds {
            command += &format!(" --rounds {rounds}");
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
        let args = parsed("bench --quick --rounds 5 --write --out /somewhere");
        assert_eq!(args.as_command(), "cargo xtask bench ptx --quick --rounds 5 --write");
        assert_eq!(args.out_dir(), Some(Path::new("/somewhere")));
        assert_eq!(args.plan().rounds, 5);
    }

    #[test]
    fn nothing_is_written_unless_asked() {
        assert_eq!(parsed("bench").out_dir(), None);
        assert_eq!(parsed("bench").rounds(), 9);
        assert!(Args::try_parse_from(["bench", "--rounds", "0"]).is_err());
    }
}
