//! [`CheckpointWriter`]: a checkpoint of version 2 as a stream. It holds at most a few segments of the state, and
//! never goes back to bytes that it has written.
//!
//! Invariant: after a failed call it makes no checkpoint of what was written, whatever is called next.

use std::io::{Read, Write};

use super::bytes::{align_up, count_of};
use super::chunk::{ChunkLabel, OUR_FLAGS};
use super::compression::{Codec, Compression};
use super::digest::{ContentHasher, Digest, SEGMENT_BYTES, SEGMENT_BYTES_FIELD};
use super::error::{CheckpointError, Kind};
use super::footer::{FOOTER_BYTES, Footer};
use super::header::{CheckpointHeader, FLAG_DELTA};
use super::index::{SegmentInfo, push_chunk};
use super::metadata::CheckpointMetadata;
use super::options::WriteOptions;
use super::parallel::{self, Packed};
use super::reader::kind_of;

/// Writes a checkpoint of version 2 to anything that takes bytes.
///
/// ```
/// use grafos_kernel::checkpoint::{
///     CheckpointMetadata, CheckpointReader, CheckpointWriter, ChunkLabel, ChunkType, WriteOptions,
/// };
///
/// let metadata = CheckpointMetadata::new("sim-1", "fdtd_3d").with_step(1000);
/// let mut writer = CheckpointWriter::new(Vec::new(), &metadata, &WriteOptions::new())?;
/// writer.chunk(ChunkLabel::of(ChunkType::ControlBlock), &[1; 256])?;
///
/// // A region that comes in pieces, from a device for instance.
/// let mut region = writer.begin_chunk(ChunkLabel::region("pressure"))?;
/// for _ in 0..10 {
///     region.push(&[7; 1000])?;
/// }
/// region.finish()?;
/// let (file, written) = writer.finish()?;
/// assert_eq!(written.file_bytes, file.len() as u64);
///
/// let reader = CheckpointReader::open(file)?;
/// assert_eq!(reader.root(), Some(written.root));
/// assert_eq!(reader.region("pressure")?.unwrap().1.len_bytes, 10_000);
/// # Ok::<(), grafos_kernel::checkpoint::CheckpointError>(())
/// ```
pub struct CheckpointWriter<W> {
    sink: W,
    header: CheckpointHeader,
    metadata: Vec<u8>,
    compression: Compression,
    alignment: u32,
    threads: usize,
    codec: Codec,
    /// How much was written.
    at: u64,
    /// The table of chunks, as far as it is known.
    table: Vec<u8>,
    contents: ContentHasher,
    chunk_count: u32,
    state_bytes: u64,
    /// The beginning of a segment of the open chunk.
    buffer: Vec<u8>,
    /// A call has failed, or a chunk was begun and not finished.
    failed: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Length of the file.
    pub file_bytes: u64,
    /// Length of all chunks together, before compression.
    pub state_bytes: u64,
    /// How many chunks there are.
    pub chunk_count: u32,
    /// The digest of the checkpoint, that covers every byte of it but padding: that of header and index, which hold the
    /// digests of all segments.
    pub root: Digest,
    /// The digest of its contents, as [`Checkpoint::contents`](super::Checkpoint::contents) says it.
    pub contents: Digest,
}

impl<W: Write> CheckpointWriter<W> {
    /// Begins a checkpoint that is made now. The sink should take large writes well; it gets few small ones.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CheckpointError::InvalidOption); [`TooLarge`](CheckpointError::TooLarge) for metadata of 4 GiB
    /// or more; [`Write`](CheckpointError::Write).
    pub fn new(
        sink: W,
        metadata: &CheckpointMetadata,
        options: &WriteOptions,
    ) -> Result<Self, CheckpointError> {
        Self::with_created_at(sink, metadata, options, CheckpointHeader::new(0, 0).created_at)
    }

