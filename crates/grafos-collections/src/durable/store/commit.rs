//! Writing a checkpoint: payload, chunk table and header in any order, then one flush that makes it count.
//!
//! The header verifies only with the payload that it was made for, so the flush needs no partner before it. Two
//! more flushes happen once in the life of a volume: one that claims it, and one for a second copy of the first
//! checkpoint, so that from its acknowledgement on no single damage can leave the volume without a good slot.

use serde::Serialize;

use super::load::inline_chunks;
use super::{
    AlignedBuf, BUFFER_BYTES, DurableError, Filled, HEADER_BYTES, Header, Slot, Store, claim, usize_of,
};
use crate::durable::Committed;
use crate::durable::encode::{BufferExchange, encode, encode_into};
use crate::durable::format::{Digest, INLINE_AT, padded_blocks, payload_root};
use crate::durable::layout::{Layout, Place};
use crate::durable::writer::{AreaWriter, Written};

/// How many buffers an encoder may be ahead of the writers.
const WRITE_BEHIND: u64 = 8;

/// Up to here a payload is written by the caller's thread: two more cost more than they gain.
const IN_TURNS_BYTES: u64 = 2 * BUFFER_BYTES as u64;

/// What is to be committed.
#[derive(Debug)]
pub(in crate::durable) enum Payload<'a, T> {
    /// A value, encoded as it is written.
    Value(&'a T),
    /// A value that was encoded before.
    Encoded(Vec<Filled>),
}

impl Store {
    /// Whether a payload of so many bytes has a place. Writes nothing.
    pub(in crate::durable) fn check_fits(&mut self, payload_bytes: u64) -> Result<(), DurableError> {
        self.find_base()?;
        let table = self.table()?;
        table.layout.place(&table.slots, table.base, payload_bytes).map(drop)
    }

    /// Commits a payload of exactly `payload_bytes`. When this returns it is durable.
    pub(in crate::durable) fn commit<T: Serialize>(
        &mut self,
        payload: Payload<'_, T>,
        payload_bytes: u64,
        unix_ms: u64,
    ) -> Result<Committed, DurableError> {
        self.find_base()?;
        let table = self.table()?;
        let sequence = table.last_sequence.checked_add(1).ok_or(DurableError::SequencesExhausted)?;
        let place = table.layout.place(&table.slots, table.base, payload_bytes)?;
        let slot_count = u32::try_from(table.slots.len()).unwrap_or(u32::MAX);
        let mut written_bytes = self.claim()?;
        // From here on the slot holds neither its old checkpoint nor its new one.
        self.table()?.set(place.slot, Slot::Bad);
        let written = self.write_payload(payload, payload_bytes, place)?;
        let header = Header {
            slot: place.slot,
            slot_count,
            sequence,
            epoch: self.block.epoch(),
            unix_ms,
            payload_bytes,
            payload_block: place.payload_block,
            schema: self.options.schema.clone(),
            payload_root: payload_root(&written.chunks),
        };
        written_bytes += written.bytes;
        if !written.has_table {
            written_bytes += self.write_table(&header, &written.chunks)?;
        }
        written_bytes += self.write_header(&header)?;
        self.believe(header.clone(), written.chunks)?;
        if self.table()?.valid_count() == 1 {
            written_bytes += self.copy_to_second_slot(&header)?;
        }
        Ok(Committed { sequence, payload_bytes, written_bytes })
    }

    /// Marks a blank volume as ours before anything else is written to it.
    fn claim(&mut self) -> Result<u64, DurableError> {
        let slots = &self.table()?.slots;
        if slots.iter().any(|slot| *slot != Slot::Blank) {
            return Ok(0);
        }
        let mut claims = AlignedBuf::zeroed(slots.len() * HEADER_BYTES);
        for header in claims.chunks_mut(HEADER_BYTES) {
            header[..claim().len()].copy_from_slice(&claim());
        }
        self.block.write_blocks(Layout::header_block(0), &claims)?;
        self.block.flush()?;
        Ok(claims.len() as u64)
    }

    fn write_payload<T: Serialize>(
        &mut self,
        payload: Payload<'_, T>,
        payload_bytes: u64,
        place: Place,
    ) -> Result<Written, DurableError> {
        match place.payload_block {
            None => self.fill_inline(payload, usize_of(payload_bytes)),
            Some(first_block) if payload_bytes <= BUFFER_BYTES as u64 => {
                self.write_one_buffer(payload, usize_of(payload_bytes), first_block)
            }
            Some(first_block) => self.write_buffers(payload, payload_bytes, first_block),
        }
    }

    /// Puts the payload where [`Header::encode`] expects it.
    fn fill_inline<T: Serialize>(
        &mut self,
        payload: Payload<'_, T>,
        len: usize,
    ) -> Result<Written, DurableError> {
        let into = &mut self.header[INLINE_AT..INLINE_AT + len];
        match payload {
            Payload::Value(value) => same_length(len as u64, encode_into(value, into)?)?,
            Payload::Encoded(filled) => {
                for filled in &filled {
                    into.copy_from_slice(&filled.buffer[..filled.len]);
                }
                self.buffers.extend(filled.into_iter().map(|filled| filled.buffer));
            }
        }
        let chunks = inline_chunks(&self.header[INLINE_AT..INLINE_AT + len]);
        Ok(Written { chunks, ..Written::default() })
    }

