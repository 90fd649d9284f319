//! [`Bent`]: a real intent, and what a planted fault makes of its decisions. Without a fault it changes nothing.

use std::rc::Rc;

use grafos_replicated::protocol::change::{Decision, Intent, RingBody, Then};
use grafos_replicated::protocol::checkpoint::{Landed, Save, TakeOver};
use grafos_replicated::protocol::effect::{
    ChangeGeneration, EffectsTakeOver, RaiseLowWater, Reserve, Settle,
};
use grafos_replicated::protocol::replica_change::{ChangeReplicas, Moved};
use grafos_replicated::protocol::step::CommitStep;
use grafos_replicated::{
    BlobTag, EffectRecord, FenceEpoch, IdempotencyOutcome, Nonce, Record, RecordKey, Register,
    ReplicatedError, Version,
};

use crate::layout::{Layout, RECORDS};
use crate::mutant::Mutant;
use crate::state::Space;

/// How an intent can be bent. Most can't.
pub(crate) trait Bend: Intent {
    /// What it is shown in place of the first record.
    fn shown(&self, _: &Fault, first: Option<Self::Body>) -> Option<Self::Body> {
        first
    }

    /// What is done in place of its decision. `first` is what the record really holds.
    fn bent(
        &self,
        _: &Fault,
        _: Option<Self::Body>,
        decision: Result<Decision<Self::Output>, ReplicatedError>,
        _: Nonce,
    ) -> Result<Decision<Self::Output>, ReplicatedError> {
        decision
    }
}

/// A planted fault, with what it remembers.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) mutant: Mutant,
    /// The blob of a lost attempt.
    pub(crate) reused: Option<BlobTag>,
    /// The epoch that the writer holds.
    pub(crate) held: FenceEpoch,
    /// The change is to complete a step.
    pub(crate) completes: bool,
    /// The replica sets that the program knows.
    pub(crate) layouts: [Rc<Layout>; RECORDS],
}

#[derive(Debug)]
pub(crate) struct Bent<I> {
    pub(crate) inner: I,
    pub(crate) fault: Option<Fault>,
}

/// A record whose ring may be left unasked.
#[derive(Debug)]
pub(crate) struct Body<B> {
    inner: B,
    forgets: bool,
}

impl<B: RingBody> RingBody for Body<B> {
    fn commits(&self) -> u64 {
        self.inner.commits()
    }

    fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool> {
        if self.forgets { Some(false) } else { self.inner.has_seen(nonce, commits_before) }
    }

    fn encode_as(self, nonce: Nonce) -> Result<Vec<u8>, ReplicatedError> {
        self.inner.encode_as(nonce)
    }
}

