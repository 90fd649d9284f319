//! [`Lines`]: plain lines, for logs: what is worth keeping, and no progress.

use super::output::{Output, complain};
use super::{Reporter, words};
use crate::run::event::{Event, Observer};

/// Tells a run in plain lines.
pub(super) struct Lines {
    output: Output,
}

impl Lines {
    pub(super) fn new(output: Output) -> Self {
        Self { output }
    }
}

impl Observer for Lines {
    fn observe(&mut self, event: &Event) {
        match (event, words::describe(event)) {
            (Event::Error { .. }, Some(text)) => complain(&text),
            (_, Some(text)) => self.output.line(&text),
            (_, None) => {}
        }
    }
}

impl Reporter for Lines {
    fn say(&mut self, line: &str) {
        self.output.line(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::output::tests::Written;
    use crate::run::event::StrideEnd;

    #[test]
    fn progress_is_not_told_in_lines_and_a_lost_gpu_is() {
        let written = Written::default();
        let mut lines = Lines::new(Output::new(written.clone()));
        lines.observe(&Event::Step { step: 1, loss: 2.0, correct: 1, examples: 4 });
        let (version, epoch, end) = (1, 1, StrideEnd::Interval);
        lines.observe(&Event::Committed { version, epoch, from: 0, to: 5, loss: 2.0, stall_ms: 1.0, end });
        let (status, reason) = ("revoked".into(), "the host revoked the lease".into());
        lines.observe(&Event::LeaseLost { status, step: 8, committed: 5, reason });
        lines.say("by hand");
        assert_eq!(
            written.text(),
            "the GPU is lost at step 8 (lease revoked): 3 steps since the last commit are done again on another\nby hand\n"
        );
    }
}
