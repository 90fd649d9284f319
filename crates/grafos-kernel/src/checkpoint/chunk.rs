//! [`DataChunk`]: one part of a kernel's state, and what it is called. Not how it is stored.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::bytes::{put_u32, put_u64, u32_at, u64_at};
use super::digest::ChunkSummary;
use super::error::CheckpointError;

/// Which part of a kernel's state a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum ChunkType {
    /// The control block, 256 bytes as a rule.
    ControlBlock = 1,
    /// Header and waiting messages of the queue from host to kernel.
    H2KQueue = 2,
    /// Header and waiting messages of the queue from kernel to host.
    K2HQueue = 3,
    /// State of the hybrid logical clock.
    HlcState = 4,
    /// A region of device memory, a pressure field for instance.
    DeviceMemory = 5,
    /// The routing table between kernels.
    K2KRouting = 6,
    /// Buffers of the halo exchange.
    HaloBuffers = 7,
    /// Statistics.
    Telemetry = 8,
    /// Whatever the application likes.
    Custom = 100,
}

impl ChunkType {
    /// The type with this number.
    #[must_use]
    pub fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::ControlBlock,
            2 => Self::H2KQueue,
            3 => Self::K2HQueue,
            4 => Self::HlcState,
            5 => Self::DeviceMemory,
            6 => Self::K2KRouting,
            7 => Self::HaloBuffers,
            8 => Self::Telemetry,
            100 => Self::Custom,
            _ => return None,
        })
    }
}

/// The id of the region with this name: SipHash-1-3 with keys of zero over its UTF-8 bytes and a byte 0xff.
///
/// That is what RingKernel writes, so that regions of its checkpoints are found by name too; here it is fixed.
///
/// ```
/// assert_eq!(grafos_kernel::checkpoint::region_id("pressure"), 0xaca6_a1f2_0a24_1e2a);
/// ```
#[must_use]
pub fn region_id(name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(name.as_bytes());
    hasher.write_u8(0xff);
    hasher.finish()
}

/// Bytes of a chunk's header.
pub(super) const CHUNK_HEADER_BYTES: usize = 32;
/// Flag: the chunk holds changed pages and not the whole region. Only in deltas.
pub(super) const FLAG_PAGES: u32 = 1 << 31;
/// Flag: the chunk is the list of what a delta makes. Only in deltas, where it is the first.
pub(super) const FLAG_RECIPE: u32 = 1 << 30;
/// Flags that have a meaning here; the others are the application's.
pub(super) const OUR_FLAGS: u32 = FLAG_PAGES | FLAG_RECIPE;

const CHUNK_TYPE_AT: usize = 0;
const FLAGS_AT: usize = CHUNK_TYPE_AT + 4;
const UNCOMPRESSED_SIZE_AT: usize = FLAGS_AT + 4;
const COMPRESSED_SIZE_AT: usize = UNCOMPRESSED_SIZE_AT + 8;
const CHUNK_ID_AT: usize = COMPRESSED_SIZE_AT + 8;

/// The header of a chunk, 32 bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Number of the [`ChunkType`]. One that is not known is kept.
    pub chunk_type: u32,
    /// The two highest bits are used by deltas; the others are the application's.
    pub flags: u32,
    /// Length of the data in bytes.
    pub uncompressed_size: u64,
    /// Length of the data as stored. In memory the same as `uncompressed_size`.
    pub compressed_size: u64,
    /// Tells chunks of one type apart: [`region_id`] of a region's name.
    pub chunk_id: u64,
}

impl ChunkHeader {
    /// The header of a chunk of `data_size` bytes.
    #[must_use]
    pub fn new(chunk_type: ChunkType, data_size: usize) -> Self {
        let size = data_size as u64;
        Self {
            chunk_type: chunk_type as u32,
            flags: 0,
            uncompressed_size: size,
            compressed_size: size,
            chunk_id: 0,
        }
    }

    /// With this id.
    #[must_use]
    pub fn with_id(mut self, id: u64) -> Self {
        self.chunk_id = id;
        self
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        put_u32(&mut bytes, CHUNK_TYPE_AT, self.chunk_type);
        put_u32(&mut bytes, FLAGS_AT, self.flags);
        put_u64(&mut bytes, UNCOMPRESSED_SIZE_AT, self.uncompressed_size);
        put_u64(&mut bytes, COMPRESSED_SIZE_AT, self.compressed_size);
        put_u64(&mut bytes, CHUNK_ID_AT, self.chunk_id);
        bytes
    }

    /// What the bytes say; nothing is checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            chunk_type: u32_at(bytes, CHUNK_TYPE_AT),
            flags: u32_at(bytes, FLAGS_AT),
            uncompressed_size: u64_at(bytes, UNCOMPRESSED_SIZE_AT),
            compressed_size: u64_at(bytes, COMPRESSED_SIZE_AT),
            chunk_id: u64_at(bytes, CHUNK_ID_AT),
        }
    }
}

/// What a chunk is, without its data: what a [`super::CheckpointWriter`] wants to know before the data comes.
///
/// ```
/// use grafos_kernel::checkpoint::{ChunkLabel, ChunkType, region_id};
///
/// let label = ChunkLabel::region("pressure");
/// assert_eq!((label.chunk_type, label.chunk_id), (ChunkType::DeviceMemory as u32, region_id("pressure")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChunkLabel {
    /// Number of the [`ChunkType`].
    pub chunk_type: u32,
    /// As in [`ChunkHeader::flags`].
    pub flags: u32,
    /// As in [`ChunkHeader::chunk_id`].
    pub chunk_id: u64,
    /// The name, where there is one. Version 1 keeps only its hash.
    pub name: Option<String>,
}

