//! Recipe 2: a long computation that a power cut costs one checkpoint interval, not its whole run.
//!
//! The computation is a Monte Carlo estimate over billions of samples: the mean distance of two random points of the
//! unit cube, whose exact value is known, so that everybody can see how it gets better. What is of interest is the
//! loop around it:
//!
//! 1. Lease a block volume by name and [restore or initialise](grafos_collections::durable::Durable::open_or_init)
//!    a small [`state::SimState`] on it.
//! 2. Lease working memory; let all cores [draw samples](estimator) into it, batch after batch.
//! 3. Add the batches to the state, and checkpoint it every so many samples or seconds.
//! 4. After a crash, start again: the same command goes on from the last checkpoint, and ends with the result of a
//!    run that was never disturbed, bit for bit.
//!
//! The loop is [`run::run`]. Two variations: [`fan_out`], with a volume for each of several workers, and [`replay`],
//! which keeps large derived data out of the checkpoint. The rest is the program: [`cli`], [`report`], [`signals`].
//!
//! ```
//! use cookbook_recipe_02_computation_that_survives_a_power_outage::event::Event;
//! use cookbook_recipe_02_computation_that_survives_a_power_outage::policy::CheckpointEvery;
//! use cookbook_recipe_02_computation_that_survives_a_power_outage::run::{Context, Job, run};
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
//!
//! let job = Job { iterations: 1_000_000, every: CheckpointEvery::Samples(300_000), ..Job::default() };
//! let mut checkpoints = Vec::new();
//! let mut observer = |event: &Event| {
//!     if let Event::Checkpoint { iteration, .. } = event {
//!         checkpoints.push(*iteration);
//!     }
//! };
//! let outcome = run(&job, &mut Context::new(&mut observer)?)?;
//! assert_eq!(checkpoints, [0, 300_000, 600_000, 900_000, 1_000_000]);
//! assert!((outcome.state().estimate().mean - 0.6617).abs() < 0.002);
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cli;
pub mod error;
pub mod estimator;
pub mod event;
pub mod fan_out;
pub mod policy;
pub mod quantity;
pub mod replay;
pub mod report;
pub mod run;
pub mod share;
pub mod signals;
pub mod state;
pub mod stop;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod stretch;
mod working_memory;
