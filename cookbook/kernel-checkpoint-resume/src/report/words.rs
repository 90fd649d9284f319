//! Events in words, for people. No times and no names of machines: the same run gives the same words.

use crate::event::Event;

/// The line for an event; `None` for what is only for bars and programs.
pub(super) fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::Step { .. } | Event::Heard { .. } => return None,
        Event::SetAside { checkpoint, cause, moved_to } => {
            let place = moved_to.as_ref().map_or("it stays where it is".to_owned(), |to| format!("now {to}"));
            format!("SET ASIDE: checkpoint {checkpoint} is not good ({cause}); {place}")
        }
        Event::Started { size, step, steps, full_step, deltas, .. } => {
            let begin = match full_step {
                None => "from silence".to_owned(),
                Some(full) => {
                    let deltas = if *deltas == 1 { "1 delta".to_owned() } else { format!("{deltas} deltas") };
                    format!("from step {step}: the full checkpoint of step {full} and {deltas}")
                }
            };
            format!("a box of {size} x {size} x {size} cells, {steps} steps, {begin}")
        }
        Event::Saved { step, is_delta, state_bytes, file_bytes, energy, .. } => {
            let kind = if *is_delta { "delta" } else { "full " };
            let (state, file) = (kib(*state_bytes), kib(*file_bytes));
            format!(
                "checkpoint {step:>4}: {kind} {state:>5} KiB, a file of {file:>4} KiB; energy {energy:.5}"
            )
        }
        Event::Revoked { step, saved } => {
            let left = saved.map_or("nothing".to_owned(), |step| format!("the checkpoint of step {step}"));
            format!("REVOKED behind step {step}: all that was on the device is gone; what is left is {left}")
        }
        Event::Stopped { step } => format!("stopped behind step {step}; the same command goes on from there"),
        Event::Finished { steps, field, energy } => {
            format!("{steps} steps are done: energy {energy:.5}, field {}", field.get(..16).unwrap_or(field))
        }
        Event::Picture { path, steps } => {
            let steps: Vec<_> = steps.iter().map(u64::to_string).collect();
            format!("{path} shows a slice of the pressure behind steps {}", steps.join(", "))
        }
        Event::Error { message, .. } => format!("error: {message}"),
    })
}

/// Whether it belongs on standard error.
pub(super) fn is_complaint(event: &Event) -> bool {
    matches!(event, Event::Error { .. } | Event::SetAside { .. })
}

fn kib(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_checkpoint_is_told_on_standard_error() {
        let moved_to = Some("/x/wave_0_delta_20.rkcp.damaged-1".to_owned());
        let event = Event::SetAside { checkpoint: "wave_0_delta_20".into(), cause: "bad".into(), moved_to };
        assert!(is_complaint(&event));
        let expected =
            "SET ASIDE: checkpoint wave_0_delta_20 is not good (bad); now /x/wave_0_delta_20.rkcp.damaged-1";
        assert_eq!(describe(&event).unwrap(), expected);
    }
}
