//! The bytes of a checkpoint header, version 2. `docs/durable-format.md` is the specification; this file is its
//! only implementation.
//!
//! ```text
//! one header of 4096 bytes (8 blocks); integers are little-endian
//! +--------+-----+---------------------------------------------------------------+
//! | offset | len | field                                                         |
//! +--------+-----+---------------------------------------------------------------+
//! |      0 |   4 | magic "DCHK"                                                  |
//! |      4 |   4 | version = 2                                                   |
//! |      8 |   4 | slot: the index of this header                                |
//! |     12 |   4 | slot_count                                                    |
//! |     16 |   8 | sequence, from 1                                              |
//! |     24 |   8 | epoch of the writer's lease                                   |
//! |     32 |   8 | unix_ms: wall-clock time of the commit                        |
//! |     40 |   8 | payload_bytes                                                 |
//! |     48 |   8 | payload_block: where the payload begins, 0 = in this header   |
//! |     56 |   4 | chunk_bytes                                                   |
//! |     60 |   4 | schema_bytes, at most 64                                      |
//! |     64 |  64 | schema: UTF-8, zero-padded                                    |
//! |    128 |  32 | payload_root: BLAKE3 of the chunk table                       |
//! |    160 |  96 | zeros                                                         |
//! |    256 |3808 | the payload, if it lies in this header; else zeros            |
//! |   4064 |  32 | BLAKE3 of the bytes before                                    |
//! +--------+-----+---------------------------------------------------------------+
//! ```
//!
//! Invariant: nothing of a header is believed before its digest has been checked, not even its version.

use fabricbios_core::lease::FenceEpoch;
use grafos_std::block::BLOCK_SIZE;

use super::error::SlotFault;

pub(super) const MAGIC: [u8; 4] = *b"DCHK";
pub(super) const VERSION: u32 = 2;

/// The size of a header in bytes, and the unit in which payloads are placed and padded.
pub(super) const HEADER_BYTES: usize = 4096;
/// The same in blocks.
pub(super) const HEADER_BLOCKS: u64 = (HEADER_BYTES / BLOCK_SIZE) as u64;
/// The largest payload that lies in its header.
pub(super) const INLINE_BYTES: usize = CHECKSUM_AT - INLINE_AT;
/// What is hashed, compared and skipped as one.
pub(super) const CHUNK_BYTES: usize = CHUNK_BYTES_FIELD as usize;
const CHUNK_BYTES_FIELD: u32 = 64 * 1024;
/// The fewest slots: one to write, one to keep.
pub(super) const MIN_SLOTS: u32 = 2;
/// The most slots.
pub(super) const MAX_SLOTS: u32 = 64;
/// The longest schema tag in bytes.
pub(super) const MAX_SCHEMA_BYTES: usize = 64;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 4;
const SLOT_AT: usize = VERSION_AT + 4;
const SLOT_COUNT_AT: usize = SLOT_AT + 4;
const SEQUENCE_AT: usize = SLOT_COUNT_AT + 4;
const EPOCH_AT: usize = SEQUENCE_AT + 8;
const UNIX_MS_AT: usize = EPOCH_AT + 8;
const PAYLOAD_BYTES_AT: usize = UNIX_MS_AT + 8;
const PAYLOAD_BLOCK_AT: usize = PAYLOAD_BYTES_AT + 8;
const CHUNK_BYTES_AT: usize = PAYLOAD_BLOCK_AT + 8;
const SCHEMA_BYTES_AT: usize = CHUNK_BYTES_AT + 4;
const SCHEMA_AT: usize = SCHEMA_BYTES_AT + 4;
const ROOT_AT: usize = SCHEMA_AT + MAX_SCHEMA_BYTES;
const RESERVED_AT: usize = ROOT_AT + 32;
pub(super) const INLINE_AT: usize = RESERVED_AT + 96;
const CHECKSUM_AT: usize = HEADER_BYTES - 32;

/// A BLAKE3 digest.
pub(super) type Digest = [u8; 32];

