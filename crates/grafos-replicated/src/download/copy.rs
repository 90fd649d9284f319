//! One replica's copy: its manifest, its chunks, whether they are good.

use std::collections::BTreeSet;

use crate::codec::{Stored, decompress};
use crate::error::StoreError;
use crate::manifest::{FOOTER_BYTES, Manifest, manifest_place};
use crate::parallel::in_parallel;
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::{BlobTag, SavedVersion};
use crate::replicas::Replica;

/// How much is read from the end of a blob at first: a manifest of some hundred chunks, and the footer.
const TAIL_BYTES: usize = 16 << 10;

/// Whether this one replica has the whole state.
///
/// # Errors
/// What is missing or damaged first.
pub(super) fn verify(replica: &Replica, space: &BlobSpace, saved: &SavedVersion) -> Result<(), StoreError> {
    let replica = replica.handle()?;
    let manifest = read_manifest(replica.as_ref(), space, saved)?;
    verify_chunks(replica.as_ref(), space, &manifest, (0..manifest.chunks.len()).collect())
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
    let mut verified = BTreeSet::new();
    for (saved, manifest) in versions.iter().filter(|(saved, _)| saved.blobs.contains(blob)) {
        if saved.manifest == *blob {
            read_manifest(replica.as_ref(), space, saved)?;
        }
        let Some(manifest) = manifest else { continue };
        let is_new = |(index, chunk): (usize, &crate::manifest::Chunk)| {
            let is_here = manifest.blobs.get(usize::from(chunk.blob)) == Some(blob);
            (is_here && verified.insert((chunk.offset, chunk.digest))).then_some(index)
        };
        let chunks: Vec<usize> = manifest.chunks.iter().enumerate().filter_map(is_new).collect();
        verify_chunks(replica.as_ref(), space, manifest, chunks)?;
    }
    Ok(())
}

fn verify_chunks(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    manifest: &Manifest,
    chunks: Vec<usize>,
) -> Result<(), StoreError> {
    in_parallel(chunks.len(), chunks.into_iter(), |own: &mut (Vec<u8>, Vec<u8>), index| {
        let (chunk, stored) = own;
        chunk.resize(manifest.len_of(index), 0);
        read_chunk(replica, space, manifest, index, chunk, stored)
    })
}

pub(super) fn read_manifest(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    saved: &SavedVersion,
) -> Result<Manifest, StoreError> {
    let blob = &saved.manifest;
    let corrupt = |problem| StoreError::Corrupt { what: blob.file_name(), problem };
    let blob_bytes = replica.len_bytes(space, blob)?;
    // Of most blobs, this is the manifest too.
    let mut tail = vec![0; usize::try_from(blob_bytes).map_or(TAIL_BYTES, |len| len.min(TAIL_BYTES))];
    replica.read(space, blob, blob_bytes - tail.len() as u64, &mut tail)?;
    let Some((before, footer)) = tail.split_last_chunk::<FOOTER_BYTES>() else {
        return Err(corrupt("it is shorter than a blob can be"));
    };
    let (offset, len) = manifest_place(blob, blob_bytes, footer)?;
    let read;
    let bytes = match before.len().checked_sub(len).and_then(|at| before.get(at..)) {
        Some(bytes) => bytes,
        None => {
            let mut all = vec![0; len];
            replica.read(space, blob, offset, &mut all)?;
            read = all;
            &read
        }
    };
    if *blake3::hash(bytes).as_bytes() != saved.manifest_digest {
        return Err(corrupt("its manifest is not the one that was committed"));
    }
    let manifest = Manifest::decode(bytes).map_err(corrupt)?;
    let fits = manifest.payload_bytes == saved.payload_bytes && manifest.blobs.first() == Some(blob);
    if fits { Ok(manifest) } else { Err(corrupt("its manifest contradicts the register")) }
}

/// Fills `chunk`, which has the chunk's length; `stored` is memory that may be used for it.
pub(super) fn read_chunk(
    replica: &dyn PayloadReplica,
    space: &BlobSpace,
    manifest: &Manifest,
    index: usize,
    chunk: &mut [u8],
    stored: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let corrupt = |blob: &BlobTag, problem| StoreError::Corrupt { what: blob.file_name(), problem };
    let Some(entry) = manifest.chunks.get(index) else {
        return Err(corrupt(&BlobTag::NONE, "its manifest has fewer chunks than the state"));
    };
    let blob = manifest.blobs.get(usize::from(entry.blob)).unwrap_or(&BlobTag::NONE);
    if let Some(feature) = entry.stored.missing_feature() {
        return Err(StoreError::Unsupported { what: blob.file_name(), feature });
    }
    match entry.stored {
        Stored::Plain => replica.read(space, blob, entry.offset, chunk)?,
        Stored::Zstd { .. } => {
            stored.resize(entry.stored.len_bytes(chunk.len()), 0);
            replica.read(space, blob, entry.offset, stored)?;
            decompress(stored, chunk).map_err(|problem| corrupt(blob, problem))?;
        }
    }
    if *blake3::hash(chunk).as_bytes() == entry.digest {
        return Ok(());
    }
    Err(corrupt(blob, "a chunk is not the one that was committed"))
}
