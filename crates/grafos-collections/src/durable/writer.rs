//! Writes a payload: buffers are hashed and written on two threads while the next ones are encoded, and chunks
//! that lie there already are left out. A payload of few buffers is not worth the threads.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use grafos_std::block::{AlignedBuf, BLOCK_SIZE, BlockHandle};
use grafos_std::error::FabricError;

use super::encode::{BUFFER_BYTES, BufferExchange, Filled};
use super::error::DurableError;
use super::format::{CHUNK_BYTES, Digest, HEADER_BYTES, usize_of};

/// How many threads hash and write. The disk is kept busy while one of them hashes.
const WRITERS: usize = 2;

/// The area that a payload goes to.
#[derive(Debug)]
pub(super) struct AreaWriter<'a> {
    pub(super) block: &'a BlockHandle,
    pub(super) first_block: u64,
    /// What is known to lie there, chunk by chunk; durable, or about to be by the flush that commits.
    pub(super) known: &'a [Digest],
}

/// What was written of a payload.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The digest of every chunk, in order.
    pub(super) chunks: Vec<Digest>,
    /// Bytes that went to the volume, padding included.
    pub(super) bytes: u64,
    /// Whether the chunk table was among them.
    pub(super) has_table: bool,
}

impl AreaWriter<'_> {
    /// Writes what `produce` gives, using `buffers`, which come back; each buffer before the next one is encoded.
    pub(super) fn write_in_turns<R>(
        &self,
        buffers: &mut Vec<AlignedBuf>,
        produce: impl FnOnce(&mut dyn BufferExchange) -> Result<R, DurableError>,
    ) -> Result<(R, Written), DurableError> {
        let mut turns =
            Turns { area: self, empties: std::mem::take(buffers), written: Written::default(), failed: None };
        let produced = produce(&mut turns);
        buffers.append(&mut turns.empties);
        match turns.failed {
            Some(error) => Err(error.into()),
            None => Ok((produced?, turns.written)),
        }
    }

    /// Writes what `produce` gives, using `buffers`, which come back; on other threads, while more is encoded.
    pub(super) fn write_behind<R>(
        &self,
        buffers: &mut Vec<AlignedBuf>,
        produce: impl FnOnce(&mut dyn BufferExchange) -> Result<R, DurableError>,
    ) -> Result<(R, Written), DurableError> {
        let (empty, empties) = channel();
        let (full, fulls) = channel();
        for buffer in buffers.drain(..) {
            // The receiver lives in this function.
            let _ = empty.send(buffer);
        }
        let fulls = Mutex::new(fulls);
        let done = Mutex::new(Done::default());
        let mut exchange = Exchange { full: Some(full), empties, done: &done };
        let produced = thread::scope(|scope| {
            for _ in 0..WRITERS {
                let empty = empty.clone();
                let (fulls, done) = (&fulls, &done);
                scope.spawn(move || self.write_as_they_come(fulls, done, &empty));
            }
            drop(empty);
            let produced = produce(&mut exchange);
            exchange.full = None;
            produced
        });
        buffers.extend(exchange.empties.try_iter());
        drop(exchange);
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = done.failed {
            return Err(error.into());
        }
        Ok((produced?, done.into_written()))
    }

    /// Writes buffers until no more come. After a failure, of whichever thread, they are only passed back.
    fn write_as_they_come(
        &self,
        fulls: &Mutex<Receiver<Filled>>,
        done: &Mutex<Done>,
        empty: &Sender<AlignedBuf>,
    ) {
        loop {
            let next = fulls.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut filled) = next else { return };
            if !has_failed(done) {
                let written = self.write_buffer(&mut filled);
                lock(done).add(filled.index, written);
            }
            // Without a receiver nothing more will be encoded.
            let _ = empty.send(filled.buffer);
        }
    }

    /// Hashes one buffer and writes those of its chunks that do not lie there already.
    fn write_buffer(&self, filled: &mut Filled) -> Result<Written, FabricError> {
        let chunks = filled.hash();
        self.write_differing(filled, chunks)
    }

    /// Writes the only buffer of a payload: with the chunk table in the same write, if the buffer has room for it
    /// and nothing of the payload lies there already.
    pub(super) fn write_only_buffer(&self, filled: &mut Filled) -> Result<Written, FabricError> {
        let chunks = filled.hash();
        let table = chunks.as_flattened();
        let padded = filled.len.next_multiple_of(HEADER_BYTES);
        let whole = padded + table.len().next_multiple_of(HEADER_BYTES);
        let some_is_there = chunks.iter().zip(self.known).any(|(chunk, known)| chunk == known);
        if some_is_there || whole > filled.buffer.len() {
            return self.write_differing(filled, chunks);
        }
        filled.buffer[filled.len..whole].fill(0);
        filled.buffer[padded..padded + table.len()].copy_from_slice(table);
        self.block.write_blocks(self.first_block, &filled.buffer[..whole])?;
        Ok(Written { chunks, bytes: whole as u64, has_table: true })
    }

    /// Writes the chunks that do not lie there already, in runs. Bytes behind the end, up to the padding, are zeroed.
    fn write_differing(&self, filled: &mut Filled, chunks: Vec<Digest>) -> Result<Written, FabricError> {
        let padded = filled.len.next_multiple_of(HEADER_BYTES);
        filled.buffer[filled.len..padded].fill(0);
        let offset = filled.index * BUFFER_BYTES as u64;
        let first_chunk = usize_of(offset / CHUNK_BYTES as u64);
        let mut bytes = 0;
        let mut begin = 0;
        while begin < chunks.len() {
            let is_there = |chunk: usize| self.known.get(first_chunk + chunk) == Some(&chunks[chunk]);
            let end = (begin..chunks.len()).find(|chunk| is_there(*chunk)).unwrap_or(chunks.len());
            if begin < end {
                let run = begin * CHUNK_BYTES..padded.min(end * CHUNK_BYTES);
                let first_block = self.first_block + (offset + run.start as u64) / BLOCK_SIZE as u64;
                bytes += run.len() as u64;
                self.block.write_blocks(first_block, &filled.buffer[run])?;
            }
            begin = end + 1;
        }
        Ok(Written { chunks, bytes, has_table: false })
    }
}

