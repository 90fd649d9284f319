//! [`Player`]: plays the cloud. It starts workers, strikes them as the schedule says, and writes down what becomes of it.
//!
//! Invariants: no worker outlives the player, whatever ends it; a replica is hurt only while the others are whole, since
//! that is what the job promises to survive.

mod hearing;
mod strike;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock, SystemClock};
use rustix::process::Signal;

use super::child::{Child, News};
use super::chronicle::{Chronicle, Fate, Life};
use super::error::CloudError;
use super::news::Audience;
use super::schedule::{Moment, Schedule};
use crate::run::event::Event;
use hearing::Wait;
use strike::Struck;

/// How long all workers may be silent, beside the time that a lease takes to run out. Only a bug waits so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many lines may wait to be heard before a worker is made to wait.
const MAX_LINES: usize = 1024;

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// What spells the job, without the host.
    pub arguments: Vec<OsString>,
    /// The host of the first one.
    pub host: String,
    /// The directories of the replicas.
    pub replicas: Vec<PathBuf>,
    /// How long a worker may take to end when it is asked to.
    pub notice: Duration,
    /// How long its leases are. Where that is known, a worker whose lease is to run out mostly lies stopped until it has,
    /// so that it does not do a great many steps meanwhile.
    pub lease: Option<Duration>,
}

/// How a play ended, when the cloud itself did nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The job is done.
    Finished,
    /// Somebody wanted the play to end. The job goes on with the same command.
    Stopped,
}

/// A worker that lies frozen while another one has its job.
#[derive(Clone, Copy, Debug)]
struct Zombie {
    life: usize,
    /// It wakes after so many commits of others.
    sleeps: u32,
}

/// Something that the work has to recover from.
#[derive(Clone, Copy, Debug)]
struct Recovering {
    /// Its place in the chronicle.
    blow: usize,
    since: BootTime,
}

/// Plays the cloud around one run.
pub struct Player<'a> {
    worker: &'a Worker,
    audience: &'a mut dyn Audience,
    stop: Arc<AtomicBool>,
    clock: SystemClock,
    news: Receiver<(usize, News)>,
    sender: SyncSender<(usize, News)>,
    /// The workers that have not been waited for, by their place in the chronicle.
    children: BTreeMap<usize, Child>,
    current: usize,
    zombies: Vec<Zombie>,
    recovering: Option<Recovering>,
    /// The life during which a replica was hurt. The next one finds and mends it.
    hurt_in: Option<usize>,
    chronicle: Chronicle,
}

impl<'a> Player<'a> {
    /// A cloud without a worker yet. Once `stop` is raised, it ends its workers and returns.
    pub fn new(worker: &'a Worker, stop: Arc<AtomicBool>, audience: &'a mut dyn Audience) -> Self {
        let (sender, news) = sync_channel(MAX_LINES);
        let (children, chronicle) = (BTreeMap::new(), Chronicle::default());
        let (current, zombies, recovering, hurt_in) = (0, Vec::new(), None, None);
        let clock = SystemClock;
        Self {
            worker,
            audience,
            stop,
            clock,
            news,
            sender,
            children,
            current,
            zombies,
            recovering,
            hurt_in,
            chronicle,
        }
    }

    /// Runs the job to its end, with so many preemptions of the schedule, or with as many as it has time for.
    ///
    /// # Errors
    /// [`CloudError`]. Either way no worker is left, and the chronicle holds what was heard.
    pub fn play(
        mut self,
        schedule: Schedule,
        preemptions: Option<u32>,
    ) -> (Chronicle, Result<Ending, CloudError>) {
        let ending = match self.act(schedule, preemptions) {
            Err(CloudError::Interrupted) => self.end_all().map(|()| Ending::Stopped),
            ended => ended.map(|()| Ending::Finished),
        };
        // Whoever is still there now is killed.
        self.children.clear();
        (self.chronicle, ending)
    }

    fn act(&mut self, mut schedule: Schedule, preemptions: Option<u32>) -> Result<(), CloudError> {
        self.start(&self.worker.host.clone())?;
        let mut left = preemptions;
        while left != Some(0) {
            let planned = schedule.next(self.hurt_in.is_none());
            if !self.reach(&planned.moment)? {
                break;
            }
            match self.strike(&planned)? {
                Struck::Yes => left = left.map(|left| left - 1),
                Struck::Missed => {}
                Struck::Over => break,
            }
        }
        self.let_finish()?;
        self.bury_zombies()
    }

