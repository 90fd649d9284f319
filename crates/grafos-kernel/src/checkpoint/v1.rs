//! Version 1, RingKernel's: the whole behind a header of 64 bytes, with one CRC-32 over it.
//!
//! ```text
//! +----------------------+  0
//! | header, 64 bytes     |  see header.rs
//! +----------------------+  64
//! | metadata_bytes  u32  |
//! | metadata             |  see metadata.rs
//! | for each chunk:      |
//! |   header    32 bytes |  see chunk.rs
//! |   data               |  never compressed, though the header has a field for it
//! +----------------------+
//! ```
//!
//! The checksum covers everything but the header. Of the header each byte is checked against what it must be, so that
//! only `created_at` can be damaged unseen.

use super::bytes::{count_of, put_u32, usize_of};
use super::chunk::{CHUNK_HEADER_BYTES, ChunkHeader, ChunkLabel, OUR_FLAGS};
use super::digest::SEGMENT_BYTES;
use super::error::CheckpointError;
use super::header::{CheckpointHeader, HEADER_BYTES, HEADER_SIZE_IN_VERSION_1, MAX_CHECKPOINT_SIZE};
use super::index::{ChunkInfo, Index, expect_field};
use super::limits::Limits;
use super::metadata::CheckpointMetadata;
use super::reader::read;
use super::{Checkpoint, ReadAt};

/// The checkpoint as RingKernel writes it.
pub(super) fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, CheckpointError> {
    let metadata = checkpoint.metadata.to_bytes();
    let chunks: u64 =
        checkpoint.chunks.iter().map(|chunk| (CHUNK_HEADER_BYTES + chunk.data.len()) as u64).sum();
    let file_bytes = (HEADER_BYTES + 4 + metadata.len()) as u64 + chunks;
    check(checkpoint, file_bytes)?;
    let header = checkpoint.header.version_1(count_of(checkpoint.chunks.len()), file_bytes);
    let mut bytes = Vec::with_capacity(usize_of(file_bytes));
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(&count_of(metadata.len()).to_le_bytes());
    bytes.extend_from_slice(&metadata);
    for chunk in &checkpoint.chunks {
        let len = chunk.data.len() as u64;
        let header = ChunkHeader { uncompressed_size: len, compressed_size: len, ..chunk.header };
        bytes.extend_from_slice(&header.to_bytes());
        bytes.extend_from_slice(&chunk.data);
    }
    let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
    put_u32(&mut bytes, 32, checksum);
    Ok(bytes)
}

fn check(checkpoint: &Checkpoint, file_bytes: u64) -> Result<(), CheckpointError> {
    let limit = MAX_CHECKPOINT_SIZE as u64;
    if file_bytes > limit {
        return Err(CheckpointError::NotInVersion1 { what: "bytes", limit, found: file_bytes });
    }
    let ours = checkpoint.chunks.iter().filter(|chunk| chunk.header.flags & OUR_FLAGS != 0).count();
    if ours > 0 {
        let what = "chunks of a delta by pages";
        return Err(CheckpointError::NotInVersion1 { what, limit: 0, found: ours as u64 });
    }
    Ok(())
}

/// What a file of version 1 holds. Reads all of it once, since there is only one checksum.
pub(super) fn open(
    source: &impl ReadAt,
    header: CheckpointHeader,
    file_bytes: u64,
    limits: &Limits,
) -> Result<Index, CheckpointError> {
    check_header(&header, file_bytes)?;
    check_crc(source, header.checksum, file_bytes)?;

    let mut at = HEADER_BYTES as u64;
    let mut len = [0; 4];
    read(source, file_bytes, at, &mut len)?;
    let len = u64::from(u32::from_le_bytes(len));
    let table = u64::from(header.chunk_count) * CHUNK_HEADER_BYTES as u64;
    limits.check_index(len.saturating_add(table), at)?;
    at += 4;
    let mut metadata = vec![0; usize_of(fits(at, len, file_bytes)?)];
    read(source, file_bytes, at, &mut metadata)?;
    let metadata = CheckpointMetadata::parse(&metadata, at)?;
    at += len;

    let mut chunks = Vec::new();
    for _ in 0..header.chunk_count {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        read(source, file_bytes, at, &mut bytes)?;
        let chunk = chunk_at(&ChunkHeader::from_bytes(&bytes), at, file_bytes)?;
        at = chunk.offset + chunk.stored_bytes;
        chunks.push(chunk);
    }
    if at < file_bytes {
        let found = file_bytes - at;
        return Err(CheckpointError::TrailingBytes { offset: at, what: "last chunk", found });
    }
    Ok(Index { header, metadata, chunks, root: None, end: 0 })
}

fn check_header(header: &CheckpointHeader, file_bytes: u64) -> Result<(), CheckpointError> {
    if u64::from(header.header_size) != HEADER_BYTES as u64 {
        expect_field("header size", 12, u64::from(HEADER_SIZE_IN_VERSION_1), u64::from(header.header_size))?;
    }
    let total = (file_bytes - HEADER_BYTES as u64).saturating_add(u64::from(header.header_size));
    if header.total_size > total {
        let found = file_bytes;
        let expected = header.total_size - total + file_bytes;
        return Err(CheckpointError::Truncated { offset: 0, expected, found });
    }
    expect_field("total size", 16, total, header.total_size)?;
    expect_field("compression", 28, 0, u64::from(header.compression))?;
    expect_field("flags", 36, 0, u64::from(header.flags))?;
    expect_field("reserved bytes", 48, 0, u64::from_le_bytes(header._reserved))
}

fn check_crc(source: &impl ReadAt, expected: u32, file_bytes: u64) -> Result<(), CheckpointError> {
    let mut hasher = crc32fast::Hasher::new();
    let mut at = HEADER_BYTES as u64;
    let mut buffer = vec![0; usize_of((file_bytes - at).min(SEGMENT_BYTES as u64))];
    while at < file_bytes {
        let len = usize_of((file_bytes - at).min(buffer.len() as u64));
        read(source, file_bytes, at, &mut buffer[..len])?;
        hasher.update(&buffer[..len]);
        at += len as u64;
    }
    let found = hasher.finalize();
    if expected == found {
        return Ok(());
    }
    Err(CheckpointError::Checksum { what: "data", offset: HEADER_BYTES as u64, expected, found })
}

fn chunk_at(header: &ChunkHeader, at: u64, file_bytes: u64) -> Result<ChunkInfo, CheckpointError> {
    let ChunkHeader { chunk_type, flags, uncompressed_size, compressed_size, chunk_id } = *header;
    expect_field("flags of a delta by pages", at + 4, 0, u64::from(flags & OUR_FLAGS))?;
    expect_field("size of a chunk that is not compressed", at + 8, compressed_size, uncompressed_size)?;
    let offset = at + CHUNK_HEADER_BYTES as u64;
    fits(offset, compressed_size, file_bytes)?;
    Ok(ChunkInfo {
        label: ChunkLabel { chunk_type, flags, chunk_id, name: None },
        len_bytes: uncompressed_size,
        stored_bytes: compressed_size,
        offset,
        segments: Vec::new(),
    })
}

/// `len`, if the file has so many bytes from `at` on.
fn fits(at: u64, len: u64, file_bytes: u64) -> Result<u64, CheckpointError> {
    let found = file_bytes.saturating_sub(at);
    if len <= found { Ok(len) } else { Err(CheckpointError::Truncated { offset: at, expected: len, found }) }
}
