//! Payloads on replicas that fail, block, panic or flip bits while they are written or read.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::testing::{FaultPlan, FaultyReplica, ReplicaFault};
use grafos_replicated::*;

use crate::world::{layout, name, payload};

const MIB: usize = 1 << 20;

fn checkpoints(engine: &Engine) -> ReplicatedCheckpoint {
    let (policy, set) = layout();
    ReplicatedCheckpoint::new_on(
        engine,
        LogicalResourceName::new("job"),
        SchemaId::new("state.v1"),
        FenceEpoch(1),
        policy,
        set,
        PolicyHash([1; 32]),
    )
    .unwrap()
}

const IDS: [&str; 3] = ["a", "b", "c"];

/// Replicas in memory, of which the one at place `odd` is another.
#[derive(Debug)]
struct Source {
    odd: usize,
    replica: Arc<dyn PayloadReplica>,
    usual: [MemoryReplica; 3],
}

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let at = IDS.iter().position(|id| *id == locator.replica_id.as_str()).unwrap();
        Ok(if at == self.odd { Arc::clone(&self.replica) } else { Arc::new(self.usual[at].clone()) })
    }
}

fn engine_with(odd: usize, replica: impl PayloadReplica + 'static) -> Engine {
    let source = Source { odd, replica: Arc::new(replica), usual: Default::default() };
    Engine::new(Arc::new(MemoryMetadataStore::new()), Arc::new(source))
}

/// Which replicas have acknowledged the newest version, as bits.
fn acknowledged(job: &ReplicatedCheckpoint) -> u64 {
    job.history(&name()).unwrap().last().map_or(0, |saved| saved.acknowledged.into())
}

/// A state, and the files of its blob on all three replicas.
struct OnDisk {
    _home: tempfile::TempDir,
    job: ReplicatedCheckpoint,
    state: Vec<u8>,
    copies: Vec<PathBuf>,
}

impl OnDisk {
    fn new(compression: Compression) -> Self {
        let home = tempfile::tempdir().unwrap();
        let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open().unwrap());
        let mut job = checkpoints(&engine).compression(compression);
        let mut state = payload(150, 3);
        state.resize(300, 7);
        job.save_bytes(name(), Version::NONE, &state, FenceEpoch(1)).unwrap();
        let blob = |id| {
            let space = home.path().join("replicated/replicas").join(id).join("job.job%3A1%3Alatest");
            fs::read_dir(space).unwrap().next().unwrap().unwrap().path()
        };
        Self { copies: IDS.map(blob).to_vec(), _home: home, job, state }
    }

    fn write(&self, bytes: &[u8]) {
        self.copies.iter().for_each(|copy| fs::write(copy, bytes).unwrap());
    }

    /// Loads with each bit of one byte after the other flipped, in all copies: the results.
    fn with_flips(&mut self, mut look: impl FnMut(usize, Result<Vec<u8>, ReplicatedError>, &Self)) {
        let good = fs::read(&self.copies[0]).unwrap();
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << (at % 8);
            self.write(&damaged);
            let loaded = self.job.load_latest(&name()).map(|loaded| loaded.unwrap().value);
            look(at, loaded, self);
        }
        self.write(&good);
        assert_eq!(self.job.load_latest(&name()).unwrap().unwrap().value, self.state);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_small_blob_is_found() {
    let mut disk = OnDisk::new(Compression::None);
    disk.with_flips(|at, loaded, disk| {
        let Err(ReplicatedError::PayloadUnavailable { failures, .. }) = loaded else {
            panic!("byte {at}: {loaded:?}");
        };
        assert_eq!(failures.0.len(), 3, "byte {at}");
        if at % 50 == 0 {
            assert_eq!(disk.job.scrub(&name()).unwrap().faults.len(), 3, "byte {at}");
        }
    });
    let good = fs::read(&disk.copies[0]).unwrap();
    for len in 0..good.len() {
        disk.write(&good[..len]);
        assert!(disk.job.load_latest(&name()).is_err(), "cut to {len}");
        assert!(disk.job.load_into(&name(), &mut Vec::new()).is_err(), "cut to {len}");
    }
}

/// Some bits of a frame mean nothing.
#[cfg(feature = "zstd")]
#[test]
fn a_flipped_bit_of_a_compressed_blob_is_found_or_means_nothing() {
    let mut disk = OnDisk::new(Compression::Zstd { level: 3 });
    let mut found = 0;
    disk.with_flips(|at, loaded, disk| match loaded {
        Ok(state) => assert_eq!(state, disk.state, "byte {at}"),
        Err(ReplicatedError::PayloadUnavailable { .. }) => found += 1,
        Err(error) => panic!("byte {at}: {error}"),
    });
    let len = fs::read(&disk.copies[0]).unwrap().len();
    assert!(len - found < 4, "{found} of {len}");
}

