//! Changes of a whole store of effects: [`EffectsTakeOver`], [`RaiseLowWater`], [`ChangeGeneration`].

use fabricbios_core::lease::{FenceEpoch, StaleEpochError};

use super::EffectsClaim;
use crate::effect_record::EffectsHead;
use crate::error::ReplicatedError;
use crate::metadata_store::{Record, RecordKey};
use crate::names::ResourceGeneration;
use crate::protocol::change::{Decision, Intent, RingBody, Then};
use crate::ring::Nonce;

/// Fences every holder so far: goes above them all, or to the epoch that another store has given out.
#[derive(Debug)]
pub struct EffectsTakeOver {
    claim: EffectsClaim,
    keys: [RecordKey; 1],
    /// None for the next one.
    to: Option<FenceEpoch>,
}

impl EffectsTakeOver {
    /// A takeover to this epoch, or to the next one.
    #[must_use]
    pub fn new(claim: EffectsClaim, to: Option<FenceEpoch>) -> Self {
        let keys = [claim.head_key()];
        Self { claim, keys, to }
    }
}

impl Intent for EffectsTakeOver {
    type Body = EffectsHead;
    type Output = FenceEpoch;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<EffectsHead, ReplicatedError> {
        EffectsHead::decode(&self.claim.head_key(), &first.body)
    }

    fn decide(
        &mut self,
        first: Option<EffectsHead>,
        _: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<FenceEpoch>, ReplicatedError> {
        let current = first.as_ref().map_or(self.claim.opened_at, |head| head.epoch);
        // Whoever takes over need not be of the current epoch.
        let (head, _) = self.claim.head(first, current)?;
        let epoch = match self.to {
            None => current.next().map_err(|_| ReplicatedError::TooLarge {
                what: "epoch",
                limit: u64::MAX,
                found: current.0,
            })?,
            Some(to) if to < current => {
                let stale = StaleEpochError { held: to, current };
                return Err(ReplicatedError::stale(&self.claim.resource, stale));
            }
            Some(to) => to,
        };
        let head = EffectsHead { epoch, ..head };
        Ok(Decision::Write { puts: vec![(0, Some(head.encode_as(nonce)?))], then: Then::Finish(epoch) })
    }
}

/// Moves the low-water mark up. It never falls.
#[derive(Debug)]
pub struct RaiseLowWater {
    claim: EffectsClaim,
    keys: [RecordKey; 1],
    low_water: u64,
    epoch: FenceEpoch,
}

impl RaiseLowWater {
    /// A mark of at least `low_water`.
    #[must_use]
    pub fn new(claim: EffectsClaim, low_water: u64, epoch: FenceEpoch) -> Self {
        let keys = [claim.head_key()];
        Self { claim, keys, low_water, epoch }
    }
}

impl Intent for RaiseLowWater {
    type Body = EffectsHead;
    type Output = u64;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<EffectsHead, ReplicatedError> {
        EffectsHead::decode(&self.claim.head_key(), &first.body)
    }

    fn decide(
        &mut self,
        first: Option<EffectsHead>,
        _: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<u64>, ReplicatedError> {
        let (head, _) = self.claim.head(first, self.epoch)?;
        if head.low_water >= self.low_water {
            return Ok(Decision::Finish(head.low_water));
        }
        let head = EffectsHead { low_water: self.low_water, ..head };
        Ok(Decision::Write {
            puts: vec![(0, Some(head.encode_as(nonce)?))],
            then: Then::Finish(self.low_water),
        })
    }
}

/// Moves the store to another generation: who means an older one is refused from then on, and what he has under way is
/// conditional on a revision that is gone. Effects lie in records only, so nothing is copied.
#[derive(Debug)]
pub struct ChangeGeneration {
    claim: EffectsClaim,
    keys: [RecordKey; 1],
    to: ResourceGeneration,
    epoch: FenceEpoch,
}

impl ChangeGeneration {
    /// A change from the claim's generation, by a holder of `epoch`.
    #[must_use]
    pub fn new(claim: EffectsClaim, to: ResourceGeneration, epoch: FenceEpoch) -> Self {
        let keys = [claim.head_key()];
        Self { claim, keys, to, epoch }
    }
}

impl Intent for ChangeGeneration {
    type Body = EffectsHead;
    type Output = ResourceGeneration;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<EffectsHead, ReplicatedError> {
        EffectsHead::decode(&self.claim.head_key(), &first.body)
    }

    fn decide(
        &mut self,
        first: Option<EffectsHead>,
        _: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<ResourceGeneration>, ReplicatedError> {
        let generation = self.to;
        let is_ours = |head: &EffectsHead| head.schema == self.claim.schema;
        if first.as_ref().is_some_and(|head| is_ours(head) && head.generation == generation) {
            return Ok(Decision::Finish(generation));
        }
        let (head, _) = self.claim.head(first, self.epoch)?;
        if generation <= head.generation {
            let (resource, current) = (self.claim.resource.clone(), head.generation);
            return Err(ReplicatedError::GenerationNotNew { resource, current, asked: generation });
        }
        let head = EffectsHead { generation, ..head };
        let puts = vec![(0, Some(head.encode_as(nonce)?))];
        Ok(Decision::Write { puts, then: Then::Finish(generation) })
    }
}
