//! Reads a payload back: ahead of the decoder, on two threads, each buffer checked before it is handed on.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use grafos_std::block::{AlignedBuf, BLOCK_SIZE, BlockHandle};
use grafos_std::error::FabricError;

use super::decode::{BufferSource, ReadFault};
use super::encode::{BUFFER_BYTES, Filled};
use super::error::SlotFault;
use super::format::{
    CHUNK_BYTES, Digest, HEADER_BYTES, Header, padded_blocks, payload_root, table_bytes, usize_of,
};

/// How many buffers are read ahead.
const READ_AHEAD: u64 = 8;
/// How many threads read and check. The disk is kept busy while one of them hashes.
const READERS: usize = 2;

/// A payload outside its header, with the digests that its chunks must have.
#[derive(Debug)]
pub(super) struct PayloadReader<'a> {
    block: &'a BlockHandle,
    first_block: u64,
    payload_bytes: u64,
    chunks: Vec<Digest>,
}

impl<'a> PayloadReader<'a> {
    /// Reads the chunk table of `header`, whose payload begins at `first_block`, and checks it against the root.
    pub(super) fn open(block: &'a BlockHandle, header: &Header, first_block: u64) -> Result<Self, ReadFault> {
        let payload_bytes = header.payload_bytes;
        let len = usize_of(table_bytes(payload_bytes));
        let mut table = AlignedBuf::zeroed(len.next_multiple_of(HEADER_BYTES));
        read(block, first_block + padded_blocks(payload_bytes), &mut table)?;
        let chunks: Vec<Digest> = table[..len].as_chunks().0.to_vec();
        if payload_root(&chunks) != header.payload_root {
            return Err(ReadFault::Slot(SlotFault::TableDigest));
        }
        Ok(Self { block, first_block, payload_bytes, chunks })
    }

    /// The digests of the payload's chunks.
    pub(super) fn into_chunks(self) -> Vec<Digest> {
        self.chunks
    }

    /// Runs `consume` over the payload's buffers.
    pub(super) fn stream<R>(&self, consume: impl FnOnce(&mut AnySource<'_, '_>) -> R) -> R {
        if self.buffer_count() <= 1 {
            let buffer = AlignedBuf::zeroed(usize_of(self.payload_bytes).next_multiple_of(HEADER_BYTES));
            return consume(&mut AnySource::Whole { reader: self, buffer: Some(buffer) });
        }
        thread::scope(|scope| {
            let (empty, empties) = channel();
            let (read, reads) = channel();
            for _ in 0..self.buffer_count().min(READ_AHEAD) {
                // The receiver lives in this function.
                let _ = empty.send(AlignedBuf::zeroed(BUFFER_BYTES));
            }
            let turns = std::sync::Arc::new(Mutex::new(Turns { empties, next: 0 }));
            for _ in 0..READERS {
                let (turns, read) = (std::sync::Arc::clone(&turns), read.clone());
                scope.spawn(move || self.read_in_turn(&turns, &read));
            }
            drop(read);
            consume(&mut AnySource::Ahead(Ahead { empty, reads, early: BTreeMap::new(), next: 0 }))
        })
    }

    fn buffer_count(&self) -> u64 {
        self.payload_bytes.div_ceil(BUFFER_BYTES as u64)
    }

    /// Reads buffers until there are no more, or nobody wants them. An index is taken together with a buffer, so
    /// that the lowest index that is under way always has one.
    fn read_in_turn(&self, turns: &Mutex<Turns>, read: &Sender<(u64, Result<Filled, ReadFault>)>) {
        loop {
            let (index, mut buffer) = {
                let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
                if turns.next == self.buffer_count() {
                    return;
                }
                let Ok(buffer) = turns.empties.recv() else { return };
                turns.next += 1;
                (turns.next - 1, buffer)
            };
            let len = self.read_verified(index, &mut buffer);
            let filled = len.map(|len| Filled { index, buffer, len });
            if read.send((index, filled)).is_err() {
                return;
            }
        }
    }

    /// Reads buffer number `index` and checks its chunks. Returns how many bytes count.
    pub(super) fn read_verified(&self, index: u64, buffer: &mut AlignedBuf) -> Result<usize, ReadFault> {
        let offset = index * BUFFER_BYTES as u64;
        let len = usize_of((self.payload_bytes - offset).min(BUFFER_BYTES as u64));
        let padded = len.next_multiple_of(HEADER_BYTES);
        read(self.block, self.first_block + offset / BLOCK_SIZE as u64, &mut buffer[..padded])?;
        let first_chunk = offset / CHUNK_BYTES as u64;
        for (chunk, bytes) in (first_chunk..).zip(buffer[..len].chunks(CHUNK_BYTES)) {
            if self.chunks.get(usize_of(chunk)) != Some(blake3::hash(bytes).as_bytes()) {
                return Err(ReadFault::Slot(SlotFault::ChunkDigest { chunk }));
            }
        }
        Ok(len)
    }
}

/// Reads blocks. What only this place on the device can't do is a fault of the slot.
pub(super) fn read(block: &BlockHandle, first_block: u64, into: &mut [u8]) -> Result<(), ReadFault> {
    block.read_blocks(first_block, into).map_err(|error| match error {
        FabricError::IoError { errno, .. } => ReadFault::Slot(SlotFault::Unreadable { errno }),
        error => ReadFault::Fabric(error),
    })
}

#[derive(Debug)]
struct Turns {
    empties: Receiver<AlignedBuf>,
    next: u64,
}

/// Where a decoder gets its buffers from.
pub(super) enum AnySource<'r, 'b> {
    /// A payload of one buffer, read by the decoder's own thread.
    Whole { reader: &'r PayloadReader<'b>, buffer: Option<AlignedBuf> },
    /// A longer one, read ahead.
    Ahead(Ahead),
}

/// The end of the read-ahead that the decoder holds. Dropping it stops the readers.
pub(super) struct Ahead {
    empty: Sender<AlignedBuf>,
    reads: Receiver<(u64, Result<Filled, ReadFault>)>,
    /// What came before its turn.
    early: BTreeMap<u64, Result<Filled, ReadFault>>,
    next: u64,
}

impl Ahead {
    fn next(&mut self) -> Result<Filled, ReadFault> {
        loop {
            if let Some(filled) = self.early.remove(&self.next) {
                self.next += 1;
                return filled;
            }
            match self.reads.recv() {
                Ok((index, filled)) => self.early.insert(index, filled),
                Err(_) => return Err(past_the_end()),
            };
        }
    }
}

impl BufferSource for AnySource<'_, '_> {
    fn next(&mut self) -> Result<Filled, ReadFault> {
        match self {
            Self::Ahead(ahead) => ahead.next(),
            Self::Whole { reader, buffer } => {
                let mut buffer = buffer.take().ok_or_else(past_the_end)?;
                let len = reader.read_verified(0, &mut buffer)?;
                Ok(Filled { index: 0, buffer, len })
            }
        }
    }

    fn give_back(&mut self, buffer: AlignedBuf) {
        if let Self::Ahead(ahead) = self {
            // Readers that have finished need no more buffers.
            let _ = ahead.empty.send(buffer);
        }
    }
}

/// The decoder counts what is left, so it does not ask for more than there is.
fn past_the_end() -> ReadFault {
    ReadFault::Slot(SlotFault::BadField { field: "payload_bytes", found: 0 })
}