impl Filled {
    /// The digests of its chunks.
    fn hash(&self) -> Vec<Digest> {
        self.buffer[..self.len].chunks(CHUNK_BYTES).map(|chunk| *blake3::hash(chunk).as_bytes()).collect()
    }
}

/// The encoder's end of a writer in its own thread.
#[derive(Debug)]
struct Turns<'a> {
    area: &'a AreaWriter<'a>,
    empties: Vec<AlignedBuf>,
    written: Written,
    failed: Option<FabricError>,
}

impl BufferExchange for Turns<'_> {
    fn give(&mut self, mut filled: Filled) -> bool {
        match self.area.write_buffer(&mut filled) {
            Ok(written) => {
                self.written.chunks.extend(written.chunks);
                self.written.bytes += written.bytes;
            }
            Err(error) => self.failed = Some(error),
        }
        self.empties.push(filled.buffer);
        self.failed.is_none()
    }

    fn take(&mut self) -> Option<AlignedBuf> {
        self.empties.pop()
    }
}

/// What the writers have done so far.
#[derive(Debug, Default)]
struct Done {
    /// By buffer: its index and its chunks' digests.
    buffers: Vec<(u64, Vec<Digest>)>,
    bytes: u64,
    failed: Option<FabricError>,
}

impl Done {
    fn add(&mut self, index: u64, written: Result<Written, FabricError>) {
        match written {
            Ok(written) => {
                self.bytes += written.bytes;
                self.buffers.push((index, written.chunks));
            }
            // The first failure counts: later ones follow from it.
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    fn into_written(mut self) -> Written {
        self.buffers.sort_unstable_by_key(|(index, _)| *index);
        let chunks = self.buffers.into_iter().flat_map(|(_, chunks)| chunks).collect();
        Written { chunks, bytes: self.bytes, has_table: false }
    }
}

fn lock(done: &Mutex<Done>) -> MutexGuard<'_, Done> {
    done.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_failed(done: &Mutex<Done>) -> bool {
    lock(done).failed.is_some()
}

/// The encoder's end of the writers.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// `None` when there is no more to write.
    full: Option<Sender<Filled>>,
    empties: Receiver<AlignedBuf>,
    done: &'a Mutex<Done>,
}

impl BufferExchange for Exchange<'_> {
    fn give(&mut self, filled: Filled) -> bool {
        !has_failed(self.done) && self.full.as_ref().is_some_and(|full| full.send(filled).is_ok())
    }

    /// Buffers come back after a failure too, so this never waits for ever.
    fn take(&mut self) -> Option<AlignedBuf> {
        self.empties.recv().ok().filter(|_| !has_failed(self.done))
    }
}
