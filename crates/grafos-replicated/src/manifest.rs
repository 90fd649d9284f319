//! [`Manifest`]: which chunks a state is made of and where each lies. Pure: bytes in, bytes out.
//!
//! A blob is the chunks that a save had to write, one behind the other, then the manifest of the whole state, then the
//! manifest's length (8 bytes, little-endian) and the magic "GRBLOB01". The register holds the digest of the manifest,
//! the manifest those of the chunks as they were before they were compressed: so every byte that is given out is verified
//! against the register.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::codec::Stored;
use crate::error::StoreError;
use crate::register::{BlobTag, MAX_BLOBS_PER_VERSION};

/// How long a chunk is, in bytes, unless a handle is told otherwise.
pub const DEFAULT_CHUNK_BYTES: usize = 1 << 20;

/// The longest manifest that is read, in bytes: some 1.4 million chunks.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The longest chunk that a manifest may speak of, in bytes: what is in memory for one chunk is bounded by it.
pub(crate) const MAX_CHUNK_BYTES: u32 = 64 << 20;

pub(crate) const FOOTER_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"GRBLOB01";
const FORMAT: u8 = 1;

/// The chunks of a state, in order. All but the last one are `chunk_bytes` long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u8,
    pub(crate) payload_bytes: u64,
    pub(crate) chunk_bytes: u32,
    /// Where chunks lie; the first one is the blob that this manifest is part of.
    pub(crate) blobs: Vec<BlobTag>,
    pub(crate) chunks: Vec<Chunk>,
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// By its place in the manifest's list.
    pub(crate) blob: u8,
    pub(crate) offset: u64,
    /// BLAKE3 of its bytes, before they were compressed.
    pub(crate) digest: [u8; 32],
    /// How it lies there.
    pub(crate) stored: Stored,
}

/// Where a chunk lies, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) blob: BlobTag,
    pub(crate) offset: u64,
    pub(crate) stored: Stored,
}

/// Chunks by digest and length.
pub(crate) type Places = HashMap<([u8; 32], usize), Place>;

impl Manifest {
    pub(crate) fn new(tag: BlobTag, chunk_bytes: u32) -> Self {
        Self { format: FORMAT, payload_bytes: 0, chunk_bytes, blobs: vec![tag], chunks: Vec::new() }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }

    /// The manifest in these bytes, whose digest the caller has checked.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let Ok((manifest, [])) = postcard::take_from_bytes::<Self>(bytes) else {
            return Err("its manifest can't be read though its digest fits");
        };
        if manifest.format != FORMAT {
            return Err("its manifest has a newer format than this program knows");
        }
        if manifest.is_consistent() { Ok(manifest) } else { Err("its manifest contradicts itself") }
    }

    fn is_consistent(&self) -> bool {
        let blobs = self.blobs.len();
        let chunk_bytes = u64::from(self.chunk_bytes);
        (1..=u64::from(MAX_CHUNK_BYTES)).contains(&chunk_bytes)
            && (1..=MAX_BLOBS_PER_VERSION).contains(&blobs)
            && self.payload_bytes.div_ceil(chunk_bytes) == self.chunks.len() as u64
            && self.chunks.iter().enumerate().all(|(index, chunk)| {
                usize::from(chunk.blob) < blobs && chunk.stored.fits(self.len_of(index))
            })
    }

    /// The feature that reading the state takes and that this build does not have.
    pub(crate) fn missing_feature(&self) -> Option<&'static str> {
        self.chunks.iter().find_map(|chunk| chunk.stored.missing_feature())
    }

    /// How long the chunk at `index` is.
    pub(crate) fn len_of(&self, index: usize) -> usize {
        let begin = (index as u64).saturating_mul(u64::from(self.chunk_bytes));
        let len = self.payload_bytes.saturating_sub(begin).min(u64::from(self.chunk_bytes));
        usize::try_from(len).unwrap_or(0)
    }

    /// Where chunks of the next version may stay: by digest and length. Chunks of blobs with the least in use are left
    /// out, so that the next version does not lie in too many places.
    pub(crate) fn reusable(&self) -> Places {
        let mut in_use = vec![0_u64; self.blobs.len()];
        for (index, chunk) in self.chunks.iter().enumerate() {
            if let Some(bytes) = in_use.get_mut(usize::from(chunk.blob)) {
                *bytes += self.len_of(index) as u64;
            }
        }
        let mut by_use: Vec<usize> = (0..self.blobs.len()).collect();
        by_use.sort_by_key(|blob| std::cmp::Reverse(in_use.get(*blob).copied()));
        by_use.truncate(MAX_BLOBS_PER_VERSION - 1);
        let places =
            self.chunks.iter().enumerate().filter(|(_, chunk)| by_use.contains(&usize::from(chunk.blob)));
        let places = places.filter_map(|(index, chunk)| {
            let blob = *self.blobs.get(usize::from(chunk.blob))?;
            let place = Place { blob, offset: chunk.offset, stored: chunk.stored };
            Some(((chunk.digest, self.len_of(index)), place))
        });
        places.collect()
    }
}

