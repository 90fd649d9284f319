//! [`Download`]: a committed state on its way back, chunk by chunk, from whichever replica has a good copy.
//!
//! Chunks are read and verified on as many threads as there are processors. Memory beside the state itself: a few
//! chunks for each of those.
//!
//! Invariant: no byte is given out that was not verified against the register: the register has the manifest's digest,
//! the manifest those of the chunks. A version is never replaced by an older one.

mod ahead;
mod copy;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

pub(crate) use self::copy::verify_blob;
use self::copy::{read_chunk, read_manifest, verify};
use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::Manifest;
use crate::names::CheckpointName;
use crate::parallel::{in_parallel, threads_for};
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::SavedVersion;
use crate::replicas::Replicas;

/// Reads one committed state.
pub(crate) struct Download<'a> {
    replicas: &'a Replicas,
    space: &'a BlobSpace,
    checkpoint: &'a CheckpointName,
    saved: &'a SavedVersion,
    /// Replicas that failed, each with its first failure.
    failed: Mutex<Vec<(usize, StoreError)>>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(
        replicas: &'a Replicas,
        space: &'a BlobSpace,
        checkpoint: &'a CheckpointName,
        saved: &'a SavedVersion,
    ) -> Self {
        Self { replicas, space, checkpoint, saved, failed: Mutex::default() }
    }

    /// The manifest, from the first replica that has it whole.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable).
    pub(crate) fn manifest(&self) -> Result<Manifest, ReplicatedError> {
        self.read_from_any(|replica| read_manifest(replica, self.space, self.saved))
    }

    /// The state, in memory.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable) if no replica has a good copy of some chunk;
    /// [`TooLarge`](ReplicatedError::TooLarge) if there is not enough memory for it;
    /// [`Unsupported`](StoreError::Unsupported).
    pub(crate) fn read_all(&self, manifest: &Manifest) -> Result<Vec<u8>, ReplicatedError> {
        self.check_readable(manifest)?;
        let mut state = memory_for(manifest.payload_bytes)?;
        let chunk_bytes = usize::try_from(manifest.chunk_bytes).unwrap_or(usize::MAX).max(1);
        let chunks = state.chunks_mut(chunk_bytes).enumerate();
        in_parallel(manifest.chunks.len(), chunks, |stored: &mut Vec<u8>, (index, chunk)| {
            self.read_chunk(manifest, index, chunk, stored)
        })?;
        Ok(state)
    }

    /// Writes the state to `sink`.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable) if no replica has a good copy of some chunk;
    /// [`Store`](ReplicatedError::Store) if `sink` fails. What was written until then is good.
    /// [`Unsupported`](StoreError::Unsupported).
    pub(crate) fn copy_to(
        &self,
        manifest: &Manifest,
        sink: &mut dyn io::Write,
    ) -> Result<(), ReplicatedError> {
        self.check_readable(manifest)?;
        let write = |chunk: &[u8]| {
            sink.write_all(chunk).map_err(|cause| StoreError::Io {
                operation: "writing a loaded state",
                what: "the caller's sink".to_owned(),
                errno: cause.raw_os_error().unwrap_or(0),
            })
        };
        let read = |index: usize, chunk: &mut Vec<u8>, stored: &mut Vec<u8>| {
            chunk.resize(manifest.len_of(index), 0);
            self.read_chunk(manifest, index, chunk, stored)
        };
        ahead::in_order(manifest.chunks.len(), threads_for(manifest.chunks.len()), read, write)
    }

    /// How many replicas have every chunk of it, verified. Stops at `enough`.
    pub(crate) fn verified_copies(&self, enough: usize) -> usize {
        let mut copies = 0;
        for at in self.preferred() {
            if copies == enough {
                break;
            }
            let Some(replica) = self.replicas.iter().nth(at) else { continue };
            match verify(replica, self.space, self.saved) {
                Ok(()) => copies += 1,
                Err(error) => self.note(at, error),
            }
        }
        copies
    }

    /// What failed on the way, though the state may have been read from another replica.
    pub(crate) fn failures(&self) -> ReplicaFailures {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let named = failed
            .iter()
            .filter_map(|(at, error)| Some((self.replicas.iter().nth(*at)?.id().clone(), error.clone())));
        ReplicaFailures(named.collect())
    }

    fn read_chunk(
        &self,
        manifest: &Manifest,
        index: usize,
        chunk: &mut [u8],
        stored: &mut Vec<u8>,
    ) -> Result<(), ReplicatedError> {
        self.read_from_any(|replica| read_chunk(replica, self.space, manifest, index, chunk, stored))
    }

    fn read_from_any<T>(
        &self,
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

    /// Every replica would say the same of a chunk that this build can't read, and none of them is to blame.
    fn check_readable(&self, manifest: &Manifest) -> Result<(), ReplicatedError> {
        manifest.missing_feature().map_or(Ok(()), |feature| {
            let what = format!("checkpoint={}, version={}", self.checkpoint, self.saved.version);
            Err(StoreError::Unsupported { what, feature }.into())
        })
    }

    /// Replicas that have not failed first, those that acknowledged before those that did not.
    fn preferred(&self) -> Vec<usize> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failed: BTreeSet<_> = failed.iter().map(|(at, _)| *at).collect();
        let mut order: Vec<_> = (0..self.replicas.iter().len()).collect();
        order.sort_by_key(|at| (failed.contains(at), self.saved.acknowledged >> at & 1 == 0));
        order
    }

    fn note(&self, at: usize, error: StoreError) {
        let mut noted = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.iter().any(|(failed, _)| *failed == at) {
            noted.push((at, error));
        }
    }
}

/// Zeroed memory of the system's, which costs nothing before it is used.
fn memory_for(len_bytes: u64) -> Result<Vec<u8>, ReplicatedError> {
    let none = || {
        let limit = isize::MAX.unsigned_abs() as u64;
        ReplicatedError::TooLarge { what: "bytes of a state for this memory", limit, found: len_bytes }
    };
    let len = usize::try_from(len_bytes).map_err(|_| none())?;
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| none())
}

#[cfg(test)]
mod tests;
