//! [`Digest`], and the digest of a checkpoint's contents. Says nothing of how contents are stored.
//!
//! The contents of a chunk are cut into segments of [`SEGMENT_BYTES`], the last one shorter; each has a BLAKE3 digest.
//! The digest of the contents is BLAKE3 over, for each chunk in order: chunk_type u32, flags u32, length u64,
//! chunk_id u64, length of the name u32 (`u32::MAX` without a name), the name, and the digests of its segments. So it
//! is the same however the chunks are compressed and aligned, and can be told from the table of chunks alone.

use std::fmt;

use super::bytes::count_of;

/// The unit in which chunks are hashed, compressed and read.
pub const SEGMENT_BYTES: usize = SEGMENT_BYTES_FIELD as usize;
pub(super) const SEGMENT_BYTES_FIELD: u32 = 1 << 20;

/// A BLAKE3 digest of 32 bytes. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest that 64 lower-case hexadecimal digits name.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let is_lower_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_lower_hex {
            return None;
        }
        blake3::Hash::from_hex(hex).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What the digest of the contents says of one chunk, its segments left aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSummary<'a> {
    pub(super) chunk_type: u32,
    pub(super) flags: u32,
    pub(super) len: u64,
    pub(super) chunk_id: u64,
    pub(super) name: Option<&'a str>,
}

/// Builds the digest of the contents, chunk by chunk.
#[derive(Default)]
pub(super) struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    pub(super) fn chunk(&mut self, chunk: ChunkSummary<'_>, segments: impl IntoIterator<Item = Digest>) {
        self.0.update(&chunk.chunk_type.to_le_bytes());
        self.0.update(&chunk.flags.to_le_bytes());
        self.0.update(&chunk.len.to_le_bytes());
        self.0.update(&chunk.chunk_id.to_le_bytes());
        self.0.update(&chunk.name.map_or(u32::MAX, |name| count_of(name.len())).to_le_bytes());
        self.0.update(chunk.name.unwrap_or_default().as_bytes());
        for segment in segments {
            self.0.update(&segment.0);
        }
    }

    pub(super) fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}
