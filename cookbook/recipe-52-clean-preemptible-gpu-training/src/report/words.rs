//! Events in words, for people. `None` for what is not worth a line.

use std::time::Duration;

use super::pace::Pace;
use crate::audit::{Audit, PreemptionKind};
use crate::run::event::{Event, StopCause, WorkerSummary};

/// One line, or a few, for an event.
pub(super) fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::Started { .. } => started(event)?,
        Event::Repaired { copied, failed, replicas } => repaired(*copied, *failed, replicas),
        Event::Duplicate { from, step, version } => format!(
            "the stride from step {} was committed before: going on from version {version}, step {}",
            grouped(*from),
            grouped(*step)
        ),
        Event::LeaseLost { status, step, committed, .. } => format!(
            "the GPU is lost at step {} (lease {status}): {} since the last commit are done again on another",
            grouped(*step),
            count(step.saturating_sub(*committed), "step")
        ),
        Event::Retrying { reason, pause_ms } => {
            format!("trying again in {}: {reason}", rough(Duration::from_millis(*pause_ms)))
        }
        Event::Fenced { held, current, step, committed } => format!(
            "fenced by epoch {current}: another worker has taken over, and this one (epoch {held}) ends. It has published \
             nothing since; {} after step {} were for nothing",
            count(step.saturating_sub(*committed), "step"),
            grouped(*committed)
        ),
        Event::Stopping { cause, step, notice_ms } => {
            let why = match cause {
                StopCause::Orphaned => "whoever started this worker is gone",
                StopCause::Signal => "asked to end",
            };
            let notice = rough(Duration::from_millis(*notice_ms));
            format!("{why} at step {}: committing, within {notice}", grouped(*step))
        }
        Event::Stopped { version, step, given_up, took_ms } => {
            let lost = match given_up {
                0 => "nothing is lost".to_owned(),
                steps => format!("{} could not be committed in time", count(*steps, "step")),
            };
            format!(
                "stopped after {took_ms:.0} ms; version {version} holds {}, {lost}: the same command goes on from there",
                count(*step, "step")
            )
        }
        Event::Finished { worker, .. } => format!("{}\n{}", finished(event)?, fared(worker)),
        Event::Status { .. } => status(event)?,
        Event::Error { message, .. } => format!("error: {message}"),
        _ => return None,
    })
}

fn started(event: &Event) -> Option<String> {
    let Event::Started { job, host, pid, epoch, version, step, steps, committed_ago_ms, .. } = event else {
        return None;
    };
    let from = match (version, committed_ago_ms) {
        (0, _) => "a new run".to_owned(),
        (_, Some(ago)) => {
            let ago = rough(Duration::from_millis(*ago));
            format!("going on from version {version}, committed {ago} ago, at step {}", grouped(*step))
        }
        (_, None) => format!("going on from version {version}, at step {}", grouped(*step)),
    };
    Some(format!("job {job}: {from} of {} (epoch {epoch}, {host}, process {pid})", grouped(*steps)))
}

fn repaired(copied: u64, failed: u64, replicas: &[String]) -> String {
    let replicas = match replicas {
        [one] => format!("replica {one}"),
        more => format!("replicas {}", more.join(", ")),
    };
    let copies =
        |number| if number == 1 { "1 copy".to_owned() } else { format!("{} copies", grouped(number)) };
    let mut text = format!("{replicas}: {} missing or damaged, made anew from good ones", copies(copied));
    if failed > 0 {
        text.push_str(&format!("; {} could not be made", copies(failed)));
    }
    text
}

fn finished(event: &Event) -> Option<String> {
    let Event::Finished { step, version, weights, accuracy, consumed, examples, .. } = event else {
        return None;
    };
    Some(format!(
        "finished       {}, all in version {version}\n\
         test accuracy  {:.2} %\n\
         weights        {weights}\n\
         images used    {}, in the order {consumed}",
        count(*step, "step"),
        accuracy * 100.0,
        grouped(*examples),
    ))
}

fn fared(worker: &WorkerSummary) -> String {
    let first = worker.first_step_ms.map_or_else(String::new, |ms| format!(", the first after {ms:.0} ms"));
    let elapsed = rough(Duration::try_from_secs_f64(worker.elapsed_ms / 1e3).unwrap_or_default());
    let mut text = format!(
        "this worker    {} in {elapsed}{first}; {}, stall {:.1} ms (median), {:.1} ms (longest)",
        count(worker.steps_committed, "step"),
        count(worker.strides, "commit"),
        worker.stall_ms_median,
        worker.stall_ms_max,
    );
    if worker.leases_lost > 0 {
        text.push_str(&format!(
            "; {} lost, {} done again",
            count(worker.leases_lost, "GPU"),
            count(worker.steps_lost, "step")
        ));
    }
    text
}

