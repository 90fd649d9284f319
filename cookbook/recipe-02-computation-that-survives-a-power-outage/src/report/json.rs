//! [`JsonLines`]: one JSON object a line, for programs.

use fabricbios_core::recovery::Recovery;
use serde::Serialize;

use super::output::{Output, complain};
use super::{Reporter, words};
use crate::error::{RecipeError, in_full};
use crate::event::{Event, Observer};
use crate::run::Status;
use crate::state::SimState;

/// Tells a run as JSON lines. Each is flushed before the run goes on.
pub(super) struct JsonLines {
    output: Output,
    volume: String,
}

/// One line. Fields are only ever added.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Started {
        epoch: u64,
        iteration: u64,
        #[serde(flatten)]
        of: Of,
    },
    Resumed {
        sequence: u64,
        epoch: u64,
        iteration: u64,
        #[serde(flatten)]
        of: Of,
    },
    Checkpoint {
        sequence: u64,
        epoch: u64,
        iteration: u64,
        #[serde(flatten)]
        of: Of,
    },
    Interrupted {
        iteration: u64,
        sequence: u64,
        epoch: u64,
        #[serde(flatten)]
        of: Of,
    },
    Finished {
        iteration: u64,
        mean: f64,
        mean_bits: String,
        std_error: f64,
        digest: String,
        #[serde(flatten)]
        of: Of,
    },
    Status {
        sequence: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        iteration: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        #[serde(flatten)]
        of: Of,
    },
    Error {
        message: &'a str,
        recovery: &'static str,
    },
}

/// The worker, where there are several.
#[derive(Clone, Copy, Default, Serialize)]
struct Of {
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<u32>,
}

impl JsonLines {
    pub(super) fn new(output: Output, volume: &str) -> Self {
        Self { output, volume: volume.to_owned() }
    }

    fn tell(&mut self, event: &Event, of: Of) {
        let line = match event {
            Event::Started { epoch, .. } => Line::Started { epoch: epoch.0, iteration: 0, of },
            Event::Resumed { sequence, epoch, iteration, .. } => {
                Line::Resumed { sequence: *sequence, epoch: epoch.0, iteration: *iteration, of }
            }
            Event::Checkpoint { sequence, epoch, iteration } => {
                Line::Checkpoint { sequence: *sequence, epoch: epoch.0, iteration: *iteration, of }
            }
            Event::Interrupted { sequence, epoch, iteration } => {
                Line::Interrupted { sequence: *sequence, epoch: epoch.0, iteration: *iteration, of }
            }
            Event::Finished { state } => finished(state, of),
            Event::OfWorker { worker, event } => return self.tell(event, Of { worker: Some(*worker) }),
            _ => return,
        };
        self.write(&line);
    }

    fn write(&mut self, line: &Line<'_>) {
        match serde_json::to_string(line) {
            Ok(text) => self.output.line(&text),
            // Numbers and strings always encode; a person should know if that ever fails.
            Err(error) => complain(&format!("an event could not be encoded: {error}")),
        }
    }
}

fn finished(state: &SimState, of: Of) -> Line<'static> {
    let estimate = state.estimate();
    Line::Finished {
        iteration: state.iter,
        mean: estimate.mean,
        mean_bits: format!("{:016x}", estimate.mean.to_bits()),
        std_error: estimate.std_error,
        digest: state.digest(),
        of,
    }
}

impl Observer for JsonLines {
    fn observe(&mut self, event: &Event) {
        // What a program is not told as an event, a person may still want to read.
        let is_warning = matches!(
            event,
            Event::MemoryLost { .. }
                | Event::Retrying { .. }
                | Event::Reopening { .. }
                | Event::WorkerRestarted { .. }
        );
        let was_passed_over = matches!(event, Event::Resumed { rejected, .. } if !rejected.is_empty());
        if is_warning || was_passed_over {
            complain(&words::describe(event, &self.volume).unwrap_or_default());
        }
        self.tell(event, Of::default());
    }
}

impl Reporter for JsonLines {
    fn status(&mut self, worker: Option<u32>, status: Option<&Status>) {
        self.write(&Line::Status {
            sequence: status.map_or(0, |status| status.sequence),
            epoch: status.map(|status| status.epoch.0),
            iteration: status.map(|status| status.state.iter),
            seed: status.map(|status| status.state.rng_seed),
            of: Of { worker },
        });
    }

    fn error(&mut self, error: &RecipeError) {
        let message = in_full(error);
        complain(&format!("error: {message}"));
        self.write(&Line::Error { message: &message, recovery: recovery_word(error.recovery()) });
    }
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use fabricbios_core::lease::{FenceEpoch, LeaseId};

    use super::*;
    use crate::share::Share;

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

    fn told(tell: impl FnOnce(&mut JsonLines)) -> String {
        let written = Written::default();
        tell(&mut JsonLines::new(Output::new(written.clone()), "v"));
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Programs read these lines. Fields are added at the end, never changed.
    #[test]
    fn events_have_the_promised_form() {
        let (lease_id, epoch, sequence, iteration) = (LeaseId(1), FenceEpoch(7), 3, 500);
        let checkpoint = || Event::Checkpoint { sequence, epoch, iteration };
        let text = told(|lines| {
            lines.observe(&Event::Started { lease_id, epoch });
            lines.observe(&Event::Resumed {
                lease_id,
                sequence,
                epoch,
                iteration,
                age: Default::default(),
                rejected: vec![],
            });
            lines.observe(&checkpoint());
            lines.observe(&Event::OfWorker { worker: 2, event: Box::new(checkpoint()) });
            lines.observe(&Event::Progress { iteration, goal: 600 });
            lines.observe(&Event::Interrupted { sequence, epoch, iteration });
            lines.status(None, None);
        });
        let expected = [
            r#"{"event":"started","epoch":7,"iteration":0}"#,
            r#"{"event":"resumed","sequence":3,"epoch":7,"iteration":500}"#,
            r#"{"event":"checkpoint","sequence":3,"epoch":7,"iteration":500}"#,
            r#"{"event":"checkpoint","sequence":3,"epoch":7,"iteration":500,"worker":2}"#,
            r#"{"event":"interrupted","iteration":500,"sequence":3,"epoch":7}"#,
            r#"{"event":"status","sequence":0}"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_result_names_its_bits() {
        let mut state = SimState::new(1, Share::WHOLE);
        (state.iter, state.sum, state.sum_sq) = (2, 1 << 45, 1 << 42);
        let text = told(|lines| lines.observe(&Event::Finished { state: state.clone() }));
        let digest = state.digest();
        let expected = format!(
            r#"{{"event":"finished","iteration":2,"mean":0.5,"mean_bits":"3fe0000000000000","std_error":0.5,"digest":"{digest}"}}"#
        );
        assert_eq!(text.trim_end(), expected);
    }

    #[test]
    fn an_error_says_what_can_be_done() {
        let error = RecipeError::OtherSeed { volume: "v".into(), requested: 1, found: 2 };
        let text = told(|lines| lines.error(&error));
        assert!(
            text.starts_with(r#"{"event":"error","message":"volume v holds a run with another seed"#),
            "{text}"
        );
        assert!(text.trim_end().ends_with(r#""recovery":"FixCaller"}"#), "{text}");
    }
}
