//! [`Coordinator`]: starts the workers, hears their news, starts again those that die.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, Scope};
use std::time::Duration;

use super::worker::{Equipment, News, work};
use grafos_std::block::BlockLease;

use crate::error::{RecipeError, Result};
use crate::event::Event;
use crate::run::{Context, Outcome, Part};
use crate::state::SimState;
use crate::stop::StopFlag;

/// How often the coordinator looks whether it was asked to stop.
const TICK: Duration = Duration::from_millis(50);

/// What is known of one worker.
#[derive(Debug, Default)]
struct Standing {
    /// How many samples of its share it had when it first said so; `None` before.
    started_at: Option<u64>,
    /// How many it has now.
    iteration: u64,
    /// How often it has died since its last checkpoint.
    deaths: u32,
    outcome: Option<Outcome>,
}

pub(super) struct Coordinator<'c, 'x, F> {
    context: &'c mut Context<'x>,
    /// The coordinator's own lease, to be kept while the workers work.
    lease: &'c BlockLease,
    parts: Vec<Part>,
    goal: u64,
    /// Makes the event with which the whole run is announced.
    first_word: F,
    standings: Vec<Standing>,
    /// Events that wait for the whole run to be announced; `None` once it is.
    held_back: Option<Vec<Event>>,
    /// Stops the workers: when the user says so, or when one of them has an error.
    stop: StopFlag,
    error: Option<RecipeError>,
}

impl<'c, 'x, F: Fn(u64) -> Event> Coordinator<'c, 'x, F> {
    pub(super) fn new(
        context: &'c mut Context<'x>,
        lease: &'c BlockLease,
        parts: Vec<Part>,
        goal: u64,
        first_word: F,
    ) -> Self {
        let standings = parts.iter().map(|_| Standing::default()).collect();
        let (held_back, stop, error) = (Some(Vec::new()), StopFlag::default(), None);
        Self { context, lease, parts, goal, first_word, standings, held_back, stop, error }
    }

    /// Runs all workers to their end, and returns their states.
    pub(super) fn run(mut self) -> Result<Vec<SimState>> {
        let (news, inbox) = mpsc::channel();
        let equipment = Equipment {
            host: self.context.host.clone(),
            stop: self.stop.clone(),
            patience: self.context.patience,
            news,
        };
        thread::scope(|scope| {
            let mut at_work = 0_usize;
            for part in self.parts.clone() {
                at_work += usize::from(self.start(scope, part, &equipment));
            }
            while at_work > 0 {
                let Some((worker, news)) = self.next(&inbox) else { continue };
                match news {
                    News::Event(event) => self.hear(worker, event),
                    News::Ended(outcome) => {
                        at_work -= 1;
                        self.note_end(worker, outcome);
                    }
                    News::Died(reason) => {
                        at_work -= 1;
                        at_work += usize::from(self.revive(scope, worker, reason, &equipment));
                    }
                }
            }
        });
        self.announce();
        match self.error {
            Some(error) => Err(error),
            None => Ok(self
                .standings
                .iter()
                .filter_map(|s| s.outcome.as_ref())
                .map(|o| o.state().clone())
                .collect()),
        }
    }

    /// The next news, while keeping the lease and looking out for the user's wish to stop.
    fn next(&self, inbox: &Receiver<(u32, News)>) -> Option<(usize, News)> {
        if self.context.stop.is_raised() {
            self.stop.raise();
        }
        if let Err(error) = self.lease.renew_if_due() {
            // The workers need nothing of it; the coordinator learns of it when they are done.
            tracing::debug!(%error, "the coordinator's lease could not be renewed");
        }
        match inbox.recv_timeout(TICK) {
            Ok((worker, news)) => Some((worker as usize, news)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Whether the worker is at work now; if not, that is the run's error.
    fn start<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, part: Part, equipment: &Equipment) -> bool {
        let equipment = equipment.clone();
        let started = thread::Builder::new().spawn_scoped(scope, move || work(&part, &equipment));
        started.map_err(|error| self.fail(RecipeError::Thread(error))).is_ok()
    }

    /// Starts a worker that has died again, from its last checkpoint. Whether it is at work now.
    fn revive<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        worker: usize,
        reason: String,
        equipment: &Equipment,
    ) -> bool {
        let (Some(standing), Some(part)) = (self.standings.get_mut(worker), self.parts.get(worker)) else {
            return false;
        };
        standing.deaths += 1;
        let (deaths, index) = (standing.deaths, part.share.index);
        if deaths >= self.context.patience.max_tries {
            self.fail(RecipeError::WorkerDied { worker: index, times: deaths });
            return false;
        }
        tracing::warn!(worker, reason, "a worker died and is started again");
        // What it has committed since is not to be thrown away.
        let part = Part { fresh: part.fresh && standing.started_at.is_none(), ..part.clone() };
        self.tell(Event::WorkerRestarted { worker: index, reason });
        self.start(scope, part, equipment)
    }

    fn note_end(&mut self, worker: usize, outcome: Result<Outcome>) {
        match outcome {
            Ok(outcome) => {
                if let Some(standing) = self.standings.get_mut(worker) {
                    standing.iteration = outcome.state().iter;
                    standing.outcome = Some(outcome);
                }
            }
            Err(error) => self.fail(error),
        }
    }

    /// The first error is the run's; the other workers take a last checkpoint.
    fn fail(&mut self, error: RecipeError) {
        self.error.get_or_insert(error);
        self.stop.raise();
    }

    /// Takes note of what happened to a worker, and passes it on.
    fn hear(&mut self, worker: usize, event: Event) {
        let Some(standing) = self.standings.get_mut(worker) else { return };
        if let Some(iteration) = event.iteration() {
            standing.iteration = iteration;
            standing.started_at.get_or_insert(iteration);
        }
        if matches!(event, Event::Checkpoint { .. }) {
            standing.deaths = 0;
        }
        if matches!(event, Event::Progress { .. }) {
            if self.held_back.is_none() {
                let progress = Event::Progress { iteration: self.iteration(), goal: self.goal };
                self.context.observer.observe(&progress);
            }
            return;
        }
        let worker = u32::try_from(worker).unwrap_or(u32::MAX);
        self.tell(Event::OfWorker { worker, event: Box::new(event) });
        if self.started_at().is_some() {
            self.announce();
        }
    }

    /// Announces the whole run, and what was held back until now.
    fn announce(&mut self) {
        let Some(held_back) = self.held_back.take() else { return };
        let first_word = self.started_at().map(&self.first_word);
        first_word.iter().chain(&held_back).for_each(|event| self.context.observer.observe(event));
    }

    fn tell(&mut self, event: Event) {
        match &mut self.held_back {
            Some(held_back) => held_back.push(event),
            None => self.context.observer.observe(&event),
        }
    }

    /// How many samples all workers together had when they started, once all of them have.
    fn started_at(&self) -> Option<u64> {
        self.standings.iter().try_fold(0_u64, |sum, standing| Some(sum.saturating_add(standing.started_at?)))
    }

    fn iteration(&self) -> u64 {
        self.standings.iter().map(|standing| standing.iteration).fold(0, u64::saturating_add)
    }
}
