//! The command line: what the user asks for, and the exit code.
//!
//! 0: finished, or stopped by a signal with everything in a checkpoint. 1: an error, told on standard error. 2: wrong
//! arguments.

use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use fabricbios_core::clock::SystemClock;
use grafos_std::host::{Host, VolumeName};
use tracing_subscriber::EnvFilter;

use crate::error::{RecipeError, Result};
use crate::fan_out::{fan_out, fan_out_status};
use crate::policy::CheckpointEvery;
use crate::quantity::parse_count;
use crate::report::{Reporter, reporter};
use crate::run::{Context, Job, run, status};
use crate::signals::stop_on_signals;

/// Estimates the mean distance of two random points of the unit cube, on all cores, and survives being killed.
///
/// Kill it at any moment, even with SIGKILL or the power switch: the same command goes on from the last checkpoint
/// and ends with the same result, bit for bit. Ctrl-C takes a last checkpoint first; a second Ctrl-C does not wait.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// How many samples in all, with those of earlier runs on the volume (k, M and G are understood).
    #[arg(long, value_name = "N", default_value = "5G", value_parser = parse_count)]
    iterations: u64,

    /// How much work to risk: a number of samples (rounded up to whole batches of 100k), or a time such as 500ms,
    /// 30s or 5min.
    #[arg(long, value_name = "N|TIME", default_value = "1s")]
    checkpoint_every: CheckpointEvery,

    /// The block volume that keeps the checkpoints.
    #[arg(long, value_name = "NAME", default_value = "recipe-02")]
    volume: VolumeName,

    /// Throw away what the volume holds, and start at the first sample.
    #[arg(long)]
    fresh: bool,

    /// Tell events as JSON, one object a line.
    #[arg(long)]
    json: bool,

    /// Decides every random number [default: that of the run on the volume, else 123].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How many threads compute; the result does not depend on it [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Fan out: so many workers, each with a volume of its own (NAME-worker-0, …); the result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Option<u32>,

    /// Verify and print what the volume holds, and exit.
    #[arg(long, conflicts_with_all = ["fresh", "iterations", "checkpoint_every", "seed", "threads"])]
    status: bool,
}

const AFTER_HELP: &str = "Environment:\n  \
    GRAFOS_HOME  directory that keeps the volumes [default: in the user's state directory]\n  \
    RUST_LOG     what to log on standard error, such as info or grafos_collections=debug [default: nothing]";

impl Arguments {
    fn job(&self) -> Job {
        let default = Job::default();
        Job {
            volume: self.volume.as_str().to_owned(),
            seed: self.seed,
            iterations: self.iterations,
            every: self.checkpoint_every,
            threads: self.threads.and_then(|n| NonZeroUsize::new(n.into())).unwrap_or(default.threads),
            fresh: self.fresh,
        }
    }

    fn workers(&self) -> Option<NonZeroU32> {
        self.workers.and_then(NonZeroU32::new)
    }
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let mut reporter = reporter(arguments.json, arguments.volume.as_str(), Arc::new(SystemClock));
    match execute(&arguments, reporter.as_mut()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments, reporter: &mut dyn Reporter) -> Result<()> {
    let host = Host::current()?;
    if arguments.status {
        return show_status(arguments, &host, reporter);
    }
    let mut context = Context::on(host, reporter);
    stop_on_signals(&context.stop)?;
    let job = arguments.job();
    match arguments.workers() {
        Some(workers) => fan_out(&job, workers, &mut context)?,
        None => run(&job, &mut context)?,
    };
    Ok(())
}

fn show_status(arguments: &Arguments, host: &Host, reporter: &mut dyn Reporter) -> Result<(), RecipeError> {
    let volume = arguments.volume.as_str();
    let Some(workers) = arguments.workers() else {
        reporter.status(None, status(host, volume)?.as_ref());
        return Ok(());
    };
    let (whole, of_workers) = fan_out_status(host, volume, workers)?;
    reporter.status(None, whole.as_ref());
    for (worker, status) in (0..).zip(&of_workers) {
        reporter.status(Some(worker), status.as_ref());
    }
    Ok(())
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
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let arguments = Arguments::try_parse_from(["recipe"]).unwrap();
        assert_eq!(arguments.job(), Job::default());
        assert_eq!(arguments.workers(), None);
    }

    #[test]
    fn options_reach_the_job() {
        let arguments = Arguments::try_parse_from([
            "recipe",
            "--iterations",
            "3M",
            "--checkpoint-every",
            "250k",
            "--volume",
            "v",
            "--fresh",
            "--seed",
            "9",
            "--threads",
            "4",
            "--workers",
            "2",
        ])
        .unwrap();
        let job = Job {
            volume: "v".into(),
            seed: Some(9),
            iterations: 3_000_000,
            every: CheckpointEvery::Samples(250_000),
            threads: NonZeroUsize::new(4).unwrap(),
            fresh: true,
        };
        assert_eq!(arguments.job(), job);
        assert_eq!(arguments.workers(), NonZeroU32::new(2));
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            vec!["--iterations", "0"],
            vec!["--iterations", "many"],
            vec!["--checkpoint-every", "0s"],
            vec!["--checkpoint-every", "soon"],
            vec!["--volume", "../escape"],
            vec!["--threads", "0"],
            vec!["--workers", "0"],
            vec!["--workers", "257"],
            vec!["--seed", "-1"],
            vec!["--status", "--fresh"],
            vec!["surprise"],
        ] {
            let arguments = std::iter::once("recipe").chain(wrong.iter().copied());
            assert!(Arguments::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }
}
