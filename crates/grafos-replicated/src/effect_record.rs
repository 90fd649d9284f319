//! [`EffectRecord`] and [`EffectsHead`]: the records of steps that happen once. Pure: bytes in, bytes out.
//!
//! Laid out like a [`Register`](crate::Register), with magics of their own: see [`record`](crate::record).

use fabricbios_core::lease::FenceEpoch;
use serde::{Deserialize, Serialize};

use crate::error::ReplicatedError;
use crate::metadata_store::RecordKey;
use crate::names::{OperationHash, ResourceGeneration, SchemaId, Version};
use crate::protocol::change::RingBody;
use crate::record;
use crate::ring::{Nonce, Ring};

/// The largest outcome that is recorded with an effect, in bytes.
pub const MAX_EFFECT_BYTES: usize = 32 << 10;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum IdempotencyOutcome {
    /// Somebody is at it.
    Reserved,
    /// It was done, with this result for whoever asks again.
    Completed {
        /// What the step wants to be remembered; at most [`MAX_EFFECT_BYTES`].
        effect: Option<Vec<u8>>,
    },
    /// It was given up before it had any effect: the next to reserve it starts afresh.
    Abandoned,
}

/// The record of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRecord {
    /// What the step does.
    pub operation: OperationHash,
    /// Its place in an order of the caller's own; without one it is never forgotten.
    pub sequence: Option<u64>,
    /// The epoch of its holder.
    pub epoch: FenceEpoch,
    /// Tells holders of one epoch apart.
    pub holder: Nonce,
    /// Counts the changes that mean something.
    pub version: Version,
    /// What became of it.
    pub outcome: IdempotencyOutcome,
    /// The commits that made this record.
    pub ring: Ring<8>,
}

/// The record of a whole store of effects. Every change of a key is guarded by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectsHead {
    /// What the effects mean.
    pub schema: SchemaId,
    /// The layout of the replica set.
    pub generation: ResourceGeneration,
    /// The epoch below which holders are refused.
    pub epoch: FenceEpoch,
    /// Keys with a lower sequence are settled and forgotten.
    pub low_water: u64,
    /// The commits that made this record.
    pub ring: Ring<64>,
}

impl EffectRecord {
    /// The record in these bytes.
    ///
    /// # Errors
    /// It does not verify.
    pub fn decode(key: &RecordKey, bytes: &[u8]) -> Result<Self, ReplicatedError> {
        let record: Self = record::decode(record::EFFECT, key, bytes)?;
        if record.ring.is_consistent() { Ok(record) } else { Err(record::inconsistent(key)) }
    }
}

impl EffectsHead {
    /// The record in these bytes.
    ///
    /// # Errors
    /// It does not verify.
    pub fn decode(key: &RecordKey, bytes: &[u8]) -> Result<Self, ReplicatedError> {
        let head: Self = record::decode(record::EFFECTS_HEAD, key, bytes)?;
        if head.ring.is_consistent() { Ok(head) } else { Err(record::inconsistent(key)) }
    }
}

impl RingBody for EffectRecord {
    fn commits(&self) -> u64 {
        self.ring.commits()
    }

    fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool> {
        self.ring.has_seen(nonce, commits_before)
    }

    fn encode_as(mut self, nonce: Nonce) -> Result<Vec<u8>, ReplicatedError> {
        self.ring.push(nonce);
        record::encode(record::EFFECT, &self)
    }
}

impl RingBody for EffectsHead {
    fn commits(&self) -> u64 {
        self.ring.commits()
    }

    fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool> {
        self.ring.has_seen(nonce, commits_before)
    }

    fn encode_as(mut self, nonce: Nonce) -> Result<Vec<u8>, ReplicatedError> {
        self.ring.push(nonce);
        record::encode(record::EFFECTS_HEAD, &self)
    }
}
