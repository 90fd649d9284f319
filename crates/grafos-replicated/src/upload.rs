//! [`Upload`]: a state on its way to all replicas at once, chunk by chunk, as one blob.
//!
//! Invariant: a replica counts as having the state only after its blob was finished, which makes it durable.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::{Chunk, Manifest, footer};
use crate::payload_replica::BlobSpace;
use crate::protocol::checkpoint::Receipt;
use crate::register::BlobTag;
use crate::replicas::{Replica, Replicas};

/// How many buffers may wait for a slow replica.
const QUEUE_LEN: usize = 4;

/// Takes a state as a stream of bytes.
pub(crate) struct Upload {
    manifest: Manifest,
    /// Where chunks lie that need not be written again.
    known: HashMap<([u8; 32], usize), (BlobTag, u64)>,
    buffer: Vec<u8>,
    written: u64,
    lanes: Vec<Option<SyncSender<Arc<Vec<u8>>>>>,
}

/// What an upload achieved, and the manifest for the next one to build on.
#[derive(Debug)]
pub(crate) struct Uploaded {
    pub(crate) receipt: Receipt,
    pub(crate) manifest: Manifest,
    pub(crate) written_bytes: u64,
}

impl Upload {
    /// Uploads what `produce` writes.
    ///
    /// # Errors
    /// Those of `produce`. A replica that fails is none: it is named in the receipt.
    pub(crate) fn run(
        replicas: &Replicas,
        space: &BlobSpace,
        tag: BlobTag,
        base: Option<&Manifest>,
        chunk_bytes: u32,
        produce: impl FnOnce(&mut dyn io::Write) -> Result<(), ReplicatedError>,
    ) -> Result<Uploaded, ReplicatedError> {
        thread::scope(|scope| {
            let (lanes, threads): (Vec<_>, Vec<_>) = replicas
                .iter()
                .map(|replica| {
                    let (send, receive) = sync_channel(QUEUE_LEN);
                    (Some(send), scope.spawn(move || write_blob(replica, space, &tag, &receive)))
                })
                .unzip();
            let mut upload = Self {
                manifest: Manifest::new(tag, chunk_bytes),
                known: base
                    .filter(|base| base.chunk_bytes == chunk_bytes)
                    .map(Manifest::reusable)
                    .unwrap_or_default(),
                buffer: Vec::new(),
                written: 0,
                lanes,
            };
            let produced = produce(&mut upload);
            let finished = produced.and_then(|()| upload.finish());
            let (manifest, written_bytes, lanes) = (upload.manifest, upload.written, upload.lanes);
            if finished.is_err() {
                // A lane that ends without the mark of the end leaves no blob behind.
                drop(lanes);
            } else {
                for lane in lanes.into_iter().flatten() {
                    // A replica that failed has hung up, and says why below.
                    let _ = lane.send(Arc::new(Vec::new()));
                }
            }
            let mut receipt = Receipt {
                manifest_digest: [0; 32],
                payload_bytes: manifest.payload_bytes,
                blobs: manifest.blobs.clone(),
                acknowledged: Default::default(),
                failures: ReplicaFailures::default(),
            };
            for (at, (thread, replica)) in threads.into_iter().zip(replicas.iter()).enumerate() {
                let panicked = || StoreError::Unavailable { reason: "its writer panicked".to_owned() };
                match thread.join().unwrap_or_else(|_| Err(panicked())) {
                    Ok(()) => drop(receipt.acknowledged.insert(at)),
                    Err(error) => receipt.failures.0.push((replica.id().clone(), error)),
                }
            }
            receipt.manifest_digest = finished?;
            Ok(Uploaded { receipt, manifest, written_bytes })
        })
    }

    fn take_chunk(&mut self) {
        let bytes = mem::take(&mut self.buffer);
        let digest = *blake3::hash(&bytes).as_bytes();
        self.manifest.payload_bytes += bytes.len() as u64;
        if let Some((tag, offset)) = self.known.get(&(digest, bytes.len())).copied() {
            let blob = self.blob_index(tag);
            self.manifest.chunks.push(Chunk { blob, offset, digest });
            self.buffer = bytes;
            self.buffer.clear();
            return;
        }
        self.manifest.chunks.push(Chunk { blob: 0, offset: self.written, digest });
        self.known.insert((digest, bytes.len()), (self.own_tag(), self.written));
        self.send(bytes);
    }

    /// The last chunk, the manifest and the footer. Returns the manifest's digest.
    fn finish(&mut self) -> Result<[u8; 32], ReplicatedError> {
        if !self.buffer.is_empty() {
            self.take_chunk();
        }
        let mut end = self.manifest.encode().map_err(|cause| ReplicatedError::Serialization {
            what: "the manifest can't be encoded",
            cause,
        })?;
        let digest = *blake3::hash(&end).as_bytes();
        end.extend_from_slice(&footer(end.len()));
        self.send(end);
        Ok(digest)
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.written += bytes.len() as u64;
        let bytes = Arc::new(bytes);
        for lane in &mut self.lanes {
            let hung_up = lane.as_ref().is_some_and(|lane| lane.send(Arc::clone(&bytes)).is_err());
            if hung_up {
                *lane = None;
            }
        }
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

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk_bytes = usize::try_from(self.manifest.chunk_bytes).unwrap_or(usize::MAX);
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(chunk_bytes);
        }
        let taken = bytes.len().min(chunk_bytes - self.buffer.len());
        let (now, _) = bytes.split_at(taken);
        self.buffer.extend_from_slice(now);
        if self.buffer.len() == chunk_bytes {
            self.take_chunk();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One replica's lane: an empty buffer is the mark of the end.
fn write_blob(
    replica: &Replica,
    space: &BlobSpace,
    tag: &BlobTag,
    buffers: &Receiver<Arc<Vec<u8>>>,
) -> Result<(), StoreError> {
    let mut writer = replica.handle()?.create(space, tag, None)?;
    for buffer in buffers {
        if buffer.is_empty() {
            return writer.finish();
        }
        writer.write(&buffer)?;
    }
    Err(StoreError::Unavailable { reason: "the upload was given up".to_owned() })
}
