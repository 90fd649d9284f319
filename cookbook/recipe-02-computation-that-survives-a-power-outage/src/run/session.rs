//! [`Session`]: one part of a computation on its volume, through failures and new leases.

use std::num::NonZeroUsize;
use std::time::Duration;

use fabricbios_core::clock::BootTime;
use fabricbios_core::recovery::Recovery;
use grafos_collections::durable::Durable;
use grafos_std::block::BlockBuilder;
use grafos_std::error::FabricError;

use super::{Context, DEFAULT_SEED, Outcome};
use crate::error::{RecipeError, Result, in_full};
use crate::event::Event;
use crate::policy::{CheckpointEvery, Failures, NextStep};
use crate::share::Share;
use crate::state::{SCHEMA, SimState};
use crate::stretch::{Computed, Stretch, StretchError};
use crate::working_memory::WorkingMemory;

/// The size of the volume: room for the two slots of a state that fits into a header, several times over.
pub(crate) const MIN_BLOCKS: u64 = 64;

/// Sums in working memory, for each thread: a few tenths of a second of work.
const SLOTS_PER_THREAD: u64 = 1024;

/// One part of a computation: all of it, or a worker's share.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) volume: String,
    /// `None`: that of the run on the volume, else the default.
    pub(crate) seed: Option<u64>,
    pub(crate) share: Share,
    /// How many samples of the share.
    pub(crate) goal: u64,
    pub(crate) every: CheckpointEvery,
    pub(crate) threads: NonZeroUsize,
    pub(crate) fresh: bool,
    pub(crate) if_other: IfOther,
}

/// What to do with a volume that holds another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfOther {
    /// It may be dear to somebody.
    Refuse,
    /// Somebody with the authority to say so has said what the volume should hold.
    StartOver,
}

/// Runs a part to its end. Announces everything but the end.
pub(crate) fn run_part(part: &Part, context: &mut Context<'_>) -> Result<Outcome> {
    let patience = context.patience;
    let mut session = Session {
        part,
        context,
        fresh: part.fresh,
        was_open: false,
        memory: None,
        failures: Failures::new(patience),
        memory_failures: Failures::new(patience),
    };
    loop {
        match session.attempt() {
            Ok(outcome) => return Ok(outcome),
            Err(error) => session.pause_before_next_attempt(error)?,
        }
    }
}

struct Session<'s, 'c> {
    part: &'s Part,
    context: &'s mut Context<'c>,
    /// Whether what the volume holds is still to be thrown away.
    fresh: bool,
    /// Whether the volume was ever leased and read: what fails before that is for the user to look at.
    was_open: bool,
    memory: Option<WorkingMemory>,
    failures: Failures,
    memory_failures: Failures,
}

impl Session<'_, '_> {
    /// From a new lease to the end, or to the first error that this lease does not survive.
    fn attempt(&mut self) -> Result<Outcome> {
        let mut durable = self.open()?;
        let outcome = self.drive(&mut durable)?;
        let released =
            durable.into_block_lease().map_err(FabricError::from).and_then(|lease| lease.release());
        if let Err(error) = released {
            // Everything is durable, and the lease ends with this process.
            tracing::warn!(%error, "the volume could not be released");
        }
        Ok(outcome)
    }

