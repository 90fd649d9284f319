//! A seeded world around the real protocol of `grafos-replicated`.
//!
//! Writers, workers, readers, collectors, repairers and those who change the replica set run against an engine and replicas that lose, delay, duplicate and
//! reorder messages, crash, come back empty and flip bits, but lie about nothing. The protocol's own code decides what
//! happens; only time, network, disks and programs are made up. Every fact is held against the invariants, what programs
//! were told against a history checker, and the same seed gives the same world.
//!
//! It proves nothing about real engines and disks (their suites do), nor about the synchronous driver around the protocol.
//!
//! ```
//! use grafos_sim::{Config, run};
//!
//! let report = run(&Config { seed: 1, steps: 500, mutant: None })?;
//! assert!(report.totals.versions > 0);
//! # Ok::<(), grafos_sim::Failure>(())
//! ```

mod actor;
mod bend;
mod config;
mod fact;
pub mod history;
mod invariant;
mod layout;
mod message;
mod mutant;
mod net;
mod random;
mod replica;
mod rest;
mod scheduler;
mod state;
mod store;
mod totals;
mod watch;
mod world;

pub use config::Config;
pub use mutant::Mutant;
pub use totals::Totals;
pub use watch::Violation;
pub use world::{Failure, Report, run};
