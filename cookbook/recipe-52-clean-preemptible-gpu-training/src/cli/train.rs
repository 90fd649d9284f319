//! `train`: its options, and what it does with them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fabricbios_core::clock::SystemClock;
use fabricbios_core::recovery::Recovery;

use super::{EXIT_FENCED, EXIT_RESUME, overrun, this_program};
use crate::audit::audit;
use crate::cloud;
use crate::report::{Reporter, complain, error_event, plot, reporter, story};
use crate::run::place::{Name, default_home, replica_dirs};
use crate::run::{Context, Controls, DEFAULT_INTERVAL_STEPS, DEFAULT_LEASE_SECS, DEFAULT_NOTICE};
use crate::run::{Job, Outcome, RunError, run};
use crate::signals::{stop_on_signals, wake_up_when_orphaned};
use crate::training::TrainingPlan;

/// Train, from wherever the job stands.
///
/// Kill it at any moment, even with SIGKILL or the power switch, or take its GPU away: the same command goes on from the
/// last commit and ends with the same weights, bit for bit. SIGTERM and Ctrl-C commit first; a second one does not wait.
/// A second copy takes the job over, and the first one is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TrainArguments {
    /// Where everything lies: register, replicas, locks [default: `recipe-52` in $GRAFOS_HOME or the user's state
    /// directory].
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,

    /// Keep several jobs apart.
    #[arg(long, value_name = "NAME", default_value = "digits")]
    job: Name,

    /// The machine that this worker plays: each has a GPU of its own.
    #[arg(long, value_name = "NAME", default_value = "host-a")]
    host: Name,

    /// How many steps in all, with those that are done.
    #[arg(long, value_name = "N", default_value_t = TrainingPlan::default().steps)]
    steps: u64,

    /// Decides the first weights and the order of the images.
    #[arg(long, value_name = "N", default_value_t = TrainingPlan::default().seed)]
    seed: u64,

    /// How many images a step takes.
    #[arg(long, value_name = "N", default_value_t = TrainingPlan::default().batch_len)]
    batch: u32,

    /// How many steps lie between two commits: what a kill may cost. The result does not depend on it.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_INTERVAL_STEPS, value_parser = clap::value_parser!(u64).range(1..))]
    interval_steps: u64,

    /// How long a lease on the GPU is. It is renewed as long as all is well.
    #[arg(long, value_name = "SECS", default_value_t = DEFAULT_LEASE_SECS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lease_secs: u64,

    /// How long the worker may take to commit and end after SIGTERM. What can't be committed by then is done again.
    #[arg(long, value_name = "SECS", default_value_t = DEFAULT_NOTICE.as_secs(), value_parser = clap::value_parser!(u64).range(..=86_400))]
    notice_secs: u64,

    /// How many cores the kernels use, on the processor; the result does not depend on it [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Draw the loss, with every preemption marked, into this file (SVG) at the end.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Tell events as JSON, one object a line.
    #[arg(long)]
    json: bool,

    /// With --json: tell every step, not ten a second.
    #[arg(long, requires = "json")]
    every_step: bool,

    /// Obey lines on standard input: `revoke` takes the GPU away, `stop-renewing` lets the lease run out, the end of the
    /// input ends the worker as SIGTERM does.
    #[arg(long)]
    control: bool,

    /// Say where the job stands and whether every step was done once, and exit. Disturbs nobody.
    #[arg(long, conflicts_with_all = ["control", "every_step", "preempt_every"])]
    status: bool,

    #[command(flatten)]
    cloud: cloud::CloudArgs,
}

const AFTER_HELP: &str = "Exit codes:\n  \
    0   all steps are done and committed\n  \
    1   an error, told on standard error\n  \
    2   wrong arguments\n  \
    75  asked to end: the same command goes on\n  \
    76  fenced: another worker has taken over\n\
    \n\
    Environment:\n  \
    GRAFOS_HOME  directory of volumes and jobs, if there is no --home\n  \
    GRAFOS_GPU   `cuda:0` trains on that device [default: on the processor]\n  \
    RUST_LOG     what to log on standard error, such as info or grafos_replicated=debug [default: nothing]";

impl TrainArguments {
    /// The job in this home.
    fn job(&self, home: &Path) -> Job {
        let plan = TrainingPlan {
            seed: self.seed,
            batch_len: self.batch,
            steps: self.steps,
            ..TrainingPlan::default()
        };
        Job {
            plan,
            interval_steps: self.interval_steps,
            lease_secs: self.lease_secs,
            notice: Duration::from_secs(self.notice_secs),
            ..Job::new(home, self.job.clone(), self.host.clone())
        }
    }

