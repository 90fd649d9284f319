//! A checkpoint in memory as bytes of version 2. Not a stream: see `writer.rs`, which writes the same bytes.

use super::Checkpoint;
use super::bytes::{align_up, count_of, usize_of};
use super::chunk::OUR_FLAGS;
use super::compression::Compression;
use super::digest::{ContentHasher, Digest, SEGMENT_BYTES};
use super::error::{CheckpointError, Kind};
use super::footer::{FOOTER_BYTES, Footer};
use super::header::HEADER_BYTES;
use super::index::{SegmentInfo, push_chunk, raw_entry_bytes};
use super::limits::zeros;
use super::options::WriteOptions;
use super::parallel;
use super::writer::{CheckpointWriter, check_text, header_of, index_of, root_of};

/// Where the parts of a checkpoint lie that is not compressed.
struct Layout {
    alignment: u32,
    /// Where each chunk begins.
    chunks: Vec<u64>,
    index_offset: u64,
    index_bytes: u64,
    total: u64,
}

impl Layout {
    fn of(checkpoint: &Checkpoint, alignment: u32) -> Self {
        let mut at = align_up(HEADER_BYTES as u64, alignment);
        let mut index_bytes = 8 + checkpoint.metadata.len_bytes() as u64;
        let mut chunks = Vec::with_capacity(checkpoint.chunks.len());
        for chunk in &checkpoint.chunks {
            chunks.push(at);
            let len = chunk.data.len() as u64;
            at = align_up(at + len, alignment);
            index_bytes += raw_entry_bytes(chunk.name.as_deref(), len);
        }
        let total = align_up(at + index_bytes + FOOTER_BYTES as u64, alignment);
        Self { alignment, chunks, index_offset: at, index_bytes, total }
    }
}

/// How long the bytes are if nothing is compressed.
pub(super) fn raw_bytes(checkpoint: &Checkpoint, options: &WriteOptions) -> u64 {
    Layout::of(checkpoint, options.parts().1).total
}

/// Replaces what is in `into` by the bytes of the checkpoint.
pub(super) fn encode_into(
    checkpoint: &Checkpoint,
    into: &mut Vec<u8>,
    options: &WriteOptions,
) -> Result<(), CheckpointError> {
    let (compression, alignment, threads) = options.checked()?.parts();
    if compression == Compression::None {
        check(checkpoint)?;
        return encode_raw(checkpoint, into, options, alignment, threads);
    }
    into.clear();
    let created_at = checkpoint.header.created_at;
    let mut writer = CheckpointWriter::with_created_at(into, &checkpoint.metadata, options, created_at)?;
    for chunk in &checkpoint.chunks {
        writer.chunk(chunk.label(), &chunk.data)?;
    }
    writer.finish().map(|_| ())
}

/// What the writer checks too.
fn check(checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    check_text(checkpoint.metadata.len_bytes(), "metadata")?;
    for chunk in &checkpoint.chunks {
        check_text(chunk.name.as_ref().map_or(0, String::len), "name of a chunk")?;
        if checkpoint.kind() == Kind::Full && chunk.header.flags & OUR_FLAGS != 0 {
            return Err(CheckpointError::WrongKind { expected: Kind::Delta });
        }
    }
    check_text(checkpoint.chunks.len(), "number of chunks")
}

/// Every place is known before, so that each segment is copied to its own and hashed by whichever thread is free.
fn encode_raw(
    checkpoint: &Checkpoint,
    into: &mut Vec<u8>,
    options: &WriteOptions,
    alignment: u32,
    threads: usize,
) -> Result<(), CheckpointError> {
    let layout = Layout::of(checkpoint, alignment);
    if into.is_empty() && (into.capacity() as u64) < layout.total {
        *into = zeros(layout.total)?;
    } else {
        into.resize(usize_of(layout.total), 0);
    }
    let header = header_of(&checkpoint.metadata, options, checkpoint.header.created_at).to_bytes();

    let mut jobs = Vec::new();
    let (head, mut rest) = into.split_at_mut(usize_of(align_up(HEADER_BYTES as u64, alignment)));
    head[..HEADER_BYTES].copy_from_slice(&header);
    head[HEADER_BYTES..].fill(0);
    for chunk in &checkpoint.chunks {
        let len = chunk.data.len();
        let (place, behind) = rest.split_at_mut(usize_of(align_up(len as u64, layout.alignment)));
        let (place, padding) = place.split_at_mut(len);
        padding.fill(0);
        jobs.extend(chunk.data.chunks(SEGMENT_BYTES).zip(place.chunks_mut(SEGMENT_BYTES)));
        rest = behind;
    }
    let digests = parallel::map(jobs, threads, |_, (from, to): (&[u8], &mut [u8])| {
        to.copy_from_slice(from);
        Ok::<_, CheckpointError>(Digest::of(from))
    })?;

    let table = table(checkpoint, &layout, &digests);
    let chunk_count = count_of(checkpoint.chunks.len());
    let index = index_of(&checkpoint.metadata.to_bytes(), chunk_count, &table);
    let (index_place, rest) = rest.split_at_mut(index.len());
    let (padding, footer_place) = rest.split_at_mut(rest.len() - FOOTER_BYTES);
    index_place.copy_from_slice(&index);
    padding.fill(0);
    let footer = Footer {
        chunk_count,
        total_size: layout.total,
        index_offset: layout.index_offset,
        index_bytes: layout.index_bytes,
        state_bytes: checkpoint.chunks.iter().map(|chunk| chunk.data.len() as u64).sum(),
        root: root_of(&header, &index),
    };
    footer_place.copy_from_slice(&footer.to_bytes());
    Ok(())
}

fn table(checkpoint: &Checkpoint, layout: &Layout, digests: &[Digest]) -> Vec<u8> {
    let mut table = Vec::new();
    let mut digests = digests.iter();
    for (chunk, offset) in checkpoint.chunks.iter().zip(&layout.chunks) {
        let pieces = chunk.data.chunks(SEGMENT_BYTES).zip(&mut digests);
        let segments: Vec<_> = pieces
            .enumerate()
            .map(|(index, (data, digest))| SegmentInfo {
                offset: offset + (index * SEGMENT_BYTES) as u64,
                stored_bytes: count_of(data.len()),
                compression: Compression::None,
                contents: *digest,
                stored: *digest,
            })
            .collect();
        push_chunk(&mut table, &chunk.label(), chunk.data.len() as u64, &segments);
    }
    table
}

/// The digest of the contents.
pub(super) fn contents(checkpoint: &Checkpoint, threads: usize) -> Digest {
    let jobs = checkpoint.chunks.iter().flat_map(|chunk| chunk.data.chunks(SEGMENT_BYTES)).collect();
    let digests =
        parallel::map(jobs, threads, |_, data: &[u8]| Ok::<_, std::convert::Infallible>(Digest::of(data)));
    let Ok(digests) = digests;
    let mut digests = digests.into_iter();
    let mut hasher = ContentHasher::default();
    for chunk in &checkpoint.chunks {
        let count = chunk.data.len().div_ceil(SEGMENT_BYTES);
        hasher.chunk(chunk.summary(), digests.by_ref().take(count));
    }
    hasher.finish()
}
