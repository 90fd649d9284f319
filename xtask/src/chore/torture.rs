//! `cargo xtask torture`: the recipe's own torture test, with optimization and as many rounds as asked for.
//!
//! The test kills the real program at random moments; it lives with the recipe, so that `cargo test` runs a short
//! round of it everywhere. This verb only sets its variables.

use std::process::Command;

use clap::Args;

use crate::error::XtaskError;
use crate::step::Stopwatch;
use crate::{repo, step};

/// The package whose test it is.
const RECIPE: &str = "cookbook-recipe-02-computation-that-survives-a-power-outage";

/// Options of `torture`.
#[derive(Debug, Args)]
pub(crate) struct TortureArgs {
    /// How many times to kill and start again.
    #[arg(long, default_value_t = 300)]
    rounds: u64,
    /// Where the random moments come from; the same seed tries the same moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the next seed, and the next, until so many seconds have passed.
    #[arg(long)]
    secs: Option<u64>,
}

/// Runs the rounds, and says how to run the same ones again.
pub(crate) fn torture(args: &TortureArgs) -> Result<(), XtaskError> {
    let watch = Stopwatch::start();
    // A filter that matches nothing would pass.
    let listed = step::timed("build the test", || step::capture(test_command().args(["--", "--list"])))?;
    if !listed.lines().any(|line| line.ends_with(": test")) {
        return Err(XtaskError::NothingToRun { package: RECIPE, filter: "torture" });
    }
    let rounds = args.rounds.to_string();
    let mut seed = args.seed;
    loop {
        println!("to replay: cargo xtask torture --rounds {rounds} --seed {seed}");
        let mut command = test_command();
        command.env("GRAFOS_TORTURE_ROUNDS", &rounds).env("GRAFOS_TORTURE_SEED", seed.to_string());
        step::run("torture", command.args(["--", "--nocapture"]))?;
        if args.secs.is_none_or(|secs| watch.elapsed().as_secs() >= secs) {
            return Ok(());
        }
        seed = seed.wrapping_add(1);
    }
}

fn test_command() -> Command {
    let mut command = repo::cargo();
    command.args(["test", "--release", "--quiet", "--package", RECIPE, "--test", "it", "torture"]);
    command
}
