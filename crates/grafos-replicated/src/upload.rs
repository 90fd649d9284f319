//! [`Upload`]: a state on its way to all replicas at once, chunk by chunk, as one blob.
//!
//! It ends when every replica has the state or has failed. So a replica that fails, at whatever moment, holds nobody
//! up, and one that is slow is waited for: what is acknowledged lies in as many places as could take it. How long a
//! replica may take before it fails is the replica's to say; there is no clock here.
//!
//! Each replica has a thread, but for the first one, whose blob the producer writes itself. Threads are started for the
//! upload, but for a small state: what it takes to start them is a good part of what that takes, so they are kept.
//!
//! Memory: the chunks that wait for the slowest replica, at most [`QUEUE_LEN`] and two more. What a caller lends as one
//! piece of memory is not copied.
//!
//! Invariant: a replica counts as having the state only after its blob was finished, which makes it durable.

mod lane;
mod meeting;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::thread;

use self::lane::{Lane, OwnLane, Piece, given_up, panicked, write_apart, write_blob};
use self::meeting::Meeting;
use crate::codec::{Compression, Compressor, Stored};
use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::{Chunk, Manifest, Place, Places, footer};
use crate::payload_replica::BlobSpace;
use crate::protocol::checkpoint::Receipt;
use crate::register::BlobTag;
use crate::replicas::Replicas;

/// How many chunks may wait for a slow replica.
const QUEUE_LEN: usize = 4;

/// Takes a state as a stream of bytes.
pub(crate) struct Upload<'env, 'base> {
    manifest: Manifest,
    /// Where chunks lie that need not be written again.
    known: Places,
    /// Blobs of the base, and whether they lie on enough replicas. Asked when the first chunk of each is found again.
    standing: HashMap<BlobTag, bool>,
    lies_on_quorum: Box<dyn Fn(&BlobTag) -> bool + 'base>,
    compressor: Compressor,
    /// The chunk that is being collected.
    buffer: Vec<u8>,
    /// What was sent, to be used again when all lanes have let go of it.
    pool: Vec<Arc<Vec<u8>>>,
    written: u64,
    lanes: Vec<Lane<'env>>,
    own: Option<OwnLane>,
    /// Nothing is sent, all is kept.
    is_small: bool,
    kept: Vec<Arc<Vec<u8>>>,
}

/// What an upload achieved, and the manifest for the next one to build on.
#[derive(Debug)]
pub(crate) struct Uploaded {
    pub(crate) receipt: Receipt,
    pub(crate) manifest: Manifest,
    pub(crate) written_bytes: u64,
}

/// The version before.
pub(crate) struct Base<'a> {
    pub(crate) manifest: &'a Manifest,
    /// Whether enough replicas have a blob of it for another version to be made of that.
    pub(crate) lies_on_quorum: Box<dyn Fn(&BlobTag) -> bool + 'a>,
}

/// How a state is cut, and how its chunks are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) chunk_bytes: u32,
    pub(crate) compression: Compression,
    /// The state fits into a chunk or two: it can be in memory twice.
    pub(crate) is_small: bool,
}

