//! What the job trains: a small network that tells handwritten digits, on a leased GPU.
//!
//! [`TrainingPlan`] says what, [`Digits`] on which images, [`Trainer`] does the steps, and [`TrainingState`] is all that
//! decides the later ones: its bytes are the checkpoint. Nothing here saves anything; that is the loop's part.
//!
//! Invariant: plan and step decide every bit of the state, whatever was stopped, moved or computed again in between, and
//! whatever the device.

mod digits;
mod generator;
mod outcome;
mod plan;
mod progress;
mod reference;
mod shuffle;
mod trainer;

pub use digits::{CLASSES, DataError, Digits, PIXELS};
pub use plan::{PlanError, TrainingPlan};
pub use progress::{Consumed, StateError, TrainingState};
pub use reference::Reference;
pub use trainer::{StepReport, Trainer};
