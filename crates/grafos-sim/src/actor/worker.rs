//! Workers that do a job step by step, each step once: they reserve, do the work, and commit state and step in one
//! transaction or in two. A scheduler that forgets gives out the same step twice, and old ones again.

use grafos_replicated::protocol::effect::{EffectsClaim, EffectsTakeOver, ReservationKind, Reserve, Settle};
use grafos_replicated::protocol::step::CommitStep;
use grafos_replicated::{
    FenceEpoch, IdempotencyKey, IdempotencyOutcome, Nonce, OperationHash, Register, ReplicatedError,
    StepMark, Version,
};

use super::{Actor, Upload, is_fencing};
use crate::fact::Aim;
use crate::layout::EFFECTS;
use crate::mutant::Mutant;
use crate::net::Net;
use crate::state::{Space, State};

/// A worker in one life: its epoch, and what tells it from others of that epoch.
struct Worker {
    actor: Actor,
    holder: Nonce,
    epoch: u64,
}

/// The worker was fenced, and stops.
struct Stop;

/// A step that this worker has reserved.
#[derive(Clone)]
struct Held {
    /// When it was reserved: a restore since then may have taken the step back.
    era: u32,
    step: u64,
    version: Version,
}

/// What there is to build on.
struct Base {
    version: Version,
    state: State,
}

fn key_of(step: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("step-{step}"))
}

fn operation_of(step: u64) -> OperationHash {
    OperationHash::of_parts(&[b"work", &step.to_le_bytes()])
}

const DONE: IdempotencyOutcome = IdempotencyOutcome::Completed { effect: None };

impl Actor {
    /// Works until it is fenced.
    pub(crate) async fn work(self) {
        let Some(epoch) = self.epoch(Space::Job).await else { return };
        let holder = self.with(Net::new_nonce);
        let worker = Worker { holder, actor: self, epoch };
        if worker.fence_effects().await.is_err() {
            return;
        }
        loop {
            worker.actor.rest(20).await;
            let step = worker.actor.with(|net| {
                let next = net.board.next_step;
                if net.random.chance(150) {
                    net.random.between(next.saturating_sub(6).max(1), next)
                } else {
                    next
                }
            });
            if let Err(Stop) = worker.attempt(step).await {
                return;
            }
        }
    }
}

impl Worker {
    fn claim(&self) -> EffectsClaim {
        EffectsClaim { holder: self.holder, ..self.actor.layout_of(EFFECTS).effects.clone() }
    }

    fn begin(&self) -> u64 {
        self.actor.begin(Space::Job, Aim::Effect, self.epoch)
    }

    /// The store of effects goes to the epoch of the checkpoint.
    async fn fence_effects(&self) -> Result<(), Stop> {
        let take_over = EffectsTakeOver::new(self.claim(), Some(FenceEpoch(self.epoch)));
        let outcome = self.actor.drive(self.begin(), take_over, self.epoch, Upload::Nothing).await;
        if matches!(outcome, Err(ReplicatedError::WrongGeneration { .. })) {
            self.actor.learn_effects().await;
        }
        outcome.map(drop).map_err(|_| Stop)
    }

    async fn attempt(&self, step: u64) -> Result<(), Stop> {
        let Some(held) = self.reserve(step).await? else { return Ok(()) };
        if self.actor.chance(30) {
            return self.settle(&held, IdempotencyOutcome::Abandoned).await;
        }
        self.actor.rest(5).await;
        let Ok(register) = self.actor.register(Space::Job).await else { return Ok(()) };
        let is_made = register.as_ref().is_some_and(|register| register.made_by(&key_of(step)).is_some());
        if is_made && !self.actor.is(Mutant::StepWithoutMark) {
            self.actor.with(|net| net.watch.totals.reconciled += 1);
            return self.settle(&held, DONE).await;
        }
        let Some(base) = self.base(register.as_ref()).await else { return Ok(()) };
        if base.state.steps + 1 != step && !(is_made && base.state.steps == step) {
            // The job is elsewhere: after a restore, the scheduler knows steps that never were.
            self.actor.with(|net| net.board.next_step = base.state.steps + 1);
            return self.settle(&held, IdempotencyOutcome::Abandoned).await;
        }
        if self.actor.chance(500) { self.in_one(&held, &base).await } else { self.in_two(&held, &base).await }
    }