/// What a verified header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) slot: u32,
    pub(super) slot_count: u32,
    pub(super) sequence: u64,
    pub(super) epoch: FenceEpoch,
    pub(super) unix_ms: u64,
    pub(super) payload_bytes: u64,
    /// `None`: the payload lies in the header.
    pub(super) payload_block: Option<u64>,
    pub(super) schema: String,
    pub(super) payload_root: Digest,
}

impl Header {
    /// Fills in everything around an inline payload, which lies in `into` already if there is one.
    pub(super) fn encode(&self, into: &mut [u8]) {
        let inline_len = if self.payload_block.is_none() { usize_of(self.payload_bytes) } else { 0 };
        into[..INLINE_AT].fill(0);
        into[INLINE_AT + inline_len..].fill(0);
        into[MAGIC_AT..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(into, VERSION_AT, VERSION);
        put_u32(into, SLOT_AT, self.slot);
        put_u32(into, SLOT_COUNT_AT, self.slot_count);
        put_u64(into, SEQUENCE_AT, self.sequence);
        put_u64(into, EPOCH_AT, self.epoch.0);
        put_u64(into, UNIX_MS_AT, self.unix_ms);
        put_u64(into, PAYLOAD_BYTES_AT, self.payload_bytes);
        put_u64(into, PAYLOAD_BLOCK_AT, self.payload_block.unwrap_or(0));
        put_u32(into, CHUNK_BYTES_AT, CHUNK_BYTES_FIELD);
        let schema = self.schema.as_bytes();
        put_u32(into, SCHEMA_BYTES_AT, u32::try_from(schema.len()).unwrap_or(u32::MAX));
        into[SCHEMA_AT..SCHEMA_AT + schema.len()].copy_from_slice(schema);
        into[ROOT_AT..RESERVED_AT].copy_from_slice(&self.payload_root);
        let checksum = blake3::hash(&into[..CHECKSUM_AT]);
        into[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(checksum.as_bytes());
    }
}

/// 4096 bytes from a place where a header may be.
pub(super) struct UnverifiedHeader<'a>(&'a [u8]);

/// What stands in the place of a header.
#[derive(Debug)]
pub(super) enum Found {
    /// No checkpoint was ever written here.
    Blank,
    /// A header.
    Valid(Header),
    /// A header that only a later version of this crate can read.
    OtherVersion(u32),
    /// Something else.
    Fault(SlotFault),
}

impl<'a> UnverifiedHeader<'a> {
    /// `bytes` is as long as a header.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The header, if it is one, stands in its place, and names only places on a volume of `volume_blocks`.
    pub(super) fn verify(&self, slot: u32, volume_blocks: u64) -> Found {
        if self.is_blank() {
            return Found::Blank;
        }
        if self.0[..VERSION_AT] != MAGIC {
            return Found::Fault(SlotFault::BadMagic { found: self.array(MAGIC_AT) });
        }
        // Version 1, the published format, had no digest.
        if self.u32(VERSION_AT) == 1 {
            return Found::OtherVersion(1);
        }
        if blake3::hash(&self.0[..CHECKSUM_AT]).as_bytes() != &self.0[CHECKSUM_AT..HEADER_BYTES] {
            return Found::Fault(SlotFault::HeaderDigest);
        }
        if self.u32(VERSION_AT) != VERSION {
            return Found::OtherVersion(self.u32(VERSION_AT));
        }
        match self.fields(slot, volume_blocks) {
            Ok(header) => Found::Valid(header),
            Err(fault) => Found::Fault(fault),
        }
    }

    /// Zeros, or a [claim](claim) and zeros.
    fn is_blank(&self) -> bool {
        let (begin, rest) = self.0.split_at(SLOT_AT);
        rest.iter().all(|byte| *byte == 0) && (begin == claim() || begin.iter().all(|byte| *byte == 0))
    }

