//! States whose chunks lie there as another build, or nobody honest, has stored them.

use std::sync::Arc;

use fabricbios_core::lease::FenceEpoch;

use super::*;
use crate::codec::Stored;
use crate::engine::{Engine, ReplicaSource};
use crate::manifest::{Chunk, footer};
use crate::memory::{MemoryMetadataStore, MemoryReplica};
use crate::names::{ReplicaId, ResourceGeneration, Version};
use crate::placement::{FailureDomain, ReplicaHealth, ReplicaLocator, ReplicaRole, ReplicaSetLocator};
use crate::register::BlobTag;
use crate::ring::Nonce;

#[derive(Debug)]
struct One(MemoryReplica);

impl ReplicaSource for One {
    fn open(&self, _: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// What comes of loading a state of one chunk, of `len` zeros, that is stored like this.
fn loaded(len: usize, stored: Stored, stored_bytes: &[u8]) -> Result<Vec<u8>, ReplicatedError> {
    let (space, tag) = (
        BlobSpace::new("job", "latest"),
        BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(1) },
    );
    let mut manifest = Manifest::new(tag, 1 << 20);
    manifest.payload_bytes = len as u64;
    let digest = *blake3::hash(&vec![0; len]).as_bytes();
    manifest.chunks.push(Chunk { blob: 0, offset: 0, digest, stored });
    let encoded = manifest.encode().unwrap();
    let replica = MemoryReplica::new();
    let mut writer = replica.create(&space, &tag, None).unwrap();
    for part in [stored_bytes, &encoded, &footer(encoded.len())] {
        writer.write(part).unwrap();
    }
    writer.finish().unwrap();
    let saved = SavedVersion {
        version: Version(1),
        epoch: FenceEpoch(1),
        manifest: tag,
        manifest_digest: *blake3::hash(&encoded).as_bytes(),
        payload_bytes: len as u64,
        blobs: vec![tag],
        acknowledged: 1,
        step: None,
    };
    let locator = ReplicaLocator {
        replica_id: ReplicaId::new("a"),
        domain: FailureDomain::cell("local", "a"),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    let engine = Engine::new(Arc::new(MemoryMetadataStore::new()), Arc::new(One(replica)));
    let replicas = Replicas::of(&engine, &ReplicaSetLocator::new(ResourceGeneration(1), vec![locator]));
    let name = CheckpointName::new("latest");
    let download = Download::new(&replicas, &space, &name, &saved);
    let manifest = download.manifest()?;
    let all = download.read_all(&manifest)?;
    let mut streamed = Vec::new();
    download.copy_to(&manifest, &mut streamed)?;
    assert!(all == streamed);
    Ok(all)
}

#[test]
fn a_chunk_that_is_stored_as_it_is_comes_back() {
    assert_eq!(loaded(1000, Stored::Plain, &[0; 1000]), Ok(vec![0; 1000]));
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_build_without_the_feature_says_which_one_a_state_takes() {
    let refused = loaded(1000, Stored::Zstd { stored_bytes: 20 }, &[0; 20]).unwrap_err();
    let ReplicatedError::Store(StoreError::Unsupported { what, feature: "zstd" }) = &refused else {
        panic!("{refused}");
    };
    assert!(what.contains("latest"), "{what}");
    assert!(refused.to_string().contains("built without the feature zstd"), "{refused}");
}

#[cfg(feature = "zstd")]
#[test]
fn what_unpacks_to_more_or_less_than_its_chunk_is_damage() {
    let packed = |len: usize| zstd::bulk::compress(&vec![0; len], 3).unwrap();
    let load = |frame: &[u8]| {
        let stored_bytes = u32::try_from(frame.len()).unwrap();
        loaded(50_000, Stored::Zstd { stored_bytes }, frame)
    };
    assert_eq!(load(&packed(50_000)), Ok(vec![0; 50_000]));
    for len in [0, 49_999, 50_001, 256 << 20] {
        let refused = load(&packed(len)).unwrap_err();
        assert!(matches!(refused, ReplicatedError::PayloadUnavailable { .. }), "len={len}: {refused}");
    }
    let two = [packed(25_000), packed(25_001)].concat();
    assert!(load(&two).is_err());
}

#[test]
fn a_state_that_says_it_is_larger_than_memory_can_be_is_refused() {
    for len in [u64::MAX, 1 << 60] {
        let refused = memory_for(len).unwrap_err();
        assert!(matches!(refused, ReplicatedError::TooLarge { found, .. } if found == len), "{refused}");
    }
    assert_eq!(memory_for(3).unwrap(), [0; 3]);
}
