//! [`CheckpointHeader`]: the first 64 bytes of a checkpoint of any version.
//!
//! ```text
//! integers are little-endian
//! +--------+-----+-------------------------------+---------------------------------------------+
//! | offset | len | version 1                     | version 2                                   |
//! +--------+-----+-------------------------------+---------------------------------------------+
//! |      0 |   8 | magic                         | the same                                    |
//! |      8 |   4 | version = 1                   | version = 2                                 |
//! |     12 |   4 | header_size = 56 (or 64)      | header_size = 64                            |
//! |     16 |   8 | total_size, less 64 - the former | 0: the footer has it                     |
//! |     24 |   4 | chunk_count                   | 0: the footer has it                        |
//! |     28 |   4 | compression = 0               | what was asked for: 0 none, 1 lz4, 2 zstd   |
//! |     32 |   4 | CRC-32 of all behind 64       | CRC-32 of this header with zeros here       |
//! |     36 |   4 | flags = 0                     | flags: bit 0 = a delta                      |
//! |     40 |   8 | created_at                    | the same                                    |
//! |     48 |   4 | 0                             | alignment of chunks                         |
//! |     52 |   4 | 0                             | segment_bytes = 1048576                     |
//! |     56 |   8 | 0                             | 0                                           |
//! +--------+-----+-------------------------------+---------------------------------------------+
//! ```
//!
//! Whether the fields fit the file is not decided here but by the reader of each version.

use fabricbios_core::clock::{Clock, SystemClock};

use super::bytes::{put_u32, put_u64, u32_at, u64_at};
use super::error::CheckpointError;

/// How a checkpoint begins: "RKCKPT01", as a number.
pub const CHECKPOINT_MAGIC: u64 = 0x524B_434B_5054_3031;
/// The newest version of the format: what [`super::Checkpoint::to_bytes`] writes.
pub const CHECKPOINT_VERSION: u32 = 2;
/// RingKernel's version, which is read and written too.
pub const CHECKPOINT_VERSION_1: u32 = 1;
/// The longest checkpoint of version 1, and how far a shorter file may grow when it is decompressed, unless
/// [`super::Limits`] say otherwise: 1 GiB. A checkpoint of version 2 may be longer.
pub const MAX_CHECKPOINT_SIZE: usize = 1 << 30;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 64;
/// Flag: the checkpoint is a delta.
pub(super) const FLAG_DELTA: u32 = 1;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const HEADER_SIZE_AT: usize = VERSION_AT + 4;
const TOTAL_SIZE_AT: usize = HEADER_SIZE_AT + 4;
const CHUNK_COUNT_AT: usize = TOTAL_SIZE_AT + 8;
const COMPRESSION_AT: usize = CHUNK_COUNT_AT + 4;
const CHECKSUM_AT: usize = COMPRESSION_AT + 4;
const FLAGS_AT: usize = CHECKSUM_AT + 4;
const CREATED_AT_AT: usize = FLAGS_AT + 4;
const RESERVED_AT: usize = CREATED_AT_AT + 8;

/// The header of a checkpoint, 64 bytes in a file.
///
/// In a checkpoint that was read, the sizes are those of the file. In one that was built they say nothing until it is
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// [`CHECKPOINT_MAGIC`].
    pub magic: u64,
    /// 1 or 2.
    pub version: u32,
    /// How long the header says that it is, in bytes.
    pub header_size: u32,
    /// Length of the file in bytes (in version 1, of RingKernel's reckoning: 8 less).
    pub total_size: u64,
    /// How many chunks there are.
    pub chunk_count: u32,
    /// 0 none, 1 lz4, 2 zstd: what the writer asked for. Each chunk says for itself what was done.
    pub compression: u32,
    /// A CRC-32: of everything behind the header in version 1, of the header in version 2.
    pub checksum: u32,
    /// Bit 0: a delta.
    pub flags: u32,
    /// When it was made, in microseconds since 1970.
    pub created_at: u64,
    /// Zeros in version 1; alignment and segment size in version 2.
    pub _reserved: [u8; 8],
}

impl CheckpointHeader {
    /// The header of a checkpoint that is made now.
    #[must_use]
    pub fn new(chunk_count: u32, total_size: u64) -> Self {
        Self {
            magic: CHECKPOINT_MAGIC,
            version: CHECKPOINT_VERSION,
            header_size: 64,
            total_size,
            chunk_count,
            compression: 0,
            checksum: 0,
            flags: 0,
            created_at: SystemClock.unix_ms().saturating_mul(1000),
            _reserved: [0; 8],
        }
    }

