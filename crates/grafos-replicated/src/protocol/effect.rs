//! What reserving and settling do to the record of an effect: the [`Intent`]s of the store of effects.
//!
//! Every change is guarded by the record's revision and by that of the store's head, so that neither a newer writer nor
//! a raised low-water mark can come in between.

mod store;

use fabricbios_core::lease::{FenceEpoch, StaleEpochError};

use super::change::{Decision, Intent, RingBody, Then};
use crate::effect_record::{EffectRecord, EffectsHead, IdempotencyOutcome, MAX_EFFECT_BYTES};
use crate::error::ReplicatedError;
use crate::metadata_store::{Record, RecordKey};
use crate::names::{
    IdempotencyKey, LogicalResourceName, OperationHash, ResourceGeneration, SchemaId, Version,
};
use crate::ring::{Nonce, Ring};

pub use store::{ChangeGeneration, EffectsTakeOver, RaiseLowWater};

/// What a holder believes of a store of effects.
#[derive(Clone, Debug)]
pub struct EffectsClaim {
    /// The resource.
    pub resource: LogicalResourceName,
    /// What its effects mean.
    pub schema: SchemaId,
    /// The layout of the replica set.
    pub generation: ResourceGeneration,
    /// The epoch that the handle was opened with.
    pub opened_at: FenceEpoch,
    /// Tells this handle from others of the same epoch.
    pub holder: Nonce,
}

impl EffectsClaim {
    /// The record of the store.
    #[must_use]
    pub fn head_key(&self) -> RecordKey {
        RecordKey::new("effects", &[self.resource.as_str()])
    }

    /// The record of a key.
    #[must_use]
    pub fn key(&self, key: &IdempotencyKey) -> RecordKey {
        RecordKey::new("effect", &[self.resource.as_str(), key.as_str()])
    }

    /// The head as it is, or as it will be once this handle has written: new, or raised to its epoch. The second is
    /// whether it must be written.
    ///
    /// # Errors
    /// The store is not the one that was meant, or the epoch is not the current one.
    pub fn head(
        &self,
        head: Option<EffectsHead>,
        held: FenceEpoch,
    ) -> Result<(EffectsHead, bool), ReplicatedError> {
        let is_new = head.is_none();
        let head = head.unwrap_or_else(|| EffectsHead {
            schema: self.schema.clone(),
            generation: self.generation,
            epoch: self.opened_at,
            low_water: 0,
            ring: Ring::default(),
        });
        let resource = || self.resource.clone();
        if head.schema != self.schema {
            let (expected, found) = (self.schema.clone(), head.schema);
            return Err(ReplicatedError::WrongSchema { resource: resource(), expected, found });
        }
        if head.generation != self.generation {
            let (expected, found) = (self.generation, head.generation);
            return Err(ReplicatedError::WrongGeneration { resource: resource(), expected, found });
        }
        let current = head.epoch;
        if held < current {
            return Err(ReplicatedError::stale(&self.resource, StaleEpochError { held, current }));
        }
        if held > current && held != self.opened_at {
            return Err(ReplicatedError::UnknownEpoch { resource: resource(), held, current });
        }
        Ok((EffectsHead { epoch: held, ..head }, is_new || held > current))
    }

    pub(super) fn head_of(
        &self,
        others: &[Option<Record>],
        at: usize,
    ) -> Result<Option<EffectsHead>, ReplicatedError> {
        let record = others.get(at).and_then(Option::as_ref);
        record.map(|record| EffectsHead::decode(&self.head_key(), &record.body)).transpose()
    }
}

/// What [`Reserve`] found, and what it made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// How it came about.
    pub kind: ReservationKind,
    /// The version of the record.
    pub version: Version,
    /// What is recorded.
    pub outcome: IdempotencyOutcome,
}

/// How a reservation came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReservationKind {
    /// Nobody had it: do the step.
    Fresh,
    /// This handle had it already: go on with the step, or start it again.
    Resumed,
    /// A fenced writer had it, and may have done some of the step: look before you repeat what can't be repeated.
    TakenOver,
    /// The step was done: take its outcome, don't do it again.
    Completed,
}

/// Takes a key.
#[derive(Debug)]
pub struct Reserve {
    claim: EffectsClaim,
    keys: [RecordKey; 2],
    key: IdempotencyKey,
    operation: OperationHash,
    sequence: Option<u64>,
    epoch: FenceEpoch,
}

impl Reserve {
    /// A reservation of `key` for what `operation` stands for.
    #[must_use]
    pub fn new(
        claim: EffectsClaim,
        key: IdempotencyKey,
        operation: OperationHash,
        sequence: Option<u64>,
        epoch: FenceEpoch,
    ) -> Self {
        let keys = [claim.key(&key), claim.head_key()];
        Self { claim, keys, key, operation, sequence, epoch }
    }
}

impl Intent for Reserve {
    type Body = EffectRecord;
    type Output = Reserved;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<EffectRecord, ReplicatedError> {
        EffectRecord::decode(&self.claim.key(&self.key), &first.body)
    }