    /// Begins a checkpoint that was made at `created_at`, in microseconds since 1970. The bytes depend on nothing but
    /// the arguments and the chunks.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_created_at(
        sink: W,
        metadata: &CheckpointMetadata,
        options: &WriteOptions,
        created_at: u64,
    ) -> Result<Self, CheckpointError> {
        let (compression, alignment, threads) = options.checked()?.parts();
        check_text(metadata.len_bytes(), "metadata")?;
        let header = header_of(metadata, options, created_at);
        let mut writer = Self {
            sink,
            header,
            metadata: metadata.to_bytes(),
            compression,
            alignment,
            threads,
            codec: Codec::default(),
            at: 0,
            table: Vec::new(),
            contents: ContentHasher::default(),
            chunk_count: 0,
            state_bytes: 0,
            buffer: Vec::new(),
            failed: true,
        };
        writer.put(&header.to_bytes())?;
        writer.pad_to(align_up(writer.at, alignment))?;
        writer.failed = false;
        Ok(writer)
    }

    /// Writes a whole chunk.
    ///
    /// # Errors
    ///
    /// As [`begin_chunk`](Self::begin_chunk) and [`ChunkWriter::push`].
    pub fn chunk(&mut self, label: ChunkLabel, data: &[u8]) -> Result<(), CheckpointError> {
        let mut chunk = self.begin_chunk(label)?;
        chunk.push(data)?;
        chunk.finish()
    }

    /// Begins a chunk whose data comes in pieces. If it is not [finished](ChunkWriter::finish), the checkpoint can't be
    /// either.
    ///
    /// # Errors
    ///
    /// [`WriterFailed`](CheckpointError::WriterFailed); [`WrongKind`](CheckpointError::WrongKind) for a label with a
    /// flag of deltas in a full checkpoint; [`TooLarge`](CheckpointError::TooLarge) for too many chunks, or a name of
    /// 4 GiB or more.
    pub fn begin_chunk(&mut self, label: ChunkLabel) -> Result<ChunkWriter<'_, W>, CheckpointError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(CheckpointError::WriterFailed);
        }
        if self.header.flags & FLAG_DELTA == 0 && label.flags & OUR_FLAGS != 0 {
            return Err(CheckpointError::WrongKind { expected: Kind::Delta });
        }
        check_text(label.name.as_ref().map_or(0, String::len), "name of a chunk")?;
        if self.chunk_count == u32::MAX {
            let limit = u64::from(u32::MAX);
            return Err(CheckpointError::TooLarge {
                what: "number of chunks",
                offset: self.at,
                limit,
                found: limit + 1,
            });
        }
        Ok(ChunkWriter { writer: self, label, len: 0, segments: Vec::new() })
    }

    /// Writes the index, flushes the sink and gives it back. Whether the bytes survive a power cut is the sink's
    /// matter.
    ///
    /// # Errors
    ///
    /// [`WriterFailed`](CheckpointError::WriterFailed), [`Write`](CheckpointError::Write).
    pub fn finish(mut self) -> Result<(W, Written), CheckpointError> {
        if self.failed {
            return Err(CheckpointError::WriterFailed);
        }
        let index_offset = self.at;
        let index = index_of(&self.metadata, self.chunk_count, &self.table);
        let root = root_of(&self.header.to_bytes(), &index);
        self.put(&index)?;
        let file_bytes = align_up(self.at + FOOTER_BYTES as u64, self.alignment);
        self.pad_to(file_bytes - FOOTER_BYTES as u64)?;
        let (chunk_count, state_bytes) = (self.chunk_count, self.state_bytes);
        let index_bytes = index.len() as u64;
        let footer =
            Footer { chunk_count, total_size: file_bytes, index_offset, index_bytes, state_bytes, root };
        self.put(&footer.to_bytes())?;
        self.sink.flush().map_err(|source| CheckpointError::Write { offset: self.at, source })?;
        let contents = self.contents.finish();
        Ok((self.sink, Written { file_bytes, state_bytes, chunk_count, root, contents }))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.sink.write_all(bytes).map_err(|source| CheckpointError::Write { offset: self.at, source })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn pad_to(&mut self, end: u64) -> Result<(), CheckpointError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while self.at < end {
            let len = usize::try_from(end - self.at).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.put(&ZEROS[..len])?;
        }
        Ok(())
    }
}

/// The header of a checkpoint of version 2.
pub(super) fn header_of(
    metadata: &CheckpointMetadata,
    options: &WriteOptions,
    created_at: u64,
) -> CheckpointHeader {
    let (compression, alignment, _) = options.parts();
    let mut header = CheckpointHeader { created_at, ..CheckpointHeader::new(0, 0) };
    header.compression = compression.number();
    if kind_of(metadata) == Kind::Delta {
        header.flags = FLAG_DELTA;
    }
    header.set_layout(alignment, SEGMENT_BYTES_FIELD);
    header.checksum = crc32fast::hash(&header.to_bytes());
    header
}

/// The index, of the table of chunks.
pub(super) fn index_of(metadata: &[u8], chunk_count: u32, table: &[u8]) -> Vec<u8> {
    let mut index = Vec::with_capacity(8 + metadata.len() + table.len());
    index.extend_from_slice(&count_of(metadata.len()).to_le_bytes());
    index.extend_from_slice(metadata);
    index.extend_from_slice(&chunk_count.to_le_bytes());
    index.extend_from_slice(table);
    index
}

