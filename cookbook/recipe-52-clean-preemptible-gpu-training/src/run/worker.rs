//! [`Worker`]: one process's work on a job, from its takeover to its end.
//!
//! Invariant: whatever it loses, it goes on from the newest committed state, and from nothing that it remembers.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::{BootTime, Clock};
use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_replicated::ReplicatedError;

use super::error::{RunError, in_full};
use super::event::Event;
use super::notice::Watch;
use super::patience::Failures;
use super::store::{JobStore, Loaded, Mended};
use super::stride::{LostLease, MAX_LOST, StrideRecord};
use super::tally::{Tally, millis};
use super::{Context, Job, Outcome};
use crate::training::{Digits, StateError};
use attempt::{Attempt, Failure};

/// One process's work on a job.
pub(super) struct Worker<'j, 'c, 'o> {
    job: &'j Job,
    context: &'c mut Context<'o>,
    watch: &'j Watch,
    clock: Arc<dyn Clock>,
    digits: Arc<Digits>,
    plan: [u8; 32],
    store: JobStore,
    epoch: FenceEpoch,
    /// The newest committed state.
    done: Loaded,
    /// How many steps are done, with those that are not committed.
    reached: u64,
    /// Since when it has no GPU and wants one.
    without_gpu_since: BootTime,
    /// GPUs lost since the last commit.
    lost: Vec<LostLease>,
    leases_lost: u64,
    failures: Failures,
    tally: Tally,
    has_told_stopping: bool,
}

/// A job that was taken over.
struct Taken {
    store: JobStore,
    epoch: FenceEpoch,
    mended: Mended,
    done: Loaded,
    /// The stride that made the newest version.
    last: Option<StrideRecord>,
}

impl<'j, 'c, 'o> Worker<'j, 'c, 'o> {
    /// Takes the job over, and finds out where it stands.
    pub(super) fn start(
        job: &'j Job,
        context: &'c mut Context<'o>,
        watch: &'j Watch,
        open: &mut dyn FnMut(&Job) -> Result<JobStore, RunError>,
    ) -> Result<Self, RunError> {
        let clock = Arc::clone(context.host.clock());
        let started_at = clock.now();
        let digits = Arc::new(Digits::load()?);
        let mut failures = Failures::new(context.patience);
        let Taken { store, epoch, mended, done, last } = loop {
            let error = match Self::take_over(job, open) {
                Ok(taken) => break taken,
                Err(error) => error,
            };
            // What does not pass by itself is for the user to look at. To take over once more does no harm.
            let passes = matches!(
                error.recovery(),
                Recovery::RetryLater | Recovery::RetrySameKey | Recovery::RefreshAndRetry
            );
            let pause = failures.pause(error.recovery()).filter(|_| passes);
            match pause.filter(|_| !context.controls.is_stopping()) {
                Some(pause) => wait(context, &error, pause),
                None => return Err(error),
            }
        };
        let mut worker = Self {
            job,
            watch,
            clock,
            digits,
            plan: job.plan.fingerprint(),
            reached: done.state.step(),
            without_gpu_since: started_at,
            lost: Vec::new(),
            leases_lost: 0,
            failures: Failures::new(context.patience),
            tally: Tally::new(started_at),
            has_told_stopping: false,
            context,
            store,
            epoch,
            done,
        };
        worker.tell_mended(&mended);
        worker.tell_started(last.as_ref());
        Ok(worker)
    }

    fn take_over(
        job: &Job,
        open: &mut dyn FnMut(&Job) -> Result<JobStore, RunError>,
    ) -> Result<Taken, RunError> {
        let mut store = open(job)?;
        let epoch = store.take_over()?;
        let mended = store.mend()?;
        let done = load(&mut store, job)?;
        let last = store.last_stride()?;
        Ok(Taken { store, epoch, mended, done, last })
    }

    fn tell_started(&mut self, last: Option<&StrideRecord>) {
        let now = self.clock.unix_ms();
        let event = Event::Started {
            job: self.job.name.to_string(),
            host: self.job.host.to_string(),
            pid: std::process::id(),
            plan: blake3::Hash::from(self.plan).to_string(),
            epoch: self.epoch.0,
            version: self.done.version.0,
            step: self.done.state.step(),
            steps: self.job.plan.steps,
            interval_steps: self.job.interval_steps,
            committed_ago_ms: last.map(|stride| now.saturating_sub(stride.committed_unix_ms)),
        };
        self.tell(&event);
    }

    /// Works until the job is done, the worker is asked to end, or something fails for good.
    pub(super) fn work(&mut self) -> Result<Outcome, RunError> {
        loop {
            match self.attempt() {
                Ok(Attempt::Ended(outcome)) => return Ok(outcome),
                Ok(Attempt::Overtaken) => {}
                Err(failure) => {
                    if let Some(outcome) = self.after(failure)? {
                        return Ok(outcome);
                    }
                }
            }
            self.reload()?;
        }
    }