/// What stands at the end of a blob.
pub(crate) fn footer(manifest_bytes: usize) -> [u8; FOOTER_BYTES] {
    let mut footer = [0; FOOTER_BYTES];
    footer[..8].copy_from_slice(&(manifest_bytes as u64).to_le_bytes());
    footer[8..].copy_from_slice(&MAGIC);
    footer
}

/// Where the manifest lies in a blob of `blob_bytes` with this footer: offset and length.
pub(crate) fn manifest_place(
    blob: &BlobTag,
    blob_bytes: u64,
    footer: &[u8; FOOTER_BYTES],
) -> Result<(u64, usize), StoreError> {
    let corrupt = |problem| StoreError::Corrupt { what: blob.file_name(), problem };
    let (len, magic) = footer.split_at(8);
    if magic != MAGIC {
        return Err(corrupt("it does not end as a blob does"));
    }
    let len = u64::from_le_bytes(len.try_into().map_err(|_| corrupt("it does not end as a blob does"))?);
    let before = blob_bytes.checked_sub(FOOTER_BYTES as u64).and_then(|end| end.checked_sub(len));
    let offset = before.ok_or(corrupt("its manifest is longer than itself"))?;
    if len > MAX_MANIFEST_BYTES {
        return Err(corrupt("its manifest is longer than allowed"));
    }
    let len = usize::try_from(len).map_err(|_| corrupt("its manifest is longer than memory"))?;
    Ok((offset, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Version;
    use crate::ring::Nonce;
    use fabricbios_core::lease::FenceEpoch;
    use proptest::prelude::*;

    fn tag(version: u64) -> BlobTag {
        BlobTag { epoch: FenceEpoch(1), version: Version(version), nonce: Nonce(1) }
    }

    fn manifest(blobs: u64, per_blob: usize) -> Manifest {
        let mut manifest = Manifest::new(tag(100), 10);
        manifest.blobs.extend((1..blobs).map(tag));
        for blob in 0..u8::try_from(blobs).unwrap() {
            for at in 0..per_blob + usize::from(blob) {
                let digest = [blob.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap()); 32];
                let stored = if at == 0 { Stored::Zstd { stored_bytes: 5 } } else { Stored::Plain };
                manifest.chunks.push(Chunk { blob, offset: at as u64 * 10, digest, stored });
            }
        }
        manifest.payload_bytes = manifest.chunks.len() as u64 * 10 - 3;
        manifest
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was_written() {
        let manifest = manifest(3, 4);
        assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
        assert_eq!(manifest.len_of(0), 10);
        assert_eq!(manifest.len_of(manifest.chunks.len() - 1), 7);
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        let flaws: [fn(&mut Manifest); 8] = [
            |m| m.payload_bytes += 20,
            |m| m.chunk_bytes = 0,
            |m| {
                *m =
                    Manifest { chunk_bytes: MAX_CHUNK_BYTES + 1, chunks: m.chunks[..1].to_vec(), ..m.clone() }
            },
            |m| m.chunks[0].stored = Stored::Zstd { stored_bytes: 10 },
            |m| m.chunks[0].stored = Stored::Zstd { stored_bytes: 0 },
            |m| m.blobs.clear(),
            |m| m.chunks[0].blob = 200,
            |m| m.format = 2,
        ];
        for flaw in flaws {
            let mut manifest = manifest(2, 3);
            flaw(&mut manifest);
            assert!(Manifest::decode(&manifest.encode().unwrap()).is_err());
        }
    }

    #[test]
    fn the_blob_with_the_least_in_use_is_not_built_on_when_there_are_many() {
        let full = manifest(MAX_BLOBS_PER_VERSION as u64, 2);
        let kept = full.reusable();
        assert!(!kept.values().any(|place| place.blob == full.blobs[0]), "blob 0 has the fewest chunks");
        assert!((1..MAX_BLOBS_PER_VERSION).all(|at| kept.values().any(|place| place.blob == full.blobs[at])));
        let few = manifest(3, 2);
        assert!(few.reusable().values().any(|place| place.blob == few.blobs[0]));
    }

    proptest! {
        #[test]
        fn no_footer_leads_outside_of_its_blob(blob_bytes in any::<u64>(), len in any::<u64>(), magic in any::<bool>()) {
            let mut end = footer(0);
            end[..8].copy_from_slice(&len.to_le_bytes());
            if !magic { end[8] ^= 1; }
            if let Ok((offset, len)) = manifest_place(&tag(1), blob_bytes, &end) {
                prop_assert!(magic);
                prop_assert_eq!(offset + len as u64 + 16, blob_bytes);
            }
        }
    }
}
