//! Events in words, for people. `None` for what is not worth a line.

use std::process;
use std::time::Duration;

use super::pace::Pace;
use crate::event::Event;
use crate::quantity::{grouped, rough};
use crate::run::Status;
use crate::state::{EXACT_MEAN, SimState};

/// One line, or a few, for an event.
pub(super) fn describe(event: &Event, volume: &str) -> Option<String> {
    Some(match event {
        Event::Started { epoch, .. } => {
            format!("volume {volume}: a new run (epoch {epoch}, process {})", process::id())
        }
        Event::Resumed { sequence, epoch, iteration, age, rejected, .. } => {
            let mut text = format!(
                "volume {volume}: going on from checkpoint {sequence}, written {} ago, at iteration {} (epoch {epoch}, process {})",
                rough(*age),
                grouped(*iteration),
                process::id(),
            );
            for slot in rejected {
                text.push_str(&format!("\n  passed over a checkpoint that does not verify: {slot}"));
            }
            text
        }
        Event::MemoryLost { reason, .. } => {
            format!("working memory was lost and is leased anew; no checkpoint is touched ({reason})")
        }
        Event::Retrying { reason, pause } => format!("trying again in {}: {reason}", rough(*pause)),
        Event::Reopening { reason, pause } => {
            format!("taking a new lease in {} and going on from the last checkpoint: {reason}", rough(*pause))
        }
        Event::WorkerRestarted { worker, reason } => {
            format!("worker {worker} died and is started again from its last checkpoint: {reason}")
        }
        Event::OfWorker { worker, event }
            if matches!(**event, Event::Resumed { .. } | Event::Started { .. }) =>
        {
            describe(event, &format!("{volume}-worker-{worker}"))?
        }
        Event::OfWorker { worker, event } => format!("worker {worker}: {}", describe(event, volume)?),
        Event::Interrupted { sequence, iteration, .. } => format!(
            "stopped at iteration {}; everything is in checkpoint {sequence} on volume {volume}: \
             the same command goes on from there",
            grouped(*iteration),
        ),
        Event::Finished { state } => result(state, volume),
        Event::Progress { .. } | Event::Checkpoint { .. } | Event::MemoryLeased { .. } => return None,
    })
}

fn result(state: &SimState, volume: &str) -> String {
    let estimate = state.estimate();
    format!(
        "mean distance  {:.9} ± {:.9}  ({} samples, seed {})\n\
         exact value    {EXACT_MEAN:.9}, {:.2} standard errors away\n\
         digest         {}\n\
         Finished. The same command prints this again; --fresh starts over, more --iterations go on \
         (volume {volume}).",
        estimate.mean,
        estimate.std_error,
        grouped(state.iter),
        state.rng_seed,
        estimate.sigmas_off(),
        state.digest(),
    )
}

/// Where a run stands, in one line.
pub(super) fn progress(
    iteration: u64,
    goal: u64,
    pace: &Pace,
    checkpoint: Option<(u64, Duration)>,
) -> String {
    let left = pace.time_left(iteration, goal).map_or_else(|| "?".to_owned(), rough);
    let last = checkpoint.map_or_else(
        || "no checkpoint yet".to_owned(),
        |(sequence, age)| format!("checkpoint {sequence}, {} ago", rough(age)),
    );
    format!(
        "{} of {} samples, {:.0} M/s, {left} left, {last}",
        short(iteration),
        short(goal),
        pace.per_sec() / 1e6
    )
}

/// What a volume holds.
pub(super) fn status(volume: &str, worker: Option<u32>, status: Option<&Status>) -> String {
    let who = worker
        .map_or_else(|| format!("volume {volume}"), |worker| format!("volume {volume}-worker-{worker}"));
    let Some(status) = status else { return format!("{who}: no checkpoint") };
    let estimate = status.state.estimate();
    let mut text = format!(
        "{who}: checkpoint {}, written {} ago under epoch {}, verified: iteration {}, seed {}, mean {:.9} ± {:.9}",
        status.sequence,
        rough(status.age),
        status.epoch,
        grouped(status.state.iter),
        status.state.rng_seed,
        estimate.mean,
        estimate.std_error,
    );
    for slot in &status.rejected {
        text.push_str(&format!("\n  passed over a checkpoint that does not verify: {slot}"));
    }
    text
}

/// A large number in three or four digits.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn short(number: u64) -> String {
    match number {
        0..1_000_000 => grouped(number),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.2} G", number as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use fabricbios_core::lease::{FenceEpoch, LeaseId};

    use super::*;
    use crate::share::Share;

    #[test]
    fn a_resumed_run_says_from_what_and_what_it_passed_over() {
        use grafos_collections::durable::{RejectedSlot, SlotFault};
        let rejected = vec![RejectedSlot { slot: 1, sequence: None, fault: SlotFault::HeaderDigest }];
        let (lease_id, epoch, age) = (LeaseId(1), FenceEpoch(5), Duration::from_secs(180));
        let event = Event::Resumed { lease_id, sequence: 12, epoch, iteration: 1_200_000, age, rejected };
        let text = describe(&event, "v").unwrap();
        for part in ["volume v", "checkpoint 12", "3 min ago", "1 200 000", "epoch 5", "slot 1", "digest"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_result_says_how_far_off_it_is_and_how_to_start_over() {
        let text = describe(&Event::Finished { state: SimState::new(1, Share::WHOLE) }, "v").unwrap();
        for part in ["mean distance", "0.661707182", "standard errors", "--fresh", "digest"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!(short(999_999), "999 999");
        assert_eq!(short(12_345_678), "12.3 M");
        assert_eq!(short(5_000_000_000), "5.00 G");
    }
}
