//! The cloud that preempts a training job: `train --preempt-every`, and the trial behind `cargo xtask preempt`.
//!
//! A [`Player`](player::Player) starts workers as processes of the program itself, hears their events, and strikes them
//! as a seeded [`Schedule`](schedule::Schedule) says. What was done and heard is a [`Chronicle`](chronicle::Chronicle);
//! the [`judge`] holds it against the records of the job and against a run that nobody disturbed.
//!
//! Invariants: no process of a play outlives it; one replica at a time is hurt, since that is what the job promises to
//! survive; what a worker was promised is judged by what it has told, never by what it should have done.

pub mod args;
mod child;
pub mod chronicle;
mod damage;
pub mod error;
pub mod judge;
pub mod kind;
pub mod news;
pub mod player;
pub mod schedule;
mod stage;
pub mod summary;
mod trial;

pub use args::{CloudArgs, TrialArgs};
pub use player::Worker;
pub use stage::play;
pub use trial::{TrialError, Verdict, run_trial, trial};
