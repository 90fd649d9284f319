//! [`Lines`]: plain lines, for logs and pipes. Progress comes every few seconds, not at every step.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};

use super::output::{Output, complain};
use super::pace::Pace;
use super::{Reporter, words};
use crate::error::{RecipeError, in_full};
use crate::event::{Event, Observer};
use crate::run::Status;

/// Tells a run in plain lines.
pub(super) struct Lines {
    output: Output,
    volume: String,
    pace: Pace,
    told_at: BootTime,
    checkpoint: Option<(u64, BootTime)>,
}

impl Lines {
    const BETWEEN_LINES: Duration = Duration::from_secs(5);

    pub(super) fn new(output: Output, volume: &str, clock: Arc<dyn Clock>) -> Self {
        let pace = Pace::new(clock);
        Self { output, volume: volume.to_owned(), told_at: pace.now(), pace, checkpoint: None }
    }

    fn progress(&mut self, iteration: u64, goal: u64) {
        let now = self.pace.now();
        if now.saturating_since(self.told_at) < Self::BETWEEN_LINES {
            return;
        }
        self.told_at = now;
        self.pace.reached(iteration);
        let checkpoint = self.checkpoint.map(|(sequence, at)| (sequence, now.saturating_since(at)));
        self.output.line(&words::progress(iteration, goal, &self.pace, checkpoint));
    }
}

impl Observer for Lines {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Progress { iteration, goal } => self.progress(*iteration, *goal),
            Event::Started { .. } => self.pace.start_at(0),
            Event::Resumed { iteration, .. } => self.pace.start_at(*iteration),
            _ => {}
        }
        if let Some(sequence) = event.committed() {
            self.checkpoint = Some((sequence, self.pace.now()));
        }
        if let Some(text) = words::describe(event, &self.volume) {
            self.output.line(&text);
        }
    }
}

impl Reporter for Lines {
    fn status(&mut self, worker: Option<u32>, status: Option<&Status>) {
        self.output.line(&words::status(&self.volume, worker, status));
    }

    fn error(&mut self, error: &RecipeError) {
        complain(&format!("error: {}", in_full(error)));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use fabricbios_core::clock::ManualClock;
    use fabricbios_core::lease::{FenceEpoch, LeaseId};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_is_told_every_few_seconds_with_rate_and_last_checkpoint() {
        let (written, clock) = (Written::default(), Arc::new(ManualClock::default()));
        let mut lines = Lines::new(Output::new(written.clone()), "v", clock.clone());
        lines.observe(&Event::Started { lease_id: LeaseId(1), epoch: FenceEpoch(1) });
        lines.observe(&Event::Checkpoint { sequence: 1, epoch: FenceEpoch(1), iteration: 0 });
        for second in 1..=11_u64 {
            clock.advance(Duration::from_secs(1));
            lines.observe(&Event::Progress { iteration: second * 10_000_000, goal: 200_000_000 });
        }
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            text.contains("100.0 M of 200.0 M samples, 10 M/s, 10 s left, checkpoint 1, 10 s ago"),
            "{text}"
        );
    }
}
