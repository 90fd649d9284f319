//! `cargo xtask sim`: worlds of `grafos-sim`, with optimization, as many as asked for.
//!
//! Without a seed it begins with the first one, so that two runs of so many seeds are the same run.

use clap::Args;

use crate::error::XtaskError;
use crate::{repo, step};

/// Options of `sim`.
#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// How many seeds: 100, or with `--seed`, 1.
    #[arg(long)]
    seeds: Option<u64>,
    /// How many events each world goes through before it comes to rest.
    #[arg(long, default_value_t = 3000)]
    steps: u64,
    /// The seed to replay, or to begin with.
    #[arg(long)]
    seed: Option<u64>,
    /// How many worlds at a time.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// See that each planted fault is caught, and say how many seeds that took.
    #[arg(long)]
    mutants: bool,
    /// Plant this fault.
    #[arg(long, conflicts_with = "mutants")]
    mutant: Option<String>,
}

/// Builds the simulation and runs it.
pub(crate) fn sim(args: &SimArgs) -> Result<(), XtaskError> {
    let mut command = repo::cargo();
    command.args(["run", "--release", "--quiet", "--package", "grafos-sim", "--example", "sim", "--"]);
    command.args(["--steps", &args.steps.to_string(), "--threads", &args.threads.to_string()]);
    for (name, value) in [("--seeds", args.seeds), ("--seed", args.seed)] {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    if args.mutants {
        command.arg("--mutants");
    }
    if let Some(mutant) = &args.mutant {
        command.args(["--mutant", mutant]);
    }
    step::run("simulation", &mut command)
}
