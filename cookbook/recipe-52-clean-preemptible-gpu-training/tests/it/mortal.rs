//! [`mortal`]: an engine whose process dies, or is cut off for a while, at a chosen operation.
//!
//! From that operation on everything fails, as it does for a process that is no more, until the engine comes back if it
//! ever does. The operation itself was either never done, or done and its answer lost. A [`Life`] can also end in earnest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grafos_replicated::*;
use rustix::process::{Signal, getpid, kill_process};

/// Counts the operations on registers and replicas together.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    operations: Arc<AtomicU64>,
    dies_at: u64,
    comes_back_at: Arc<AtomicU64>,
    does_the_last: bool,
    /// Whether this is a matter of life and death.
    kills: bool,
}

enum Fate {
    Lives,
    /// The operation is done, and nobody hears of it.
    LastWord,
    Dead,
}

impl Life {
    pub(crate) fn immortal() -> Self {
        Self::until(u64::MAX, false)
    }

    /// Dies at operation `dies_at`, counted from 0; `does_the_last` is whether that is still done.
    pub(crate) fn until(dies_at: u64, does_the_last: bool) -> Self {
        Self::cut_off(dies_at, u64::MAX, does_the_last)
    }

    /// Fails from operation `dies_at` to the one before `comes_back_at`.
    pub(crate) fn cut_off(dies_at: u64, comes_back_at: u64, does_the_last: bool) -> Self {
        let comes_back_at = Arc::new(AtomicU64::new(comes_back_at));
        Self { operations: Arc::default(), dies_at, comes_back_at, does_the_last, kills: false }
    }

    /// Before operation `dies_at` the process gets a SIGKILL from itself.
    pub(crate) fn really_until(dies_at: u64) -> Self {
        Self { kills: true, ..Self::until(dies_at, false) }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    /// It was only cut off: from now on everything works.
    pub(crate) fn come_back(&self) {
        self.comes_back_at.store(0, Ordering::SeqCst);
    }

    fn next(&self) -> Fate {
        let operation = self.operations.fetch_add(1, Ordering::SeqCst);
        if self.kills && operation == self.dies_at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        if operation < self.dies_at || operation >= self.comes_back_at.load(Ordering::SeqCst) {
            Fate::Lives
        } else if operation == self.dies_at && self.does_the_last {
            Fate::LastWord
        } else {
            Fate::Dead
        }
    }

    fn run<T>(&self, operation: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.next() {
            Fate::Lives => operation(),
            Fate::LastWord => operation().and(Err(dead())),
            Fate::Dead => Err(dead()),
        }
    }
}

fn dead() -> StoreError {
    StoreError::Unavailable { reason: "the process is dead".to_owned() }
}

/// The engine, in the hands of a process of this life.
pub(crate) fn mortal(engine: &Engine, life: &Life) -> Engine {
    let registers = MortalStore { inner: Arc::clone(engine.registers()), life: life.clone() };
    let replicas = MortalSource { inner: Arc::clone(engine.replicas()), life: life.clone() };
    Engine::new(Arc::new(registers), Arc::new(replicas))
}

#[derive(Debug)]
pub(crate) struct MortalStore {
    inner: Arc<dyn MetadataStore>,
    life: Life,
}

impl MortalStore {
    pub(crate) fn new(inner: impl MetadataStore + 'static, life: &Life) -> Self {
        Self { inner: Arc::new(inner), life: life.clone() }
    }
}

impl MetadataStore for MortalStore {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.life.run(|| self.inner.read(key))
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        match self.life.next() {
            Fate::Lives => self.inner.commit(transaction),
            // A commit that was done must never be answered with an error.
            Fate::LastWord => self.inner.commit(transaction).map(|_| CommitOutcome::Unknown(dead())),
            Fate::Dead => Err(dead()),
        }
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        self.life.run(|| self.inner.scan(prefix, after, limit))
    }
}

#[derive(Debug)]
struct MortalSource {
    inner: Arc<dyn ReplicaSource>,
    life: Life,
}

impl ReplicaSource for MortalSource {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        // Not counted: how often a replica is opened is the library's own affair.
        Ok(Arc::new(MortalReplica { inner: self.inner.open(locator)?, life: self.life.clone() }))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct MortalReplica {
    inner: Arc<dyn PayloadReplica>,
    life: Life,
}

impl MortalReplica {
    pub(crate) fn new(inner: impl PayloadReplica + 'static, life: &Life) -> Self {
        Self { inner: Arc::new(inner), life: life.clone() }
    }

    fn mortal(&self, inner: Box<dyn BlobWriter>) -> Box<dyn BlobWriter> {
        Box::new(MortalWriter { inner, life: self.life.clone() })
    }
}

impl PayloadReplica for MortalReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.life.run(|| self.inner.create(space, tag, max_bytes)).map(|writer| self.mortal(writer))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.life.run(|| self.inner.replace(space, tag, max_bytes)).map(|writer| self.mortal(writer))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.life.run(|| self.inner.read(space, tag, offset, into))
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.life.run(|| self.inner.len_bytes(space, tag))
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.life.run(|| self.inner.list(space, after, limit))
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.life.run(|| self.inner.delete(space, tag))
    }

    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.life.run(|| self.inner.make_durable(space, tag))
    }
}

#[derive(Debug)]
struct MortalWriter {
    inner: Box<dyn BlobWriter>,
    life: Life,
}

impl BlobWriter for MortalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.life.run(|| self.inner.write(bytes))
    }

    fn stage(&mut self) -> Result<(), StoreError> {
        self.life.run(|| self.inner.stage())
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, life } = *self;
        life.run(|| inner.finish())
    }
}