    /// A payload of one buffer is not worth a thread.
    fn write_one_buffer<T: Serialize>(
        &mut self,
        payload: Payload<'_, T>,
        len: usize,
        first_block: u64,
    ) -> Result<Written, DurableError> {
        let mut filled = match payload {
            Payload::Value(value) => {
                // With room for the chunk table, so that one write does.
                let mut buffer = self.take_buffer(len + HEADER_BYTES);
                same_length(len as u64, encode_into(value, &mut buffer[..len])?)?;
                Filled { index: 0, buffer, len }
            }
            Payload::Encoded(mut filled) => {
                filled.pop().ok_or(DurableError::UnstableEncoding { counted: len as u64, encoded: 0 })?
            }
        };
        let known = self.known.take(first_block, len as u64);
        let area = AreaWriter { block: &self.block, first_block, known: &known };
        let written = area.write_only_buffer(&mut filled)?;
        self.buffers.push(filled.buffer);
        Ok(written)
    }

    /// Encodes, hashes and writes: a long payload all at the same time.
    fn write_buffers<T: Serialize>(
        &mut self,
        payload: Payload<'_, T>,
        payload_bytes: u64,
        first_block: u64,
    ) -> Result<Written, DurableError> {
        let known = self.known.take(first_block, payload_bytes);
        let mut buffers = Vec::new();
        if matches!(payload, Payload::Value(_)) {
            let count = payload_bytes.div_ceil(BUFFER_BYTES as u64).min(WRITE_BEHIND);
            buffers.extend((0..count).map(|_| self.take_buffer(BUFFER_BYTES)));
        }
        let area = AreaWriter { block: &self.block, first_block, known: &known };
        let produce = |exchange: &mut dyn BufferExchange| match payload {
            // `None`: the writers have failed, and say so themselves.
            Payload::Value(value) => encode(value, exchange).map(|len| len.unwrap_or(payload_bytes)),
            Payload::Encoded(filled) => {
                let len = filled.iter().map(|filled| filled.len as u64).sum();
                filled.into_iter().all(|filled| exchange.give(filled));
                Ok(len)
            }
        };
        let outcome = if payload_bytes <= IN_TURNS_BYTES {
            area.write_in_turns(&mut buffers, produce)
        } else {
            area.write_behind(&mut buffers, produce)
        };
        self.buffers.append(&mut buffers);
        let (encoded, written) = outcome?;
        same_length(payload_bytes, encoded)?;
        Ok(written)
    }

    /// Writes the chunk table behind a payload outside its header.
    fn write_table(&self, header: &Header, chunks: &[Digest]) -> Result<u64, DurableError> {
        let Some(first_block) = header.payload_block else { return Ok(0) };
        let bytes = chunks.as_flattened();
        let mut table = AlignedBuf::zeroed(bytes.len().next_multiple_of(HEADER_BYTES));
        table[..bytes.len()].copy_from_slice(bytes);
        self.block.write_blocks(first_block + padded_blocks(header.payload_bytes), &table)?;
        Ok(table.len() as u64)
    }

    /// Writes the header around the inline payload, if there is one, and makes everything durable.
    fn write_header(&mut self, header: &Header) -> Result<u64, DurableError> {
        header.encode(&mut self.header);
        self.block.write_blocks(Layout::header_block(header.slot), &self.header)?;
        self.block.flush()?;
        Ok(HEADER_BYTES as u64)
    }

    /// The checkpoint is durable.
    fn believe(&mut self, header: Header, chunks: Vec<Digest>) -> Result<(), DurableError> {
        if let Some(first_block) = header.payload_block {
            self.known.learn(first_block, header.payload_bytes, chunks);
        }
        let table = self.table()?;
        table.base = Some(header.slot);
        table.last_sequence = header.sequence;
        table.set(header.slot, Slot::Valid(header));
        Ok(())
    }

    /// Copies the only good checkpoint, which was written just now, to another slot.
    fn copy_to_second_slot(&mut self, original: &Header) -> Result<u64, DurableError> {
        let table = self.table()?;
        let place = table.layout.place(&table.slots, table.base, original.payload_bytes)?;
        self.table()?.set(place.slot, Slot::Bad);
        let header = Header { slot: place.slot, payload_block: place.payload_block, ..original.clone() };
        let mut written_bytes = 0;
        let mut chunks = Vec::new();
        if let (Some(from), Some(to)) = (original.payload_block, place.payload_block) {
            chunks = self.known.chunks(from).to_vec();
            written_bytes += self.copy_blocks(from, to, padded_blocks(original.payload_bytes))?;
            written_bytes += self.write_table(&header, &chunks)?;
        }
        written_bytes += self.write_header(&header)?;
        self.believe(header, chunks)?;
        Ok(written_bytes)
    }

    fn copy_blocks(&mut self, from: u64, to: u64, blocks: u64) -> Result<u64, DurableError> {
        let step = (BUFFER_BYTES / grafos_std::block::BLOCK_SIZE) as u64;
        let mut buffer = self.take_buffer(BUFFER_BYTES);
        for at in (0..blocks).step_by(usize_of(step)) {
            let len = usize_of((blocks - at).min(step)) * grafos_std::block::BLOCK_SIZE;
            self.block.read_blocks(from + at, &mut buffer[..len])?;
            self.block.write_blocks(to + at, &buffer[..len])?;
        }
        self.buffers.push(buffer);
        Ok(blocks * grafos_std::block::BLOCK_SIZE as u64)
    }
}

fn same_length(counted: u64, encoded: u64) -> Result<(), DurableError> {
    if counted == encoded { Ok(()) } else { Err(DurableError::UnstableEncoding { counted, encoded }) }
}
