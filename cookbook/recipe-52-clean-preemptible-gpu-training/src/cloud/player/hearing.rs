//! Hearing the workers: each line is written down, passed on, and thought about.

use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use fabricbios_core::clock::BootTime;
use rustix::process::Signal;

use super::super::child::News;
use super::super::chronicle::Life;
use super::super::error::CloudError;
use super::super::news::CloudNews;
use super::{PATIENCE, Player, Recovering, Zombie};
use crate::run::event::Event;

/// How often to look whether somebody wants us to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait<T> {
    /// What was waited for.
    Came(T),
    /// The worker ended first.
    Closed,
    /// Time was up.
    TimeUp,
}

/// What a piece of news was.
pub(super) enum Heard {
    /// This, told by a worker.
    Event(Event),
    /// A worker is gone.
    Closed,
}

impl Player<'_> {
    /// Hears all workers until the current one tells what is looked for, or ends, or time is up.
    pub(super) fn await_event<T>(
        &mut self,
        until: Option<BootTime>,
        look: impl Fn(&Event) -> Option<T>,
    ) -> Result<Wait<T>, CloudError> {
        if self.chronicle.lives.get(self.current).is_none_or(|life| life.end.is_some()) {
            return Ok(Wait::Closed);
        }
        let mut heard_at = self.now();
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return Err(CloudError::Interrupted);
            }
            let now = self.now();
            let left = until.map_or(GLANCE, |until| until.saturating_since(now).min(GLANCE));
            match self.news.recv_timeout(left) {
                Ok((life, news)) => {
                    heard_at = now;
                    match self.hear(life, news)? {
                        Heard::Event(event) if life == self.current => {
                            if let Some(found) = look(&event) {
                                return Ok(Wait::Came(found));
                            }
                        }
                        Heard::Closed if life == self.current => return Ok(Wait::Closed),
                        Heard::Event(_) | Heard::Closed => {}
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let now = self.now();
                    if until.is_some_and(|until| now >= until) {
                        return Ok(Wait::TimeUp);
                    }
                    if now.saturating_since(heard_at) > PATIENCE {
                        return Err(self.silent());
                    }
                }
            }
        }
    }

    /// Writes down what a worker has told, and passes it on.
    pub(super) fn hear(&mut self, life: usize, news: News) -> Result<Heard, CloudError> {
        let line = match news {
            News::Line(line) => line,
            News::Closed => {
                self.note_end(life)?;
                return Ok(Heard::Closed);
            }
        };
        let event: Event = match serde_json::from_str(&line) {
            Ok(event) => event,
            Err(source) => {
                return Err(CloudError::Unexpected { host: self.host_of(life), line, source });
            }
        };
        if let Some(of) = self.chronicle.lives.get_mut(life) {
            of.told.push(event.clone());
        }
        if life == self.current {
            self.note_progress(&event)?;
            self.audience.hear(&event);
        } else if let Event::Fenced { held, current, .. } = event {
            let host = self.host_of(life);
            self.audience.tell(&CloudNews::ZombieFenced { host, held, current });
        }
        Ok(Heard::Event(event))
    }

    /// What the current worker's news mean for the cloud.
    fn note_progress(&mut self, event: &Event) -> Result<(), CloudError> {
        match *event {
            Event::Started { step, .. } => self.note_lost(step),
            Event::Step { step, .. } => {
                if let Some(Recovering { blow, since }) = self.recovering.take() {
                    let recovery = self.now().saturating_since(since);
                    if let Some(blow) = self.chronicle.blows.get_mut(blow) {
                        blow.recovery = Some(recovery);
                        let (kind, steps_lost) = (blow.kind, blow.steps_lost);
                        let host = self.host_of(self.current);
                        self.audience.tell(&CloudNews::GoingOn { kind, host, step, steps_lost, recovery });
                    }
                }
            }
            Event::Committed { .. } => {
                if self.hurt_in.is_some_and(|life| life < self.current) {
                    self.hurt_in = None;
                }
                return self.let_zombies_wake();
            }
            _ => {}
        }
        Ok(())
    }

    /// A successor begins at `step`: what was done beyond that is done again.
    fn note_lost(&mut self, step: u64) {
        let Some(Recovering { blow, .. }) = self.recovering else { return };
        let Some(blow) = self.chronicle.blows.get_mut(blow) else { return };
        if blow.life != self.current {
            // By now all is heard that it had told before the blow.
            blow.step = self.chronicle.lives.get(blow.life).map_or(blow.step, Life::step).max(blow.step);
            blow.steps_lost = blow.step.saturating_sub(step);
        }
    }

    fn let_zombies_wake(&mut self) -> Result<(), CloudError> {
        for at in (0..self.zombies.len()).rev() {
            let Some(zombie) = self.zombies.get_mut(at) else { continue };
            zombie.sleeps = zombie.sleeps.saturating_sub(1);
            if zombie.sleeps == 0 {
                self.wake(at)?;
            }
        }
        Ok(())
    }

    /// Lets the zombie at this place of the list go on.
    pub(super) fn wake(&mut self, at: usize) -> Result<(), CloudError> {
        let Zombie { life, .. } = self.zombies.remove(at);
        self.audience.tell(&CloudNews::ZombieWoke { host: self.host_of(life) });
        self.signal(life, Signal::CONT, "woken")
    }

    /// Waits for a worker that has closed its output.
    fn note_end(&mut self, life: usize) -> Result<(), CloudError> {
        let Some(child) = self.children.get_mut(&life) else { return Ok(()) };
        let end = child.wait().map_err(|source| self.process_error("waited for", life, source))?;
        if let Some(of) = self.chronicle.lives.get_mut(life) {
            of.end = Some(end);
        }
        Ok(())
    }
}
