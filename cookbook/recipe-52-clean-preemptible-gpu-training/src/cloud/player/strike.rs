//! The blows themselves: one function for each way of preempting a worker.

use std::time::Duration;

use fabricbios_core::clock::BootTime;
use rustix::process::Signal;

use super::super::child::Child;
use super::super::chronicle::{Blow, Fate, Life};
use super::super::damage;
use super::super::error::CloudError;
use super::super::kind::Kind;
use super::super::news::CloudNews;
use super::super::schedule::Planned;
use super::hearing::Wait;
use super::{Player, Recovering, Zombie};
use crate::run::event::Event;

/// A successor that does not start within this time may be kept out by the frozen one after all.
const KEPT_OUT: Duration = Duration::from_secs(5);

/// How long a worker gets to come out of a transaction.
const THAW: Duration = Duration::from_millis(5);

/// How often that is tried.
const MAX_THAWS: u32 = 30;

/// More zombies than this are not kept: the oldest wakes up.
const MAX_ZOMBIES: usize = 2;

/// The longest that a frozen worker sleeps, in commits of others.
const LONGEST_SLEEP: u64 = 4;

/// What came of a planned blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Struck {
    /// It was played.
    Yes,
    /// There was nothing to strike yet.
    Missed,
    /// The run was over before.
    Over,
}