    /// Starts a worker on this host. It is the current one from here on.
    fn start(&mut self, host: &str) -> Result<(), CloudError> {
        let life = self.chronicle.lives.len();
        let mut command = Command::new(&self.worker.program);
        command.args(&self.worker.arguments).args(["--host", host, "--json", "--control"]);
        let child = Child::start(command, life, self.sender.clone())
            .map_err(|source| CloudError::Start { program: self.worker.program.clone(), source })?;
        self.children.insert(life, child);
        self.chronicle.lives.push(Life::new(host));
        self.current = life;
        Ok(())
    }

    /// Waits for the moment. False if the worker has finished before.
    fn reach(&mut self, moment: &Moment) -> Result<bool, CloudError> {
        for _ in 0..moment.commits {
            if !self.wait_for(|event| matches!(event, Event::Committed { .. }).then_some(()))? {
                return Ok(false);
            }
        }
        for _ in 0..moment.steps {
            if !self.wait_for(|event| matches!(event, Event::Step { .. }).then_some(()))? {
                return Ok(false);
            }
        }
        if moment.then.is_zero() {
            return Ok(true);
        }
        let until = self.now().saturating_add(moment.then);
        match self.await_event(Some(until), |_| None::<()>)? {
            Wait::Closed => self.expect_finished().map(|()| false),
            Wait::Came(()) | Wait::TimeUp => Ok(true),
        }
    }

    /// Waits for such an event of the current worker. False if it finishes first; an error if it ends without.
    fn wait_for(&mut self, is_it: impl Fn(&Event) -> Option<()>) -> Result<bool, CloudError> {
        match self.await_event(None, is_it)? {
            Wait::Closed => self.expect_finished().map(|()| false),
            Wait::Came(()) | Wait::TimeUp => Ok(true),
        }
    }

    /// The current worker has ended: is it done?
    fn expect_finished(&mut self) -> Result<(), CloudError> {
        let finished = self.chronicle.lives.get(self.current).is_some_and(Life::finished);
        if finished { Ok(()) } else { Err(self.ended_early()) }
    }

    fn let_finish(&mut self) -> Result<(), CloudError> {
        match self.await_event(None, |_| None::<()>)? {
            Wait::Closed => self.expect_finished(),
            Wait::Came(()) | Wait::TimeUp => Ok(()),
        }
    }

    /// Wakes every zombie, and waits until all are gone.
    fn bury_zombies(&mut self) -> Result<(), CloudError> {
        while !self.zombies.is_empty() {
            self.wake(0)?;
        }
        self.wait_for_all(PATIENCE)
    }

    /// Ends all workers in peace: the current one may commit, a zombie learns that it is fenced.
    fn end_all(&mut self) -> Result<(), CloudError> {
        let lives: Vec<usize> = self.children.keys().copied().collect();
        for life in lives {
            if let Some(of) = self.chronicle.lives.get_mut(life)
                && of.fate == Fate::Left
            {
                of.fate = Fate::Terminated;
            }
            self.signal(life, Signal::TERM, "told to end")?;
            self.signal(life, Signal::CONT, "woken")?;
        }
        self.zombies.clear();
        self.wait_for_all(self.worker.notice.saturating_add(Duration::from_secs(10)))
    }

    fn wait_for_all(&mut self, patience: Duration) -> Result<(), CloudError> {
        let until = self.now().saturating_add(patience);
        while self.chronicle.lives.iter().any(|life| life.end.is_none()) {
            let left = until.saturating_since(self.now());
            match self.news.recv_timeout(left) {
                Ok((life, news)) => drop(self.hear(life, news)?),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    fn signal(&self, life: usize, signal: Signal, operation: &'static str) -> Result<(), CloudError> {
        let Some(child) = self.children.get(&life) else { return Ok(()) };
        child.signal(signal).map_err(|source| self.process_error(operation, life, source))
    }

    fn now(&self) -> BootTime {
        self.clock.now()
    }

    fn host_of(&self, life: usize) -> String {
        self.chronicle.lives.get(life).map(|life| life.host.clone()).unwrap_or_default()
    }

    fn process_error(&self, operation: &'static str, life: usize, source: std::io::Error) -> CloudError {
        CloudError::Process { operation, host: self.host_of(life), source }
    }

    fn ended_early(&mut self) -> CloudError {
        let end = self.chronicle.lives.get(self.current).and_then(|life| life.end);
        let end = end.map_or_else(String::new, |end| format!("{end:?}"));
        let stderr = self.children.get_mut(&self.current).map(Child::stderr).unwrap_or_default();
        CloudError::EndedEarly { host: self.host_of(self.current), end, stderr }
    }

    fn silent(&mut self) -> CloudError {
        let host = self.host_of(self.current);
        let stderr = self.children.get_mut(&self.current).map_or_else(String::new, |child| {
            // What it says on standard error ends with it.
            let _ = child.signal(Signal::KILL);
            child.stderr()
        });
        CloudError::Silent { host, waited_secs: PATIENCE.as_secs(), stderr }
    }
}
