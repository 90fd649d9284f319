//! `grafos`: looks at what computations have left behind. Everything here only reads.
//!
//! Exit codes are a promise to scripts: see [`ExitReason`].

mod inspect;
mod output;
mod table;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use inspect::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  all that was found verifies
  1  something is damaged: the report says what
  2  wrong arguments
  3  it can't be read, or is nothing that this program knows";

/// Looks at what computations have left behind: checkpoints of kernels, durable volumes.
#[derive(Parser)]
#[command(name = "grafos", version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what a file holds, and whether it verifies. Reads all of it, and changes nothing.
    Inspect {
        /// A kernel checkpoint, the data file of a durable volume, or the volume's directory. Each is known by its
        /// contents.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object for each file, a line each.
        #[arg(long)]
        json: bool,
    },
}

/// Why the program ends, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ExitReason {
    /// All that was found verifies.
    Good,
    /// Something is damaged.
    Damaged,
    /// Something can't be read, or is unknown.
    Unreadable,
}

impl From<ExitReason> for ExitCode {
    fn from(reason: ExitReason) -> Self {
        match reason {
            ExitReason::Good => Self::SUCCESS,
            ExitReason::Damaged => Self::from(1),
            // clap ends with 2 for wrong arguments.
            ExitReason::Unreadable => Self::from(3),
        }
    }
}

fn main() -> ExitCode {
    let Command::Inspect { files, json } = Arguments::parse().command;
    let format = if json { Format::Json } else { Format::Text };
    let mut worst = ExitReason::Good;
    for (at, file) in files.iter().enumerate() {
        if at > 0 && !json {
            output::line("");
        }
        worst = worst.max(inspect::file(file, format));
    }
    worst.into()
}
