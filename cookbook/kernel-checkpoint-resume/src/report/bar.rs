//! [`Bar`]: a progress bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, complain};
use super::{Reporter, words};
use crate::event::Event;

/// Tells a run as a bar on standard error, and what is worth keeping as lines on standard output.
pub(super) struct Bar {
    bar: ProgressBar,
    output: Output,
}

impl Bar {
    const TEMPLATE: &str = "{wide_bar} step {pos} of {len}, {eta} left{msg}";

    pub(super) fn new(output: Output) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // A template that does not parse would leave the plain default, and the test below fails.
        if let Ok(style) = ProgressStyle::with_template(Self::TEMPLATE) {
            bar.set_style(style);
        }
        Self { bar, output }
    }
}

impl Reporter for Bar {
    fn tell(&mut self, event: &Event) {
        match event {
            Event::Started { step, steps, .. } => {
                self.bar.set_length(*steps);
                self.bar.set_position(*step);
                // So that the rate is that of this process.
                self.bar.reset_eta();
                return self.line(event);
            }
            Event::Step { step } => self.bar.set_position(*step),
            Event::Saved { step, .. } => self.bar.set_message(format!(", checkpoint {step}")),
            Event::Finished { .. } | Event::Stopped { .. } | Event::Revoked { .. } | Event::Error { .. } => {
                self.bar.finish_and_clear();
            }
            _ => {}
        }
        self.line(event);
    }
}

impl Bar {
    fn line(&mut self, event: &Event) {
        let Some(text) = words::describe(event) else { return };
        let output = &mut self.output;
        self.bar.suspend(|| if words::is_complaint(event) { complain(&text) } else { output.line(&text) });
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
