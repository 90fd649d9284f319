//! [`Download`]: a committed state on its way back, chunk by chunk, from whichever replica has a good copy.
//!
//! Invariant: no byte is given out that was not verified against the register: the register has the manifest's digest,
//! the manifest those of the chunks. A version is never replaced by an older one.

use std::collections::BTreeSet;
use std::io;

use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::{Chunk, FOOTER_BYTES, Manifest, manifest_place};
use crate::names::CheckpointName;
use crate::observe;
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::{BlobTag, SavedVersion};
use crate::replicas::{Replica, Replicas};

/// Reads one committed state.
pub(crate) struct Download<'a> {
    replicas: &'a Replicas,
    space: &'a BlobSpace,
    checkpoint: &'a CheckpointName,
    saved: &'a SavedVersion,
    /// Replicas that failed, each with its first failure.
    failed: Vec<(usize, StoreError)>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(
        replicas: &'a Replicas,
        space: &'a BlobSpace,
        checkpoint: &'a CheckpointName,
        saved: &'a SavedVersion,
    ) -> Self {
        Self { replicas, space, checkpoint, saved, failed: Vec::new() }
    }

    /// The manifest, from the first replica that has it whole.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable).
    pub(crate) fn manifest(&mut self) -> Result<Manifest, ReplicatedError> {
        let (space, saved) = (self.space, self.saved);
        self.read_from_any(|replica| read_manifest(replica, space, saved))
    }

    /// Writes the state to `sink`.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable) if no replica has a good copy of some chunk;
    /// [`Store`](ReplicatedError::Store) if `sink` fails. What was written until then is good.
    pub(crate) fn copy_to(
        &mut self,
        manifest: &Manifest,
        sink: &mut dyn io::Write,
    ) -> Result<(), ReplicatedError> {
        let mut buffer = Vec::new();
        for (index, chunk) in manifest.chunks.iter().enumerate() {
            buffer.resize(manifest.len_of(index), 0);
            let space = self.space;
            self.read_from_any(|replica| read_chunk(replica, space, manifest, chunk, &mut buffer))?;
            sink.write_all(&buffer).map_err(|cause| StoreError::Io {
                operation: "writing a loaded state",
                what: "the caller's sink".to_owned(),
                errno: cause.raw_os_error().unwrap_or(0),
            })?;
        }
        Ok(())
    }

    /// How many replicas have every chunk of it, verified. Stops at `enough`.
    pub(crate) fn verified_copies(&mut self, enough: usize) -> usize {
        let mut copies = 0;
        for at in self.preferred() {
            if copies == enough {
                break;
            }
            let Some(replica) = self.replicas.iter().nth(at) else { continue };
            match verify(replica, self.space, self.saved) {
                Ok(_) => copies += 1,
                Err(error) => self.note(at, error),
            }
        }
        copies
    }

    /// What failed on the way, though the state may have been read from another replica.
    pub(crate) fn into_failures(self) -> ReplicaFailures {
        self.failures()
    }

    pub(crate) fn failures(&self) -> ReplicaFailures {
        let named = self
            .failed
            .iter()
            .filter_map(|(at, error)| Some((self.replicas.iter().nth(*at)?.id().clone(), error.clone())));
        ReplicaFailures(named.collect())
    }

    fn read_from_any<T>(
        &mut self,
        mut read: impl FnMut(&dyn PayloadReplica) -> Result<T, StoreError>,
    ) -> Result<T, ReplicatedError> {
        for at in self.preferred() {
            let Some(replica) = self.replicas.iter().nth(at) else { continue };
            match replica.handle().and_then(|replica| read(replica.as_ref())) {
                Ok(found) => return Ok(found),
                Err(error) => self.note(at, error),
            }
        }
        Err(ReplicatedError::PayloadUnavailable {
            checkpoint: self.checkpoint.clone(),
            version: self.saved.version,
            failures: self.failures(),
        })
    }

    /// Replicas that have not failed first, those that acknowledged before those that did not.
    fn preferred(&self) -> Vec<usize> {
        let failed: BTreeSet<_> = self.failed.iter().map(|(at, _)| *at).collect();
        let mut order: Vec<_> = (0..self.replicas.iter().len()).collect();
        order.sort_by_key(|at| (failed.contains(at), self.saved.acknowledged >> at & 1 == 0));
        order
    }

    fn note(&mut self, at: usize, error: StoreError) {
        if !self.failed.iter().any(|(failed, _)| *failed == at) {
            observe::copy_failed(&error);
            self.failed.push((at, error));
        }
    }
}

