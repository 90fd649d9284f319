//! A wave simulation on a GPU that may be taken away at any moment: it goes on in another process from a chain of kernel
//! checkpoints, and ends with the very bits of a run that nobody disturbed.
//!
//! [`Simulation`] says what is computed, [`Wave`] is it on a device, [`Reference`] in plain Rust. [`Archive`] keeps its
//! checkpoints, [`run`] is the loop around them, and [`picture`] draws a slice of the field.

pub mod archive;
pub mod cli;
pub mod energy;
mod error;
pub mod event;
pub mod home;
pub mod picture;
mod reference;
mod report;
mod run;
mod signals;
mod simulation;
mod slice;
mod wave;

pub use archive::Archive;
pub use error::RunError;
pub use reference::Reference;
pub use run::{Ending, Job, run};
pub use simulation::{Pulse, Simulation};
pub use slice::Slice;
pub use wave::{REGIONS, Sample, Wave};

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