impl ChunkLabel {
    /// A chunk of which a checkpoint has one.
    #[must_use]
    pub fn of(chunk_type: ChunkType) -> Self {
        Self { chunk_type: chunk_type as u32, flags: 0, chunk_id: 0, name: None }
    }

    /// A region of device memory.
    #[must_use]
    pub fn region(name: impl Into<String>) -> Self {
        Self::named(ChunkType::DeviceMemory, name)
    }

    /// A chunk with a name, and its hash as id.
    #[must_use]
    pub fn named(chunk_type: ChunkType, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { chunk_id: region_id(&name), name: Some(name), ..Self::of(chunk_type) }
    }

    /// With this id.
    #[must_use]
    pub fn with_id(mut self, id: u64) -> Self {
        self.chunk_id = id;
        self
    }

    /// The type, if it is known.
    #[must_use]
    pub fn kind(&self) -> Option<ChunkType> {
        ChunkType::from_u32(self.chunk_type)
    }

    /// Is it the list of what a delta makes?
    #[must_use]
    pub fn is_recipe(&self) -> bool {
        self.flags & OUR_FLAGS == FLAG_RECIPE
    }

    /// Does it hold the pages of a chunk that a delta changes?
    #[must_use]
    pub fn is_pages(&self) -> bool {
        self.flags & OUR_FLAGS == FLAG_PAGES
    }

    /// What stays the same from one checkpoint of a kernel to the next: see [`DataChunk::chunk_identity`].
    pub(super) fn identity(&self) -> Option<(ChunkType, Option<u64>)> {
        let kind = self.kind()?;
        let has_id = matches!(kind, ChunkType::DeviceMemory | ChunkType::Custom);
        Some((kind, has_id.then_some(self.chunk_id)))
    }

    pub(super) fn header(&self, uncompressed: u64, compressed: u64) -> ChunkHeader {
        ChunkHeader {
            chunk_type: self.chunk_type,
            flags: self.flags,
            uncompressed_size: uncompressed,
            compressed_size: compressed,
            chunk_id: self.chunk_id,
        }
    }

    pub(super) fn summary(&self, len: u64) -> ChunkSummary<'_> {
        let Self { chunk_type, flags, chunk_id, name } = self;
        ChunkSummary {
            chunk_type: *chunk_type,
            flags: *flags,
            len,
            chunk_id: *chunk_id,
            name: name.as_deref(),
        }
    }

    /// Is it the region with this name? Chunks of version 1 know only the hash.
    pub(super) fn is_region(&self, name: &str, id: u64) -> Result<bool, CheckpointError> {
        if self.chunk_type != ChunkType::DeviceMemory as u32 || self.chunk_id != id {
            return Ok(false);
        }
        match &self.name {
            Some(found) if found != name => {
                Err(CheckpointError::NameCollision { name: name.to_owned(), found: found.clone() })
            }
            _ => Ok(true),
        }
    }
}

/// One part of a kernel's state, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChunk {
    /// What it is. When it is written, its sizes are taken from `data`.
    pub header: ChunkHeader,
    /// The bytes, not compressed.
    pub data: Vec<u8>,
    /// The name of a region, where it is known: not in checkpoints of version 1.
    pub name: Option<String>,
}

impl DataChunk {
    /// A chunk of which a checkpoint has one.
    #[must_use]
    pub fn new(chunk_type: ChunkType, data: Vec<u8>) -> Self {
        Self { header: ChunkHeader::new(chunk_type, data.len()), data, name: None }
    }

    /// A chunk with an id of the caller's.
    #[must_use]
    pub fn with_id(chunk_type: ChunkType, data: Vec<u8>, id: u64) -> Self {
        Self { header: ChunkHeader::new(chunk_type, data.len()).with_id(id), data, name: None }
    }

    /// A region of device memory.
    #[must_use]
    pub fn region(name: impl Into<String>, data: Vec<u8>) -> Self {
        Self::labelled(ChunkLabel::region(name), data)
    }

    /// A chunk with this label.
    #[must_use]
    pub fn labelled(label: ChunkLabel, data: Vec<u8>) -> Self {
        let len = data.len() as u64;
        Self { header: label.header(len, len), data, name: label.name }
    }

    /// The type, if it is known.
    #[must_use]
    pub fn chunk_type(&self) -> Option<ChunkType> {
        ChunkType::from_u32(self.header.chunk_type)
    }

    /// What it is.
    #[must_use]
    pub fn label(&self) -> ChunkLabel {
        let ChunkHeader { chunk_type, flags, chunk_id, .. } = self.header;
        ChunkLabel { chunk_type, flags, chunk_id, name: self.name.clone() }
    }

    /// What stays the same from one checkpoint of a kernel to the next: type and, where there are several of one type,
    /// the id. `None` if the type is not known.
    #[must_use]
    pub fn chunk_identity(&self) -> Option<(ChunkType, Option<u64>)> {
        self.label().identity()
    }

    pub(super) fn summary(&self) -> ChunkSummary<'_> {
        let ChunkHeader { chunk_type, flags, chunk_id, .. } = self.header;
        let len = self.data.len() as u64;
        ChunkSummary { chunk_type, flags, len, chunk_id, name: self.name.as_deref() }
    }
}