/// The digest of a checkpoint: of its header and its index.
pub(super) fn root_of(header: &[u8; 64], index: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(index);
    Digest(*hasher.finalize().as_bytes())
}

pub(super) fn check_text(len: usize, what: &'static str) -> Result<(), CheckpointError> {
    // One less than the mark of a chunk without a name.
    let limit = u64::from(u32::MAX) - 1;
    let found = len as u64;
    if found <= limit { Ok(()) } else { Err(CheckpointError::TooLarge { what, offset: 0, limit, found }) }
}

/// One chunk that is being written.
pub struct ChunkWriter<'a, W> {
    writer: &'a mut CheckpointWriter<W>,
    label: ChunkLabel,
    len: u64,
    segments: Vec<SegmentInfo>,
}

impl<W: Write> ChunkWriter<'_, W> {
    /// Appends to the chunk. Whole segments are hashed and written from `data` without a copy.
    ///
    /// # Errors
    ///
    /// [`Write`](CheckpointError::Write): the checkpoint is lost.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), CheckpointError> {
        self.len += data.len() as u64;
        if !self.writer.buffer.is_empty() {
            let missing = SEGMENT_BYTES - self.writer.buffer.len();
            let (head, rest) = data.split_at(missing.min(data.len()));
            self.writer.buffer.extend_from_slice(head);
            data = rest;
            if self.writer.buffer.len() < SEGMENT_BYTES {
                return Ok(());
            }
            self.flush_buffer()?;
        }
        let (whole, rest) = data.split_at(data.len() - data.len() % SEGMENT_BYTES);
        self.segments(whole)?;
        self.writer.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// Appends `len` bytes from a source, through a buffer of a few segments.
    ///
    /// # Errors
    ///
    /// [`Read`](CheckpointError::Read), with the offset in the source, if it fails or has not so many;
    /// [`Write`](CheckpointError::Write). The checkpoint is lost.
    pub fn copy_from(&mut self, source: &mut impl Read, len: u64) -> Result<(), CheckpointError> {
        let most = (SEGMENT_BYTES * self.writer.threads.max(1) * 2) as u64;
        let mut buffer = vec![0; super::bytes::usize_of(len.min(most))];
        let mut done = 0;
        while done < len {
            let piece = super::bytes::usize_of((len - done).min(buffer.len() as u64));
            let buffer = &mut buffer[..piece];
            source.read_exact(buffer).map_err(|source| CheckpointError::Read { offset: done, source })?;
            self.push(buffer)?;
            done += piece as u64;
        }
        Ok(())
    }

    /// Ends the chunk.
    ///
    /// # Errors
    ///
    /// [`Write`](CheckpointError::Write): the checkpoint is lost.
    pub fn finish(mut self) -> Result<(), CheckpointError> {
        self.flush_buffer()?;
        let Self { writer, label, len, segments } = self;
        push_chunk(&mut writer.table, &label, len, &segments);
        writer.contents.chunk(label.summary(len), segments.iter().map(|segment| segment.contents));
        writer.pad_to(align_up(writer.at, writer.alignment))?;
        writer.chunk_count += 1;
        writer.state_bytes = writer.state_bytes.saturating_add(len);
        writer.failed = false;
        Ok(())
    }

    fn flush_buffer(&mut self) -> Result<(), CheckpointError> {
        let mut buffer = std::mem::take(&mut self.writer.buffer);
        self.segments(&buffer)?;
        buffer.clear();
        self.writer.buffer = buffer;
        Ok(())
    }

    fn segments(&mut self, data: &[u8]) -> Result<(), CheckpointError> {
        let (compression, threads) = (self.writer.compression, self.writer.threads);
        let mut codec = std::mem::take(&mut self.writer.codec);
        let done = parallel::pack(data, compression, threads, &mut codec, |packed| self.segment(&packed));
        self.writer.codec = codec;
        done
    }

    fn segment(&mut self, packed: &Packed<'_>) -> Result<(), CheckpointError> {
        let offset = self.writer.at;
        let (compression, bytes, stored) = match &packed.packed {
            Some((compression, bytes, digest)) => (*compression, bytes.as_slice(), *digest),
            None => (Compression::None, packed.raw, packed.contents),
        };
        self.writer.put(bytes)?;
        let stored_bytes = count_of(bytes.len());
        let contents = packed.contents;
        self.segments.push(SegmentInfo { offset, stored_bytes, compression, contents, stored });
        Ok(())
    }
}
