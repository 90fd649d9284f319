//! The last 128 bytes of a checkpoint of version 2: where its index lies, and the digest of the whole.
//!
//! ```text
//! integers are little-endian
//! +--------+-----+------------------------------------------------------------+
//! | offset | len | field                                                      |
//! +--------+-----+------------------------------------------------------------+
//! |      0 |   8 | magic "RKCKEND2"                                           |
//! |      8 |   4 | version = 2                                                |
//! |     12 |   4 | chunk_count                                                |
//! |     16 |   8 | total_size: the length of the file                         |
//! |     24 |   8 | index_offset                                               |
//! |     32 |   8 | index_bytes                                                |
//! |     40 |   8 | state_bytes: all chunks together, decompressed             |
//! |     48 |  16 | zeros                                                      |
//! |     64 |  32 | root: BLAKE3 of the file's first 64 bytes and of the index |
//! |     96 |  32 | BLAKE3 of the 96 bytes before                              |
//! +--------+-----+------------------------------------------------------------+
//! ```
//!
//! Invariant: nothing of a footer is believed before its digest has been checked.

use super::bytes::{array_at, put_u32, put_u64, u32_at, u64_at};
use super::digest::Digest;
use super::error::{CheckpointError, Part};
use super::index::expect_field;

pub(super) const FOOTER_BYTES: usize = DIGEST_AT + 32;

const MAGIC: [u8; 8] = *b"RKCKEND2";
const VERSION: u32 = 2;

const VERSION_AT: usize = MAGIC.len();
const CHUNK_COUNT_AT: usize = VERSION_AT + 4;
const TOTAL_SIZE_AT: usize = CHUNK_COUNT_AT + 4;
const INDEX_OFFSET_AT: usize = TOTAL_SIZE_AT + 8;
pub(super) const INDEX_BYTES_AT: usize = INDEX_OFFSET_AT + 8;
const STATE_BYTES_AT: usize = INDEX_BYTES_AT + 8;
const RESERVED_AT: usize = STATE_BYTES_AT + 8;
const ROOT_AT: usize = RESERVED_AT + 16;
const DIGEST_AT: usize = ROOT_AT + 32;

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) chunk_count: u32,
    pub(super) total_size: u64,
    pub(super) index_offset: u64,
    pub(super) index_bytes: u64,
    pub(super) state_bytes: u64,
    pub(super) root: Digest,
}

impl Footer {
    pub(super) fn to_bytes(self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(&mut bytes, VERSION_AT, VERSION);
        put_u32(&mut bytes, CHUNK_COUNT_AT, self.chunk_count);
        put_u64(&mut bytes, TOTAL_SIZE_AT, self.total_size);
        put_u64(&mut bytes, INDEX_OFFSET_AT, self.index_offset);
        put_u64(&mut bytes, INDEX_BYTES_AT, self.index_bytes);
        put_u64(&mut bytes, STATE_BYTES_AT, self.state_bytes);
        bytes[ROOT_AT..DIGEST_AT].copy_from_slice(&self.root.0);
        let digest = Digest::of(&bytes[..DIGEST_AT]);
        bytes[DIGEST_AT..].copy_from_slice(&digest.0);
        bytes
    }

    /// The footer of a file of `file_bytes`, that lies at `offset`.
    pub(super) fn parse(
        bytes: &[u8; FOOTER_BYTES],
        offset: u64,
        file_bytes: u64,
    ) -> Result<Self, CheckpointError> {
        let expected = Digest(array_at(bytes, DIGEST_AT));
        let found = Digest::of(&bytes[..DIGEST_AT]);
        if expected != found {
            return Err(CheckpointError::Damaged { part: Part::Footer, offset, expected, found });
        }
        let footer = Self {
            chunk_count: u32_at(bytes, CHUNK_COUNT_AT),
            total_size: u64_at(bytes, TOTAL_SIZE_AT),
            index_offset: u64_at(bytes, INDEX_OFFSET_AT),
            index_bytes: u64_at(bytes, INDEX_BYTES_AT),
            state_bytes: u64_at(bytes, STATE_BYTES_AT),
            root: Digest(array_at(bytes, ROOT_AT)),
        };
        let at = |field_at: usize| offset.saturating_add(field_at as u64);
        expect_field("magic of the footer", offset, u64::from_le_bytes(MAGIC), u64_at(bytes, 0))?;
        expect_field(
            "version of the footer",
            at(VERSION_AT),
            u64::from(VERSION),
            u64::from(u32_at(bytes, VERSION_AT)),
        )?;
        expect_field("total size", at(TOTAL_SIZE_AT), file_bytes, footer.total_size)?;
        for reserved in [RESERVED_AT, RESERVED_AT + 8] {
            expect_field("reserved bytes of the footer", at(reserved), 0, u64_at(bytes, reserved))?;
        }
        let end = footer.index_offset.saturating_add(footer.index_bytes);
        if end > offset {
            let field = "end of the index";
            return Err(CheckpointError::BadField {
                field,
                offset: at(INDEX_OFFSET_AT),
                expected: offset,
                found: end,
            });
        }
        Ok(footer)
    }
}
