//! [`Bar`]: a progress bar on a terminal.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, complain};
use super::pace::Pace;
use super::{Reporter, words};
use crate::error::{RecipeError, in_full};
use crate::event::{Event, Observer};
use crate::run::Status;

/// Tells a run as a bar on standard error, and what is worth keeping as lines on standard output.
pub(super) struct Bar {
    bar: ProgressBar,
    output: Output,
    volume: String,
    pace: Pace,
    drawn_at: Option<BootTime>,
    checkpoint: Option<(u64, BootTime)>,
}

impl Bar {
    const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);

    pub(super) fn new(volume: &str, clock: Arc<dyn Clock>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // A template that does not parse would leave the plain default, and the test below fails.
        if let Ok(style) = ProgressStyle::with_template(Self::TEMPLATE) {
            bar.set_style(style);
        }
        let pace = Pace::new(clock);
        let output = Output::stdout();
        Self { bar, output, volume: volume.to_owned(), pace, drawn_at: None, checkpoint: None }
    }

    const TEMPLATE: &str = "{wide_bar} {percent:>3}%\n{msg}";

    fn progress(&mut self, iteration: u64, goal: u64) {
        let now = self.pace.now();
        if self.drawn_at.is_some_and(|at| now.saturating_since(at) < Self::BETWEEN_DRAWINGS) {
            return;
        }
        self.drawn_at = Some(now);
        self.pace.reached(iteration);
        let checkpoint = self.checkpoint.map(|(sequence, at)| (sequence, now.saturating_since(at)));
        self.bar.set_length(goal);
        self.bar.set_message(words::progress(iteration, goal, &self.pace, checkpoint));
        self.bar.set_position(iteration);
    }
}

impl Observer for Bar {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress { iteration, goal } => self.progress(*iteration, *goal),
            Event::Started { .. } => self.pace.start_at(0),
            Event::Resumed { iteration, .. } => self.pace.start_at(*iteration),
            Event::Finished { .. } | Event::Interrupted { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        if let Some(sequence) = event.committed() {
            self.checkpoint = Some((sequence, self.pace.now()));
        }
        if let Some(text) = words::describe(event, &self.volume) {
            let output = &mut self.output;
            self.bar.suspend(|| output.line(&text));
        }
    }
}

impl Reporter for Bar {
    fn status(&mut self, worker: Option<u32>, status: Option<&Status>) {
        self.output.line(&words::status(&self.volume, worker, status));
    }

    fn error(&mut self, error: &RecipeError) {
        self.bar.finish_and_clear();
        complain(&format!("error: {}", in_full(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_of_the_bar_parses() {
        assert!(ProgressStyle::with_template(Bar::TEMPLATE).is_ok());
    }
}