impl<I: Bend> Intent for Bent<I>
where
    I::Body: Clone,
{
    type Body = Body<I::Body>;
    type Output = I::Output;

    fn keys(&self) -> &[RecordKey] {
        self.inner.keys()
    }

    fn decode(&self, first: &Record) -> Result<Self::Body, ReplicatedError> {
        let forgets = self.fault.as_ref().is_some_and(|fault| fault.mutant == Mutant::NoRing);
        Ok(Body { inner: self.inner.decode(first)?, forgets })
    }

    fn decide(
        &mut self,
        first: Option<Self::Body>,
        others: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Self::Output>, ReplicatedError> {
        let first = first.map(|body| body.inner);
        let Some(fault) = &self.fault else { return self.inner.decide(first, others, nonce) };
        let shown = self.inner.shown(fault, first.clone());
        let decision = self.inner.decide(shown, others, nonce);
        self.inner.bent(fault, first, decision, nonce)
    }
}

/// The same write with another body for the first record.
fn rewritten<O>(decision: Decision<O>, rewrite: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Decision<O> {
    let Decision::Write { mut puts, then } = decision else { return decision };
    for (index, body) in &mut puts {
        if *index == 0 {
            *body = body.as_deref().and_then(rewrite).or_else(|| body.take());
            break;
        }
    }
    Decision::Write { puts, then }
}

/// What a save is shown and does under a planted fault, alone or as part of a step.
fn bent_save(
    save: &Save,
    fault: &Fault,
    first: Option<Register>,
    decision: Decision<Landed>,
) -> Decision<Landed> {
    let is_publishing = matches!(&decision, Decision::Write { then: Then::Finish(_), .. });
    let [key] = save.keys().clone();
    match fault.mutant {
        Mutant::ReusedTag if is_publishing => rewritten(decision, |bytes| {
            let mut register = Register::decode(&key, bytes).ok()?;
            let (own, old) = (save.tag(), fault.reused?);
            let head = register.history.last_mut()?;
            head.manifest = old;
            head.blobs.iter_mut().filter(|blob| **blob == own).for_each(|blob| *blob = old);
            register.encode().ok()
        }),
        Mutant::FenceIgnored => rewritten(decision, |bytes| {
            let mut register = Register::decode(&key, bytes).ok()?;
            register.epoch = first?.epoch;
            register.encode().ok()
        }),
        Mutant::OldSetWrites => rewritten(decision, |bytes| {
            let (register, first) = (Register::decode(&key, bytes).ok()?, first?);
            let (generation, layout) = (first.generation, first.layout);
            Register { generation, layout, ..register }.encode().ok()
        }),
        _ => decision,
    }
}

impl Bend for Save {
    fn shown(&self, fault: &Fault, first: Option<Register>) -> Option<Register> {
        let [key] = self.keys();
        let register = first?;
        match fault.mutant {
            Mutant::FenceIgnored => Some(Register { epoch: self.tag().epoch, ..register }),
            Mutant::OldSetWrites => {
                let claims = Space::ALL.into_iter().zip(&fault.layouts);
                let mut claims = claims.filter_map(|(space, layout)| layout.claims.get(space.index()));
                let claim = claims.find(|claim| claim.key() == *key)?;
                let (generation, layout) = (claim.generation, claim.layout);
                Some(Register { generation, layout, ..register })
            }
            _ => Some(register),
        }
    }

    fn bent(
        &self,
        fault: &Fault,
        first: Option<Register>,
        decision: Result<Decision<Landed>, ReplicatedError>,
        _: Nonce,
    ) -> Result<Decision<Landed>, ReplicatedError> {
        Ok(bent_save(self, fault, first, decision?))
    }
}

impl Bend for CommitStep {}
impl Bend for Reserve {}
impl Bend for EffectsTakeOver {}
impl Bend for RaiseLowWater {}
impl Bend for ChangeGeneration {}

impl Bend for ChangeReplicas {
    fn bent(
        &self,
        fault: &Fault,
        first: Option<Register>,
        decision: Result<Decision<Moved>, ReplicatedError>,
        _: Nonce,
    ) -> Result<Decision<Moved>, ReplicatedError> {
        let is_moving = matches!(&decision, Ok(Decision::Write { then: Then::Finish(_), .. }));
        let (Mutant::AcknowledgedNotRemapped, true, Some(first), [key]) =
            (fault.mutant, is_moving, first, self.keys())
        else {
            return decision;
        };
        Ok(rewritten(decision?, |bytes| {
            let moved = Register::decode(key, bytes).ok()?;
            Register { history: first.history, ..moved }.encode().ok()
        }))
    }
}

impl Bend for TakeOver {
    fn bent(
        &self,
        fault: &Fault,
        first: Option<Register>,
        decision: Result<Decision<FenceEpoch>, ReplicatedError>,
        nonce: Nonce,
    ) -> Result<Decision<FenceEpoch>, ReplicatedError> {
        match (fault.mutant, first) {
            (Mutant::TakeOverWithoutBump, Some(register)) => {
                let epoch = register.epoch;
                let puts = vec![(0, Some(register.encode_as(nonce)?))];
                Ok(Decision::Write { puts, then: Then::Finish(epoch) })
            }
            _ => decision,
        }
    }
}

impl Bend for Settle {
    fn bent(
        &self,
        fault: &Fault,
        first: Option<EffectRecord>,
        decision: Result<Decision<Version>, ReplicatedError>,
        nonce: Nonce,
    ) -> Result<Decision<Version>, ReplicatedError> {
        match (fault.mutant, first, &decision) {
            (Mutant::OldGenerationSettles, Some(record), Err(ReplicatedError::WrongGeneration { .. }))
                if record.epoch == fault.held && record.outcome == IdempotencyOutcome::Reserved =>
            {
                let version = record.version.next();
                let record = EffectRecord { version, outcome: IdempotencyOutcome::Abandoned, ..record };
                let puts = vec![(0, Some(record.encode_as(nonce)?))];
                Ok(Decision::Write { puts, then: Then::Finish(version) })
            }
            (Mutant::UnconditionalComplete, Some(record), Err(_)) if fault.completes => {
                let version = record.version.next();
                let (outcome, epoch) = (IdempotencyOutcome::Completed { effect: None }, fault.held);
                let record = EffectRecord { version, outcome, epoch, ..record };
                let puts = vec![(0, Some(record.encode_as(nonce)?))];
                Ok(Decision::Write { puts, then: Then::Finish(version) })
            }
            _ => decision,
        }
    }
}
