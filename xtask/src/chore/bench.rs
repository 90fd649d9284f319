//! `cargo xtask bench`: runs the measurements, which live in packages of their own because they compile the peers
//! that we compare with.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::error::XtaskError;
use crate::{repo, step};

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// `Durable<T>`: checkpoint, background stall, restore and small changes, beside raw I/O and its peers.
    #[command(disable_help_flag = true)]
    Durable {
        /// Passed on to the benchmark; `--quick` for a short look, `--help` for all of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Kernel checkpoints: encode, decode, digest, save, load, deltas and compression, beside ringkernel-core.
    #[command(disable_help_flag = true)]
    Kernel {
        /// Passed on to the benchmark; `--quick` for a short look, `--help` for all of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// The virtual machine for PTX: instructions a second on one core and on two, beside plain Rust.
    #[command(disable_help_flag = true)]
    Ptx {
        /// Passed on to the benchmark; `--quick` for a short look, `--help` for all of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Replicated checkpoints and effects: save, load, small changes, commits and many keys, beside raw parallel writes
    /// and a bare transaction.
    #[command(disable_help_flag = true)]
    Replicated {
        /// Passed on to the benchmark; `--quick` for a short look, `--help` for all of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Training on a preemptible GPU: what its commits cost, beside the same loop without them.
    #[command(disable_help_flag = true)]
    Training {
        /// Passed on to the benchmark; `--quick` for a short look, `--help` for all of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Builds with optimization and runs, in the root of the repository.
pub(crate) fn bench(args: &BenchArgs) -> Result<(), XtaskError> {
    let (step, package, args) = match &args.what {
        Bench::Durable { args } => ("benchmark of Durable<T>", "grafos-bench-durable", args),
        Bench::Kernel { args } => ("benchmark of kernel checkpoints", "grafos-bench-kernel", args),
        Bench::Ptx { args } => ("benchmark of PTX on the processor", "grafos-bench-ptx", args),
        Bench::Replicated { args } => {
            ("benchmark of replicated checkpoints", "grafos-bench-replicated", args)
        }
        Bench::Training { args } => ("benchmark of a training", "grafos-bench-training", args),
    };
    let mut command = repo::cargo();
    command.args(["run", "--release", "--quiet", "--package", package, "--"]).args(args);
    step::run(step, &mut command)
}