    fn threads(&self) -> Option<NonZeroUsize> {
        self.threads.and_then(|number| NonZeroUsize::new(number.into()))
    }

    fn home(&self) -> Result<PathBuf, RunError> {
        let Some(home) = &self.home else { return default_home() };
        std::path::absolute(home).map_err(|source| RunError::Output { path: home.clone(), source })
    }

    /// What spells the same job for a worker process, without its host.
    fn for_worker(&self, home: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["train".into(), "--home".into(), home.into()];
        let mut add = |name: &str, value: String| arguments.extend([name.into(), value.into()]);
        add("--job", self.job.to_string());
        add("--steps", self.steps.to_string());
        add("--seed", self.seed.to_string());
        add("--batch", self.batch.to_string());
        add("--interval-steps", self.interval_steps.to_string());
        add("--lease-secs", self.lease_secs.to_string());
        add("--notice-secs", self.notice_secs.to_string());
        if let Some(threads) = self.threads {
            add("--threads", threads.to_string());
        }
        if self.every_step {
            arguments.push("--every-step".into());
        }
        arguments
    }
}

/// `train`.
pub(super) fn main(arguments: &TrainArguments) -> ExitCode {
    let mut reporter = reporter(arguments.json, arguments.every_step, Arc::new(SystemClock));
    let controls = Controls::default();
    match execute(arguments, &controls, reporter.as_mut()) {
        Ok(code) => code,
        // It was told when it happened.
        Err(RunError::Fenced { .. }) => ExitCode::from(EXIT_FENCED),
        Err(error) => {
            reporter.observe(&error_event(&error));
            let passes = matches!(error.recovery(), Recovery::RetryLater | Recovery::RetrySameKey);
            if controls.is_stopping() && passes { ExitCode::from(EXIT_RESUME) } else { ExitCode::FAILURE }
        }
    }
}

fn execute(
    arguments: &TrainArguments,
    controls: &Controls,
    reporter: &mut dyn Reporter,
) -> Result<ExitCode, RunError> {
    let home = arguments.home()?;
    if arguments.status {
        return show_status(arguments, &home, reporter);
    }
    stop_on_signals(controls)?;
    if arguments.cloud.is_asked_for() {
        let worker = cloud::Worker {
            program: this_program()?,
            arguments: arguments.for_worker(&home),
            host: arguments.host.to_string(),
            replicas: replica_dirs(&home).to_vec(),
            notice: Duration::from_secs(arguments.notice_secs),
            lease: None,
        };
        let code = cloud::play(&arguments.cloud, &worker, arguments.json, reporter, &controls.stop_flag());
        draw(arguments, &home)?;
        return Ok(code);
    }
    if arguments.control {
        wake_up_when_orphaned()?;
        controls.obey(io::BufReader::new(io::stdin()), complain).map_err(RunError::Thread)?;
    }
    let job = arguments.job(&home);
    let outcome = {
        let mut context = Context::new(&job, arguments.threads(), reporter)?;
        context.controls = controls.clone();
        context.overrun = Some(overrun);
        run(&job, &mut context)?
    };
    draw(arguments, &home)?;
    Ok(match outcome {
        Outcome::Finished(_) => {
            if !arguments.json {
                let found = audit(&home, arguments.job.as_str())?;
                reporter.say(&story(&arguments.job, &found));
                reporter.say("The same command prints this again; another --job begins another one.");
            }
            ExitCode::SUCCESS
        }
        Outcome::Stopped { .. } => ExitCode::from(EXIT_RESUME),
    })
}

fn show_status(
    arguments: &TrainArguments,
    home: &Path,
    reporter: &mut dyn Reporter,
) -> Result<ExitCode, RunError> {
    let found = audit(home, arguments.job.as_str())?;
    reporter.observe(&found.status(arguments.job.as_str()));
    draw(arguments, home)?;
    Ok(if found.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the drawing, if one is wanted: whole, or not at all.
fn draw(arguments: &TrainArguments, home: &Path) -> Result<(), RunError> {
    let Some(path) = &arguments.plot else { return Ok(()) };
    let drawing = plot::svg(arguments.job.as_str(), &audit(home, arguments.job.as_str())?);
    let failed = |source| RunError::Output { path: path.clone(), source };
    let mut new = path.clone().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    fs::write(&new, drawing).and_then(|()| fs::rename(&new, path)).map_err(|error| {
        // What is left of it is of no use.
        let _ = fs::remove_file(&new);
        failed(error)
    })
}
