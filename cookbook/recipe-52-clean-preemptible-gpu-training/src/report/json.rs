//! [`JsonLines`]: one event a line, for programs. A line is the event's serde form and nothing more.

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};

use super::Reporter;
use super::output::{Output, complain};
use crate::run::event::{Event, Observer};

/// Tells a run as JSON lines. Each is flushed before the run goes on.
pub(super) struct JsonLines {
    output: Output,
    every_step: bool,
    clock: Arc<dyn Clock>,
    /// When a step was told last; `None` if the next one is to be told whatever the time.
    step_told_at: Option<BootTime>,
}

impl JsonLines {
    const BETWEEN_STEPS: Duration = Duration::from_millis(100);

    pub(super) fn new(output: Output, every_step: bool, clock: Arc<dyn Clock>) -> Self {
        Self { output, every_step, clock, step_told_at: None }
    }

    /// Programs want to know when training goes on, and not be flooded.
    fn is_worth_telling(&mut self, event: &Event) -> bool {
        match event {
            Event::Started { .. } | Event::Leased { .. } | Event::LeaseLost { .. } => {
                self.step_told_at = None;
            }
            Event::Step { .. } if !self.every_step => {
                let now = self.clock.now();
                if self.step_told_at.is_some_and(|at| now.saturating_since(at) < Self::BETWEEN_STEPS) {
                    return false;
                }
                self.step_told_at = Some(now);
            }
            _ => {}
        }
        true
    }
}

impl Observer for JsonLines {
    fn observe(&mut self, event: &Event) {
        if !self.is_worth_telling(event) {
            return;
        }
        match serde_json::to_string(event) {
            Ok(text) => self.output.line(&text),
            // Numbers and strings always encode; a person should know if that ever fails.
            Err(error) => complain(&format!("an event could not be encoded: {error}")),
        }
        if let Event::Error { message, .. } = event {
            complain(&format!("error: {message}"));
        }
    }
}

impl Reporter for JsonLines {
    fn say(&mut self, line: &str) {
        complain(line);
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::clock::ManualClock;

    use super::*;
    use crate::report::output::tests::Written;
    use crate::run::event::{StopCause, StrideEnd, WorkerSummary};

    fn told(every_step: bool, tell: impl FnOnce(&mut JsonLines, &ManualClock)) -> Vec<String> {
        let (written, clock) = (Written::default(), Arc::new(ManualClock::default()));
        tell(&mut JsonLines::new(Output::new(written.clone()), every_step, clock.clone()), &clock);
        written.text().lines().map(str::to_owned).collect()
    }

    fn step(step: u64) -> Event {
        Event::Step { step, loss: 0.5, correct: 3, examples: 4 }
    }

    fn leased() -> Event {
        Event::Leased { lease: "1".into(), lease_epoch: 1, device: "d".into(), took_ms: 1.5 }
    }

    /// Programs read these lines. Fields are added, never changed.
    #[test]
    fn events_have_the_promised_form() {
        let lines = told(false, |lines, _| {
            lines.observe(&step(1));
            lines.observe(&Event::Committed {
                version: 2,
                epoch: 3,
                from: 10,
                to: 20,
                loss: 0.25,
                stall_ms: 1.5,
                end: StrideEnd::Interval,
            });
            lines.observe(&Event::Fenced { held: 3, current: 4, step: 25, committed: 20 });
            lines.observe(&Event::Stopping { cause: StopCause::Orphaned, step: 5, notice_ms: 30_000 });
            lines.observe(&Event::Finished {
                step: 20,
                version: 2,
                weights: "ab".into(),
                accuracy: 0.5,
                consumed: "cd".into(),
                examples: 80,
                worker: WorkerSummary::default(),
            });
        });
        let expected = [
            r#"{"event":"step","step":1,"loss":0.5,"correct":3,"examples":4}"#,
            r#"{"event":"committed","version":2,"epoch":3,"from":10,"to":20,"loss":0.25,"stall_ms":1.5,"end":"interval"}"#,
            r#"{"event":"fenced","held":3,"current":4,"step":25,"committed":20}"#,
            r#"{"event":"stopping","cause":"orphaned","step":5,"notice_ms":30000}"#,
            r#"{"event":"finished","step":20,"version":2,"weights":"ab","accuracy":0.5,"consumed":"cd","examples":80,"worker":{"steps_committed":0,"steps_lost":0,"strides":0,"leases_lost":0,"elapsed_ms":0.0,"stall_ms_median":0.0,"stall_ms_max":0.0}}"#,
        ];
        assert_eq!(lines, expected);
        for line in lines {
            let event: Event = serde_json::from_str(&line).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), line, "it comes back as it was");
        }
    }

    #[test]
    fn steps_are_told_ten_times_a_second_and_always_the_first_on_a_new_gpu() {
        let tell = |lines: &mut JsonLines, clock: &ManualClock| {
            lines.observe(&leased());
            for number in 1..=30 {
                lines.observe(&step(number));
                clock.advance(Duration::from_millis(10));
            }
            lines.observe(&leased());
            lines.observe(&step(31));
        };
        let steps = |lines: Vec<String>| lines.iter().filter(|line| line.contains(r#""step""#)).count();
        assert_eq!(
            steps(told(false, tell)),
            4,
            "the first, the tenth, the twentieth, and the first on the new one"
        );
        assert_eq!(steps(told(true, tell)), 31);
    }
}
