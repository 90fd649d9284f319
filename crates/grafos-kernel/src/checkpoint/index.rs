//! [`Index`]: what a file holds and where, for both versions; and the index of version 2 as bytes.
//!
//! ```text
//! version 2; integers are little-endian; A is the alignment
//! +----------------------+  0
//! | header, 64 bytes     |  see header.rs
//! | zeros up to A        |
//! +----------------------+  A
//! | chunk 0              |  its segments, one behind the other
//! | zeros up to A        |
//! | chunk 1 …            |
//! +----------------------+  index_offset, a multiple of A
//! | metadata_bytes  u32  |
//! | metadata             |  see metadata.rs
//! | chunk_count     u32  |
//! | for each chunk:      |
//! |   header    32 bytes |  see chunk.rs; compressed_size is what its segments take
//! |   name_bytes    u32  |  u32::MAX: no name
//! |   name               |
//! |   for each segment:  |  as many as the uncompressed size has segments of 1 MiB
//! |     stored_bytes u32 |
//! |     compression u32  |  0 none, 1 lz4, 2 zstd
//! |     contents 32 bytes|  BLAKE3 of the segment, decompressed
//! |     stored   32 bytes|  BLAKE3 of what is stored; left out if compression = 0
//! | zeros                |
//! +----------------------+  total_size - 128
//! | footer, 128 bytes    |  see footer.rs
//! +----------------------+  total_size, a multiple of A
//! ```
//!
//! Invariant: where things lie follows from their sizes, so that there is only one place where each can be.

use super::bytes::{Parser, align_up, count_of, usize_of};
use super::chunk::{CHUNK_HEADER_BYTES, ChunkHeader, ChunkLabel, OUR_FLAGS};
use super::compression::Compression;
use super::delta::DELTA_PARENT_DIGEST_KEY;
use super::digest::{ContentHasher, Digest, SEGMENT_BYTES, SEGMENT_BYTES_FIELD};
use super::error::CheckpointError;
use super::header::{CheckpointHeader, FLAG_DELTA};
use super::limits::Limits;
use super::metadata::CheckpointMetadata;

/// The fewest bytes of a segment in the index.
const LEAST_SEGMENT_ENTRY: usize = 4 + 4 + 32;
/// In place of the length of a name.
const NO_NAME: u32 = u32::MAX;

/// What a file holds, and where.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// With the sizes of the file, whatever version it has.
    pub(super) header: CheckpointHeader,
    pub(super) metadata: CheckpointMetadata,
    pub(super) chunks: Vec<ChunkInfo>,
    /// The digest of header and index; version 1 has none.
    pub(super) root: Option<Digest>,
    /// Where the index ends in the file; 0 in version 1, which has none.
    pub(super) end: u64,
}

/// One chunk of a file: what it is, how large, where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkInfo {
    /// What it is.
    pub label: ChunkLabel,
    /// How long its data is, decompressed.
    pub len_bytes: u64,
    /// How many bytes it takes in the file.
    pub stored_bytes: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// Its pieces of [`SEGMENT_BYTES`], in order; none in version 1.
    pub segments: Vec<SegmentInfo>,
}

/// One piece of a chunk, as version 2 stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Where in the file it begins.
    pub offset: u64,
    /// How many bytes it takes there.
    pub stored_bytes: u32,
    /// How it is compressed; the level is not kept.
    pub compression: Compression,
    /// The digest of the piece.
    pub contents: Digest,
    /// The digest of what is stored.
    pub stored: Digest,
}

impl ChunkInfo {
    /// How the chunk is compressed: as its first segment that is.
    #[must_use]
    pub fn compression(&self) -> Compression {
        let mut packed = self.segments.iter().map(|segment| segment.compression);
        packed.find(|compression| *compression != Compression::None).unwrap_or_default()
    }