    /// What follows from a failure: an error that ends the worker, an outcome that does, or another attempt.
    fn after(&mut self, failure: Failure) -> Result<Option<Outcome>, RunError> {
        let Failure { error, lease } = failure;
        let error = self.or_fenced(*error);
        if let RunError::Fenced { held, current } = error {
            let (step, committed) = (self.reached, self.done.state.step());
            self.tell(&Event::Fenced { held: held.0, current: current.0, step, committed });
            return Err(error);
        }
        let recovery = error.recovery();
        let is_gpu =
            matches!(error, RunError::Training(_) | RunError::Fabric(_)) && error.replicated().is_none();
        let lost = lease.filter(|status| is_gpu && can_be_replaced(*status, recovery));
        if let Some(status) = lost {
            self.lost_gpu(status, &error);
        }
        if self.context.controls.is_stopping() && (lost.is_some() || can_pass(recovery)) {
            return Ok(Some(self.stopped()));
        }
        // A GPU that was taken away is nothing to be patient about. One whose lease ran out though it was renewed is: steps
        // may be longer than leases.
        let ran_out = lost == Some(LeaseStatus::Expired) && self.context.controls.renews();
        if lost.is_some_and(|status| status != LeaseStatus::Active) && !ran_out {
            return Ok(None);
        }
        match self.failures.pause(recovery) {
            Some(pause) => wait(self.context, &error, pause),
            None => return Err(error),
        }
        Ok(None)
    }

    fn lost_gpu(&mut self, status: LeaseStatus, error: &RunError) {
        let status = if status == LeaseStatus::Active { "failed".to_owned() } else { status.to_string() };
        let (step, committed) = (self.reached, self.done.state.step());
        self.without_gpu_since = self.clock.now();
        self.tally.lost_gpu(step.saturating_sub(committed));
        self.leases_lost += 1;
        if self.lost.len() < MAX_LOST {
            self.lost.push(LostLease { step, status: status.clone() });
        }
        self.tell(&Event::LeaseLost { status, step, committed, reason: in_full(error) });
    }

    /// The newest committed state again: another worker may have gone on, and memory may be wrong.
    fn reload(&mut self) -> Result<(), RunError> {
        loop {
            let error = match load(&mut self.store, self.job) {
                Ok(done) => {
                    self.reached = done.state.step();
                    self.done = done;
                    return Ok(());
                }
                Err(error) => error,
            };
            let pause = self.failures.pause(error.recovery());
            match pause.filter(|_| !self.context.controls.is_stopping()) {
                Some(pause) => wait(self.context, &error, pause),
                None => return Err(error),
            }
        }
    }

    /// An error of the stores that means that another worker has taken over, as what it is.
    fn or_fenced(&self, error: RunError) -> RunError {
        match error.replicated() {
            Some(ReplicatedError::StaleEpoch { held, current, .. }) => {
                RunError::Fenced { held: *held, current: *current }
            }
            Some(ReplicatedError::ReservationLost { .. } | ReplicatedError::VersionConflict { .. }) => {
                self.store.check_epoch(self.epoch).err().unwrap_or(error)
            }
            _ => error,
        }
    }

    /// The end of a worker that was asked to end.
    fn stopped(&mut self) -> Outcome {
        self.tell_stopping();
        let (version, step) = (self.done.version, self.done.state.step());
        let given_up = self.reached.saturating_sub(step);
        let took = self.clock.now().saturating_since(self.watch.asked_at(self.clock.as_ref()));
        self.tell(&Event::Stopped { version: version.0, step, given_up, took_ms: millis(took) });
        Outcome::Stopped { version, step, given_up }
    }

    fn tell_stopping(&mut self) {
        if !std::mem::replace(&mut self.has_told_stopping, true) {
            let notice_ms = u64::try_from(self.job.notice.as_millis()).unwrap_or(u64::MAX);
            let cause = self.context.controls.cause();
            self.tell(&Event::Stopping { cause, step: self.reached, notice_ms });
        }
    }

    /// How much of the notice is left, for a worker that was asked to end.
    fn notice_left(&self) -> Duration {
        let asked_at = self.watch.asked_at(self.clock.as_ref());
        asked_at.saturating_add(self.job.notice).saturating_since(self.clock.now())
    }

    fn tell_mended(&mut self, mended: &Mended) {
        if *mended != Mended::default() {
            let Mended { copied, failed, replicas } = mended.clone();
            tracing::warn!(copied, failed, ?replicas, "copies were missing or damaged");
            self.tell(&Event::Repaired { copied, failed, replicas });
        }
    }

    fn tell(&mut self, event: &Event) {
        self.context.observer.observe(event);
    }
}

/// Tells of a failure, and waits.
fn wait(context: &mut Context<'_>, error: &RunError, pause: Duration) {
    let (reason, pause_ms) = (in_full(error), u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    tracing::warn!(reason, pause_ms, "something failed and is tried again");
    context.observer.observe(&Event::Retrying { reason, pause_ms });
    context.controls.wait(pause);
}

fn load(store: &mut JobStore, job: &Job) -> Result<Loaded, RunError> {
    match store.load(&job.plan) {
        Err(RunError::State { source: StateError::PastTheEnd { found, .. }, .. }) => {
            let (job, requested) = (job.name.to_string(), job.plan.steps);
            Err(RunError::PastTheEnd { job, requested, found })
        }
        loaded => loaded,
    }
}

/// Whether another lease may do better than one that ended so.
fn can_be_replaced(status: LeaseStatus, recovery: Recovery) -> bool {
    match status {
        LeaseStatus::Expired | LeaseStatus::Revoked | LeaseStatus::Released => true,
        LeaseStatus::Active => matches!(recovery, Recovery::Reopen | Recovery::Reacquire),
        _ => false,
    }
}

fn can_pass(recovery: Recovery) -> bool {
    matches!(
        recovery,
        Recovery::RetryLater
            | Recovery::RetrySameKey
            | Recovery::RefreshAndRetry
            | Recovery::Reopen
            | Recovery::Reacquire
    )
}
