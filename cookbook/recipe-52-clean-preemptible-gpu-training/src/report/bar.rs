//! [`Bar`]: a progress bar on a terminal.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, complain};
use super::pace::Pace;
use super::{Reporter, words};
use crate::run::event::{Event, Observer};

/// Tells a run as a bar on standard error, and what is worth keeping as lines on standard output.
pub(super) struct Bar {
    bar: ProgressBar,
    output: Output,
    view: View,
    drawn_at: Option<BootTime>,
}

impl Bar {
    const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);
    const TEMPLATE: &str = "{wide_bar} {percent:>3}%\n{msg}";

    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // A template that does not parse would leave the plain default, and the test below fails.
        if let Ok(style) = ProgressStyle::with_template(Self::TEMPLATE) {
            bar.set_style(style);
        }
        Self { bar, output: Output::stdout(), view: View::new(clock), drawn_at: None }
    }

    fn draw(&mut self) {
        let now = self.view.pace.now();
        if self.drawn_at.is_some_and(|at| now.saturating_since(at) < Self::BETWEEN_DRAWINGS) {
            return;
        }
        self.drawn_at = Some(now);
        self.bar.set_length(self.view.steps);
        self.bar.set_message(self.view.message());
        self.bar.set_position(self.view.step);
    }
}

impl Observer for Bar {
    fn observe(&mut self, event: &Event) {
        self.view.see(event);
        match event {
            Event::Step { .. } => self.draw(),
            // A worker that ends otherwise may be one of several that are shown in this bar; its end clears it, too.
            Event::Finished { .. } | Event::Error { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        let Some(text) = words::describe(event) else { return };
        let (output, is_error) = (&mut self.output, matches!(event, Event::Error { .. }));
        self.bar.suspend(|| if is_error { complain(&text) } else { output.line(&text) });
    }
}

impl Reporter for Bar {
    fn say(&mut self, line: &str) {
        let output = &mut self.output;
        self.bar.suspend(|| output.line(line));
    }
}

/// What the bar shows.
struct View {
    pace: Pace,
    step: u64,
    steps: u64,
    /// Running means: what a step weighs falls with its age.
    loss: Option<f64>,
    accuracy: Option<f64>,
    committed: Option<(u64, BootTime)>,
}

impl View {
    const WEIGHT: f64 = 0.1;

    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { pace: Pace::new(clock), step: 0, steps: 0, loss: None, accuracy: None, committed: None }
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::Started { step, steps, version, committed_ago_ms, .. } => {
                (self.step, self.steps) = (*step, *steps);
                self.pace.start_at(*step);
                if committed_ago_ms.is_none() && *version == 0 {
                    self.committed = None;
                }
            }
            Event::Leased { .. } => self.pace.start_at(self.step),
            Event::LeaseLost { committed, .. } => self.step = *committed,
            Event::Step { step, loss, correct, examples } => {
                self.step = *step;
                self.pace.reached(*step);
                self.loss = Some(mean(self.loss, f64::from(*loss)));
                let accuracy = f64::from(*correct) / f64::from((*examples).max(1));
                self.accuracy = Some(mean(self.accuracy, accuracy));
            }
            Event::Committed { version, .. } => self.committed = Some((*version, self.pace.now())),
            _ => {}
        }
    }

    fn message(&self) -> String {
        let committed = self.committed.map(|(version, at)| (version, self.pace.now().saturating_since(at)));
        words::progress(self.step, self.steps, self.loss, self.accuracy, &self.pace, committed)
    }
}

fn mean(before: Option<f64>, new: f64) -> f64 {
    before.map_or(new, |before| before + View::WEIGHT * (new - before))
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;

    use super::*;
    use crate::run::event::StrideEnd;

    #[test]
    fn the_template_of_the_bar_parses() {
        assert!(ProgressStyle::with_template(Bar::TEMPLATE).is_ok());
    }

    #[test]
    fn the_bar_shows_loss_accuracy_rate_and_the_last_version() {
        let clock = Arc::new(ManualClock::default());
        let mut view = View::new(clock.clone());
        view.see(&Event::Started {
            job: "digits".into(),
            host: "host-a".into(),
            pid: 1,
            plan: String::new(),
            epoch: 2,
            version: 0,
            step: 0,
            steps: 9000,
            interval_steps: 50,
            committed_ago_ms: None,
        });
        for step in 1..=100 {
            clock.advance(Duration::from_millis(10));
            view.see(&Event::Step { step, loss: 0.5, correct: 31, examples: 32 });
        }
        let (epoch, end) = (2, StrideEnd::Interval);
        view.see(&Event::Committed { version: 7, epoch, from: 0, to: 100, loss: 0.5, stall_ms: 1.0, end });
        clock.advance(Duration::from_secs(3));
        let expected = "step 100 of 9 000, loss 0.500, accuracy 96.9 %, 100 steps/s, 89 s left, version 7 committed 3 s ago";
        assert_eq!(view.message(), expected);
        view.see(&Event::LeaseLost {
            status: "revoked".into(),
            step: 100,
            committed: 50,
            reason: String::new(),
        });
        assert_eq!(view.step, 50, "the bar goes back to what is committed");
    }
}
