//! What saving and taking over do to a register: the [`Intent`]s of checkpoints.

use std::collections::BTreeSet;

use fabricbios_core::lease::{FenceEpoch, StaleEpochError};

use super::change::{Decision, Intent, RingBody, Then};
use crate::error::{ReplicaFailures, ReplicatedError};
use crate::metadata_store::{Record, RecordKey};
use crate::names::{
    CheckpointName, LayoutHash, LogicalResourceName, PolicyHash, ResourceGeneration, SchemaId, Version,
};
use crate::placement::{ReplicaPolicy, ReplicaSetLocator};
use crate::register::{BlobTag, Register, SavedVersion, StepMark};
use crate::ring::Nonce;

/// What a writer or reader believes of a checkpoint, checked against the register at every change.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The resource.
    pub resource: LogicalResourceName,
    /// Which of its checkpoints.
    pub checkpoint: CheckpointName,
    /// What its bytes mean.
    pub schema: SchemaId,
    /// The policy that it is written under.
    pub policy_hash: PolicyHash,
    /// Which replica set it means.
    pub generation: ResourceGeneration,
    /// The replicas of that set.
    pub layout: LayoutHash,
    /// The epoch that the handle was opened with: written into a register that is new or behind it.
    pub opened_at: FenceEpoch,
}

impl Claim {
    /// The record of the register.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey::new("checkpoint", &[self.resource.as_str(), self.checkpoint.as_str()])
    }

    /// The register in a record.
    ///
    /// # Errors
    /// [`CorruptRegister`](ReplicatedError::CorruptRegister).
    pub fn decode(&self, record: &Record) -> Result<Register, ReplicatedError> {
        Register::decode(&self.key(), &record.body)
    }

    pub(super) fn new_register(&self) -> Register {
        let set = (self.generation, self.layout);
        Register::new(self.schema.clone(), self.policy_hash, set, self.opened_at)
    }

    /// Whether the register is the one that the caller means.
    pub fn check(&self, register: &Register) -> Result<(), ReplicatedError> {
        let resource = || self.resource.clone();
        if register.schema != self.schema {
            let (expected, found) = (self.schema.clone(), register.schema.clone());
            return Err(ReplicatedError::WrongSchema { resource: resource(), expected, found });
        }
        if register.generation != self.generation {
            let (expected, found) = (self.generation, register.generation);
            return Err(ReplicatedError::WrongGeneration { resource: resource(), expected, found });
        }
        if register.layout != self.layout {
            let (expected, found, generation) = (self.layout, register.layout, self.generation);
            return Err(ReplicatedError::WrongReplicas { resource: resource(), generation, expected, found });
        }
        if register.policy != self.policy_hash {
            let (expected, found) = (self.policy_hash, register.policy);
            return Err(ReplicatedError::WrongPolicy { resource: resource(), expected, found });
        }
        Ok(())
    }

    fn stale(&self, held: FenceEpoch, current: FenceEpoch) -> ReplicatedError {
        ReplicatedError::stale(&self.resource, StaleEpochError { held, current })
    }
}

/// What an upload achieved.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// BLAKE3 of the manifest.
    pub manifest_digest: [u8; 32],
    /// How long the state is, in bytes.
    pub payload_bytes: u64,
    /// The new blob and those of the base that it refers to.
    pub blobs: Vec<BlobTag>,
    /// Which replicas hold it durably, by their place in the set.
    pub acknowledged: BTreeSet<usize>,
    /// Why the others don't.
    pub failures: ReplicaFailures,
}

/// A state that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its version.
    pub version: Version,
    /// The epoch of its writer.
    pub epoch: FenceEpoch,
}

impl Landed {
    /// That of a version on record.
    #[must_use]
    pub fn of(saved: &SavedVersion) -> Self {
        Self { version: saved.version, epoch: saved.epoch }
    }
}

/// Makes a new version of a state that is being uploaded.
#[derive(Debug)]
pub struct Save {
    claim: Claim,
    keys: [RecordKey; 1],
    policy: ReplicaPolicy,
    replicas: ReplicaSetLocator,
    expected: Version,
    epoch: FenceEpoch,
    keep_versions: usize,
    step: Option<StepMark>,
    blob_nonce: Nonce,
    /// The head that the upload may refer to. Known once the driver is told to upload.
    base: Option<SavedVersion>,
    receipt: Option<Receipt>,
    /// What the register no longer names once this save has landed.
    superseded: Vec<BlobTag>,
}

impl Save {
    #[allow(clippy::too_many_arguments, reason = "each is one field of what a save is")]
    /// A save of the version after `expected`.
    #[must_use]
    pub fn new(
        claim: Claim,
        policy: ReplicaPolicy,
        replicas: ReplicaSetLocator,
        expected: Version,
        epoch: FenceEpoch,
        keep_versions: usize,
        step: Option<StepMark>,
        blob_nonce: Nonce,
    ) -> Self {
        let keys = [claim.key()];
        Self {
            claim,
            keys,
            policy,
            replicas,
            expected,
            epoch,
            keep_versions,
            step,
            blob_nonce,
            base: None,
            receipt: None,
            superseded: Vec::new(),
        }
    }

    /// The record that it changes.
    #[must_use]
    pub fn keys(&self) -> &[RecordKey; 1] {
        &self.keys
    }

    /// The blob to upload. Only the commit that this save tries can publish it.
    #[must_use]
    pub fn tag(&self) -> BlobTag {
        BlobTag { epoch: self.epoch, version: self.expected.next(), nonce: self.blob_nonce }
    }

    /// The version before, whose chunks the upload may refer to.
    #[must_use]
    pub fn base(&self) -> Option<&SavedVersion> {
        self.base.as_ref()
    }