    /// Leases the volume and restores what it holds, or commits a first state: a volume that can't take a
    /// checkpoint is noticed before the work, not after.
    fn open(&mut self) -> Result<Durable<SimState>> {
        let part = self.part;
        let init = || SimState::new(part.seed.unwrap_or(DEFAULT_SEED), part.share);
        let lease = BlockBuilder::new()
            .on(&self.context.host)
            .volume(&part.volume)
            .min_blocks(MIN_BLOCKS)
            .acquire()?;
        let (lease_id, epoch) = (lease.lease_id(), lease.epoch());
        let options = Durable::options().schema(SCHEMA);
        let durable = if self.fresh {
            options.start(init(), lease)
        } else {
            options.open_or_init(lease, init).map_err(RecipeError::durable(&part.volume))?
        };
        self.was_open = true;
        let Some(restored) = durable.restored() else {
            self.context.observer.observe(&Event::Started { lease_id, epoch });
            self.checkpoint(&durable)?;
            self.fresh = false;
            return Ok(durable);
        };
        if let Err(other) = self.check(&durable) {
            let is_another_run =
                matches!(other, RecipeError::OtherSeed { .. } | RecipeError::OtherShare { .. });
            if !is_another_run || part.if_other == IfOther::Refuse {
                return Err(other);
            }
            tracing::info!(volume = part.volume, reason = %other, "starting over");
            self.fresh = true;
            drop(durable);
            return self.open();
        }
        let resumed = Event::Resumed {
            lease_id,
            epoch,
            sequence: restored.sequence,
            iteration: durable.iter,
            age: Duration::from_millis(self.context.host.clock().unix_ms().saturating_sub(restored.unix_ms)),
            rejected: durable.rejected().to_vec(),
        };
        tracing::info!(iteration = durable.iter, sequence = restored.sequence, %epoch, "resumed");
        self.context.observer.observe(&resumed);
        Ok(durable)
    }

    /// Whether the volume holds this part of this run.
    fn check(&self, found: &SimState) -> Result<()> {
        let volume = || self.part.volume.clone();
        if found.share != self.part.share {
            let (requested, found) = (self.part.share, found.share);
            return Err(RecipeError::OtherShare { volume: volume(), requested, found });
        }
        match self.part.seed {
            Some(requested) if requested != found.rng_seed => {
                Err(RecipeError::OtherSeed { volume: volume(), requested, found: found.rng_seed })
            }
            _ if found.iter > self.part.goal => Err(RecipeError::PastTheEnd {
                volume: volume(),
                requested: self.part.goal,
                found: found.iter,
            }),
            _ => Ok(()),
        }
    }

    /// Computes and checkpoints until the goal is reached or the run is asked to stop. Either way everything is in a
    /// checkpoint then.
    fn drive(&mut self, durable: &mut Durable<SimState>) -> Result<Outcome> {
        let part = self.part;
        let (mut saved, mut saved_at) = (durable.iter, self.now());
        while durable.iter < part.goal {
            if self.context.stop.is_raised() {
                if durable.iter > saved {
                    self.checkpoint(durable)?;
                }
                let (sequence, epoch) = (durable.sequence(), durable.lease().epoch());
                return Ok(Outcome::Interrupted { state: durable.inner().clone(), sequence, epoch });
            }
            let next = part.every.next_position(durable.iter, &part.share);
            let until = next.map_or(part.goal, |next| next.min(part.goal));
            let due = part.every.period().map(|period| saved_at.saturating_add(period));
            let computed = self.compute(durable, until, due)?;
            let state = durable.inner_mut();
            computed.sums.iter().for_each(|sums| state.add(sums));
            state.iter = computed.until;
            if state.iter == until || due.is_some_and(|due| self.now() >= due) {
                self.checkpoint(durable)?;
                (saved, saved_at) = (durable.iter, self.now());
            }
        }
        Ok(Outcome::Finished(durable.inner().clone()))
    }

    /// Computes from where the state stands, at most to `until`. Working memory that is lost is leased anew.
    fn compute(
        &mut self,
        durable: &Durable<SimState>,
        until: u64,
        due: Option<BootTime>,
    ) -> Result<Computed> {
        let part = self.part;
        let stretch = Stretch {
            seed: durable.rng_seed,
            share: part.share,
            from: durable.iter,
            until,
            threads: part.threads,
        };
        loop {
            let memory = self.working_memory()?;
            let lease_id = memory.lease_id();
            let context = &mut *self.context;
            let computed = stretch.compute(&memory, |iteration| {
                context.observer.observe(&Event::Progress { iteration, goal: part.goal });
                // Between two checkpoints there may be more time than a lease lasts.
                keep(durable.lease().renew_if_due());
                keep(memory.renew_if_due());
                let is_due = due.is_some_and(|due| context.host.clock().now() >= due);
                !is_due && !context.stop.is_raised()
            });
            match computed {
                Ok(computed) => {
                    self.memory = Some(memory);
                    self.memory_failures.forget();
                    return Ok(computed);
                }
                Err(StretchError::Other(error)) => return Err(error),
                Err(StretchError::Memory(error)) => {
                    let reason = in_full(&error);
                    tracing::warn!(%lease_id, reason, "working memory is lost; the stretch is computed again");
                    self.context.observer.observe(&Event::MemoryLost { lease_id, reason });
                    self.pause_before_new_memory(error)?;
                }
            }
        }
    }

