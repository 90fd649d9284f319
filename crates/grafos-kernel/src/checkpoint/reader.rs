//! [`CheckpointReader`]: a checkpoint of either version, chunk by chunk. Of the state it holds only what it was asked
//! for.
//!
//! Invariant: no byte of a chunk is handed out that has not been checked against the digest of its segment (in
//! version 1: against the checksum of the file, when it was opened).

use std::io::Write;

use super::bytes::{u64_at, usize_of};
use super::chunk::{ChunkType, DataChunk, region_id};
use super::compression::Codec;
use super::delta::{DELTA_PARENT_DIGEST_KEY, DeltaInfo};
use super::digest::{ContentHasher, Digest, SEGMENT_BYTES};
use super::error::{CheckpointError, Kind};
use super::header::{CHECKPOINT_VERSION_1, CheckpointHeader, HEADER_BYTES};
use super::index::{ChunkInfo, Index, expect_field};
use super::limits::{Limits, zeros};
use super::metadata::CheckpointMetadata;
use super::options::default_threads;
use super::{Checkpoint, ReadAt, parallel, v1, v1_delta, v2};

mod pieces;

/// Reads a checkpoint of version 1 or 2.
///
/// Opening one of version 2 reads its header, index and footer; one of version 1 is read once from beginning to end,
/// because it has one checksum for all. See [`CheckpointWriter`](super::CheckpointWriter) for an example.
#[derive(Debug)]
pub struct CheckpointReader<R> {
    source: R,
    index: Index,
    file_bytes: u64,
    threads: usize,
}

impl<R: ReadAt> CheckpointReader<R> {
    /// Opens a checkpoint under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with).
    pub fn open(source: R) -> Result<Self, CheckpointError> {
        Self::open_with(source, &Limits::default())
    }

    /// Opens a checkpoint. Index and metadata are verified; they take a small multiple of their size in the file.
    ///
    /// # Errors
    ///
    /// [`Read`](CheckpointError::Read), [`NotACheckpoint`](CheckpointError::NotACheckpoint),
    /// [`UnsupportedVersion`](CheckpointError::UnsupportedVersion), [`TooLarge`](CheckpointError::TooLarge), and what
    /// a damaged file gives: [`Truncated`](CheckpointError::Truncated),
    /// [`TrailingBytes`](CheckpointError::TrailingBytes), [`BadField`](CheckpointError::BadField),
    /// [`NotText`](CheckpointError::NotText), [`Checksum`](CheckpointError::Checksum),
    /// [`Damaged`](CheckpointError::Damaged).
    pub fn open_with(source: R, limits: &Limits) -> Result<Self, CheckpointError> {
        let file_bytes = source.len_bytes().map_err(|source| CheckpointError::Read { offset: 0, source })?;
        let mut bytes = [0; HEADER_BYTES];
        let len = usize_of(file_bytes.min(HEADER_BYTES as u64));
        read(&source, file_bytes, 0, &mut bytes[..len])?;
        let header = CheckpointHeader::from_bytes(&bytes);
        // So that a cut file is not taken for something else.
        if len >= 8 || header.magic.to_le_bytes()[..len] != super::CHECKPOINT_MAGIC.to_le_bytes()[..len] {
            let magic_only = CheckpointHeader { version: CHECKPOINT_VERSION_1, total_size: 0, ..header };
            magic_only.validate()?;
        }
        if len < HEADER_BYTES {
            let (expected, found) = (HEADER_BYTES as u64, file_bytes);
            return Err(CheckpointError::Truncated { offset: 0, expected, found });
        }
        header.validate()?;
        expect_field("reserved bytes", 56, 0, u64_at(&bytes, 56))?;
        let index = if header.version == CHECKPOINT_VERSION_1 {
            v1::open(&source, header, file_bytes, limits)?
        } else {
            v2::open(&source, &bytes, header, file_bytes, limits)?
        };
        Ok(Self { source, index, file_bytes, threads: default_threads() })
    }

