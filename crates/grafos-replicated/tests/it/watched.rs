//! Stores and replicas that ask before each operation: to die at it, or to let something happen in between.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::*;

type Ask = dyn Fn(&str) -> Result<(), StoreError> + Send + Sync;

/// Asked before each operation, which it names, and after a commit.
#[derive(Clone)]
struct Watcher(Arc<Ask>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

pub(crate) fn dead() -> StoreError {
    StoreError::Unavailable { reason: "the process is dead".to_owned() }
}

/// An engine over these parts that asks `watcher`.
pub(crate) fn watched(
    registers: &Arc<MemoryMetadataStore>,
    replicas: &BTreeMap<ReplicaId, MemoryReplica>,
    watcher: impl Fn(&str) -> Result<(), StoreError> + Send + Sync + 'static,
) -> Engine {
    let watcher = Watcher(Arc::new(watcher));
    let registers = WatchedRegisters { inner: registers.clone(), watcher: watcher.clone() };
    Engine::new(Arc::new(registers), Arc::new(Source { replicas: replicas.clone(), watcher }))
}

#[derive(Debug)]
struct Source {
    replicas: BTreeMap<ReplicaId, MemoryReplica>,
    watcher: Watcher,
}

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let inner = self.replicas.get(&locator.replica_id).cloned().ok_or_else(dead)?;
        Ok(Arc::new(WatchedReplica {
            inner,
            id: locator.replica_id.to_string(),
            watcher: self.watcher.clone(),
        }))
    }
}

#[derive(Debug)]
struct WatchedRegisters {
    inner: Arc<MemoryMetadataStore>,
    watcher: Watcher,
}

impl MetadataStore for WatchedRegisters {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        (self.watcher.0)("read the register")?;
        self.inner.read(key)
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        (self.watcher.0)("commit")?;
        let outcome = self.inner.commit(transaction)?;
        Ok((self.watcher.0)("committed").map_or_else(CommitOutcome::Unknown, |()| outcome))
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }
}

#[derive(Debug)]
struct WatchedReplica {
    inner: MemoryReplica,
    id: String,
    watcher: Watcher,
}

impl WatchedReplica {
    fn ask(&self, what: &str) -> Result<(), StoreError> {
        (self.watcher.0)(&format!("{what} {}", self.id))
    }

    fn writer(&self, inner: Box<dyn BlobWriter>) -> Box<dyn BlobWriter> {
        let (id, watcher) = (self.id.clone(), self.watcher.clone());
        Box::new(WatchedWriter { inner, id, watcher })
    }
}

impl PayloadReplica for WatchedReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.ask("create")?;
        Ok(self.writer(self.inner.create(space, tag, max_bytes)?))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.ask("replace")?;
        Ok(self.writer(self.inner.replace(space, tag, max_bytes)?))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.ask("read")?;
        self.inner.read(space, tag, offset, into)
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.ask("len")?;
        self.inner.len_bytes(space, tag)
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.ask("list")?;
        self.inner.list(space, after, limit)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.ask("delete")?;
        self.inner.delete(space, tag)
    }

    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.ask("make durable")?;
        self.inner.make_durable(space, tag)
    }
}

#[derive(Debug)]
struct WatchedWriter {
    inner: Box<dyn BlobWriter>,
    id: String,
    watcher: Watcher,
}

impl BlobWriter for WatchedWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        (self.watcher.0)(&format!("write {}", self.id))?;
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        (self.watcher.0)(&format!("finish {}", self.id))?;
        self.inner.finish()
    }
}