    /// The digest of the chunk's data and label, from the table: nothing is read. `None` in version 1.
    ///
    /// It is what [`Checkpoint::content_digest`](super::Checkpoint::content_digest) is for a checkpoint of this chunk
    /// alone.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        if self.segments.is_empty() && self.len_bytes > 0 {
            return None;
        }
        let mut hasher = ContentHasher::default();
        hasher
            .chunk(self.label.summary(self.len_bytes), self.segments.iter().map(|segment| segment.contents));
        Some(hasher.finish())
    }

    /// How long segment `index` is, decompressed.
    pub(super) fn segment_len(&self, index: usize) -> u64 {
        let begin = (index as u64).saturating_mul(SEGMENT_BYTES as u64);
        self.len_bytes.saturating_sub(begin).min(SEGMENT_BYTES as u64)
    }
}

/// Appends one chunk to the index.
pub(super) fn push_chunk(into: &mut Vec<u8>, label: &ChunkLabel, len: u64, segments: &[SegmentInfo]) {
    let stored = segments.iter().map(|segment| u64::from(segment.stored_bytes)).sum();
    into.extend_from_slice(&label.header(len, stored).to_bytes());
    let name_len = label.name.as_ref().map_or(NO_NAME, |name| count_of(name.len()));
    into.extend_from_slice(&name_len.to_le_bytes());
    into.extend_from_slice(label.name.as_deref().unwrap_or_default().as_bytes());
    for segment in segments {
        into.extend_from_slice(&segment.stored_bytes.to_le_bytes());
        into.extend_from_slice(&segment.compression.number().to_le_bytes());
        into.extend_from_slice(&segment.contents.0);
        if segment.compression != Compression::None {
            into.extend_from_slice(&segment.stored.0);
        }
    }
}

/// How many bytes a chunk that is not compressed takes in the index.
pub(super) fn raw_entry_bytes(name: Option<&str>, len: u64) -> u64 {
    let fixed = (CHUNK_HEADER_BYTES + 4 + name.map_or(0, str::len)) as u64;
    fixed + len.div_ceil(SEGMENT_BYTES as u64) * LEAST_SEGMENT_ENTRY as u64
}

/// Where an index lies, of which file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) alignment: u32,
    pub(super) file_bytes: u64,
}

/// The index that `bytes` are of; their digest has been checked.
pub(super) fn parse(
    bytes: &[u8],
    place: Place,
    header: CheckpointHeader,
    limits: &Limits,
) -> Result<Index, CheckpointError> {
    let mut parser = Parser::new(bytes, place.offset);
    let len = usize_of(u64::from(parser.u32()?));
    let base = parser.offset();
    let metadata = CheckpointMetadata::parse(parser.take(len)?, base)?;
    let is_delta = header.flags & FLAG_DELTA != 0;
    expect_field(
        "delta flag, beside the parent's digest in the metadata",
        base,
        u64::from(metadata.custom.contains_key(DELTA_PARENT_DIGEST_KEY)),
        u64::from(is_delta),
    )?;
    let mut chunks = Vec::new();
    let mut at = align_up(super::header::HEADER_BYTES as u64, place.alignment);
    let mut state_bytes = 0_u64;
    let chunk_count = parser.u32()?;
    for _ in 0..chunk_count {
        let chunk = parse_chunk(&mut parser, at, is_delta, |len, offset| {
            state_bytes = state_bytes.saturating_add(len);
            limits.check(state_bytes, place.file_bytes, offset)
        })?;
        at = align_up(at.saturating_add(chunk.stored_bytes), place.alignment);
        chunks.push(chunk);
    }
    parser.end("index")?;
    expect_field("place of the index", place.offset, at, place.offset)?;
    Ok(Index { header, metadata, chunks, root: None, end: 0 })
}

