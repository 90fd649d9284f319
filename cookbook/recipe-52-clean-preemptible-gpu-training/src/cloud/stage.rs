//! [`play`]: `train --preempt-every`: the run as it would look without a cloud, with what the cloud does told between.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::args::CloudArgs;
use super::judge::judge_play;
use super::news::{Audience, CloudNews};
use super::player::{Ending, Player, Worker};
use super::schedule::{Pace, Schedule};
use super::summary::Summary;
use crate::cli::EXIT_RESUME;
use crate::report::{Output, Reporter, complain};
use crate::run::error::in_full;
use crate::run::event::Event;

/// Trains with workers that are processes, and preempts them, until the job is done or `stop` is raised.
#[must_use]
pub fn play(
    args: &CloudArgs,
    worker: &Worker,
    json: bool,
    reporter: &mut dyn Reporter,
    stop: &Arc<AtomicBool>,
) -> ExitCode {
    let Some(mean) = args.preempt_every else { return ExitCode::SUCCESS };
    let schedule = Schedule::new(args.cloud_seed, Pace::Every(mean));
    let output = json.then(Output::stdout);
    let mut stage = Stage { reporter, output, stop: Arc::clone(stop) };
    let player = Player::new(worker, Arc::clone(stop), &mut stage);
    let (chronicle, ending) = player.play(schedule, None);
    stage.sum_up(&Summary::of(&chronicle));
    let ending = match ending {
        Ok(ending) => ending,
        Err(error) => {
            complain(&format!("error: {}", in_full(&error)));
            return ExitCode::FAILURE;
        }
    };
    let faults = judge_play(&chronicle);
    for fault in &faults {
        complain(&format!("fault: {fault}"));
    }
    match ending {
        _ if !faults.is_empty() => ExitCode::FAILURE,
        Ending::Finished => ExitCode::SUCCESS,
        Ending::Stopped => ExitCode::from(EXIT_RESUME),
    }
}

/// Passes everything on to the reporter of a plain run.
struct Stage<'a> {
    reporter: &'a mut dyn Reporter,
    /// Where the cloud's own lines go as JSON.
    output: Option<Output>,
    stop: Arc<AtomicBool>,
}

/// The figures as one line of JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename = "preemptions")]
struct SummaryLine<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Stage<'_> {
    fn sum_up(&mut self, summary: &Summary) {
        match &mut self.output {
            Some(output) => line(output, &SummaryLine { summary }),
            None => self.reporter.say(&summary.to_string()),
        }
    }
}

fn line(output: &mut Output, value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => output.line(&text),
        // Numbers and strings always encode; a person should know if that ever fails.
        Err(error) => complain(&format!("an event could not be encoded: {error}")),
    }
}

impl Audience for Stage<'_> {
    fn hear(&mut self, event: &Event) {
        // That one worker ends is no end of the run.
        let is_of_one_worker = matches!(event, Event::Stopping { .. } | Event::Stopped { .. });
        if self.output.is_some() || !is_of_one_worker || self.stop.load(Ordering::SeqCst) {
            self.reporter.observe(event);
        }
    }

    fn tell(&mut self, news: &CloudNews) {
        match &mut self.output {
            Some(output) => line(output, news),
            None => self.reporter.say(&news.in_words()),
        }
    }
}