fn status(event: &Event) -> Option<String> {
    let Event::Status {
        job, step, version, epoch, strides, workers, leases_lost, examples, violations, ..
    } = event
    else {
        return None;
    };
    let mut text = format!(
        "job {job}: version {version}, {} done by {} in {}, {} lost, {} used (epoch {epoch})",
        count(*step, "step"),
        count(*workers, "worker"),
        count(*strides, "stride"),
        count(*leases_lost, "GPU"),
        count(*examples, "image"),
    );
    if violations.is_empty() {
        text.push_str("\nevery step was done once");
    }
    for violation in violations {
        text.push_str(&format!("\nNOT AS PROMISED: {violation}"));
    }
    Some(text)
}

/// What happened to a job over all of its workers.
pub(super) fn story(job: &str, audit: &Audit) -> String {
    let preemptions = audit.preemptions();
    let of = |kind| preemptions.iter().filter(|preemption| preemption.kind == kind).count() as u64;
    format!(
        "job {job}{}{}, {} killed, {} stopped; {} lost; {}, every step {}",
        " ".repeat(11_usize.saturating_sub(job.len()).max(2)),
        count(audit.workers(), "worker"),
        of(PreemptionKind::Killed),
        of(PreemptionKind::Stopped),
        count(audit.leases_lost(), "GPU"),
        count(audit.strides.len() as u64, "stride"),
        if audit.violations.is_empty() { "once" } else { "NOT once: see --status" },
    )
}

/// Where a run stands, in one line.
pub(super) fn progress(
    step: u64,
    steps: u64,
    loss: Option<f64>,
    accuracy: Option<f64>,
    pace: &Pace,
    committed: Option<(u64, Duration)>,
) -> String {
    let left = pace.time_left(step, steps).map_or_else(|| "?".to_owned(), rough);
    let loss = loss.map_or_else(|| "?".to_owned(), |loss| format!("{loss:.3}"));
    let accuracy = accuracy.map_or_else(|| "?".to_owned(), |part| format!("{:.1} %", part * 100.0));
    let last = committed.map_or_else(
        || "nothing committed yet".to_owned(),
        |(version, ago)| format!("version {version} committed {} ago", rough(ago)),
    );
    format!(
        "step {} of {}, loss {loss}, accuracy {accuracy}, {:.0} steps/s, {left} left, {last}",
        grouped(step),
        grouped(steps),
        pace.per_sec()
    )
}

/// A number of things.
fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with a space between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time in one unit that people read at a glance.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        0..=1 => format!("{} ms", time.as_millis()),
        secs @ 2..=119 => format!("{secs} s"),
        secs @ 120..=7_199 => format!("{} min", secs / 60),
        secs @ 7_200..=172_799 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_goes_on_says_from_what() {
        let started = |version, step, committed_ago_ms| Event::Started {
            job: "digits".into(),
            host: "host-b".into(),
            pid: 4711,
            plan: String::new(),
            epoch: 3,
            version,
            step,
            steps: 9000,
            interval_steps: 250,
            committed_ago_ms,
        };
        let text = describe(&started(17, 4250, Some(8_400))).unwrap();
        let expected = "job digits: going on from version 17, committed 8 s ago, at step 4 250 of 9 000 (epoch 3, host-b, process 4711)";
        assert_eq!(text, expected);
        assert!(describe(&started(0, 0, None)).unwrap().contains("job digits: a new run of 9 000"));
    }

    #[test]
    fn a_fenced_worker_says_by_which_epoch() {
        let text = describe(&Event::Fenced { held: 3, current: 5, step: 120, committed: 100 }).unwrap();
        assert!(text.starts_with("fenced by epoch 5") && text.contains("20 steps after step 100"), "{text}");
    }

    #[test]
    fn a_stopped_worker_says_how_to_go_on_and_what_was_given_up() {
        let stopped = |given_up| Event::Stopped { version: 4, step: 100, given_up, took_ms: 12.3 };
        let clean = describe(&stopped(0)).unwrap();
        assert!(clean.contains("nothing is lost") && clean.contains("the same command goes on"), "{clean}");
        assert!(describe(&stopped(7)).unwrap().contains("7 steps could not be committed in time"));
    }

    #[test]
    fn what_is_not_as_promised_is_said_aloud() {
        let status = |violations| Event::Status {
            job: "digits".into(),
            step: 1,
            version: 1,
            epoch: 2,
            strides: 1,
            workers: 1,
            leases_lost: 0,
            examples: 32,
            consumed: String::new(),
            violations,
        };
        let sound = describe(&status(vec![])).unwrap();
        assert!(
            sound.contains("1 step done by 1 worker in 1 stride")
                && sound.contains("every step was done once")
        );
        let broken = describe(&status(vec!["steps are missing".into()])).unwrap();
        assert!(
            broken.contains("NOT AS PROMISED: steps are missing") && !broken.contains("once"),
            "{broken}"
        );
    }

    #[test]
    fn repairs_name_the_replicas() {
        assert_eq!(
            repaired(1, 0, &["b".into()]),
            "replica b: 1 copy missing or damaged, made anew from good ones"
        );
        let both = repaired(4, 2, &["a".into(), "b".into()]);
        assert_eq!(
            both,
            "replicas a, b: 4 copies missing or damaged, made anew from good ones; 2 copies could not be made"
        );
    }
}
