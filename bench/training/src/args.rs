//! The command line: how large, how often, where, and what becomes of the result.

use std::path::{Path, PathBuf};

use clap::Parser;
use tempfile::TempDir;

use crate::Result;
use crate::measure::Plan;

/// Times a training that commits beside the same loop without commits.
#[derive(Debug, Parser)]
#[command(name = "bench training", version)]
pub(crate) struct Args {
    /// A small network, few steps and rounds: shows that the benchmark runs, not how fast anything is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Where jobs are made and removed again: on the disk to measure [default: beside this program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Writes the report to --out; without it the tables are only printed
    #[arg(long)]
    write: bool,
    /// The directory for training.md
    #[arg(long, value_name = "DIR", default_value = "docs/benchmarks")]
    out: PathBuf,
    /// Fails if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl Args {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    pub(crate) fn plan(&self) -> Plan {
        let plan = if self.quick { Plan::quick() } else { Plan::full() };
        Plan { rounds: self.rounds(), ..plan }
    }

    /// A fresh directory that is removed with the value. Beside this program by default, because that is on a disk
    /// where the system's own temporary directory often is not.
    pub(crate) fn work_dir(&self) -> Result<TempDir> {
        let parent = match &self.dir {
            Some(dir) => dir.clone(),
            None => std::env::current_exe()?.parent().ok_or("this program has no directory")?.to_owned(),
        };
        Ok(tempfile::Builder::new().prefix("bench-training-").tempdir_in(parent)?)
    }

    pub(crate) fn out_dir(&self) -> Option<&Path> {
        self.write.then_some(self.out.as_path())
    }

    /// How to ask for the same figures again, without the paths of this machine.
    pub(crate) fn as_command(&self) -> String {
        let mut command = "cargo xtask bench training".to_owned();
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
        let args = parsed("bench --quick --rounds 5 --write --out /somewhere --dir /elsewhere");
        assert_eq!(args.as_command(), "cargo xtask bench training --quick --rounds 5 --write");
        assert_eq!(args.out_dir(), Some(Path::new("/somewhere")));
        assert_eq!(args.plan().rounds, 5);
    }

    #[test]
    fn nothing_is_written_unless_asked() {
        assert_eq!(parsed("bench").out_dir(), None);
        assert_eq!(parsed("bench").rounds(), 7);
        assert!(Args::try_parse_from(["bench", "--rounds", "0"]).is_err());
    }
}
