//! What keeps copies good and disks from filling: collectors, repairers, and those who forget old steps. They do what
//! `ReplicatedCheckpoint` and `ReplicatedIdempotencyStore` do, with messages that may come much later.

use std::rc::Rc;

use grafos_replicated::protocol::effect::RaiseLowWater;
use grafos_replicated::{
    BlobTag, EffectRecord, Expect, FenceEpoch, IdempotencyOutcome, Register, ReplicatedError, Transaction,
};

use super::{Actor, Upload};
use crate::fact::{Aim, Fact};
use crate::layout::EFFECTS;
use crate::message::{Answer, Request};
use crate::mutant::Mutant;
use crate::state::{Space, digest};

/// What is old for a planted fault that goes by age.
const OLD_US: u64 = 60_000;
/// How many steps are remembered beyond those that are settled.
const REMEMBERED: u64 = 4;

/// What each replica that answered has, and since when.
pub(super) type Listed = Vec<(usize, Vec<(BlobTag, u64)>)>;

impl Actor {
    /// Removes what is dead, again and again.
    pub(crate) async fn collect_always(self) {
        loop {
            self.rest(150).await;
            let space = if self.chance(500) { Space::Plain } else { Space::Job };
            if self.collect(space).await {
                // The operator is told, and fences what may be left of the time before.
                self.rest(100).await;
                self.take_over(space).await;
            }
        }
    }

    /// Removes what is dead. Returns whether the register has gone back.
    pub(crate) async fn collect(&self, space: Space) -> bool {
        let era = self.with(|net| net.watch.era());
        // The lists first: what is in them was put there under this register or one before it.
        let (listed, register) = if self.is(Mutant::GcReadsFirst) {
            let register = self.register(space).await;
            (self.list_all(space).await, register)
        } else {
            (self.list_all(space).await, self.register(space).await)
        };
        let Ok(register) = register else { return false };
        let is_ahead = |tag| register.as_ref().is_none_or(|register| register.is_behind(tag));
        let behind = listed.iter().flat_map(|(_, blobs)| blobs).any(|(tag, _)| is_ahead(tag));
        if behind && !self.is(Mutant::NoRegressionCheck) {
            self.with(|net| {
                net.watch.totals.regressions += 1;
                net.watch.see(&Fact::RegressionReported { space });
                net.watch.see(&Fact::Collected { space, behind, orders: 0 });
            });
            return true;
        }
        let Some(register) = register else { return false };
        let mut orders = Vec::new();
        for (replica, blobs) in listed {
            let dead = blobs.into_iter().filter(|(tag, since_us)| self.is_garbage(&register, tag, *since_us));
            orders.extend(dead.map(|(tag, _)| Request::Delete { replica, space, tag, era }));
        }
        let count = orders.len();
        self.with(|net| net.watch.see(&Fact::Collected { space, behind, orders: count }));
        let calls: Vec<_> = orders.into_iter().map(|order| self.send(order)).collect();
        for call in calls {
            self.answer_to(call).await;
        }
        false
    }

    fn is_garbage(&self, register: &Register, tag: &BlobTag, since_us: u64) -> bool {
        let is_named = || register.history.iter().any(|saved| saved.blobs.contains(tag));
        self.with(|net| match net.mutant {
            Some(Mutant::GarbageByAge) => net.clock.now_us() > since_us + OLD_US && !is_named(),
            Some(Mutant::GarbageUnnamed) => !is_named(),
            _ => register.is_dead(tag),
        })
    }

    async fn list_all(&self, space: Space) -> Listed {
        self.list(space, &self.layout(space).members).await
    }

    /// What each of these replicas has that answers.
    pub(super) async fn list(&self, space: Space, places: &[usize]) -> Listed {
        let ask = |replica: &usize| (*replica, self.send(Request::List { replica: *replica, space }));
        let calls: Vec<_> = places.iter().map(ask).collect();
        let mut listed = Vec::new();
        for (replica, call) in calls {
            if let Answer::Tags(blobs) = self.answer_to(call).await {
                listed.push((replica, blobs));
            }
        }
        listed
    }

    /// Makes copies anew that are missing or bad, again and again.
    pub(crate) async fn repair_always(self) {
        loop {
            self.rest(300).await;
            let space = if self.chance(500) { Space::Plain } else { Space::Job };
            self.repair(space).await;
        }
    }

    pub(crate) async fn repair(&self, space: Space) {
        let Ok(Some(register)) = self.register(space).await else { return };
        let places = self.layout(space).members.clone();
        for (tag, expected) in self.digests(&places, space, &register.history).await {
            if !register.history.iter().any(|saved| saved.blobs.contains(&tag)) {
                continue;
            }
            for replica in places.iter().copied() {
                let is_bad = match self.call(Request::Get { replica, space, tag }).await {
                    Answer::Blob(found) => found.is_none_or(|bytes| digest(&bytes) != expected),
                    _ => false,
                };
                let good = if is_bad { self.fetch(&places, space, tag, expected).await } else { None };
                if let Some(bytes) = good {
                    self.copy(replica, space, tag, bytes).await;
                }
            }
        }
    }

    /// One copy, in place of what is there: what comes late puts what is good in the place of what is good.
    pub(super) async fn copy(&self, replica: usize, space: Space, tag: BlobTag, bytes: Rc<[u8]>) {
        let replaces = !self.is(Mutant::RepairByDelete);
        if !replaces {
            let era = self.with(|net| net.watch.era());
            self.call(Request::Delete { replica, space, tag, era }).await;
        }
        if let Answer::Stored(true) = self.call(Request::Put { replica, space, tag, bytes, replaces }).await {
            self.with(|net| net.watch.totals.repairs += 1);
        }
    }

    /// Forgets steps that are settled, again and again.
    pub(crate) async fn retire_always(self) {
        loop {
            self.rest(400).await;
            self.retire().await;
        }
    }

    async fn retire(&self) {
        let (next, epoch) = self.with(|net| (net.board.next_step, net.board.epochs[Space::Job.index()]));
        let below = next.saturating_sub(REMEMBERED);
        let op = self.begin(Space::Job, Aim::Effect, epoch);
        let by_age = self.is(Mutant::RetentionByAge);
        let low_water = if by_age {
            below
        } else {
            let claim = self.layout_of(EFFECTS).effects.clone();
            let raise = RaiseLowWater::new(claim, below, FenceEpoch(epoch));
            match self.drive(op, raise, epoch, Upload::Nothing).await {
                Ok(low_water) => low_water,
                Err(ReplicatedError::WrongGeneration { .. }) => return self.learn_effects().await,
                Err(_) => return,
            }
        };
        let Answer::Records(records) = self.call(Request::Scan).await else { return };
        for (key, record) in records {
            let Ok(effect) = EffectRecord::decode(&key, &record.body) else { continue };
            let is_old = effect.sequence.is_some_and(|sequence| sequence < low_water);
            if !is_old || effect.outcome == IdempotencyOutcome::Reserved {
                continue;
            }
            let guards = vec![(key.clone(), Expect::At(record.revision))];
            let forget = Transaction { guards, puts: Vec::new(), deletes: vec![key] };
            self.call(Request::Commit { transaction: Rc::new(forget), op }).await;
            self.with(|net| net.watch.totals.retired += 1);
        }
    }
}