fn parse_chunk(
    parser: &mut Parser<'_>,
    at: u64,
    is_delta: bool,
    check_size: impl FnOnce(u64, u64) -> Result<(), CheckpointError>,
) -> Result<ChunkInfo, CheckpointError> {
    let offset = parser.offset();
    let header = ChunkHeader::from_bytes(&parser.array()?);
    check_size(header.uncompressed_size, offset)?;
    if !is_delta {
        expect_field(
            "flags of a delta, in a chunk of a full checkpoint",
            offset,
            0,
            u64::from(header.flags & OUR_FLAGS),
        )?;
    }
    let ChunkHeader { chunk_type, flags, chunk_id, .. } = header;
    let label = ChunkLabel { chunk_type, flags, chunk_id, name: parse_name(parser)? };
    let (len_bytes, stored_bytes) = (header.uncompressed_size, header.compressed_size);
    let mut chunk = ChunkInfo { label, len_bytes, stored_bytes, offset: at, segments: Vec::new() };
    let count = usize_of(len_bytes.div_ceil(SEGMENT_BYTES as u64));
    // The count is not believed: each segment takes some bytes here, and those must be there.
    chunk.segments.reserve_exact(count.min(parser.remaining() / LEAST_SEGMENT_ENTRY));
    let mut end = at;
    for index in 0..count {
        let segment = parse_segment(parser, end, chunk.segment_len(index))?;
        end = end.saturating_add(u64::from(segment.stored_bytes));
        chunk.segments.push(segment);
    }
    expect_field("stored size of a chunk", offset, end - at, stored_bytes)?;
    Ok(chunk)
}

fn parse_name(parser: &mut Parser<'_>) -> Result<Option<String>, CheckpointError> {
    let offset = parser.offset();
    let len = parser.u32()?;
    if len == NO_NAME {
        return Ok(None);
    }
    let bytes = parser.take(usize_of(u64::from(len)))?;
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok(Some(name.to_owned())),
        Err(_) => Err(CheckpointError::NotText { offset: offset + 4, field: "name of a chunk" }),
    }
}

fn parse_segment(parser: &mut Parser<'_>, at: u64, len: u64) -> Result<SegmentInfo, CheckpointError> {
    let offset = parser.offset();
    let stored_bytes = parser.u32()?;
    let number = parser.u32()?;
    let bad = |field, expected, found| CheckpointError::BadField { field, offset, expected, found };
    let compression = Compression::from_number(number)
        .ok_or_else(|| bad("compression of a segment", 2, u64::from(number)))?;
    let contents = Digest(parser.array()?);
    let found = u64::from(stored_bytes);
    let stored = match compression {
        Compression::None => {
            expect_field("stored size of a segment", offset, len, found)?;
            contents
        }
        _ if found == 0 || found >= len => {
            return Err(bad("stored size of a compressed segment", len.saturating_sub(1), found));
        }
        _ => Digest(parser.array()?),
    };
    Ok(SegmentInfo { offset: at, stored_bytes, compression, contents, stored })
}

pub(super) fn expect_field(
    field: &'static str,
    offset: u64,
    expected: u64,
    found: u64,
) -> Result<(), CheckpointError> {
    if expected == found {
        return Ok(());
    }
    Err(CheckpointError::BadField { field, offset, expected, found })
}

/// What version 2 says of itself in its header.
pub(super) fn check_layout(header: &CheckpointHeader) -> Result<(), CheckpointError> {
    let alignment = header.alignment();
    let is_right = alignment.is_power_of_two()
        && (super::WriteOptions::MIN_ALIGNMENT..=super::WriteOptions::MAX_ALIGNMENT).contains(&alignment);
    if !is_right {
        return Err(CheckpointError::BadField {
            field: "alignment",
            offset: 48,
            expected: 4096,
            found: u64::from(alignment),
        });
    }
    let sizes = [
        ("segment size", 52, SEGMENT_BYTES_FIELD, header.segment_bytes()),
        ("header size", 12, 64, header.header_size),
        ("chunk count in the header", 24, 0, header.chunk_count),
        ("flags", 36, 0, header.flags & !FLAG_DELTA),
    ];
    for (field, offset, expected, found) in sizes {
        expect_field(field, offset, u64::from(expected), u64::from(found))?;
    }
    expect_field("total size in the header", 16, 0, header.total_size)?;
    if Compression::from_number(header.compression).is_none() {
        let found = u64::from(header.compression);
        return Err(CheckpointError::BadField { field: "compression", offset: 28, expected: 2, found });
    }
    Ok(())
}