    /// Is it a header of a version that can be read?
    ///
    /// # Errors
    ///
    /// [`NotACheckpoint`](CheckpointError::NotACheckpoint), [`UnsupportedVersion`](CheckpointError::UnsupportedVersion),
    /// and [`TooLarge`](CheckpointError::TooLarge) for one of version 1 that claims more than [`MAX_CHECKPOINT_SIZE`].
    pub fn validate(&self) -> Result<(), CheckpointError> {
        if self.magic != CHECKPOINT_MAGIC {
            return Err(CheckpointError::NotACheckpoint { found: self.magic.to_le_bytes() });
        }
        if !(CHECKPOINT_VERSION_1..=CHECKPOINT_VERSION).contains(&self.version) {
            return Err(CheckpointError::UnsupportedVersion {
                offset: VERSION_AT as u64,
                newest: CHECKPOINT_VERSION,
                found: self.version,
            });
        }
        let limit = MAX_CHECKPOINT_SIZE as u64;
        if self.version == CHECKPOINT_VERSION_1 && self.total_size > limit {
            let offset = TOTAL_SIZE_AT as u64;
            return Err(CheckpointError::TooLarge { what: "file", offset, limit, found: self.total_size });
        }
        Ok(())
    }

    /// The bytes of the header; the last 8 are zeros.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; HEADER_BYTES];
        put_u64(&mut bytes, MAGIC_AT, self.magic);
        put_u32(&mut bytes, VERSION_AT, self.version);
        put_u32(&mut bytes, HEADER_SIZE_AT, self.header_size);
        put_u64(&mut bytes, TOTAL_SIZE_AT, self.total_size);
        put_u32(&mut bytes, CHUNK_COUNT_AT, self.chunk_count);
        put_u32(&mut bytes, COMPRESSION_AT, self.compression);
        put_u32(&mut bytes, CHECKSUM_AT, self.checksum);
        put_u32(&mut bytes, FLAGS_AT, self.flags);
        put_u64(&mut bytes, CREATED_AT_AT, self.created_at);
        bytes[RESERVED_AT..RESERVED_AT + 8].copy_from_slice(&self._reserved);
        bytes
    }

    /// What the bytes say; nothing is checked, see [`validate`](Self::validate).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut reserved = [0; 8];
        reserved.copy_from_slice(&bytes[RESERVED_AT..RESERVED_AT + 8]);
        Self {
            magic: u64_at(bytes, MAGIC_AT),
            version: u32_at(bytes, VERSION_AT),
            header_size: u32_at(bytes, HEADER_SIZE_AT),
            total_size: u64_at(bytes, TOTAL_SIZE_AT),
            chunk_count: u32_at(bytes, CHUNK_COUNT_AT),
            compression: u32_at(bytes, COMPRESSION_AT),
            checksum: u32_at(bytes, CHECKSUM_AT),
            flags: u32_at(bytes, FLAGS_AT),
            created_at: u64_at(bytes, CREATED_AT_AT),
            _reserved: reserved,
        }
    }

    /// The same header with its sizes in RingKernel's reckoning, version 1.
    pub(super) fn version_1(mut self, chunk_count: u32, file_bytes: u64) -> Self {
        self.version = CHECKPOINT_VERSION_1;
        self.header_size = HEADER_SIZE_IN_VERSION_1;
        self.total_size = file_bytes - HEADER_BYTES as u64 + u64::from(HEADER_SIZE_IN_VERSION_1);
        self.chunk_count = chunk_count;
        (self.compression, self.flags, self._reserved) = (0, 0, [0; 8]);
        self
    }

    /// The header of what a delta with this header makes.
    pub(super) fn of_full(mut self) -> Self {
        self.flags &= !FLAG_DELTA;
        self
    }

    pub(super) fn alignment(&self) -> u32 {
        u32_at(&self._reserved, 0)
    }

    pub(super) fn segment_bytes(&self) -> u32 {
        u32_at(&self._reserved, 4)
    }

    pub(super) fn set_layout(&mut self, alignment: u32, segment_bytes: u32) {
        put_u32(&mut self._reserved, 0, alignment);
        put_u32(&mut self._reserved, 4, segment_bytes);
    }
}

/// RingKernel takes the size of its structure in memory for that of the header in the file, which has 8 bytes more. It
/// looks at neither when it reads.
pub(super) const HEADER_SIZE_IN_VERSION_1: u32 = 56;
