//! `cargo xtask torture`: the recipe's own torture test, or that of replicated checkpoints, with optimization and as many
//! rounds as asked for.
//!
//! The tests kill real programs at random moments; they live with what they torture, so that `cargo test` runs a short
//! round of them everywhere. This verb only sets their variables.

use std::process::Command;

use clap::Args;

use crate::error::XtaskError;
use crate::step::Stopwatch;
use crate::{repo, step};

/// The packages whose tests they are.
const REPLICATED: &str = "grafos-replicated";
const RECIPE: &str = "cookbook-recipe-02-computation-that-survives-a-power-outage";

/// Options of `torture`.
#[derive(Debug, Args)]
pub(crate) struct TortureArgs {
    /// Torture writers of replicated checkpoints instead: killed, stopped, their replicas damaged meanwhile.
    #[arg(long)]
    replicated: bool,
    /// How many times to kill and start again, or to do something to the writers.
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
    let package = if args.replicated { REPLICATED } else { RECIPE };
    // A filter that matches nothing would pass.
    let listed =
        step::timed("build the test", || step::capture(test_command(package).args(["--", "--list"])))?;
    if !listed.lines().any(|line| line.ends_with(": test")) {
        return Err(XtaskError::NothingToRun { package, filter: "torture" });
    }
    let rounds = args.rounds.to_string();
    let mut seed = args.seed;
    loop {
        let which = if args.replicated { " --replicated" } else { "" };
        println!("to replay: cargo xtask torture{which} --rounds {rounds} --seed {seed}");
        let mut command = test_command(package);
        command.env("GRAFOS_TORTURE_ROUNDS", &rounds).env("GRAFOS_TORTURE_SEED", seed.to_string());
        step::run("torture", command.args(["--", "--nocapture"]))?;
        if args.secs.is_none_or(|secs| watch.elapsed().as_secs() >= secs) {
            return Ok(());
        }
        seed = seed.wrapping_add(1);
    }
}

fn test_command(package: &str) -> Command {
    let mut command = repo::cargo();
    command.args(["test", "--release", "--quiet", "--package", package, "--test", "it", "torture"]);
    command
}
