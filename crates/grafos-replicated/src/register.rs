//! [`Register`]: the record that says what the current state of one checkpoint is, and who may change it.
//!
//! Pure. Its bytes are framed by [`record`](crate::record); `docs/replicated-format.md` specifies them.
//!
//! Invariants: epoch and version never fall, versions in the history are contiguous, no blob that the head or the
//! history names is dead.

use fabricbios_core::lease::FenceEpoch;
use serde::{Deserialize, Serialize};

use crate::error::ReplicatedError;
use crate::metadata_store::RecordKey;
use crate::names::{
    IdempotencyKey, LayoutHash, OperationHash, PolicyHash, ResourceGeneration, SchemaId, Version,
};
use crate::record;
use crate::ring::{Nonce, Ring};

const DIGEST_BYTES: usize = 32;

/// How many commits can be told from others that never took place.
pub const RING_LEN: usize = 64;

/// How many blobs one version can be made of: chunks that did not change stay where they are, until they lie in too
/// many places.
pub const MAX_BLOBS_PER_VERSION: usize = 8;

/// Names a blob by the only commit that could ever publish it: epoch and version of the register after that commit.
/// The nonce tells attempts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobTag {
    /// The writer's epoch.
    pub epoch: FenceEpoch,
    /// The version that it was to become.
    pub version: Version,
    /// The attempt.
    pub nonce: Nonce,
}

impl BlobTag {
    /// A blob that nobody writes: the first save of anything makes version 1.
    pub(crate) const NONE: Self = Self { epoch: FenceEpoch(0), version: Version::NONE, nonce: Nonce(0) };
}

/// One committed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedVersion {
    /// Which one.
    pub version: Version,
    /// Who made it.
    pub epoch: FenceEpoch,
    /// The blob that has its manifest; among `blobs`.
    pub manifest: BlobTag,
    /// BLAKE3 of the manifest.
    pub manifest_digest: [u8; DIGEST_BYTES],
    /// How long the state is, in bytes.
    pub payload_bytes: u64,
    /// All blobs that it is made of.
    pub blobs: Vec<BlobTag>,
    /// Which replicas acknowledged it, as bits by their place in the set.
    pub acknowledged: u32,
    /// The step that made it.
    pub step: Option<StepMark>,
}

/// The step that made a version: a retry finds it here though its effect was not completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMark {
    /// Its key.
    pub key: IdempotencyKey,
    /// What it does.
    pub operation: OperationHash,
}

/// The record of one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// What the states mean.
    pub schema: SchemaId,
    /// The policy that they are written under.
    pub policy: PolicyHash,
    /// Which replica set this is: one more with each change.
    pub generation: ResourceGeneration,
    /// The replicas of that set, by whose order [`SavedVersion::acknowledged`] counts.
    pub layout: LayoutHash,
    /// The epoch below which writers are refused.
    pub epoch: FenceEpoch,
    /// The current version.
    pub version: Version,
    /// Oldest first; the last one is the head. Empty before the first save.
    pub history: Vec<SavedVersion>,
    /// The commits that made this record.
    pub ring: Ring<RING_LEN>,
}

impl Register {
    /// Before the first save.
    pub(crate) fn new(
        schema: SchemaId,
        policy: PolicyHash,
        (generation, layout): (ResourceGeneration, LayoutHash),
        epoch: FenceEpoch,
    ) -> Self {
        Self {
            schema,
            policy,
            generation,
            layout,
            epoch,
            version: Version::NONE,
            history: Vec::new(),
            ring: Ring::default(),
        }
    }

    /// The current state, if there is one.
    #[must_use]
    pub fn head(&self) -> Option<&SavedVersion> {
        self.history.last()
    }

    /// Every blob that a kept version is made of, once, in order.
    #[must_use]
    pub fn blobs(&self) -> Vec<BlobTag> {
        let mut blobs: Vec<_> = self.history.iter().flat_map(|saved| saved.blobs.iter().copied()).collect();
        blobs.sort_unstable();
        blobs.dedup();
        blobs
    }

    /// The state of this version, if it is kept.
    #[must_use]
    pub fn at(&self, version: Version) -> Option<&SavedVersion> {
        self.history.iter().find(|saved| saved.version == version)
    }

    /// The kept version that this step made, if it made one.
    #[must_use]
    pub fn made_by(&self, step: &IdempotencyKey) -> Option<&SavedVersion> {
        self.history.iter().rev().find(|saved| saved.step.as_ref().is_some_and(|mark| mark.key == *step))
    }

    /// Whether no commit can publish the blob any more and nothing names it. Once true, it stays true: see
    /// `docs/replicated-format.md`.
    #[must_use]
    pub fn is_dead(&self, tag: &BlobTag) -> bool {
        let has_passed = (self.epoch, self.version) >= (tag.epoch, tag.version);
        has_passed && !self.history.iter().any(|saved| saved.blobs.contains(tag))
    }

    /// Whether a blob of this tag can only be there if the register has gone back since.
    #[must_use]
    pub fn is_behind(&self, tag: &BlobTag) -> bool {
        (tag.epoch, tag.version) > (self.epoch, self.version.next())
    }

    /// The same with one more commit in its ring.
    pub(crate) fn committed_as(mut self, nonce: Nonce) -> Self {
        self.ring.push(nonce);
        self
    }

    /// The same with a new head, and no more than `keep` versions.
    pub(crate) fn saved(mut self, saved: SavedVersion, keep: usize) -> Self {
        self.version = saved.version;
        self.history.push(saved);
        let too_many = self.history.len().saturating_sub(keep.max(1));
        self.history.drain(..too_many);
        self
    }

    /// The bytes of the record.
    ///
    /// # Errors
    /// [`TooLarge`](ReplicatedError::TooLarge).
    pub fn encode(&self) -> Result<Vec<u8>, ReplicatedError> {
        record::encode(record::REGISTER, self)
    }

    /// The register in these bytes.
    ///
    /// # Errors
    /// [`CorruptRegister`](ReplicatedError::CorruptRegister).
    pub fn decode(key: &RecordKey, bytes: &[u8]) -> Result<Self, ReplicatedError> {
        let register: Self = record::decode(record::REGISTER, key, bytes)?;
        if register.is_consistent() { Ok(register) } else { Err(record::inconsistent(key)) }
    }

    fn is_consistent(&self) -> bool {
        let contiguous =
            self.history.windows(2).all(|pair| matches!(pair, [a, b] if b.version == a.version.next()));
        let head_is_current = self.history.last().map_or(Version::NONE, |head| head.version) == self.version;
        let whole = |saved: &SavedVersion| {
            saved.blobs.contains(&saved.manifest) && saved.blobs.len() <= MAX_BLOBS_PER_VERSION
        };
        contiguous && head_is_current && self.ring.is_consistent() && self.history.iter().all(whole)
    }
}

#[cfg(test)]
mod tests;