/// Whether this one replica has the whole state, and its manifest.
///
/// # Errors
/// What is missing or damaged first.
pub(crate) fn verify(
    replica: &Replica,
    space: &BlobSpace,
    saved: &SavedVersion,
) -> Result<Manifest, StoreError> {
    let replica = replica.handle()?;
    let manifest = read_manifest(replica.as_ref(), space, saved)?;
    let mut buffer = Vec::new();
    for (index, chunk) in manifest.chunks.iter().enumerate() {
        buffer.resize(manifest.len_of(index), 0);
        read_chunk(replica.as_ref(), space, &manifest, chunk, &mut buffer)?;
    }
    Ok(manifest)
}

/// Whether this replica's copy of a blob holds what the versions that are made of it need.
///
/// # Errors
/// What is missing or damaged first.
pub(crate) fn verify_blob(
    replica: &Replica,
    space: &BlobSpace,
    versions: &[(SavedVersion, Option<Manifest>)],
    blob: &BlobTag,
) -> Result<(), StoreError> {
    let replica = replica.handle()?;
    replica.len_bytes(space, blob)?;
    let (mut buffer, mut verified) = (Vec::new(), BTreeSet::new());
    for (saved, manifest) in versions.iter().filter(|(saved, _)| saved.blobs.contains(blob)) {
        if saved.manifest == *blob {
            read_manifest(replica.as_ref(), space, saved)?;
        }
        let Some(manifest) = manifest else { continue };
        for (index, chunk) in manifest.chunks.iter().enumerate() {
            let is_here = manifest.blobs.get(usize::from(chunk.blob)) == Some(blob);
            if is_here && verified.insert((chunk.offset, chunk.digest)) {
                buffer.resize(manifest.len_of(index), 0);
                read_chunk(replica.as_ref(), space, manifest, chunk, &mut buffer)?;
            }
        }
    }
    Ok(())
}

fn read_manifest(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    saved: &SavedVersion,
) -> Result<Manifest, StoreError> {
    let blob = &saved.manifest;
    let corrupt = |problem| StoreError::Corrupt { what: blob.file_name(), problem };
    let blob_bytes = replica.len_bytes(space, blob)?;
    let end =
        blob_bytes.checked_sub(FOOTER_BYTES as u64).ok_or(corrupt("it is shorter than a blob can be"))?;
    let mut footer = [0; FOOTER_BYTES];
    replica.read(space, blob, end, &mut footer)?;
    let (offset, len) = manifest_place(blob, blob_bytes, &footer)?;
    let mut bytes = vec![0; len];
    replica.read(space, blob, offset, &mut bytes)?;
    if *blake3::hash(&bytes).as_bytes() != saved.manifest_digest {
        return Err(corrupt("its manifest is not the one that was committed"));
    }
    let manifest = Manifest::decode(&bytes).map_err(corrupt)?;
    let fits = manifest.payload_bytes == saved.payload_bytes && manifest.blobs.first() == Some(blob);
    if fits { Ok(manifest) } else { Err(corrupt("its manifest contradicts the register")) }
}

/// Fills `buffer`, which has the chunk's length.
fn read_chunk(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    manifest: &Manifest,
    chunk: &Chunk,
    buffer: &mut [u8],
) -> Result<(), StoreError> {
    let blob = manifest.blobs.get(usize::from(chunk.blob)).unwrap_or(&BlobTag::NONE);
    replica.read(space, blob, chunk.offset, buffer)?;
    if *blake3::hash(buffer).as_bytes() == chunk.digest {
        return Ok(());
    }
    Err(StoreError::Corrupt { what: blob.file_name(), problem: "a chunk is not the one that was committed" })
}
