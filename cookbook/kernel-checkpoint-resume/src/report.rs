//! What the program says: one [`Reporter`] for each kind of reader.
//!
//! Invariant: no output can end a run. A pipe that is closed, a full disk behind a redirection: the first failure is told
//! on standard error, then the run goes on in silence.

mod bar;
mod output;
mod words;

use std::io::{self, IsTerminal};

use fabricbios_core::recovery::Recovery;

use crate::error::RunError;
use crate::event::Event;

use output::Output;
pub(crate) use output::complain;

/// Tells events to people or programs.
pub(crate) trait Reporter {
    /// One event.
    fn tell(&mut self, event: &Event);
}

/// The reporter that suits where the output goes: JSON lines if asked for; a progress bar on a terminal; else plain
/// lines of what is worth keeping.
pub(crate) fn reporter(json: bool) -> Box<dyn Reporter> {
    let output = Output::stdout();
    if json {
        Box::new(JsonLines(output))
    } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
        Box::new(bar::Bar::new(output))
    } else {
        Box::new(Lines(output))
    }
}

/// Why the program ends before its time, as an event.
pub(crate) fn error_event(error: &RunError) -> Event {
    Event::Error { message: error.in_full(), recovery: recovery_word(error.recovery()).to_owned() }
}

/// The name under which programs know a recovery.
fn recovery_word(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::RetryLater => "RetryLater",
        Recovery::RefreshAndRetry => "RefreshAndRetry",
        Recovery::RetrySameKey => "RetrySameKey",
        Recovery::Reacquire => "Reacquire",
        Recovery::StopWriting => "StopWriting",
        Recovery::Reopen => "Reopen",
        Recovery::RestoreElsewhere => "RestoreElsewhere",
        Recovery::FixCaller => "FixCaller",
        Recovery::ReportBug => "ReportBug",
        _ => "Unknown",
    }
}

/// One JSON object in a line, for each event.
struct JsonLines(Output);

impl Reporter for JsonLines {
    fn tell(&mut self, event: &Event) {
        // An event is numbers and texts: it has a JSON form.
        if let Ok(line) = serde_json::to_string(event) {
            self.0.line(&line);
        }
        if let Event::Error { message, .. } = event {
            complain(&format!("error: {message}"));
        }
    }
}

/// Plain lines.
struct Lines(Output);

impl Reporter for Lines {
    fn tell(&mut self, event: &Event) {
        let Some(text) = words::describe(event) else { return };
        if words::is_complaint(event) { complain(&text) } else { self.0.line(&text) }
    }
}