impl<'env, 'base> Upload<'env, 'base> {
    /// Uploads what `produce` writes.
    ///
    /// # Errors
    /// Those of `produce`. A replica that fails is none: it is named in the receipt.
    pub(crate) fn run(
        replicas: &Replicas,
        space: &BlobSpace,
        tag: BlobTag,
        base: Option<Base<'base>>,
        cut: Cut,
        produce: impl FnOnce(&mut Self) -> Result<(), ReplicatedError>,
    ) -> Result<Uploaded, ReplicatedError> {
        let upload = Self::new(tag, base, cut);
        if cut.is_small {
            return upload.run_small(replicas, space, tag, produce);
        }
        let meeting = Meeting::of(replicas.iter().len());
        thread::scope(|scope| {
            // All but the first have a thread each.
            let (lanes, threads): (Vec<_>, Vec<_>) = replicas
                .iter()
                .skip(1)
                .map(|replica| {
                    let ((lane, pieces), seat) = (Lane::new(QUEUE_LEN), meeting.seat());
                    (lane, scope.spawn(move || write_blob(replica, space, &tag, &pieces, seat)))
                })
                .unzip();
            let seat = meeting.seat();
            let own = replicas.iter().next().map(|replica| OwnLane::begin(replica, space, &tag));
            let mut upload = Self { lanes, own, ..upload };
            let finished = produce(&mut upload).and_then(|()| upload.finish());
            let Self { manifest, written, lanes, own, .. } = upload;
            // A lane that ends without the mark of the end leaves no blob behind, nor does a writer that is dropped.
            drop(lanes);
            let own = own.map(|own| if finished.is_ok() { own.finish(seat) } else { Err(given_up()) });
            let others = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())));
            let receipt = receipt(replicas, &manifest, finished, own.into_iter().chain(others))?;
            Ok(Uploaded { receipt, manifest, written_bytes: written })
        })
    }

    /// The same for a state that is produced before anything of it is written. No thread is started for it.
    fn run_small(
        mut self,
        replicas: &Replicas,
        space: &BlobSpace,
        tag: BlobTag,
        produce: impl FnOnce(&mut Self) -> Result<(), ReplicatedError>,
    ) -> Result<Uploaded, ReplicatedError> {
        produce(&mut self)?;
        let digest = self.finish()?;
        let Self { manifest, written, kept, .. } = self;
        let meeting = Meeting::of(replicas.iter().len());
        let begin = |replica| write_apart(replica, space, tag, &kept, meeting.seat());
        let begun: Vec<_> = replicas.iter().skip(1).map(begin).collect();
        let seat = meeting.seat();
        let own = replicas.iter().next().map(|replica| {
            let mut own = OwnLane::begin(replica, space, &tag);
            kept.iter().for_each(|piece| own.write(piece));
            own.finish(seat)
        });
        let others = begun.into_iter().map(|done| done.recv().unwrap_or_else(|_| Err(panicked())));
        let receipt = receipt(replicas, &manifest, Ok(digest), own.into_iter().chain(others))?;
        Ok(Uploaded { receipt, manifest, written_bytes: written })
    }

    fn new(tag: BlobTag, base: Option<Base<'base>>, cut: Cut) -> Self {
        let base = base.filter(|base| base.manifest.chunk_bytes == cut.chunk_bytes);
        Self {
            manifest: Manifest::new(tag, cut.chunk_bytes),
            known: base.as_ref().map(|base| base.manifest.reusable()).unwrap_or_default(),
            standing: HashMap::from([(tag, true)]),
            lies_on_quorum: base
                .map_or_else(|| Box::new(|_: &BlobTag| false) as _, |base| base.lies_on_quorum),
            compressor: Compressor::new(cut.compression),
            buffer: Vec::new(),
            pool: Vec::new(),
            written: 0,
            lanes: Vec::new(),
            own: None,
            is_small: cut.is_small,
            kept: Vec::new(),
        }
    }

    /// The state, or what it ends with, without a copy: nothing is written after this.
    pub(crate) fn write_last(&mut self, mut bytes: &'env [u8]) {
        while !self.buffer.is_empty() && !bytes.is_empty() {
            let taken = self.take(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        for chunk in bytes.chunks(self.chunk_bytes()) {
            if let Some(digest) = self.new_chunk(chunk) {
                self.store_chunk(digest, chunk, |_| Piece::Lent(chunk));
            }
        }
    }

    /// Collects some of `bytes`, and says how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let chunk_bytes = self.chunk_bytes();
        if self.buffer.capacity() == 0 {
            self.buffer = self.spare();
            self.buffer.reserve_exact(chunk_bytes);
        }
        let taken = bytes.len().min(chunk_bytes - self.buffer.len());
        let (now, _) = bytes.split_at(taken);
        self.buffer.extend_from_slice(now);
        if self.buffer.len() == chunk_bytes {
            self.end_chunk();
        }
        taken
    }

    /// What was collected is a chunk.
    fn end_chunk(&mut self) {
        let mut chunk = std::mem::take(&mut self.buffer);
        match self.new_chunk(&chunk) {
            Some(digest) => {
                let all = Arc::new(chunk);
                self.store_chunk(digest, &Arc::clone(&all), |upload| upload.pooled(all));
            }
            None => {
                chunk.clear();
                self.buffer = chunk;
            }
        }
    }

    /// The digest of a chunk that has to be written; `None` if it lies somewhere already, and is noted.
    fn new_chunk(&mut self, bytes: &[u8]) -> Option<[u8; 32]> {
        let digest = *blake3::hash(bytes).as_bytes();
        self.manifest.payload_bytes += bytes.len() as u64;
        let place = self.known.get(&(digest, bytes.len())).copied();
        let Some(Place { blob, offset, stored }) = place.filter(|place| self.stands(&place.blob)) else {
            return Some(digest);
        };
        let blob = self.blob_index(blob);
        self.manifest.chunks.push(Chunk { blob, offset, digest, stored });
        None
    }

    /// Whether a version may be made of this blob.
    fn stands(&mut self, blob: &BlobTag) -> bool {
        *self.standing.entry(*blob).or_insert_with(|| (self.lies_on_quorum)(blob))
    }

    /// Sends a chunk, shorter if that can be, else as `plain` hands it over.
    fn store_chunk(&mut self, digest: [u8; 32], bytes: &[u8], plain: impl FnOnce(&mut Self) -> Piece<'env>) {
        let (offset, blob) = (self.written, self.own_tag());
        let (stored, piece) = self.compressed(bytes).unwrap_or_else(|| (Stored::Plain, plain(self)));
        self.manifest.chunks.push(Chunk { blob: 0, offset, digest, stored });
        self.known.insert((digest, bytes.len()), Place { blob, offset, stored });
        self.send(&piece);
    }

    fn compressed(&mut self, bytes: &[u8]) -> Option<(Stored, Piece<'env>)> {
        if self.compressor.is_none() {
            return None;
        }
        let mut into = self.spare();
        let stored = self.compressor.compress(bytes, &mut into);
        let shorter = self.pooled(Arc::new(into));
        (stored != Stored::Plain).then_some((stored, shorter))
    }

    /// The last chunk, the manifest and the footer. Returns the manifest's digest.
    fn finish(&mut self) -> Result<[u8; 32], ReplicatedError> {
        if !self.buffer.is_empty() {
            self.end_chunk();
        }
        let mut end = self.manifest.encode().map_err(|cause| ReplicatedError::Serialization {
            what: "the manifest can't be encoded",
            cause,
        })?;
        let digest = *blake3::hash(&end).as_bytes();
        end.extend_from_slice(&footer(end.len()));
        self.send(&Piece::Shared(Arc::new(end)));
        self.lanes.iter_mut().for_each(|lane| lane.send(Piece::End));
        Ok(digest)
    }

    fn send(&mut self, piece: &Piece<'env>) {
        self.written += piece.bytes().len() as u64;
        if self.is_small {
            self.kept.push(match piece {
                Piece::Shared(bytes) => Arc::clone(bytes),
                other => Arc::new(other.bytes().to_vec()),
            });
        }
        for lane in &mut self.lanes {
            lane.send(piece.clone());
        }
        if let Some(own) = &mut self.own {
            own.write(piece.bytes());
        }
    }

    /// These bytes as a piece, whose memory is used again. No more is kept than can be under way.
    fn pooled(&mut self, bytes: Arc<Vec<u8>>) -> Piece<'env> {
        if self.pool.len() < QUEUE_LEN + 2 {
            self.pool.push(Arc::clone(&bytes));
        }
        Piece::Shared(bytes)
    }

    /// Memory for a chunk: what no lane needs any more, else an empty vector.
    fn spare(&mut self) -> Vec<u8> {
        let free = self.pool.iter().position(|bytes| Arc::strong_count(bytes) == 1);
        let bytes = free.and_then(|at| Arc::try_unwrap(self.pool.swap_remove(at)).ok());
        let mut bytes = bytes.unwrap_or_default();
        bytes.clear();
        bytes
    }

    fn chunk_bytes(&self) -> usize {
        usize::try_from(self.manifest.chunk_bytes).unwrap_or(usize::MAX)
    }

    fn own_tag(&self) -> BlobTag {
        // A manifest begins with the blob that it is part of.
        self.manifest.blobs.first().copied().unwrap_or(BlobTag::NONE)
    }

    fn blob_index(&mut self, tag: BlobTag) -> u8 {
        let blobs = &mut self.manifest.blobs;
        let at = blobs.iter().position(|blob| *blob == tag).unwrap_or_else(|| {
            blobs.push(tag);
            blobs.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }
}

impl io::Write for Upload<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.take(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of an upload, given what did on each replica, in their order.
fn receipt(
    replicas: &Replicas,
    manifest: &Manifest,
    digest: Result<[u8; 32], ReplicatedError>,
    done: impl Iterator<Item = Result<(), StoreError>>,
) -> Result<Receipt, ReplicatedError> {
    let (mut acknowledged, mut failures) = (BTreeSet::new(), ReplicaFailures::default());
    // Every thread is heard, whatever the digest is.
    for (at, (replica, done)) in replicas.iter().zip(done).enumerate() {
        match done {
            Ok(()) => drop(acknowledged.insert(at)),
            Err(error) => failures.0.push((replica.id().clone(), error)),
        }
    }
    let (payload_bytes, blobs) = (manifest.payload_bytes, manifest.blobs.clone());
    Ok(Receipt { manifest_digest: digest?, payload_bytes, blobs, acknowledged, failures })
}