    /// The memory of the last stretch, or a new lease.
    fn working_memory(&mut self) -> Result<WorkingMemory> {
        if let Some(memory) = self.memory.take() {
            return Ok(memory);
        }
        let slots = SLOTS_PER_THREAD.saturating_mul(self.part.threads.get() as u64);
        loop {
            match WorkingMemory::lease(&self.context.host, slots) {
                Ok(memory) => {
                    let lease_id = memory.lease_id();
                    self.context.observer.observe(&Event::MemoryLeased { lease_id });
                    return Ok(memory);
                }
                Err(error) => self.pause_before_new_memory(error)?,
            }
        }
    }

    fn pause_before_new_memory(&mut self, error: FabricError) -> Result<()> {
        match self.memory_failures.next_step(error.recovery()) {
            NextStep::GiveUp => Err(error.into()),
            NextStep::RetryAfter(pause) | NextStep::ReopenAfter(pause) => {
                self.context.stop.wait(pause);
                Ok(())
            }
        }
    }

    /// Commits the state. Returns only when it is durable, or can't be made so under this lease.
    fn checkpoint(&mut self, durable: &Durable<SimState>) -> Result<()> {
        loop {
            let error = match durable.checkpoint() {
                Ok(committed) => {
                    self.failures.forget();
                    let (sequence, epoch) = (committed.sequence, durable.lease().epoch());
                    let (iteration, bytes) = (durable.iter, committed.payload_bytes);
                    tracing::info!(iteration, %epoch, sequence, payload_bytes = bytes, "checkpoint");
                    self.context.observer.observe(&Event::Checkpoint { sequence, epoch, iteration });
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.recovery() != Recovery::RetryLater {
                return Err(RecipeError::durable(&self.part.volume)(error));
            }
            match self.failures.next_step(Recovery::RetryLater) {
                NextStep::RetryAfter(pause) => {
                    self.announce_and_wait(&Event::Retrying { reason: in_full(&error), pause }, pause);
                }
                _ => return Err(RecipeError::durable(&self.part.volume)(error)),
            }
        }
    }

    /// Waits before a new lease is taken, if that can help; else the error is the run's.
    fn pause_before_next_attempt(&mut self, error: RecipeError) -> Result<()> {
        if error.is_held() {
            return Err(error);
        }
        let reason = in_full(&error);
        let (event, pause) = match self.failures.next_step(error.recovery()) {
            NextStep::GiveUp => return Err(error),
            NextStep::RetryAfter(pause) => (Event::Retrying { reason, pause }, pause),
            NextStep::ReopenAfter(_) if !self.was_open => return Err(error),
            NextStep::ReopenAfter(pause) => (Event::Reopening { reason, pause }, pause),
        };
        self.announce_and_wait(&event, pause);
        Ok(())
    }

    fn announce_and_wait(&mut self, event: &Event, pause: Duration) {
        tracing::warn!(?event, "a step failed and is tried again");
        self.context.observer.observe(event);
        self.context.stop.wait(pause);
    }

    fn now(&self) -> BootTime {
        self.context.host.clock().now()
    }
}

/// A lease that has ended says so to whoever uses it next; one that can't be renewed now may be renewed a moment later.
fn keep(renewed: grafos_std::Result<()>) {
    if let Err(error) = renewed {
        tracing::debug!(%error, "a lease could not be renewed");
    }
}
