//! [`Unsynced`]: replicas that acknowledge a blob when it is written, and not when it is durable. The control that the
//! rig must see fail.
//!
//! The files are where a replica has them, and a killed process loses none: only a power cut tells the difference.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use grafos_replicated::embedded::{DirectoryReplica, EmbeddedHome};
use grafos_replicated::*;

/// The replicas of a home, their syncs left out.
#[derive(Debug)]
pub(crate) struct Unsynced(EmbeddedHome);

#[derive(Debug)]
struct UnsyncedReplica(DirectoryReplica);

#[derive(Debug)]
struct UnsyncedWriter {
    file: File,
    from: PathBuf,
    to: PathBuf,
}

impl Unsynced {
    pub(crate) fn new(home: EmbeddedHome) -> Self {
        Self(home)
    }
}

impl ReplicaSource for Unsynced {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        Ok(Arc::new(UnsyncedReplica(self.0.replica(&locator.replica_id)?)))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: std::io::Error) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}

impl UnsyncedReplica {
    fn begin(&self, space: &BlobSpace, tag: &BlobTag) -> std::io::Result<UnsyncedWriter> {
        let folder = self.0.path().join(space.as_str());
        std::fs::create_dir_all(&folder)?;
        let from = folder.join(format!("{}.new", tag.file_name()));
        Ok(UnsyncedWriter { file: File::create(&from)?, from, to: folder.join(tag.file_name()) })
    }
}

impl PayloadReplica for UnsyncedReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        _: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        Ok(Box::new(self.begin(space, tag).map_err(failed)?))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.create(space, tag, max_bytes)
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.0.read(space, tag, offset, into)
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.0.len_bytes(space, tag)
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.0.list(space, after, limit)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.0.delete(space, tag)
    }
}

impl BlobWriter for UnsyncedWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(failed)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        std::fs::rename(&self.from, &self.to).map_err(failed)
    }
}
