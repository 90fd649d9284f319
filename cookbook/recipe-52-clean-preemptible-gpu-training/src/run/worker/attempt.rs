//! What a worker does on one GPU: strides, one after the other, until the GPU or the job ends.

use std::time::Duration;

use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_replicated::{IdempotencyOutcome, Reservation};
use grafos_std::gpu::GpuLease;

use super::{Worker, wait};
use crate::lease::acquire_preemptible_training_lease;
use crate::run::error::RunError;
use crate::run::event::{Event, StrideEnd};
use crate::run::notice::kept_for_commit;
use crate::run::store::Loaded;
use crate::run::stride::{Losses, StrideRecord};
use crate::run::tally::millis;
use crate::run::{Finished, Outcome};
use crate::training::Trainer;

/// After how many commits the replicas are looked after.
const COMMITS_BETWEEN_CARE: u64 = 8;

/// How an attempt ended that did not fail.
pub(super) enum Attempt {
    /// The worker is done.
    Ended(Outcome),
    /// A stride turned out to be committed: there is a newer state.
    Overtaken,
}

/// Why an attempt failed.
pub(super) struct Failure {
    pub(super) error: Box<RunError>,
    /// How the lease stood then, if there was one.
    pub(super) lease: Option<LeaseStatus>,
}

/// A stride that was trained and is not committed.
struct Trained {
    from: u64,
    reservation: Reservation,
    end: StrideEnd,
    losses: Losses,
    examples: u64,
    correct: u64,
    /// How long training stood still for it before its first step.
    stall: Duration,
}

