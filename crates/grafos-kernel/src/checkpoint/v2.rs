//! Version 2, read: from the end. The footer says where the index lies, the index where everything else does.
//!
//! Invariants: footer, index and header are believed only after their digests have been checked, in this order; for an
//! index that is larger than the limits nothing is allocated.

use super::ReadAt;
use super::bytes::align_up;
use super::error::{CheckpointError, Part};
use super::footer::{FOOTER_BYTES, Footer, INDEX_BYTES_AT};
use super::header::{CheckpointHeader, HEADER_BYTES};
use super::index::{self, Index, Place, expect_field};
use super::limits::{Limits, zeros};
use super::reader::read;
use super::writer::root_of;

/// What a file of version 2 holds. Reads its footer and its index.
pub(super) fn open(
    source: &impl ReadAt,
    header_bytes: &[u8; HEADER_BYTES],
    mut header: CheckpointHeader,
    file_bytes: u64,
    limits: &Limits,
) -> Result<Index, CheckpointError> {
    let expected = header.checksum;
    let found = crc32fast::hash(&CheckpointHeader { checksum: 0, ..header }.to_bytes());
    if expected != found {
        return Err(CheckpointError::Checksum { what: "header", offset: 0, expected, found });
    }
    index::check_layout(&header)?;

    let alignment = header.alignment();
    let least = align_up(HEADER_BYTES as u64, alignment) + u64::from(alignment).max(FOOTER_BYTES as u64);
    if file_bytes < least || !file_bytes.is_multiple_of(u64::from(alignment)) {
        let expected = align_up(file_bytes, alignment).max(least);
        return Err(CheckpointError::Truncated { offset: 0, expected, found: file_bytes });
    }
    let footer_at = file_bytes - FOOTER_BYTES as u64;
    let mut bytes = [0; FOOTER_BYTES];
    read(source, file_bytes, footer_at, &mut bytes)?;
    let footer = Footer::parse(&bytes, footer_at, file_bytes)?;

    limits.check_index(footer.index_bytes, footer_at + INDEX_BYTES_AT as u64)?;
    let mut bytes = zeros(footer.index_bytes)?;
    read(source, file_bytes, footer.index_offset, &mut bytes)?;
    let root = root_of(header_bytes, &bytes);
    if root != footer.root {
        let (part, offset, expected) = (Part::Index, footer.index_offset, footer.root);
        return Err(CheckpointError::Damaged { part, offset, expected, found: root });
    }
    let place = Place { offset: footer.index_offset, alignment, file_bytes };
    let mut index = index::parse(&bytes, place, header, limits)?;
    let end = footer.index_offset + footer.index_bytes;
    let state_bytes = index.chunks.iter().map(|chunk| chunk.len_bytes).fold(0, u64::saturating_add);
    let count = index.chunks.len() as u64;
    expect_field("chunk count of the footer", footer_at + 12, count, u64::from(footer.chunk_count))?;
    expect_field("state size", footer_at + 40, state_bytes, footer.state_bytes)?;
    expect_field("total size", footer_at + 16, align_up(end + FOOTER_BYTES as u64, alignment), file_bytes)?;
    header.total_size = file_bytes;
    header.chunk_count = footer.chunk_count;
    (index.header, index.root, index.end) = (header, Some(root), end);
    Ok(index)
}
