//! [`MemoryReplica`]: blobs in the memory of one process.
//!
//! Invariant: a blob that is in the map is finished, and never changed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::payload_replica::{BlobSpace, BlobWriter, PayloadReplica};
use crate::register::BlobTag;

/// Blobs in the memory of one process. Clones share them.
///
/// ```
/// use grafos_replicated::memory::MemoryReplica;
/// use grafos_replicated::{BlobSpace, BlobTag, FenceEpoch, Nonce, PayloadReplica, Version};
///
/// # fn main() -> Result<(), grafos_replicated::StoreError> {
/// let replica = MemoryReplica::new();
/// let space = BlobSpace::new("job", "latest");
/// let tag = BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(7) };
/// let mut writer = replica.create(&space, &tag, Some(5))?;
/// writer.write(b"state")?;
/// assert!(replica.list(&space, None, 10)?.is_empty(), "not before it is finished");
/// writer.finish()?;
/// assert_eq!(replica.list(&space, None, 10)?, [tag]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryReplica {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    blobs: BTreeMap<BlobSpace, BTreeMap<BlobTag, Vec<u8>>>,
    /// Of finished blobs and of those that are being written.
    used_bytes: u64,
    limit_bytes: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { blobs: BTreeMap::new(), used_bytes: 0, limit_bytes: u64::MAX }
    }
}

impl MemoryReplica {
    /// A replica without blobs, as large as the memory of the process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A replica that is [`Full`](StoreError::Full) with so many bytes.
    #[must_use]
    pub fn with_limit_bytes(limit_bytes: u64) -> Self {
        let replica = Self::default();
        replica.lock().limit_bytes = limit_bytes;
        replica
    }

    /// How many bytes its blobs have, those included that are being written.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_blob<T>(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        look: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.lock().blob(space, tag) {
            Some(blob) => look(blob),
            None => Err(StoreError::NotFound { what: name_of(space, tag) }),
        }
    }
}

impl State {
    fn blob(&self, space: &BlobSpace, tag: &BlobTag) -> Option<&[u8]> {
        self.blobs.get(space)?.get(tag).map(Vec::as_slice)
    }
}

fn name_of(space: &BlobSpace, tag: &BlobTag) -> String {
    format!("{space}/{}", tag.file_name())
}

impl PayloadReplica for MemoryReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        if self.lock().blob(space, tag).is_some() {
            return Err(StoreError::AlreadyExists { what: name_of(space, tag) });
        }
        Ok(Box::new(MemoryWriter::new(self, space, tag, max_bytes, false)))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        Ok(Box::new(MemoryWriter::new(self, space, tag, max_bytes, true)))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.with_blob(space, tag, |blob| {
            let from = usize::try_from(offset).ok().and_then(|from| blob.get(from..));
            let Some(found) = from.and_then(|rest| rest.get(..into.len())) else {
                let problem = "the blob is shorter than it should be";
                return Err(StoreError::Corrupt { what: name_of(space, tag), problem });
            };
            into.copy_from_slice(found);
            Ok(())
        })
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.with_blob(space, tag, |blob| Ok(blob.len() as u64))
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        let state = self.lock();
        let Some(blobs) = state.blobs.get(space) else { return Ok(Vec::new()) };
        let from = after.map_or(Bound::Unbounded, |tag| Bound::Excluded(*tag));
        Ok(blobs.range((from, Bound::Unbounded)).map(|(tag, _)| *tag).take(limit).collect())
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        let mut state = self.lock();
        let Some(blobs) = state.blobs.get_mut(space) else { return Ok(()) };
        let freed = blobs.remove(tag).map_or(0, |blob| blob.len() as u64);
        if blobs.is_empty() {
            state.blobs.remove(space);
        }
        state.used_bytes -= freed;
        Ok(())
    }
}

/// A blob that is being written. Its bytes count as used until it is dropped.
#[derive(Debug)]
struct MemoryWriter {
    replica: MemoryReplica,
    space: BlobSpace,
    tag: BlobTag,
    max_bytes: Option<u64>,
    replaces: bool,
    bytes: Vec<u8>,
    /// A write has failed: what was asked for is not what is here.
    is_lost: bool,
}

impl MemoryWriter {
    fn new(
        replica: &MemoryReplica,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
        replaces: bool,
    ) -> Self {
        let (replica, space, tag) = (replica.clone(), space.clone(), *tag);
        Self { replica, space, tag, max_bytes, replaces, bytes: Vec::new(), is_lost: false }
    }

    fn append(&mut self, more: &[u8]) -> Result<(), StoreError> {
        let what = || name_of(&self.space, &self.tag);
        let (added, len) = (more.len() as u64, self.bytes.len() as u64);
        if self.max_bytes.is_some_and(|max| added > max.saturating_sub(len)) {
            let (limit, found) = (self.max_bytes.unwrap_or(u64::MAX), len.saturating_add(added));
            return Err(StoreError::TooLarge { what: what(), limit, found });
        }
        let mut state = self.replica.lock();
        if added > state.limit_bytes.saturating_sub(state.used_bytes) {
            return Err(StoreError::Full { what: what() });
        }
        if self.bytes.try_reserve(more.len()).is_err() {
            return Err(StoreError::Full { what: what() });
        }
        state.used_bytes += added;
        drop(state);
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

impl BlobWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let result = self.append(bytes);
        self.is_lost |= result.is_err();
        result
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let what = name_of(&self.space, &self.tag);
        if self.is_lost {
            return Err(StoreError::InvalidRequest {
                what,
                problem: "a blob is finished after a failed write",
            });
        }
        let replica = self.replica.clone();
        let mut state = replica.lock();
        let blobs = state.blobs.entry(self.space.clone()).or_default();
        if blobs.contains_key(&self.tag) && !self.replaces {
            // The lock is taken again when `self` goes.
            drop(state);
            return Err(StoreError::AlreadyExists { what });
        }
        let replaced = blobs.insert(self.tag, std::mem::take(&mut self.bytes));
        state.used_bytes -= replaced.map_or(0, |blob| blob.len() as u64);
        drop(state);
        Ok(())
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.replica.lock().used_bytes -= self.bytes.len() as u64;
        }
    }
}
