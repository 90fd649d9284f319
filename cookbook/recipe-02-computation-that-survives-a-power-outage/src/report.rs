//! What the program says: one [`Reporter`] for each kind of reader.
//!
//! Invariant: no output can end the computation. A pipe that is closed, a full disk behind a redirection: the first
//! failure is told on standard error, then the run goes on in silence.

mod bar;
mod json;
mod lines;
mod output;
mod pace;
mod words;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use fabricbios_core::clock::Clock;

use crate::error::RecipeError;
use crate::event::Observer;
use crate::run::Status;

pub use output::{Output, complain};

/// Tells events to people or programs.
pub trait Reporter: Observer {
    /// What the volume holds; `worker` is told for a part of a fan-out.
    fn status(&mut self, worker: Option<u32>, status: Option<&Status>);

    /// Why the program ends before its time.
    fn error(&mut self, error: &RecipeError);
}

/// The reporter that suits where the output goes: JSON lines if asked for, a progress bar on a terminal, else plain
/// lines.
#[must_use]
pub fn reporter(json: bool, volume: &str, clock: Arc<dyn Clock>) -> Box<dyn Reporter> {
    if json {
        Box::new(json::JsonLines::new(Output::stdout(), volume))
    } else if io::stderr().is_terminal() {
        Box::new(bar::Bar::new(volume, clock))
    } else {
        Box::new(lines::Lines::new(Output::stdout(), volume, clock))
    }
}
