//! Reading a checkpoint back: the newest that verifies, or a given one.

use serde::de::DeserializeOwned;

use super::{
    DecodeFault, Digest, DurableError, Filled, Header, ReadFault, RejectedSlot, SlotFault, Store, usize_of,
};
use crate::durable::decode::{BufferSource, decode};
use crate::durable::format::{HEADER_BYTES, INLINE_AT, payload_root};
use crate::durable::layout::Layout;
use crate::durable::reader::{PayloadReader, read};
use grafos_std::block::AlignedBuf;

/// A value with the header that it was committed under.
#[derive(Debug)]
pub(in crate::durable) struct Loaded<T> {
    pub(in crate::durable) value: T,
    pub(in crate::durable) header: Header,
    /// What was passed over on the way.
    pub(in crate::durable) rejected: Vec<RejectedSlot>,
}

impl Store {
    /// The newest checkpoint that verifies. It is durable when this returns, also if the program that wrote it
    /// died before it knew: what has been seen is not taken back.
    pub(in crate::durable) fn load_newest<T: DeserializeOwned>(&mut self) -> Result<Loaded<T>, DurableError> {
        for header in self.table()?.newest_first() {
            match self.load(&header) {
                Ok(value) => return self.loaded(value, header),
                Err(DecodeFault::Read(ReadFault::Slot(fault))) => self.table()?.reject(&header, fault),
                Err(fault) => return Err(fault.into()),
            }
        }
        let table = self.table()?;
        if table.is_unused() {
            return Err(DurableError::NoCheckpoint);
        }
        Err(DurableError::AllSlotsDamaged { rejected: table.rejected.clone() })
    }

    /// Finds the newest checkpoint that verifies without a value to decode it into, so that a value that did not
    /// come from this volume does not overwrite it.
    pub(super) fn find_base(&mut self) -> Result<(), DurableError> {
        if self.table()?.base.is_some() {
            return Ok(());
        }
        for header in self.table()?.newest_first() {
            match self.verify(&header) {
                Ok(()) => {
                    self.table()?.base = Some(header.slot);
                    return Ok(());
                }
                Err(ReadFault::Slot(fault)) => self.table()?.reject(&header, fault),
                Err(ReadFault::Fabric(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads a payload and checks its digests. One that lies in its header was checked with it.
    fn verify(&self, header: &Header) -> Result<(), ReadFault> {
        let Some(first_block) = header.payload_block else { return Ok(()) };
        let reader = PayloadReader::open(&self.block, header, first_block)?;
        reader.stream(|source| {
            let mut left = header.payload_bytes;
            while left > 0 {
                let filled = source.next()?;
                left -= filled.len as u64;
                source.give_back(filled.buffer);
            }
            Ok(())
        })
    }

    /// The checkpoint of this sequence.
    pub(in crate::durable) fn load_at<T: DeserializeOwned>(
        &mut self,
        sequence: u64,
    ) -> Result<Loaded<T>, DurableError> {
        let headers = self.table()?.newest_first();
        let mut rejected = Vec::new();
        for header in headers.iter().filter(|header| header.sequence == sequence) {
            match self.load(header) {
                Ok(value) => return self.loaded(value, header.clone()),
                Err(DecodeFault::Read(ReadFault::Slot(fault))) => {
                    rejected.push(RejectedSlot {
                        slot: header.slot,
                        sequence: Some(sequence),
                        fault: fault.clone(),
                    });
                    self.table()?.reject(header, fault);
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        if rejected.is_empty() {
            let mut available: Vec<u64> = headers.iter().map(|header| header.sequence).collect();
            available.dedup();
            return Err(DurableError::NotInHistory { requested: sequence, available });
        }
        Err(DurableError::AllSlotsDamaged { rejected })
    }

    fn loaded<T>(&mut self, value: T, header: Header) -> Result<Loaded<T>, DurableError> {
        self.block.flush()?;
        let table = self.table()?;
        table.base = Some(header.slot);
        Ok(Loaded { value, header, rejected: table.rejected.clone() })
    }

    fn load<T: DeserializeOwned>(&mut self, header: &Header) -> Result<T, DecodeFault> {
        if header.schema != self.options.schema {
            return Err(DecodeFault::Value(DurableError::SchemaMismatch {
                expected: self.options.schema.clone(),
                found: header.schema.clone(),
            }));
        }
        let Some(first_block) = header.payload_block else {
            let mut source = self.inline_payload(header).map_err(DecodeFault::Read)?;
            return decode(&mut source, header.payload_bytes, header.sequence);
        };
        let reader = PayloadReader::open(&self.block, header, first_block).map_err(DecodeFault::Read)?;
        let value = reader.stream(|source| decode(source, header.payload_bytes, header.sequence))?;
        self.known.learn(first_block, header.payload_bytes, reader.into_chunks());
        Ok(value)
    }

    /// Reads the header again for the payload in it.
    fn inline_payload(&mut self, header: &Header) -> Result<InlineSource, ReadFault> {
        let mut buffer = AlignedBuf::zeroed(HEADER_BYTES);
        read(&self.block, Layout::header_block(header.slot), &mut buffer)?;
        let len = usize_of(header.payload_bytes);
        buffer.copy_within(INLINE_AT..INLINE_AT + len, 0);
        let chunks: Vec<Digest> = inline_chunks(&buffer[..len]);
        if payload_root(&chunks) != header.payload_root {
            return Err(ReadFault::Slot(SlotFault::ChunkDigest { chunk: 0 }));
        }
        Ok(InlineSource(Some(Filled { index: 0, buffer, len })))
    }
}

/// The chunk table of a payload that lies in its header: one digest, none for an empty payload.
pub(super) fn inline_chunks(payload: &[u8]) -> Vec<Digest> {
    if payload.is_empty() { Vec::new() } else { vec![*blake3::hash(payload).as_bytes()] }
}

struct InlineSource(Option<Filled>);

impl BufferSource for InlineSource {
    fn next(&mut self) -> Result<Filled, ReadFault> {
        let end = ReadFault::Slot(SlotFault::BadField { field: "payload_bytes", found: 0 });
        self.0.take().ok_or(end)
    }

    fn give_back(&mut self, _: AlignedBuf) {}
}

impl From<DecodeFault> for DurableError {
    fn from(fault: DecodeFault) -> Self {
        match fault {
            DecodeFault::Value(error) => error,
            DecodeFault::Read(ReadFault::Fabric(error)) => error.into(),
            DecodeFault::Read(ReadFault::Slot(fault)) => {
                Self::AllSlotsDamaged { rejected: vec![RejectedSlot { slot: 0, sequence: None, fault }] }
            }
        }
    }
}
