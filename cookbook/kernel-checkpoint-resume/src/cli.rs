//! The command line: what the user asks for, and the exit code.

use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use tracing_subscriber::EnvFilter;

use crate::archive::Archive;
use crate::error::RunError;
use crate::event::Event;
use crate::home::Home;
use crate::picture;
use crate::report::{Reporter, complain, error_event, reporter};
use crate::run::{Ending, Job, run};
use crate::signals::{Watch, stop_on_signals};
use crate::simulation::Simulation;
use crate::wave::Wave;

/// The run was asked to end, or its GPU was taken away; the same command goes on. `EX_TEMPFAIL` of `sysexits.h`.
pub const EXIT_RESUME: u8 = 75;

/// Computes a wave in a box on a GPU that may be taken away at any moment, and ends with the bits of a run that nobody
/// disturbed.
///
/// Exit codes: 0, all steps are done; 75, the run was asked to end or has lost its GPU, and the same command goes on; 1,
/// it failed; 2, the command line is wrong. `GRAFOS_GPU=cuda:0` computes on a CUDA device.
#[derive(Clone, Debug, Parser)]
#[command(version, args_override_self = true)]
struct Arguments {
    /// How many steps, from the beginning
    #[arg(long, default_value_t = 160, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000_000))]
    steps: u64,

    /// How many cells each edge of the box has
    #[arg(long, default_value_t = 48, value_parser = sizes())]
    size: u32,

    /// A checkpoint behind so many steps
    #[arg(long, value_name = "STEPS", default_value_t = 20, value_parser = intervals())]
    checkpoint_every: u64,

    /// Where the checkpoints lie; else `kernel-checkpoint-resume` in the user's place for volumes
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,

    /// Draws a slice of the pressure at the end: of the oldest checkpoint that is kept, of the one that this run went on
    /// from, and of the last step
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,

    /// Takes the lease of the GPU away when this step is done
    #[arg(long, value_name = "STEP")]
    revoke_at: Option<u64>,

    /// How long the run has to save and end after SIGTERM or SIGINT, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    notice_secs: u32,

    /// Events as JSON, one in a line, instead of words
    #[arg(long)]
    json: bool,
}

fn sizes() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(u64::from(Simulation::MIN_SIZE)..=u64::from(Simulation::MAX_SIZE))
}

fn intervals() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=u64::from(Wave::MAX_SAMPLES))
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let mut reporter = reporter(arguments.json);
    match compute(&arguments, reporter.as_mut()) {
        Ok(Ending::Finished(_)) => ExitCode::SUCCESS,
        Ok(Ending::Stopped | Ending::Revoked) => ExitCode::from(EXIT_RESUME),
        Err(error) => {
            reporter.tell(&error_event(&error));
            ExitCode::FAILURE
        }
    }
}

fn compute(arguments: &Arguments, reporter: &mut dyn Reporter) -> Result<Ending, RunError> {
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(&stop)?;
    let path = arguments.home.clone().map_or_else(Home::default_path, Ok)?;
    let home = Home::open(&path)?;
    let host = home.open_host()?;
    let simulation = Simulation { size: arguments.size };
    let job = Job {
        simulation,
        steps: arguments.steps,
        checkpoint_every: arguments.checkpoint_every,
        revoke_at: arguments.revoke_at,
    };
    let notice = Duration::from_secs(arguments.notice_secs.into());
    let watch = Watch::start(Arc::clone(&stop), Arc::clone(host.clock()), notice, overrun)?;
    let mut archive = Archive::open(&home.checkpoints(), simulation);
    let ending = run(&host, &job, &mut archive, &stop, &mut |event| reporter.tell(&event))?;
    drop(watch);
    if let (Ending::Finished(slices), Some(path)) = (&ending, &arguments.picture) {
        picture::draw(slices, path)?;
        let steps = slices.iter().map(|slice| slice.step).collect();
        reporter.tell(&Event::Picture { path: path.display().to_string(), steps });
    }
    Ok(ending)
}

/// The notice is over, and the run is still there.
fn overrun() {
    complain(
        "the notice is over; the process ends now, and the same command goes on from the newest checkpoint",
    );
    process::exit(i32::from(EXIT_RESUME));
}

/// Quiet unless `RUST_LOG` asks for more: what matters is told as events.
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
}
