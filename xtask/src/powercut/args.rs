//! The options of `cargo xtask powercut`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `powercut`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PowercutArgs {
    /// How many crash states to try for each workload.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) states: u32,
    /// Where the points of the cuts come from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// What runs when the power is cut.
    #[arg(long, value_enum, default_value_t = Choice::All)]
    pub(crate) workload: Choice,
    /// Keep the write log, the acknowledgements and the disk of each failing state in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep_failures: Option<PathBuf>,
    /// Try one kept state again: the `state-….json` that a failure left with --keep-failures.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["workload", "keep_failures"])]
    pub(crate) replay: Option<PathBuf>,
    /// Set by ourselves, once in a mount namespace of our own.
    #[arg(long, hide = true)]
    pub(crate) inside: bool,
}

/// The workloads to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// The recipe's own program, killed and resumed in between.
    Recipe,
    /// `Durable<T>` in lock-step with the rig, so that each acknowledgement has an exact place.
    Durable,
    /// As `durable`, on the local host's path for file systems without direct I/O.
    Buffered,
    /// Volumes leased, released and dropped.
    Leases,
    /// Checkpoints of a kernel as files, the oldest deleted, in lock-step.
    Kernel,
    /// As `durable`, with every flush left out: must be seen to lose.
    Control,
    /// A replicated checkpoint and the effects of its steps, on the embedded engine.
    Replicated,
    /// As `replicated`, on a file system without a journal, repaired after each cut.
    Unjournaled,
    /// As `replicated`, on replicas that sync nothing: must be seen to lose.
    Unsynced,
    /// All of them.
    All,
}
