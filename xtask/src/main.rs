//! The chores of this repository, as `cargo xtask <verb>`. The same verbs run on a desk and in CI.
//!
//! `verify` and `tidy` never write to the tree; `fix` may. None of our own libraries is linked in, so that the
//! chores run while a library does not compile.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::XtaskError;

mod chore;
mod error;
mod gpu;
mod powercut;
mod ptx;
mod repo;
mod step;
mod tidy;

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check everything that must hold before a change is handed in. Never writes to the tree.
    ///
    /// House rules, format, lints (warnings denied, all packages and targets), documentation (warnings denied),
    /// tests and doctests. Stops at the first step that fails and names the command that repeats it.
    Verify,
    /// Repair what a program can repair: format, and the lints that carry a suggestion. Writes to the tree.
    Fix,
    /// Check the house rules of style (also a test of this package). Never writes to the tree.
    Tidy,
    /// Measure against the raw device and against what else one could use.
    Bench(chore::bench::BenchArgs),
    /// Kill the real recipe again and again, and compare its result bit by bit with an undisturbed run; or, with
    /// --replicated, writers of replicated checkpoints, and look for what was acknowledged.
    Torture(chore::torture::TortureArgs),
    /// Take the GPU away from a real training hundreds of times, in every way there is, and compare its weights bit by bit
    /// with those of an undisturbed one.
    Preempt(chore::preempt::PreemptArgs),
    /// Run the real protocol of replication in seeded worlds where much goes wrong, and hold every fact against its
    /// invariants.
    Sim(chore::sim::SimArgs),
    /// Cut the power of a real program on a real file system, at hundreds of points, and look for lost data.
    ///
    /// See docs/powercut.md.
    Powercut(powercut::PowercutArgs),
    /// Make the PTX of our kernels again with clang 19, and say whether what is committed still matches.
    ///
    /// Lets `ptxas` check it where there is one. Writes to the tree only with --write.
    Ptx(ptx::PtxArgs),
    /// Check GPU sessions on a CUDA device: conformance, every kernel beside the virtual machine, rates, revocation.
    ///
    /// Says so and passes where there is no device. Writes to the tree only with --write.
    Gpu(gpu::GpuArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), XtaskError> {
    match &cli.verb {
        Verb::Verify => chore::verify::verify(),
        Verb::Fix => chore::fix::fix(),
        Verb::Tidy => tidy::run(),
        Verb::Bench(args) => chore::bench::bench(args),
        Verb::Torture(args) => chore::torture::torture(args),
        Verb::Preempt(args) => chore::preempt::preempt(args),
        Verb::Sim(args) => chore::sim::sim(args),
        Verb::Powercut(args) => powercut::run(args),
        Verb::Ptx(args) => ptx::run(args),
        Verb::Gpu(args) => gpu::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
