//! [`CheckpointError`]: what can be wrong with a checkpoint, where, and what the caller can do.

use std::io;

use fabricbios_core::recovery::Recovery;

use super::compression::Compression;
use super::digest::Digest;

/// Why a checkpoint could not be read, written or put together.
///
/// An `offset` is where in the file the thing lies, in bytes from its beginning; in a delta that is in memory, where in
/// its chunk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The bytes could not be read.
    #[error("the checkpoint can't be read: offset={offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the source says.
        source: io::Error,
    },

    /// The bytes could not be written. What was written is no checkpoint.
    #[error("the checkpoint can't be written: offset={offset}")]
    Write {
        /// Where.
        offset: u64,
        /// What the sink says.
        source: io::Error,
    },

    /// A call to this writer has failed before, so what it wrote can't become a checkpoint.
    #[error("an earlier write of this checkpoint failed: begin it again")]
    WriterFailed,

    /// It does not begin as a checkpoint does.
    #[error("not a kernel checkpoint: expected it to begin with=\"10TPKCKR\", found={found:02x?}")]
    NotACheckpoint {
        /// How it begins.
        found: [u8; 8],
    },

    /// Another version of the format.
    #[error(
        "this version of the format can't be read: offset={offset}, newest={newest}, found={found}; read it with a newer build"
    )]
    UnsupportedVersion {
        /// Where the version stands.
        offset: u64,
        /// The newest that this build reads.
        newest: u32,
        /// The version of the file.
        found: u32,
    },

    /// The file ends before something that must be there.
    #[error("the file ends too early: offset={offset}, expected_bytes={expected}, found_bytes={found}")]
    Truncated {
        /// Where the thing should be.
        offset: u64,
        /// How many bytes it has.
        expected: u64,
        /// How many there are.
        found: u64,
    },

    /// There is something behind the end.
    #[error("there is something behind the end of the {what}: offset={offset}, bytes={found}")]
    TrailingBytes {
        /// Where it begins.
        offset: u64,
        /// What should end there.
        what: &'static str,
        /// How many bytes too many.
        found: u64,
    },

    /// A field is not what it must be.
    #[error("a field is wrong: {field}, offset={offset}, expected={expected}, found={found}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// Where it stands.
        offset: u64,
        /// What would be right.
        expected: u64,
        /// What is there.
        found: u64,
    },

    /// A text is not UTF-8.
    #[error("a text is not UTF-8: {field}, offset={offset}")]
    NotText {
        /// Which text.
        field: &'static str,
        /// Where its first wrong byte stands.
        offset: u64,
    },

    /// The CRC-32 does not match: the bytes are not those that were written.
    #[error(
        "the checksum of the {what} does not match: offset={offset}, expected={expected:08x}, found={found:08x}"
    )]
    Checksum {
        /// Of what.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// The checksum that the file has written down.
        expected: u32,
        /// That of the bytes.
        found: u32,
    },

    /// The digest does not match: the bytes are not those that were written.
    #[error("the digest of the {part} does not match: offset={offset}, expected={expected}, found={found}")]
    Damaged {
        /// Of what.
        part: Part,
        /// Where it begins.
        offset: u64,
        /// The digest that the file has written down.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },

    /// A compressed piece verifies and can't be decompressed to the length that it should have.
    #[error(
        "a piece can't be decompressed: {part}, offset={offset}, compression={compression}, expected_bytes={expected}"
    )]
    Decompress {
        /// Which piece.
        part: Part,
        /// Where it begins.
        offset: u64,
        /// How it is compressed.
        compression: Compression,
        /// How long it should become.
        expected: u64,
    },

    /// Larger than is allowed. Nothing was allocated for it.
    #[error(
        "the {what} is too large: offset={offset}, limit={limit}, found={found}; raise the limit if the file can be trusted"
    )]
    TooLarge {
        /// What.
        what: &'static str,
        /// Where its size stands.
        offset: u64,
        /// The most.
        limit: u64,
        /// How much it would be.
        found: u64,
    },

    /// The machine has not enough memory for it.
    #[error("not enough memory: bytes={bytes}")]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },

    /// There is no such chunk, or no such bytes in it.
    #[error(
        "no such bytes: chunk={chunk}, offset={offset}, len={len}, chunks={chunks}, chunk_bytes={chunk_bytes}"
    )]
    OutOfRange {
        /// The chunk that was asked for, from 0.
        chunk: usize,
        /// The first byte that was asked for.
        offset: u64,
        /// How many.
        len: u64,
        /// How many chunks there are.
        chunks: usize,
        /// How long that chunk is; 0 if there is none.
        chunk_bytes: u64,
    },

    /// Two chunks have the same place: which one is meant can't be told.
    #[error("several regions hash to this name: name=\"{name}\", found=\"{found}\"; rename one of them")]
    NameCollision {
        /// The name that was looked for.
        name: String,
        /// A region with another name and the same hash.
        found: String,
    },

    /// Version 1 has no room for this.
    #[error("version 1 of the format can't hold this: {what}, limit={limit}, found={found}; write version 2")]
    NotInVersion1 {
        /// What.
        what: &'static str,
        /// The most that it holds.
        limit: u64,
        /// How much there is.
        found: u64,
    },

    /// An option or an argument is outside its range.
    #[error("{option} is out of range: least={least}, most={most}, found={found}")]
    InvalidOption {
        /// Which one.
        option: &'static str,
        /// The smallest value.
        least: u64,
        /// The largest.
        most: u64,
        /// What was given.
        found: u64,
    },

    /// A full checkpoint was given where a delta is needed, or the other way round.
    #[error("a {expected} checkpoint is needed here")]
    WrongKind {
        /// What is needed.
        expected: Kind,
    },

    /// The delta does not name the checkpoint that it was made from, so that nothing can be built with it.
    #[error("the delta names no parent, or not by a digest: found=\"{found}\"")]
    NoParent {
        /// What stands in the place of the parent's digest; nothing, if nothing does. At most 64 characters.
        found: String,
    },

    /// The delta was made from another checkpoint.
    #[error("the delta has another parent: link={link}, expected={expected}, found={found}")]
    ParentMismatch {
        /// Which delta of a chain, from 0.
        link: usize,
        /// The digest of the parent that the delta names.
        expected: String,
        /// That of the checkpoint before it.
        found: String,
    },

    /// What the delta makes is not what it was made from.
    #[error("the delta does not make what it should: link={link}, expected={expected}, found={found}")]
    ResultMismatch {
        /// Which delta of a chain, from 0.
        link: usize,
        /// The digest of the checkpoint that it was made from.
        expected: Digest,
        /// That of what it makes.
        found: Digest,
    },

    /// A delta verifies and is none: some number in it does not fit the others or its parent.
    #[error(
        "the delta is malformed: {field}, chunk={chunk}, offset={offset}, expected={expected}, found={found}"
    )]
    MalformedDelta {
        /// Which number.
        field: &'static str,
        /// In which chunk of the delta.
        chunk: usize,
        /// Where in that chunk.
        offset: u64,
        /// What it must be, or the most that it may be.
        expected: u64,
        /// What it is.
        found: u64,
    },
}