    fn fields(&self, slot: u32, volume_blocks: u64) -> Result<Header, SlotFault> {
        let found_slot = self.u32(SLOT_AT);
        if found_slot != slot {
            return Err(SlotFault::Misplaced { expected: slot, found: found_slot });
        }
        let slot_count = self.u32(SLOT_COUNT_AT);
        if !(MIN_SLOTS..=MAX_SLOTS).contains(&slot_count) || slot >= slot_count {
            return Err(SlotFault::BadField { field: "slot_count", found: u64::from(slot_count) });
        }
        let chunk_bytes = self.u32(CHUNK_BYTES_AT);
        if chunk_bytes != CHUNK_BYTES_FIELD {
            return Err(SlotFault::BadField { field: "chunk_bytes", found: u64::from(chunk_bytes) });
        }
        let header = Header {
            slot,
            slot_count,
            sequence: self.u64(SEQUENCE_AT),
            epoch: FenceEpoch(self.u64(EPOCH_AT)),
            unix_ms: self.u64(UNIX_MS_AT),
            payload_bytes: self.u64(PAYLOAD_BYTES_AT),
            payload_block: Some(self.u64(PAYLOAD_BLOCK_AT)).filter(|block| *block != 0),
            schema: self.schema()?,
            payload_root: self.array(ROOT_AT),
        };
        check_extent(&header, volume_blocks)?;
        Ok(header)
    }

    fn schema(&self) -> Result<String, SlotFault> {
        let len = self.u32(SCHEMA_BYTES_AT);
        let bad = SlotFault::BadField { field: "schema_bytes", found: u64::from(len) };
        let bytes = self.0[SCHEMA_AT..ROOT_AT].get(..len as usize).ok_or(bad)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| SlotFault::BadField { field: "schema", found: u64::from(len) })
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.0[at..at + N]);
        array
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

fn check_extent(header: &Header, volume_blocks: u64) -> Result<(), SlotFault> {
    match header.payload_block {
        None if header.payload_bytes > INLINE_BYTES as u64 => {
            Err(SlotFault::BadField { field: "payload_bytes", found: header.payload_bytes })
        }
        None => Ok(()),
        Some(first) if first < u64::from(header.slot_count) * HEADER_BLOCKS => {
            Err(SlotFault::BadField { field: "payload_block", found: first })
        }
        Some(first) => {
            let needed = first.saturating_add(extent_blocks(header.payload_bytes));
            if needed <= volume_blocks {
                return Ok(());
            }
            Err(SlotFault::Truncated { needed_blocks: needed, volume_blocks })
        }
    }
}

/// What a volume's headers begin with before their first checkpoint. It is made durable first, so that however a
/// power cut tears the first checkpoint, the volume is known as ours.
pub(super) fn claim() -> [u8; SLOT_AT] {
    let mut claim = [0; SLOT_AT];
    claim[..VERSION_AT].copy_from_slice(&MAGIC);
    claim[VERSION_AT..].copy_from_slice(&VERSION.to_le_bytes());
    claim
}

/// How many bytes the chunk table of such a payload has.
pub(super) fn table_bytes(payload_bytes: u64) -> u64 {
    payload_bytes.div_ceil(CHUNK_BYTES as u64).saturating_mul(32)
}

/// How many blocks a payload outside its header takes, with its chunk table, each padded to the size of a header.
pub(super) fn extent_blocks(payload_bytes: u64) -> u64 {
    padded_blocks(payload_bytes).saturating_add(padded_blocks(table_bytes(payload_bytes)))
}

/// How many blocks `bytes` take, padded to the size of a header.
pub(super) fn padded_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(HEADER_BYTES as u64).saturating_mul(HEADER_BLOCKS)
}

/// The root of a payload: the digest of its chunks' digests, in order.
pub(super) fn payload_root(chunks: &[Digest]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(chunks.as_flattened());
    *hasher.finalize().as_bytes()
}

/// A length that was checked against something in memory.
pub(super) fn usize_of(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn put_u32(into: &mut [u8], at: usize, value: u32) {
    into[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(into: &mut [u8], at: usize, value: u64) {
    into[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests;
