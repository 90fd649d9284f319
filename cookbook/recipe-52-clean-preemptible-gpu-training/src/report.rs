//! What the program says: one [`Reporter`] for each kind of reader, and the [drawing](plot) of a run.
//!
//! Invariant: no output can end the training. A pipe that is closed, a full disk behind a redirection: the first failure
//! is told on standard error, then the run goes on in silence.

mod bar;
mod json;
mod lines;
mod output;
mod pace;
pub mod plot;
mod words;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use fabricbios_core::clock::Clock;

use crate::audit::Audit;
use crate::run::error::{in_full, recovery_word};
use crate::run::event::{Event, Observer};
use crate::run::{RunError, place::Name};

pub use output::{Output, complain};

/// Tells events to people or programs.
pub trait Reporter: Observer {
    /// A line for people, beside the events.
    fn say(&mut self, line: &str);
}

/// The reporter that suits where the output goes: JSON lines if asked for, with every step if asked for; a progress bar
/// on a terminal; else plain lines of what is worth keeping.
#[must_use]
pub fn reporter(json: bool, every_step: bool, clock: Arc<dyn Clock>) -> Box<dyn Reporter> {
    if json {
        Box::new(json::JsonLines::new(Output::stdout(), every_step, clock))
    } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
        Box::new(bar::Bar::new(clock))
    } else {
        Box::new(lines::Lines::new(Output::stdout()))
    }
}

/// Why the program ends before its time, as an event.
#[must_use]
pub fn error_event(error: &RunError) -> Event {
    Event::Error { message: in_full(error), recovery: recovery_word(error.recovery()).to_owned() }
}

/// What happened to a job over all of its workers, in a few lines for people.
#[must_use]
pub fn story(job: &Name, audit: &Audit) -> String {
    words::story(job.as_str(), audit)
}