    /// The blobs of versions that this save has pushed out of the history: dead once it has landed.
    #[must_use]
    pub fn superseded(&self) -> &[BlobTag] {
        &self.superseded
    }

    /// The upload is over, and achieved this.
    pub fn uploaded(&mut self, receipt: Receipt) {
        self.receipt = Some(receipt);
    }

    /// What to publish, if enough replicas have it.
    fn publishable(&self, receipt: &Receipt) -> Result<SavedVersion, ReplicatedError> {
        let replicas = self.replicas.replicas();
        let voters = receipt.acknowledged.iter().filter_map(|at| replicas.get(*at)).filter(|r| r.is_voter());
        let domains: Vec<_> = voters.map(|replica| &replica.domain).collect();
        if !self.policy.is_met_by(domains.iter().copied()) {
            return Err(ReplicatedError::QuorumNotMet {
                needed: self.policy.writes(),
                acknowledged: domains.len(),
                failures: receipt.failures.clone(),
            });
        }
        Ok(SavedVersion {
            version: self.expected.next(),
            epoch: self.epoch,
            manifest: self.tag(),
            manifest_digest: receipt.manifest_digest,
            payload_bytes: receipt.payload_bytes,
            blobs: receipt.blobs.clone(),
            acknowledged: receipt.acknowledged.iter().fold(0, |bits, at| bits | 1 << at),
            step: self.step.clone(),
        })
    }
}

impl Intent for Save {
    type Body = Register;
    type Output = Landed;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<Register, ReplicatedError> {
        self.claim.decode(first)
    }

    fn decide(
        &mut self,
        first: Option<Register>,
        _: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<Landed>, ReplicatedError> {
        let conflict = |current| ReplicatedError::VersionConflict {
            checkpoint: self.claim.checkpoint.clone(),
            expected: self.expected,
            current,
        };
        let Some(register) = first else {
            if self.expected != Version::NONE {
                return Err(conflict(Version::NONE));
            }
            return write(self.claim.new_register(), nonce, Then::Again);
        };
        self.claim.check(&register)?;
        if let Some(raised) = raise(&self.claim, &register, self.epoch)? {
            return write(raised, nonce, Then::Again);
        }
        if register.version != self.expected {
            return Err(conflict(register.version));
        }
        let Some(receipt) = &self.receipt else {
            self.base = register.head().cloned();
            return Ok(Decision::Upload);
        };
        // The same version with another state: the engine was restored from an old copy since. What the upload refers to
        // may be garbage by now.
        if register.head() != self.base.as_ref() {
            return Err(conflict(register.version));
        }
        let saved = self.publishable(receipt)?;
        let landed = Landed::of(&saved);
        let before = register.blobs();
        let register = register.saved(saved, self.keep_versions);
        self.superseded = before.into_iter().filter(|blob| register.is_dead(blob)).collect();
        write(register, nonce, Then::Finish(landed))
    }
}

/// The register with the epoch that the handle was opened with, if it is behind that.
///
/// # Errors
/// The caller's epoch is behind, or was never granted.
pub(super) fn raise(
    claim: &Claim,
    register: &Register,
    held: FenceEpoch,
) -> Result<Option<Register>, ReplicatedError> {
    let current = register.epoch;
    if held < current {
        return Err(claim.stale(held, current));
    }
    if held == current {
        return Ok(None);
    }
    if held != claim.opened_at {
        return Err(ReplicatedError::UnknownEpoch { resource: claim.resource.clone(), held, current });
    }
    Ok(Some(Register { epoch: held, ..register.clone() }))
}

/// Fences every writer so far.
#[derive(Debug)]
pub struct TakeOver {
    claim: Claim,
    keys: [RecordKey; 1],
    /// The highest epoch that any replica has seen.
    seen_on_replicas: FenceEpoch,
}

impl TakeOver {
    /// A takeover that goes above the register and `seen_on_replicas`.
    #[must_use]
    pub fn new(claim: Claim, seen_on_replicas: FenceEpoch) -> Self {
        let keys = [claim.key()];
        Self { claim, keys, seen_on_replicas }
    }
}

impl Intent for TakeOver {
    type Body = Register;
    type Output = FenceEpoch;

    fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    fn decode(&self, first: &Record) -> Result<Register, ReplicatedError> {
        self.claim.decode(first)
    }

    fn decide(
        &mut self,
        first: Option<Register>,
        _: &[Option<Record>],
        nonce: Nonce,
    ) -> Result<Decision<FenceEpoch>, ReplicatedError> {
        let register = first.unwrap_or_else(|| self.claim.new_register());
        self.claim.check(&register)?;
        let highest = register.epoch.max(self.seen_on_replicas);
        let Ok(epoch) = highest.next() else {
            return Err(ReplicatedError::TooLarge { what: "epoch", limit: u64::MAX, found: highest.0 });
        };
        write(Register { epoch, ..register }, nonce, Then::Finish(epoch))
    }
}

pub(super) fn write<O>(
    register: Register,
    nonce: Nonce,
    then: Then<O>,
) -> Result<Decision<O>, ReplicatedError> {
    Ok(Decision::Write { puts: vec![(0, Some(register.encode_as(nonce)?))], then })
}

impl RingBody for Register {
    fn commits(&self) -> u64 {
        self.ring.commits()
    }

    fn has_seen(&self, nonce: Nonce, commits_before: u64) -> Option<bool> {
        self.ring.has_seen(nonce, commits_before)
    }

    fn encode_as(self, nonce: Nonce) -> Result<Vec<u8>, ReplicatedError> {
        self.committed_as(nonce).encode()
    }
}
