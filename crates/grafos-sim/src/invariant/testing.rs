//! Facts made by hand.

use grafos_replicated::{
    BlobTag, EffectRecord, EffectsHead, FenceEpoch, IdempotencyOutcome, LayoutHash, Nonce, OperationHash,
    PolicyHash, Register, ResourceGeneration, Ring, SavedVersion, SchemaId, Version,
};

use crate::fact::{Aim, Op};
use crate::state::Space;

pub(super) fn tag(epoch: u64, version: u64) -> BlobTag {
    BlobTag { epoch: FenceEpoch(epoch), version: Version(version), nonce: Nonce(u128::from(version)) }
}

pub(super) fn saved(epoch: u64, version: u64) -> SavedVersion {
    let manifest = tag(epoch, version);
    SavedVersion {
        version: Version(version),
        epoch: FenceEpoch(epoch),
        manifest,
        manifest_digest: [0; 32],
        payload_bytes: 24,
        blobs: vec![manifest],
        acknowledged: 0b11,
        step: None,
    }
}

/// A register at this epoch, with these versions, all of that epoch.
pub(super) fn register(epoch: u64, versions: impl Iterator<Item = u64>) -> Register {
    let history: Vec<_> = versions.map(|version| saved(epoch, version)).collect();
    Register {
        schema: SchemaId::new("s"),
        policy: PolicyHash([0; 32]),
        generation: ResourceGeneration(1),
        layout: LayoutHash([0; 32]),
        epoch: FenceEpoch(epoch),
        version: history.last().map_or(Version::NONE, |head| head.version),
        history,
        ring: Ring::default(),
    }
}

pub(super) fn save(id: u64, epoch: u64, expected: u64) -> Op {
    Op {
        id,
        space: Space::Plain,
        aim: Aim::Save { expected, payload: id, step: None },
        epoch,
        generations: [1; 3],
        era: 0,
    }
}

pub(super) fn step(id: u64, epoch: u64, expected: u64, step: u64) -> Op {
    Op {
        id,
        space: Space::Job,
        aim: Aim::Save { expected, payload: id, step: Some(step) },
        epoch,
        generations: [1; 3],
        era: 0,
    }
}

pub(super) fn read(id: u64) -> Op {
    Op { id, space: Space::Plain, aim: Aim::Read, epoch: 0, generations: [1; 3], era: 0 }
}

pub(super) fn head(epoch: u64, low_water: u64) -> EffectsHead {
    EffectsHead {
        schema: SchemaId::new("s"),
        generation: ResourceGeneration(1),
        epoch: FenceEpoch(epoch),
        low_water,
        ring: Ring::default(),
    }
}

pub(super) fn effect(epoch: u64, version: u64, outcome: IdempotencyOutcome) -> EffectRecord {
    EffectRecord {
        operation: OperationHash([0; 32]),
        sequence: Some(1),
        epoch: FenceEpoch(epoch),
        holder: Nonce(1),
        version: Version(version),
        outcome,
        ring: Ring::default(),
    }
}