#[test]
fn a_replica_that_fails_at_any_call_holds_nobody_up_and_is_not_counted() {
    let states = [payload(100, 1), payload(6 * MIB, 1)];
    for odd in 0..3 {
        for bytes in &states {
            for fault in [ReplicaFault::Refuse, ReplicaFault::Full, ReplicaFault::FailFinishThere] {
                let mut failures = 0;
                // Of the writes of a long one, every second.
                for call in (0..).step_by(if bytes.len() > MIB { 2 } else { 1 }) {
                    let plan = FaultPlan::none().at(call, fault);
                    let faulty = FaultyReplica::new(MemoryReplica::new(), plan);
                    let mut job = checkpoints(&engine_with(odd, faulty.clone()));
                    job.save_bytes(name(), Version::NONE, bytes, FenceEpoch(1)).unwrap();
                    let has_failed = !faulty.counts().faults.is_empty();
                    let expected = if has_failed { 0b111 & !(1 << odd) } else { 0b111 };
                    assert_eq!(
                        acknowledged(&job),
                        expected,
                        "odd={odd}, len={}, {fault:?} at {call}",
                        bytes.len()
                    );
                    failures += u32::from(has_failed);
                    if faulty.counts().calls <= call {
                        break;
                    }
                }
                assert!(failures > 0, "{fault:?}");
            }
        }
    }
}

/// Writes to memory; before it makes a blob durable, it says so and waits to be told.
#[derive(Debug)]
struct Blocking {
    inner: MemoryReplica,
    reached: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
}

#[derive(Debug)]
struct BlockingWriter {
    inner: Box<dyn BlobWriter>,
    reached: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl BlobWriter for BlockingWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.reached.send(()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        self.inner.finish()
    }
}

impl PayloadReplica for Blocking {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        let inner = self.inner.create(space, tag, max_bytes)?;
        Ok(Box::new(BlockingWriter { inner, reached: self.reached.clone(), go: Arc::clone(&self.go) }))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.inner.replace(space, tag, max_bytes)
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.inner.read(space, tag, offset, into)
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.inner.len_bytes(space, tag)
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.inner.list(space, after, limit)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.inner.delete(space, tag)
    }
}

#[test]
fn a_slow_replica_is_waited_for_and_nothing_is_published_before() {
    for odd in 0..3 {
        for len in [100, 6 * MIB] {
            let ((reached, is_reached), (tell, go)) = (channel(), channel());
            let go = Arc::new(Mutex::new(go));
            let engine = engine_with(odd, Blocking { inner: MemoryReplica::new(), reached, go });
            let mut job = checkpoints(&engine);
            thread::scope(|scope| {
                let engine = &engine;
                scope.spawn(move || {
                    is_reached.recv().unwrap();
                    assert_eq!(checkpoints(engine).current_version(&name()).unwrap(), Version::NONE);
                    tell.send(()).unwrap();
                });
                let saved = job.save_bytes(name(), Version::NONE, &payload(len, 1), FenceEpoch(1)).unwrap();
                assert_eq!(saved.version, Version(1));
            });
            assert_eq!(acknowledged(&job), 0b111, "odd={odd}, len={len}");
        }
    }
}

/// Panics when it is written to, as often as it is told to.
#[derive(Debug)]
struct Panicking {
    inner: MemoryReplica,
    left: Mutex<u32>,
}

impl PayloadReplica for Panicking {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        let panics = {
            let mut left = self.left.lock().unwrap();
            let panics = *left > 0;
            *left -= u32::from(panics);
            panics
        };
        assert!(!panics, "a flaw in a replica");
        self.inner.create(space, tag, max_bytes)
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.inner.replace(space, tag, max_bytes)
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.inner.read(space, tag, offset, into)
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        self.inner.len_bytes(space, tag)
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        self.inner.list(space, after, limit)
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        self.inner.delete(space, tag)
    }
}

#[test]
fn a_replica_that_panics_is_one_that_fails_and_is_used_again() {
    for odd in 0..3 {
        for len in [100, 6 * MIB] {
            let replica = Panicking { inner: MemoryReplica::new(), left: Mutex::new(2) };
            let mut job = checkpoints(&engine_with(odd, replica));
            for (version, expected) in
                [0b111 & !(1 << odd), 0b111 & !(1 << odd), 0b111].into_iter().enumerate()
            {
                let bytes = payload(len, u32::try_from(version).unwrap());
                let saved = job.save_bytes(name(), Version(version as u64), &bytes, FenceEpoch(1)).unwrap();
                assert_eq!(saved.version, Version(version as u64 + 1));
                assert_eq!(acknowledged(&job), expected, "odd={odd}, len={len}, version={version}");
            }
        }
    }
}
