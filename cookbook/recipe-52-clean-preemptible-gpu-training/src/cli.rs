//! The command line: what the user asks for, and the exit code.
//!
//! [`EXIT_RESUME`] and [`EXIT_FENCED`] are for whoever starts workers: the one says to start another, the other that
//! another is at it.

mod train;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, process};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::cloud;
use crate::report::complain;
use crate::run::{Controls, RunError};
use crate::signals::stop_on_signals;

pub use train::TrainArguments;

/// The worker was asked to end, and has; the same command goes on. `EX_TEMPFAIL` of `sysexits.h`.
pub const EXIT_RESUME: u8 = 75;

/// A newer worker has taken over; this one has published nothing since.
pub const EXIT_FENCED: u8 = 76;

/// Trains a small network on a GPU that may be taken away at any moment, and ends with the weights of a training that
/// nobody disturbed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Train(Box<TrainArguments>),
    /// Preempts a training some hundred times, and holds what is there at its end against a training that nobody
    /// disturbed.
    Preempt(cloud::TrialArgs),
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    match arguments.command {
        Command::Train(arguments) => train::main(&arguments),
        Command::Preempt(arguments) => match preempt(&arguments) {
            Ok(code) => code,
            Err(error) => {
                complain(&format!("error: {error}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn preempt(arguments: &cloud::TrialArgs) -> Result<ExitCode, RunError> {
    let controls = Controls::default();
    stop_on_signals(&controls)?;
    Ok(cloud::trial(&this_program()?, arguments, &controls.stop_flag()))
}

/// The file of this program, to start workers with.
fn this_program() -> Result<PathBuf, RunError> {
    env::current_exe().map_err(|source| RunError::Output { path: PathBuf::from("this program"), source })
}

/// The notice is over, and the worker is still there: something hangs. What is committed is safe.
fn overrun() {
    complain("the notice is over; the process ends now, and the same command goes on from the last commit");
    process::exit(i32::from(EXIT_RESUME));
}

/// Quiet unless `RUST_LOG` asks for more. A standard error that nobody reads is no reason to stop.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .finish();
    // It fails only if somebody has set one, and then that one is wanted.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests;