    async fn reserve(&self, step: u64) -> Result<Option<Held>, Stop> {
        let (key, claim) = (key_of(step), self.claim());
        let era = self.actor.with(|net| net.watch.era());
        self.actor.with(|net| net.store.knows_step(&claim.key(&key), step));
        let (operation, epoch) = (operation_of(step), FenceEpoch(self.epoch));
        let reserve = Reserve::new(claim, key, operation, Some(step), epoch);
        let reserved = self.actor.drive(self.begin(), reserve, self.epoch, Upload::Nothing).await;
        if matches!(reserved, Err(ReplicatedError::WrongGeneration { .. })) {
            self.actor.learn_effects().await;
        }
        self.actor.with(|net| match reserved {
            Ok(reserved) if reserved.kind == ReservationKind::Completed => {
                net.watch.totals.repeated += 1;
                net.board.next_step = net.board.next_step.max(step + 1);
                Ok(None)
            }
            Ok(reserved) => {
                net.watch.totals.taken_over += u64::from(reserved.kind == ReservationKind::TakenOver);
                Ok(Some(Held { era, step, version: reserved.version }))
            }
            Err(ReplicatedError::Retired { .. }) => {
                net.watch.totals.repeated += 1;
                net.board.next_step = net.board.next_step.max(step + 1);
                Ok(None)
            }
            Err(error) if is_fencing(&error) => Err(Stop),
            Err(_) => Ok(None),
        })
    }

    async fn base(&self, register: Option<&Register>) -> Option<Base> {
        match register.and_then(Register::head) {
            None => {
                let state = State { payload: 0, made_from: 0, steps: 0 };
                Some(Base { version: Version::NONE, state })
            }
            Some(head) => {
                let state = self.actor.load(Space::Job, head).await?;
                Some(Base { version: head.version, state })
            }
        }
    }

    /// State and step in one transaction.
    async fn in_one(&self, held: &Held, base: &Base) -> Result<(), Stop> {
        let (save, op, state) = self.save(held, base);
        let intent = CommitStep::new(save, self.settlement(held, DONE));
        let upload = Upload::State { space: Space::Job, state, reused: None, save_of: CommitStep::save_mut };
        let outcome = self.actor.drive(op, intent, self.epoch, upload).await;
        self.actor.end(op, &outcome.as_ref().map(|landed| landed.version));
        match outcome {
            Ok(_) => {
                self.completed(held.step);
                Ok(())
            }
            Err(error) if is_fencing(&error) => Err(Stop),
            Err(_) => Ok(()),
        }
    }

    /// The state first, then the step.
    async fn in_two(&self, held: &Held, base: &Base) -> Result<(), Stop> {
        if self.actor.is(Mutant::CompleteBeforeSave) {
            self.settle(held, DONE).await?;
        }
        let (save, op, state) = self.save(held, base);
        let upload = Upload::State { space: Space::Job, state, reused: None, save_of: |save| save };
        let outcome = self.actor.drive(op, save, self.epoch, upload).await;
        self.actor.end(op, &outcome.as_ref().map(|landed| landed.version));
        match outcome {
            Ok(_) if self.actor.chance(900) => self.settle(held, DONE).await,
            // It forgets to say so, as a crash would make it: whoever comes next finds the mark.
            Ok(_) => Ok(()),
            Err(error) if is_fencing(&error) => Err(Stop),
            Err(_) => Ok(()),
        }
    }

    fn save(&self, held: &Held, base: &Base) -> (grafos_replicated::protocol::checkpoint::Save, u64, State) {
        let mark = StepMark { key: key_of(held.step), operation: operation_of(held.step) };
        let save = self.actor.new_save(Space::Job, base.version, self.epoch, Some(mark));
        let payload = self.actor.with(Net::new_number);
        let (expected, step) = (base.version.0, Some(held.step));
        let aim = Aim::Save { expected, payload, step };
        let op = self.actor.begin_in(held.era, Space::Job, aim, self.epoch);
        (save, op, State { payload, made_from: base.state.payload, steps: base.state.steps + 1 })
    }

    async fn settle(&self, held: &Held, outcome: IdempotencyOutcome) -> Result<(), Stop> {
        let is_done = outcome == DONE;
        let settle = self.settlement(held, outcome);
        let upload = if is_done { Upload::Completes } else { Upload::Nothing };
        let op = self.actor.begin_in(held.era, Space::Job, Aim::Effect, self.epoch);
        match self.actor.drive(op, settle, self.epoch, upload).await {
            Ok(_) if is_done => {
                self.completed(held.step);
                Ok(())
            }
            Err(error) if is_fencing(&error) => Err(Stop),
            _ => Ok(()),
        }
    }

    fn settlement(&self, held: &Held, outcome: IdempotencyOutcome) -> Settle {
        let (claim, epoch) = (self.claim(), FenceEpoch(self.epoch));
        Settle::new(claim, key_of(held.step), held.version, outcome, epoch)
    }

    fn completed(&self, step: u64) {
        self.actor.with(|net| {
            net.watch.totals.completed += 1;
            net.board.next_step = net.board.next_step.max(step + 1);
        });
    }
}