    /// Verifies and decompresses on so many threads; 0 counts as 1: the caller's own.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.index.header.version
    }

    /// The header, with the sizes of the file.
    #[must_use]
    pub fn header(&self) -> &CheckpointHeader {
        &self.index.header
    }

    /// Whose state it is.
    #[must_use]
    pub fn metadata(&self) -> &CheckpointMetadata {
        &self.index.metadata
    }

    /// The chunks, in the order in which they were written.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkInfo] {
        &self.index.chunks
    }

    /// Length of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Length of all chunks together, decompressed.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.index.chunks.iter().map(|chunk| chunk.len_bytes).fold(0, u64::saturating_add)
    }

    /// Is it full, or a delta?
    #[must_use]
    pub fn kind(&self) -> Kind {
        kind_of(&self.index.metadata)
    }

    /// What a delta says of itself; `None` if the checkpoint is full. Reads one small chunk.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk); [`NoParent`](CheckpointError::NoParent),
    /// [`MalformedDelta`](CheckpointError::MalformedDelta).
    pub fn delta_info(&self) -> Result<Option<DeltaInfo>, CheckpointError> {
        if self.kind() == Kind::Full {
            return Ok(None);
        }
        let recipe = match self.index.chunks.first() {
            Some(chunk) if super::delta::is_recipe(chunk.label.flags) => Some(self.read_chunk(0)?),
            _ => None,
        };
        DeltaInfo::of(&self.index.metadata, recipe.as_deref()).map(Some)
    }

    /// The first chunk of this type, with its index.
    #[must_use]
    pub fn find(&self, chunk_type: ChunkType) -> Option<(usize, &ChunkInfo)> {
        let is_it = |(_, chunk): &(usize, &ChunkInfo)| chunk.label.kind() == Some(chunk_type);
        self.index.chunks.iter().enumerate().find(is_it)
    }

    /// The region of device memory with this name, with its index.
    ///
    /// # Errors
    ///
    /// [`NameCollision`](CheckpointError::NameCollision).
    pub fn region(&self, name: &str) -> Result<Option<(usize, &ChunkInfo)>, CheckpointError> {
        let id = region_id(name);
        for (index, chunk) in self.index.chunks.iter().enumerate() {
            if chunk.label.is_region(name, id)? {
                return Ok(Some((index, chunk)));
            }
        }
        Ok(None)
    }

    /// The digest that covers all of the checkpoint; `None` in version 1, which has none.
    #[must_use]
    pub fn root(&self) -> Option<Digest> {
        self.index.root
    }

    /// The digest of the contents, the same as [`Checkpoint::contents`]. From the table of chunks, without
    /// reading them; in version 1 they are read.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk), in version 1.
    pub fn contents(&self) -> Result<Digest, CheckpointError> {
        let mut hasher = ContentHasher::default();
        for (index, chunk) in self.index.chunks.iter().enumerate() {
            if self.version() == CHECKPOINT_VERSION_1 {
                let pieces = self.pieces(index, chunk);
                let digests = parallel::map(pieces, self.threads, |codec, piece| {
                    let mut buffer = vec![0; usize_of(piece.len)];
                    self.read_piece(codec, &piece, &mut buffer).map(|()| Digest::of(&buffer))
                })?;
                hasher.chunk(chunk.label.summary(chunk.len_bytes), digests);
            } else {
                let segments = chunk.segments.iter().map(|segment| segment.contents);
                hasher.chunk(chunk.label.summary(chunk.len_bytes), segments);
            }
        }
        Ok(hasher.finish())
    }

    /// The digest by which RingKernel's deltas name their parent: a CRC-32 as 8 hexadecimal digits. All chunks are read,
    /// one segment at a time.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk).
    pub fn ringkernel_digest(&self) -> Result<String, CheckpointError> {
        let mut hasher = v1_delta::Hasher::default();
        for (index, chunk) in self.index.chunks.iter().enumerate() {
            if let Some(identity) = chunk.label.identity() {
                hasher.begin(identity);
                self.copy_chunk(index, &mut hasher)?;
            }
        }
        Ok(hasher.finish())
    }

    /// The data of a chunk, verified.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](CheckpointError::OutOfRange), [`OutOfMemory`](CheckpointError::OutOfMemory),
    /// [`Read`](CheckpointError::Read), [`Damaged`](CheckpointError::Damaged),
    /// [`Decompress`](CheckpointError::Decompress).
    pub fn read_chunk(&self, chunk: usize) -> Result<Vec<u8>, CheckpointError> {
        let len = self.chunk(chunk, 0, 0)?.len_bytes;
        let mut data = zeros(len)?;
        self.read_chunk_into(chunk, &mut data)?;
        Ok(data)
    }

    /// Reads all of a chunk into memory of the caller's, that of a device for instance.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk); `into` must be as long as the chunk. After an error it holds anything.
    pub fn read_chunk_into(&self, chunk: usize, into: &mut [u8]) -> Result<(), CheckpointError> {
        let len = into.len() as u64;
        let info = self.chunk(chunk, 0, len)?;
        if info.len_bytes != len {
            return Err(self.out_of_range(chunk, 0, len));
        }
        self.read_pieces(self.pieces(chunk, info), into)
    }

    /// Reads some bytes of a chunk. Only the segments that they lie in are read, and verified whole.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk). After an error `into` holds anything.
    pub fn read_range(&self, chunk: usize, offset: u64, into: &mut [u8]) -> Result<(), CheckpointError> {
        let info = self.chunk(chunk, offset, into.len() as u64)?;
        let mut codec = Codec::default();
        let mut buffer = Vec::new();
        let (mut at, mut done) = (offset, 0);
        while done < into.len() {
            let piece = self.piece(chunk, info, usize_of(at / SEGMENT_BYTES as u64));
            buffer.resize(usize_of(piece.len), 0);
            self.read_piece(&mut codec, &piece, &mut buffer)?;
            let skip = usize_of(at % SEGMENT_BYTES as u64);
            let len = (buffer.len() - skip).min(into.len() - done);
            into[done..done + len].copy_from_slice(&buffer[skip..skip + len]);
            (at, done) = (at + len as u64, done + len);
        }
        Ok(())
    }

    /// Hands the data of a chunk on, segment by segment, each verified before it goes.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk); [`Write`](CheckpointError::Write).
    pub fn copy_chunk(&self, chunk: usize, to: &mut impl Write) -> Result<(), CheckpointError> {
        let info = self.chunk(chunk, 0, 0)?;
        let mut codec = Codec::default();
        let mut buffer = Vec::new();
        let mut done = 0;
        for piece in self.pieces(chunk, info) {
            buffer.resize(usize_of(piece.len), 0);
            self.read_piece(&mut codec, &piece, &mut buffer)?;
            to.write_all(&buffer).map_err(|source| CheckpointError::Write { offset: done, source })?;
            done += piece.len;
        }
        Ok(())
    }

    /// Reads all of it, and keeps nothing: every byte of the file is checked, padding included.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk); [`BadField`](CheckpointError::BadField) for padding that is not zero.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        let pieces = self.all_pieces();
        parallel::map(pieces, self.threads, |codec, piece| {
            codec.with_buffer(usize_of(piece.len), |codec, buffer| self.read_piece(codec, &piece, buffer))
        })?;
        self.check_padding()
    }

    /// Reads all of it, and checks every byte of the file, padding included.
    ///
    /// # Errors
    ///
    /// As [`read_chunk`](Self::read_chunk) and [`verify`](Self::verify).
    pub fn read_all(&self) -> Result<Checkpoint, CheckpointError> {
        let mut chunks = Vec::with_capacity(self.index.chunks.len());
        for info in &self.index.chunks {
            chunks.push(DataChunk::labelled(info.label.clone(), zeros(info.len_bytes)?));
        }
        let data = chunks.iter_mut().flat_map(|chunk| chunk.data.chunks_mut(SEGMENT_BYTES));
        let jobs: Vec<_> = self.all_pieces().into_iter().zip(data).collect();
        parallel::map(jobs, self.threads, |codec, (piece, into)| self.read_piece(codec, &piece, into))?;
        self.check_padding()?;
        Ok(Checkpoint { header: self.index.header, metadata: self.index.metadata.clone(), chunks })
    }

    fn chunk(&self, chunk: usize, offset: u64, len: u64) -> Result<&ChunkInfo, CheckpointError> {
        match self.index.chunks.get(chunk) {
            Some(info) if offset.checked_add(len).is_some_and(|end| end <= info.len_bytes) => Ok(info),
            _ => Err(self.out_of_range(chunk, offset, len)),
        }
    }

    fn out_of_range(&self, chunk: usize, offset: u64, len: u64) -> CheckpointError {
        let chunks = self.index.chunks.len();
        let chunk_bytes = self.index.chunks.get(chunk).map_or(0, |info| info.len_bytes);
        CheckpointError::OutOfRange { chunk, offset, len, chunks, chunk_bytes }
    }
}

pub(super) fn kind_of(metadata: &CheckpointMetadata) -> Kind {
    if metadata.custom.contains_key(DELTA_PARENT_DIGEST_KEY) { Kind::Delta } else { Kind::Full }
}

/// Fills `into` from `offset` on; nothing is asked for that the file has not.
pub(super) fn read(
    source: &impl ReadAt,
    file_bytes: u64,
    offset: u64,
    into: &mut [u8],
) -> Result<(), CheckpointError> {
    let expected = into.len() as u64;
    let found = file_bytes.saturating_sub(offset);
    if expected > found {
        return Err(CheckpointError::Truncated { offset, expected, found });
    }
    source.read_exact_at(offset, into).map_err(|source| CheckpointError::Read { offset, source })
}