    fn decide(
        &mut self,
        first: Option<EffectRecord>,
        others: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Reserved>, ReplicatedError> {
        let (head, is_head_new) = self.claim.head(self.claim.head_of(others, 0)?, self.epoch)?;
        let (kind, before) = match first {
            None => {
                self.check_not_retired(&head)?;
                (ReservationKind::Fresh, None)
            }
            Some(record) => match self.found(&record)? {
                Some(kind) if kind == ReservationKind::Completed || kind == ReservationKind::Resumed => {
                    let (version, outcome) = (record.version, record.outcome);
                    return Ok(Decision::Finish(Reserved { kind, version, outcome }));
                }
                kind => (kind.unwrap_or(ReservationKind::Fresh), Some(record)),
            },
        };
        let (version, ring) =
            before.map_or((Version::NONE, Ring::default()), |record| (record.version, record.ring));
        let record = EffectRecord {
            operation: self.operation,
            sequence: self.sequence,
            epoch: self.epoch,
            holder: self.claim.holder,
            version: version.next(),
            outcome: IdempotencyOutcome::Reserved,
            ring,
        };
        let reserved = Reserved { kind, version: record.version, outcome: IdempotencyOutcome::Reserved };
        let mut puts = vec![(0, Some(record.encode_as(nonce)?))];
        if is_head_new {
            puts.push((1, Some(head.encode_as(nonce)?)));
        }
        Ok(Decision::Write { puts, then: Then::Finish(reserved) })
    }
}

impl Reserve {
    /// What an existing record means for this caller; `None` if it was abandoned.
    fn found(&self, record: &EffectRecord) -> Result<Option<ReservationKind>, ReplicatedError> {
        if record.operation != self.operation {
            let (key, expected, found) = (self.key.clone(), self.operation, record.operation);
            return Err(ReplicatedError::FingerprintConflict { key, expected, found });
        }
        match record.outcome {
            IdempotencyOutcome::Completed { .. } => Ok(Some(ReservationKind::Completed)),
            IdempotencyOutcome::Abandoned => Ok(None),
            IdempotencyOutcome::Reserved if record.epoch < self.epoch => Ok(Some(ReservationKind::TakenOver)),
            IdempotencyOutcome::Reserved if record.holder == self.claim.holder => {
                Ok(Some(ReservationKind::Resumed))
            }
            IdempotencyOutcome::Reserved => {
                Err(ReplicatedError::InProgress { key: self.key.clone(), epoch: record.epoch })
            }
        }
    }

    fn check_not_retired(&self, head: &EffectsHead) -> Result<(), ReplicatedError> {
        match self.sequence {
            Some(sequence) if sequence < head.low_water => {
                Err(ReplicatedError::Retired { key: self.key.clone(), sequence, low_water: head.low_water })
            }
            _ => Ok(()),
        }
    }
}

/// Says what became of a step that this handle has reserved.
#[derive(Debug)]
pub struct Settle {
    pub(super) claim: EffectsClaim,
    pub(super) keys: [RecordKey; 2],
    pub(super) key: IdempotencyKey,
    pub(super) version: Version,
    outcome: IdempotencyOutcome,
    pub(super) epoch: FenceEpoch,
}

impl Settle {
    /// `outcome` is what became of the step that the claim's holder reserved as `version`.
    #[must_use]
    pub fn new(
        claim: EffectsClaim,
        key: IdempotencyKey,
        version: Version,
        outcome: IdempotencyOutcome,
        epoch: FenceEpoch,
    ) -> Self {
        let keys = [claim.key(&key), claim.head_key()];
        Self { claim, keys, key, version, outcome, epoch }
    }
}

impl Intent for Settle {
    type Body = EffectRecord;
    type Output = Version;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<EffectRecord, ReplicatedError> {
        EffectRecord::decode(&self.claim.key(&self.key), &first.body)
    }

    fn decide(
        &mut self,
        first: Option<EffectRecord>,
        others: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Version>, ReplicatedError> {
        let (head, is_head_new) = self.claim.head(self.claim.head_of(others, 0)?, self.epoch)?;
        let Settled::Now(record) = self.settled(first)? else {
            return Ok(Decision::Finish(self.version.next()));
        };
        let version = record.version;
        let mut puts = vec![(0, Some(record.encode_as(nonce)?))];
        if is_head_new {
            puts.push((1, Some(head.encode_as(nonce)?)));
        }
        Ok(Decision::Write { puts, then: Then::Finish(version) })
    }
}

/// Whether a step still has to be settled.
pub(super) enum Settled {
    /// By an earlier call with the same outcome.
    Before,
    Now(EffectRecord),
}

impl Settle {
    pub(super) fn settled(&self, record: Option<EffectRecord>) -> Result<Settled, ReplicatedError> {
        let lost = |current| {
            Err(ReplicatedError::ReservationLost { key: self.key.clone(), held: self.version, current })
        };
        if let IdempotencyOutcome::Completed { effect: Some(effect) } = &self.outcome
            && effect.len() > MAX_EFFECT_BYTES
        {
            let (limit, found) = (MAX_EFFECT_BYTES as u64, effect.len() as u64);
            return Err(ReplicatedError::TooLarge { what: "bytes of an effect", limit, found });
        }
        let Some(record) = record else { return lost(Version::NONE) };
        let is_ours = record.holder == self.claim.holder && record.epoch == self.epoch;
        if is_ours && record.version == self.version.next() && record.outcome == self.outcome {
            return Ok(Settled::Before);
        }
        if !is_ours || record.version != self.version || record.outcome != IdempotencyOutcome::Reserved {
            return lost(record.version);
        }
        let version = record.version.next();
        Ok(Settled::Now(EffectRecord { version, outcome: self.outcome.clone(), ..record }))
    }
}
