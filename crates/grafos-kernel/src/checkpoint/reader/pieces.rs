//! The pieces that a reader reads, verifies and decompresses one by one, each on whatever thread.
//!
//! Invariant: what is stored is verified before it is decompressed, and what it became before it is handed out.

use super::{CheckpointReader, read};
use crate::checkpoint::bytes::{align_up, usize_of};
use crate::checkpoint::compression::{Codec, Compression};
use crate::checkpoint::digest::{Digest, SEGMENT_BYTES};
use crate::checkpoint::error::{CheckpointError, Part};
use crate::checkpoint::footer::FOOTER_BYTES;
use crate::checkpoint::header::{CHECKPOINT_VERSION_1, HEADER_BYTES};
use crate::checkpoint::index::ChunkInfo;
use crate::checkpoint::{ReadAt, parallel};

impl<R: ReadAt> CheckpointReader<R> {
    pub(super) fn all_pieces(&self) -> Vec<Piece> {
        self.index.chunks.iter().enumerate().flat_map(|(chunk, info)| self.pieces(chunk, info)).collect()
    }

    pub(super) fn pieces(&self, chunk: usize, info: &ChunkInfo) -> Vec<Piece> {
        let count = usize_of(info.len_bytes.div_ceil(SEGMENT_BYTES as u64));
        (0..count).map(|segment| self.piece(chunk, info, segment)).collect()
    }

    pub(super) fn piece(&self, chunk: usize, info: &ChunkInfo, segment: usize) -> Piece {
        let len = info.segment_len(segment);
        match info.segments.get(segment) {
            Some(stored) => Piece {
                chunk,
                segment,
                len,
                offset: stored.offset,
                stored_bytes: u64::from(stored.stored_bytes),
                compression: stored.compression,
                digests: Some((stored.stored, stored.contents)),
            },
            None => Piece {
                chunk,
                segment,
                len,
                offset: info.offset + (segment * SEGMENT_BYTES) as u64,
                stored_bytes: len,
                compression: Compression::None,
                digests: None,
            },
        }
    }

    pub(super) fn read_pieces(&self, pieces: Vec<Piece>, into: &mut [u8]) -> Result<(), CheckpointError> {
        let jobs: Vec<_> = pieces.into_iter().zip(into.chunks_mut(SEGMENT_BYTES)).collect();
        parallel::map(jobs, self.threads, |codec, (piece, into)| self.read_piece(codec, &piece, into))?;
        Ok(())
    }

    /// Fills `into`, which is as long as the piece.
    pub(super) fn read_piece(
        &self,
        codec: &mut Codec,
        piece: &Piece,
        into: &mut [u8],
    ) -> Result<(), CheckpointError> {
        let Piece { chunk, segment, offset, compression, .. } = *piece;
        let (stored_part, part) = (Part::Segment { chunk, segment }, Part::Contents { chunk, segment });
        if compression == Compression::None {
            read(&self.source, self.file_bytes, offset, into)?;
            return piece.digests.map_or(Ok(()), |(stored, _)| verify(into, stored, stored_part, offset));
        }
        codec.with_packed(usize_of(piece.stored_bytes), |codec, packed| {
            read(&self.source, self.file_bytes, offset, packed)?;
            if let Some((stored, _)) = piece.digests {
                verify(packed, stored, stored_part, offset)?;
            }
            if !codec.decompress(compression, packed, into) {
                return Err(CheckpointError::Decompress { part, offset, compression, expected: piece.len });
            }
            piece.digests.map_or(Ok(()), |(_, contents)| verify(into, contents, part, offset))
        })
    }

    /// What lies between header, chunks, index and footer is zero.
    pub(super) fn check_padding(&self) -> Result<(), CheckpointError> {
        let alignment = self.index.header.alignment();
        if self.version() == CHECKPOINT_VERSION_1 {
            return Ok(());
        }
        let mut gaps = vec![(HEADER_BYTES as u64, align_up(HEADER_BYTES as u64, alignment))];
        for chunk in &self.index.chunks {
            let end = chunk.offset + chunk.stored_bytes;
            gaps.push((end, align_up(end, alignment)));
        }
        gaps.push((self.index.end, self.file_bytes - FOOTER_BYTES as u64));
        let mut buffer = Vec::new();
        for (begin, end) in gaps {
            buffer.resize(usize_of(end - begin), 0);
            read(&self.source, self.file_bytes, begin, &mut buffer)?;
            if let Some((at, byte)) = buffer.iter().enumerate().find(|(_, byte)| **byte != 0) {
                let (field, offset) = ("padding", begin + at as u64);
                let found = u64::from(*byte);
                return Err(CheckpointError::BadField { field, offset, expected: 0, found });
            }
        }
        Ok(())
    }
}

/// At most one segment of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    chunk: usize,
    segment: usize,
    pub(super) len: u64,
    offset: u64,
    stored_bytes: u64,
    compression: Compression,
    /// Of what is stored, and of the contents.
    digests: Option<(Digest, Digest)>,
}

fn verify(bytes: &[u8], expected: Digest, part: Part, offset: u64) -> Result<(), CheckpointError> {
    let found = Digest::of(bytes);
    if expected == found { Ok(()) } else { Err(CheckpointError::Damaged { part, offset, expected, found }) }
}