impl Player<'_> {
    pub(super) fn strike(&mut self, planned: &Planned) -> Result<Struck, CloudError> {
        match planned.kind {
            Kind::Revoked => self.take_lease(Kind::Revoked, "revoke", "revoked", None),
            Kind::Expired => {
                let pause = self.worker.lease.filter(|_| !planned.chance.is_multiple_of(8));
                self.take_lease(Kind::Expired, "stop-renewing", "expired", pause)
            }
            Kind::Killed => self.end_and_restart(Kind::Killed, Signal::KILL, Fate::Killed),
            Kind::Terminated => self.end_and_restart(Kind::Terminated, Signal::TERM, Fate::Terminated),
            Kind::Frozen => self.freeze(planned.chance),
            Kind::ReplicaLost | Kind::ReplicaDamaged => self.hurt_replica(planned.kind, planned.chance),
        }
    }

    /// Has the worker's lease end, and waits until it tells. With a `pause` it lies stopped for so long.
    fn take_lease(
        &mut self,
        kind: Kind,
        order: &str,
        status: &str,
        pause: Option<Duration>,
    ) -> Result<Struck, CloudError> {
        let is_at_work = |event: &Event| matches!(event, Event::Step { .. }).then_some(());
        let has_worked =
            self.current_life().is_some_and(|life| life.told.iter().any(|told| is_at_work(told).is_some()));
        if !has_worked && !self.wait_for(is_at_work)? {
            return Ok(Struck::Over);
        }
        let asked_at = self.now();
        if let Some(child) = self.children.get_mut(&self.current) {
            child.say(order);
        }
        if let Some(pause) = pause {
            self.pause(pause)?;
        }
        let lost = self.await_event(None, |event| match event {
            Event::LeaseLost { status: found, step, committed, .. } if found == status => {
                Some((*step, *committed))
            }
            _ => None,
        })?;
        let Wait::Came((step, committed)) = lost else {
            return self.expect_finished().map(|()| Struck::Over);
        };
        // A lease that is not renewed is good until it runs out.
        let since = if kind == Kind::Expired { self.now() } else { asked_at };
        let steps_lost = step.saturating_sub(committed);
        let blow = self.note_blow(Blow { kind, life: self.current, step, steps_lost, recovery: None });
        self.recovering = Some(Recovering { blow, since });
        Ok(Struck::Yes)
    }

    /// Lets the worker do another step, then lie stopped for a while.
    fn pause(&mut self, pause: Duration) -> Result<(), CloudError> {
        // By then it has heard the order, or soon will; one that has ended is seen by the caller.
        let is_step = |event: &Event| matches!(event, Event::Step { .. }).then_some(());
        if self.await_event(None, is_step)? == Wait::Closed || !self.freeze_between_commits(self.current)? {
            return Ok(());
        }
        let until = self.now().saturating_add(pause);
        self.await_event(Some(until), |_| None::<()>)?;
        self.signal(self.current, Signal::CONT, "woken")
    }

    /// Ends the worker, and starts another one on the same host.
    fn end_and_restart(&mut self, kind: Kind, signal: Signal, fate: Fate) -> Result<Struck, CloudError> {
        let since = self.now();
        if !self.end(signal, fate)? {
            return Ok(Struck::Over);
        }
        self.restart(kind, since)
    }

    fn restart(&mut self, kind: Kind, since: BootTime) -> Result<Struck, CloudError> {
        let (life, host) = (self.current, self.host_of(self.current));
        let step = self.current_life().map_or(0, Life::step);
        let blow = self.note_blow(Blow { kind, life, step, steps_lost: 0, recovery: None });
        self.start(&host)?;
        self.recovering = Some(Recovering { blow, since });
        Ok(Struck::Yes)
    }

    /// Ends the current worker, and hears what it has still told. False if it had finished.
    fn end(&mut self, signal: Signal, fate: Fate) -> Result<bool, CloudError> {
        let life = self.current;
        if let Some(of) = self.chronicle.lives.get_mut(life) {
            of.fate = fate;
        }
        self.signal(life, signal, "ended")?;
        let until = self.now().saturating_add(self.worker.notice).saturating_add(super::PATIENCE);
        if self.await_event(Some(until), |_| None::<()>)? == Wait::TimeUp {
            return Err(self.silent());
        }
        Ok(!self.current_life().is_some_and(Life::finished))
    }

    /// Stops the worker as it is, and lets another host take over. It wakes up later.
    fn freeze(&mut self, chance: u64) -> Result<Struck, CloudError> {
        // One that has not taken over yet would do so when it wakes up, and rightly.
        let has_started = self.current_life().is_some_and(|life| life.start().is_some());
        let is_start = |event: &Event| matches!(event, Event::Started { .. }).then_some(());
        if !has_started && !self.wait_for(is_start)? {
            return Ok(Struck::Over);
        }
        if self.zombies.len() >= MAX_ZOMBIES {
            self.wake(0)?;
        }
        let (zombie, since) = (self.current, self.now());
        if !self.freeze_between_commits(zombie)? {
            self.let_finish()?;
            return Ok(Struck::Over);
        }
        let host = self.other_host();
        let step = self.current_life().map_or(0, Life::step);
        if let Some(of) = self.chronicle.lives.get_mut(zombie) {
            of.fate = Fate::Frozen;
        }
        let sleeps = u32::try_from(1 + chance % LONGEST_SLEEP).unwrap_or(1);
        self.zombies.push(Zombie { life: zombie, sleeps });
        let blow = Blow { kind: Kind::Frozen, life: zombie, step, steps_lost: 0, recovery: None };
        let blow = self.note_blow(blow);
        self.start(&host)?;
        self.recovering = Some(Recovering { blow, since });
        self.await_take_over(zombie)?;
        Ok(Struck::Yes)
    }

    /// Stops a worker at a moment at which it does not keep others out of the register: two machines that share one file
    /// of SQLite are something that only this play has. False if it has ended instead.
    fn freeze_between_commits(&mut self, life: usize) -> Result<bool, CloudError> {
        for _ in 0..MAX_THAWS {
            if !self.freeze_life(life)? {
                return Ok(false);
            }
            if !self.children.get(&life).is_some_and(Child::is_committing) {
                return Ok(true);
            }
            self.signal(life, Signal::CONT, "woken")?;
            let until = self.now().saturating_add(THAW);
            if self.await_event(Some(until), |_| None::<()>)? == Wait::Closed {
                return Ok(false);
            }
        }
        self.freeze_life(life)
    }

    /// Waits until the successor has taken over.
    fn await_take_over(&mut self, zombie: usize) -> Result<(), CloudError> {
        for _ in 0..MAX_THAWS {
            let until = self.now().saturating_add(KEPT_OUT);
            let started = |event: &Event| matches!(event, Event::Started { .. }).then_some(());
            match self.await_event(Some(until), started)? {
                Wait::Came(()) => return Ok(()),
                Wait::Closed => return self.expect_finished(),
                Wait::TimeUp => self.thaw_a_little(zombie)?,
            }
        }
        Err(self.silent())
    }

    fn thaw_a_little(&mut self, zombie: usize) -> Result<(), CloudError> {
        self.signal(zombie, Signal::CONT, "woken")?;
        let until = self.now().saturating_add(THAW);
        self.await_event(Some(until), |_| None::<()>)?;
        if !self.freeze_life(zombie)? {
            self.zombies.retain(|other| other.life != zombie);
        }
        Ok(())
    }

    fn freeze_life(&self, life: usize) -> Result<bool, CloudError> {
        let frozen = self.children.get(&life).map_or(Ok(false), Child::freeze);
        frozen.map_err(|source| self.process_error("frozen", life, source))
    }

    /// Takes a replica away or damages it, under the worker's hands or between two workers.
    fn hurt_replica(&mut self, kind: Kind, chance: u64) -> Result<Struck, CloudError> {
        let count = self.worker.replicas.len() as u64;
        let which = usize::try_from((chance >> 32).checked_rem(count).unwrap_or(0)).unwrap_or(0);
        let Some(replica) = self.worker.replicas.get(which).cloned() else { return Ok(Struck::Missed) };
        let (since, is_between) = (self.now(), chance.is_multiple_of(2));
        if is_between && !self.end(Signal::KILL, Fate::Killed)? {
            return Ok(Struck::Over);
        }
        let is_hurt = match kind {
            Kind::ReplicaLost => damage::lose(&replica)?,
            _ => damage::damage(&replica, chance)?,
        };
        if is_hurt {
            self.hurt_in = Some(self.current);
        }
        match (is_between, is_hurt) {
            (true, true) => self.restart(kind, since),
            // Killed it was in any case.
            (true, false) => self.restart(Kind::Killed, since),
            (false, true) => {
                let (life, step) = (self.current, self.current_life().map_or(0, Life::step));
                self.note_blow(Blow { kind, life, step, steps_lost: 0, recovery: None });
                Ok(Struck::Yes)
            }
            (false, false) => Ok(Struck::Missed),
        }
    }

    /// Writes a blow down, and returns its place.
    fn note_blow(&mut self, blow: Blow) -> usize {
        let (kind, step, host) = (blow.kind, blow.step, self.host_of(blow.life));
        self.chronicle.blows.push(blow);
        self.audience.tell(&CloudNews::Preempted { kind, host, step });
        self.chronicle.blows.len() - 1
    }

    fn current_life(&self) -> Option<&Life> {
        self.chronicle.lives.get(self.current)
    }

    /// A host on which no worker is, awake or frozen.
    fn other_host(&self) -> String {
        let taken: Vec<&str> = self
            .chronicle
            .lives
            .iter()
            .filter(|life| life.end.is_none())
            .map(|life| life.host.as_str())
            .collect();
        let names = std::iter::once(self.worker.host.clone())
            .chain(('b'..='z').map(|letter| format!("host-{letter}")));
        let mut free = names.filter(|name| !taken.contains(&name.as_str()));
        free.next().unwrap_or_else(|| format!("host-{}", self.chronicle.lives.len()))
    }
}