impl CheckpointError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Read { .. } | Self::OutOfMemory { .. } => Recovery::RetryLater,
            Self::Write { .. } | Self::WriterFailed => Recovery::Reopen,
            Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::BadField { .. }
            | Self::NotText { .. }
            | Self::Checksum { .. }
            | Self::Damaged { .. }
            | Self::Decompress { .. }
            | Self::ResultMismatch { .. }
            | Self::MalformedDelta { .. } => Recovery::RestoreElsewhere,
            Self::NotACheckpoint { .. }
            | Self::UnsupportedVersion { .. }
            | Self::TooLarge { .. }
            | Self::OutOfRange { .. }
            | Self::NameCollision { .. }
            | Self::NotInVersion1 { .. }
            | Self::InvalidOption { .. }
            | Self::WrongKind { .. }
            | Self::NoParent { .. }
            | Self::ParentMismatch { .. } => Recovery::FixCaller,
        }
    }
}

/// What a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The last bytes of the file, which say where the index lies.
    Footer,
    /// Metadata and the table of chunks.
    Index,
    /// A piece of a chunk, as it is stored.
    Segment {
        /// Which chunk, from 0.
        chunk: usize,
        /// Which of its pieces, from 0.
        segment: usize,
    },
    /// A piece of a chunk, decompressed.
    Contents {
        /// Which chunk, from 0.
        chunk: usize,
        /// Which of its pieces, from 0.
        segment: usize,
    },
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Footer => f.write_str("footer"),
            Self::Index => f.write_str("index"),
            Self::Segment { chunk, segment } => write!(f, "segment {segment} of chunk {chunk}"),
            Self::Contents { chunk, segment } => write!(f, "contents of segment {segment} of chunk {chunk}"),
        }
    }
}

/// Whole, or what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It holds all of the state.
    Full,
    /// It holds what differs from its parent.
    Delta,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Delta => "delta",
        })
    }
}