impl Worker<'_, '_, '_> {
    /// From a new lease to the end of the job or of the lease.
    pub(super) fn attempt(&mut self) -> Result<Attempt, Failure> {
        if self.context.controls.is_stopping() {
            return Ok(Attempt::Ended(self.stopped()));
        }
        let secs = self.job.lease_secs;
        let lease =
            self.context.host.scope(|| acquire_preemptible_training_lease(Trainer::MAX_VRAM_BYTES, secs));
        let lease = lease.map_err(|error| Failure { error: Box::new(error.into()), lease: None })?;
        let controls = self.context.controls.clone();
        let held = controls.hold(&self.context.host, lease.lease_id());
        let trained = self.train(&lease);
        drop(held);
        match trained {
            Ok(attempt) => {
                if let Err(error) = lease.release() {
                    tracing::debug!(%error, "the lease had ended before it was given back");
                }
                Ok(attempt)
            }
            Err(error) => Err(Failure { error: Box::new(error), lease: Some(lease.status()) }),
        }
    }

    fn train(&mut self, lease: &GpuLease) -> Result<Attempt, RunError> {
        let digits = self.digits.clone();
        let mut trainer = Trainer::new(lease, &digits, &self.job.plan, &self.done.state)?;
        let took = self.clock.now().saturating_since(self.without_gpu_since);
        self.tell(&Event::Leased {
            lease: lease.lease_id().to_string(),
            lease_epoch: lease.epoch().0,
            device: lease.device_info().name.clone(),
            took_ms: millis(took),
        });
        while self.done.state.step() < self.job.plan.steps {
            let Some(trained) = self.stride(lease, &mut trainer)? else { return Ok(Attempt::Overtaken) };
            let is_stop = trained.end == StrideEnd::Stop;
            if is_stop && (self.reached == trained.from || self.notice_left().is_zero()) {
                return Ok(Attempt::Ended(self.stopped()));
            }
            self.commit(lease, &mut trainer, &trained)?;
            if is_stop || self.context.controls.is_stopping() {
                return Ok(Attempt::Ended(self.stopped()));
            }
        }
        self.finish(&mut trainer).map(Attempt::Ended)
    }

    /// Trains the next stride. `None` if it was committed before.
    fn stride(&mut self, lease: &GpuLease, trainer: &mut Trainer<'_>) -> Result<Option<Trained>, RunError> {
        let (begin, from) = (self.clock.now(), self.done.state.step());
        self.look_after_replicas()?;
        let reservation = self.store.reserve(&self.plan, from, self.epoch)?;
        if matches!(reservation.value.outcome, IdempotencyOutcome::Completed { .. }) {
            return self.overtaken(from).map(|()| None);
        }
        let stall = self.clock.now().saturating_since(begin);
        let until = from.saturating_add(self.job.interval_steps).min(self.job.plan.steps);
        let (mut losses, mut examples, mut correct) = (Losses::default(), 0, 0);
        let end = loop {
            if self.reached == self.job.plan.steps {
                break StrideEnd::Done;
            }
            if self.context.controls.is_stopping() {
                self.tell_stopping();
                break StrideEnd::Stop;
            }
            if self.reached == until {
                break StrideEnd::Interval;
            }
            self.keep(lease);
            let report = trainer.step()?;
            self.reached += 1;
            self.tally.stepped(self.clock.now());
            losses.push(report.loss);
            examples += u64::from(report.examples);
            correct += u64::from(report.correct);
            self.tell(&Event::Step {
                step: self.reached,
                loss: report.loss,
                correct: report.correct,
                examples: report.examples,
            });
        };
        Ok(Some(Trained { from, reservation, end, losses, examples, correct, stall }))
    }

    /// A stride is recorded as done that this worker was about to do: its answer was lost, or another worker did it.
    fn overtaken(&mut self, from: u64) -> Result<(), RunError> {
        let newest = self.store.load(&self.job.plan)?;
        let (step, version) = (newest.state.step(), newest.version.0);
        if step <= from {
            return Err(RunError::StrideWithoutState { from, version });
        }
        self.tell(&Event::Duplicate { from, step, version });
        Ok(())
    }

    fn commit(
        &mut self,
        lease: &GpuLease,
        trainer: &mut Trainer<'_>,
        trained: &Trained,
    ) -> Result<(), RunError> {
        let begin = self.clock.now();
        let state = trainer.state()?;
        let (to, expected) = (state.step(), self.done.version);
        let (steps_per_loss, losses) = trained.losses.thinned();
        let record = StrideRecord {
            from: trained.from,
            to,
            version: expected.next().0,
            epoch: self.epoch.0,
            host: self.job.host.to_string(),
            pid: std::process::id(),
            committed_unix_ms: self.clock.unix_ms(),
            end: trained.end,
            examples: trained.examples,
            correct: trained.correct,
            consumed_examples: state.consumed().examples,
            consumed_digest: state.consumed().digest,
            steps_per_loss,
            losses,
            lost: self.lost.clone(),
            leases_lost: self.leases_lost,
        };
        let (bytes, effect) = (state.encode(), record.encode()?);
        let version = loop {
            let committed = self.store.commit(&trained.reservation, expected, &bytes, &effect, self.epoch);
            let error = match committed {
                Ok(version) => break version,
                Err(error) => self.or_fenced(error),
            };
            let pause = self.pause_before_commit(&error).ok_or(error)?;
            self.keep(lease);
            self.context.controls.wait(pause);
        };
        let stall = trained.stall + self.clock.now().saturating_since(begin);
        self.tally.committed(to - trained.from, stall);
        self.failures.forget();
        self.lost.clear();
        self.leases_lost = 0;
        self.done = Loaded { version, state };
        tracing::info!(version = version.0, epoch = self.epoch.0, from = trained.from, to, "committed");
        self.tell(&Event::Committed {
            version: version.0,
            epoch: self.epoch.0,
            from: trained.from,
            to,
            loss: record.mean_loss(),
            stall_ms: millis(stall),
            end: trained.end,
        });
        Ok(())
    }

    /// How long to wait before the same commit is tried again, which does nothing more if it took place. `None` for an
    /// error that does not pass, and when there is no time.
    fn pause_before_commit(&mut self, error: &RunError) -> Option<Duration> {
        let recovery = error.recovery();
        let can_pass = matches!(recovery, Recovery::RetryLater | Recovery::RetrySameKey | Recovery::Reopen);
        let has_time =
            !self.context.controls.is_stopping() || self.notice_left() > kept_for_commit(self.job.notice) / 2;
        if !can_pass || !has_time {
            return None;
        }
        let pause = self.failures.pause(recovery)?;
        wait(self.context, error, Duration::ZERO);
        Some(pause)
    }

    /// Now and then: removes what no version needs, and makes copies anew that are missing.
    fn look_after_replicas(&mut self) -> Result<(), RunError> {
        let strides = self.tally.strides();
        if strides == 0 || !strides.is_multiple_of(COMMITS_BETWEEN_CARE) {
            return Ok(());
        }
        self.store.collect_garbage()?;
        if self.store.lacks_copies()? {
            let mended = self.store.mend()?;
            self.tell_mended(&mended);
        }
        Ok(())
    }

    /// A lease that has ended says so to the next step; one that can't be renewed now may be renewed a moment later.
    fn keep(&self, lease: &GpuLease) {
        if self.context.controls.renews()
            && let Err(error) = lease.renew_if_due()
        {
            tracing::debug!(%error, "the lease could not be renewed");
        }
    }

    fn finish(&mut self, trainer: &mut Trainer<'_>) -> Result<Outcome, RunError> {
        let accuracy = trainer.test_accuracy()?;
        let step = self.done.state.step();
        self.tell(&Event::Evaluated { step, accuracy });
        let finished = Finished {
            step,
            version: self.done.version,
            weights: self.done.state.weights_digest().to_string(),
            accuracy,
            consumed: self.done.state.consumed(),
            worker: self.tally.summary(self.clock.now()),
        };
        self.tell(&Event::Finished {
            step,
            version: finished.version.0,
            weights: finished.weights.clone(),
            accuracy,
            consumed: blake3::Hash::from(finished.consumed.digest).to_string(),
            examples: finished.consumed.examples,
            worker: finished.worker.clone(),
        });
        Ok(Outcome::Finished(finished))
    }
}
