//! `cargo xtask preempt`: one training, preempted as often as asked for, beside one that nobody disturbs.
//!
//! The recipe's own program plays the cloud and judges: it is its subcommand `preempt`. This verb builds it with
//! optimization and runs it.

use clap::Args;

use crate::error::XtaskError;
use crate::{repo, step};

/// The package whose program it is.
const RECIPE: &str = "cookbook-recipe-52-clean-preemptible-gpu-training";

/// Options of `preempt`.
#[derive(Debug, Args)]
pub(crate) struct PreemptArgs {
    /// How many preemptions. From 7 on, each kind is played.
    #[arg(long, default_value_t = 300)]
    preemptions: u64,
    /// Decides what is done to the training, and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many steps to train: enough for the preemptions, unless it is said.
    #[arg(long)]
    steps: Option<u64>,
    /// How many steps lie between two commits: 4, unless it is said.
    #[arg(long)]
    interval_steps: Option<u64>,
    /// How many images a step takes: 8, unless it is said.
    #[arg(long)]
    batch: Option<u64>,
    /// Strike right at events of the workers, and not some time after.
    #[arg(long)]
    at_events: bool,
    /// Keep the files of both trainings in this directory.
    #[arg(long, value_name = "DIR")]
    keep: Option<std::path::PathBuf>,
}

/// Builds the program and runs the trial.
pub(crate) fn preempt(args: &PreemptArgs) -> Result<(), XtaskError> {
    let mut command = repo::cargo();
    command.args(["run", "--release", "--quiet", "--package", RECIPE, "--", "preempt"]);
    let numbers = [
        ("--preemptions", Some(args.preemptions)),
        ("--seed", Some(args.seed)),
        ("--steps", args.steps),
        ("--interval-steps", args.interval_steps),
        ("--batch", args.batch),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    if args.at_events {
        command.arg("--at-events");
    }
    if let Some(keep) = &args.keep {
        command.arg("--keep").arg(std::path::absolute(keep).unwrap_or_else(|_| keep.clone()));
    }
    step::run("preempted training", &mut command)
}
