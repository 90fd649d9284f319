//! [`ChangeReplicas`]: how a checkpoint moves to another replica set.
//!
//! The blobs of every kept version are on the write quorum of the new set first; then one commit moves the register to
//! the new generation. Until then nothing has changed: a crash at any moment leaves the old set in force, and what was
//! copied makes the next attempt shorter. After it, who knows the old set is refused, and so is what he has under way:
//! his commits are conditional on a revision that is gone.
//!
//! Invariant: a register of a generation names only blobs that the write quorum of that generation's set has had whole.

use std::collections::{BTreeMap, BTreeSet};

use fabricbios_core::lease::FenceEpoch;

use super::change::{Decision, Intent, Then};
use super::checkpoint::{Claim, raise, write};
use crate::error::{ReplicaFailures, ReplicatedError};
use crate::metadata_store::{Record, RecordKey};
use crate::names::{PolicyHash, ReplicaId, ResourceGeneration, Version};
use crate::placement::{ReplicaPolicy, ReplicaSetLocator};
use crate::register::{BlobTag, Register, SavedVersion};
use crate::ring::Nonce;

/// How often what is new is copied, before saves are said to be faster.
pub(crate) const MAX_ROUNDS: u32 = 8;

/// The replicas that a resource moves to, and the policy that it is written under there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplicas {
    /// The replicas. Their generation is one that this resource has never had, also not before a restore of its engine.
    pub set: ReplicaSetLocator,
    /// The policy from then on.
    pub policy: ReplicaPolicy,
    /// What stands for the policy.
    pub policy_hash: PolicyHash,
}

/// Which replicas of the new set were seen to have which blobs whole.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    /// By their place in the new set.
    pub holders: BTreeMap<BlobTag, BTreeSet<usize>>,
    /// Why others don't have them.
    pub failures: ReplicaFailures,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The generation that the checkpoint is in now.
    pub generation: ResourceGeneration,
    /// The version that was current when it got there, or is now if it was there before.
    pub version: Version,
}

/// Moves a checkpoint to another replica set.
#[derive(Debug)]
pub struct ChangeReplicas {
    claim: Claim,
    keys: [RecordKey; 1],
    to: NewReplicas,
    epoch: FenceEpoch,
    /// The newest blob on the new replicas, from before the register was read.
    newest: Option<(ReplicaId, BlobTag)>,
    /// What the driver was told to copy.
    wanted: Vec<SavedVersion>,
    copies: Option<Copies>,
    rounds: u32,
}

impl ChangeReplicas {
    /// A change from the claim's set, by a writer of `epoch`. `newest` is the highest tag of a blob on any of the new
    /// replicas, which were listed before the change begins.
    #[must_use]
    pub fn new(
        claim: Claim,
        to: NewReplicas,
        epoch: FenceEpoch,
        newest: Option<(ReplicaId, BlobTag)>,
    ) -> Self {
        let keys = [claim.key()];
        Self { claim, keys, to, epoch, newest, wanted: Vec::new(), copies: None, rounds: 0 }
    }

    /// The versions whose blobs the new replicas are to have. Known once the driver is told to upload.
    #[must_use]
    pub fn wanted(&self) -> &[SavedVersion] {
        &self.wanted
    }

    /// The new replicas have what they could be given of what was [wanted](Self::wanted).
    pub fn copied(&mut self, copies: Copies) {
        self.copies = Some(copies);
    }

    fn is_done(&self, register: &Register) -> bool {
        let NewReplicas { set, policy_hash, .. } = &self.to;
        register.schema == self.claim.schema
            && register.generation == set.generation()
            && register.layout == set.layout()
            && register.policy == *policy_hash
    }

    /// A replica that joins must not know more than the register: then that is an old copy of itself.
    fn check_not_behind(&self, register: &Register, is_new: bool) -> Result<(), ReplicatedError> {
        let ahead = self.newest.as_ref().filter(|(_, tag)| is_new || register.is_behind(tag));
        ahead.map_or(Ok(()), |(replica, tag)| {
            Err(ReplicatedError::MetadataRegressed {
                checkpoint: self.claim.checkpoint.clone(),
                epoch: register.epoch,
                version: register.version,
                replica: replica.clone(),
                seen_epoch: tag.epoch,
                seen_version: tag.version,
            })
        })
    }

    /// The same version as it lies on the new set, if enough of its replicas have it.
    fn moved(&self, saved: &SavedVersion, copies: &Copies) -> Result<SavedVersion, ReplicatedError> {
        let replicas = self.to.set.replicas();
        let mut have_all: BTreeSet<usize> = (0..replicas.len()).collect();
        for blob in &saved.blobs {
            let holders = copies.holders.get(blob).cloned().unwrap_or_default();
            let voters =
                holders.iter().filter_map(|at| replicas.get(*at)).filter(|replica| replica.is_voter());
            let domains: Vec<_> = voters.map(|replica| &replica.domain).collect();
            if !self.to.policy.is_met_by(domains.iter().copied()) {
                return Err(ReplicatedError::QuorumNotMet {
                    needed: self.to.policy.writes(),
                    acknowledged: domains.len(),
                    failures: copies.failures.clone(),
                });
            }
            have_all.retain(|at| holders.contains(at));
        }
        let acknowledged = have_all.iter().fold(0, |bits, at| bits | 1 << at);
        Ok(SavedVersion { acknowledged, ..saved.clone() })
    }
}

impl Intent for ChangeReplicas {
    type Body = Register;
    type Output = Moved;

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
    ) -> Result<Decision<Moved>, ReplicatedError> {
        let is_new = first.is_none();
        let register = first.unwrap_or_else(|| self.claim.new_register());
        let generation = self.to.set.generation();
        if self.is_done(&register) {
            return Ok(Decision::Finish(Moved { generation, version: register.version }));
        }
        self.claim.check(&register)?;
        if generation <= register.generation {
            let (resource, current) = (self.claim.resource.clone(), register.generation);
            return Err(ReplicatedError::GenerationNotNew { resource, current, asked: generation });
        }
        if let Some(raised) = raise(&self.claim, &register, self.epoch)? {
            return write(raised, nonce, Then::Again);
        }
        self.check_not_behind(&register, is_new)?;
        let copies = match &self.copies {
            Some(copies) if register.history.iter().all(|saved| self.wanted.contains(saved)) => copies,
            None if register.history.is_empty() => &Copies::default(),
            _ if self.rounds == MAX_ROUNDS => {
                let (checkpoint, current) = (self.claim.checkpoint.clone(), register.version);
                return Err(ReplicatedError::OvertakenBySaves { checkpoint, rounds: self.rounds, current });
            }
            _ => {
                self.rounds += 1;
                self.wanted = register.history;
                return Ok(Decision::Upload);
            }
        };
        let history: Result<_, _> = register.history.iter().map(|saved| self.moved(saved, copies)).collect();
        let moved = Register {
            generation,
            layout: self.to.set.layout(),
            policy: self.to.policy_hash,
            history: history?,
            ..register
        };
        let version = moved.version;
        write(moved, nonce, Then::Finish(Moved { generation, version }))
    }
}

#[cfg(test)]
mod tests;
