//! Recipe 52: training that may lose its GPU at any moment, never loses an acknowledged step, and never does one twice.
//!
//! The step is [`run_training_step`]: a lease on a GPU, a reservation of the step, a kernel, one commit of the state
//! and of the fact that the step was done. A whole training job around it is in [`training`] (what is trained),
//! [`run`] (the loop) and [`cloud`] (who preempts it).

pub mod audit;
pub mod cli;
pub mod cloud;
mod error;
mod lease;
pub mod report;
pub mod run;
pub mod signals;
mod state;
mod step;
pub mod training;

pub use error::TrainingError;
pub use lease::acquire_preemptible_training_lease;
pub use state::{
    FIRST_EPOCH, TrainingCheckpoint, checkpoint_name, replicated_training_state, take_over_training,
};
pub use step::{Commit, TrainingBatch, TrainingStepOutcome, TrainingStepRunner, run_training_step};

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
