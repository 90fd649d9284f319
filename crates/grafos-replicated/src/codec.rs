//! [`Compression`]: what a caller wants of it; [`Stored`]: what became of a chunk; both directions between them.
//!
//! Invariants: a chunk is stored compressed only if that is shorter than the chunk; what is decompressed never takes
//! more room than the chunk has, whatever the stored bytes say.

use serde::{Deserialize, Serialize};

/// How the chunks of new states are stored. Whatever it is, all states can be loaded by programs that were built with
/// the feature.
///
/// ```
/// # #[cfg(feature = "zstd")] {
/// use grafos_replicated::Compression;
/// assert_eq!(Compression::default(), Compression::None);
/// let fast = Compression::Zstd { level: 1 };
/// assert_ne!(fast, Compression::None);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Zstandard (RFC 8878), chunk by chunk; a chunk that does not get shorter is stored as it is.
    #[cfg(feature = "zstd")]
    Zstd {
        /// From 1, fast, to 22, small. 0 is the library's usual one, and negative ones are faster still. A level that
        /// there is not becomes the nearest.
        level: i32,
    },
}

/// How a chunk lies in its blob. On disk: the order of the variants is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stored {
    /// As it is.
    Plain,
    /// As one Zstandard frame.
    Zstd {
        /// How long that is: shorter than the chunk.
        stored_bytes: u32,
    },
}

impl Stored {
    /// How many bytes a chunk of `chunk_bytes` takes in its blob.
    pub(crate) fn len_bytes(self, chunk_bytes: usize) -> usize {
        match self {
            Self::Plain => chunk_bytes,
            Self::Zstd { stored_bytes } => usize::try_from(stored_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether a chunk of `chunk_bytes` can lie like this.
    pub(crate) fn fits(self, chunk_bytes: usize) -> bool {
        match self {
            Self::Plain => true,
            Self::Zstd { .. } => (1..chunk_bytes).contains(&self.len_bytes(chunk_bytes)),
        }
    }

    /// The feature that reading it takes and that this build does not have.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Zstd { .. } if !cfg!(feature = "zstd") => Some("zstd"),
            Self::Plain | Self::Zstd { .. } => None,
        }
    }
}

/// Makes chunks shorter.
#[derive(Default)]
pub(crate) struct Compressor {
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    pub(crate) fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::default(),
            #[cfg(feature = "zstd")]
            Compression::Zstd { level } => {
                let levels = zstd::compression_level_range();
                // Without memory for it, chunks are stored as they are.
                Self { zstd: zstd::bulk::Compressor::new(level.clamp(*levels.start(), *levels.end())).ok() }
            }
        }
    }

    /// Whether it does anything at all.
    pub(crate) fn is_none(&self) -> bool {
        #[cfg(feature = "zstd")]
        return self.zstd.is_none();
        #[cfg(not(feature = "zstd"))]
        return true;
    }

    /// The chunk, shorter, in `into`; [`Stored::Plain`] if it does not get shorter, and `into` means nothing then.
    pub(crate) fn compress(&mut self, chunk: &[u8], into: &mut Vec<u8>) -> Stored {
        #[cfg(feature = "zstd")]
        if let Some(zstd) = &mut self.zstd {
            into.resize(chunk.len().saturating_sub(1), 0);
            let written = zstd.compress_to_buffer(chunk, &mut into[..]).ok();
            if let Some((len, Ok(stored_bytes))) = written.map(|len| (len, u32::try_from(len))) {
                into.truncate(len);
                return Stored::Zstd { stored_bytes };
            }
        }
        let _ = (chunk, into);
        Stored::Plain
    }
}

/// Fills `chunk` from one Zstandard frame.
///
/// # Errors
/// What is wrong with the stored bytes.
pub(crate) fn decompress(stored: &[u8], chunk: &mut [u8]) -> Result<(), &'static str> {
    #[cfg(feature = "zstd")]
    match zstd::bulk::decompress_to_buffer(stored, chunk) {
        // A frame that holds more than the chunk has room for is an error of the library.
        Ok(len) if len == chunk.len() => Ok(()),
        Ok(_) | Err(_) => Err("a chunk can't be decompressed to its length"),
    }
    #[cfg(not(feature = "zstd"))]
    {
        let _ = (stored, chunk);
        Err("a chunk is compressed, and this program was built without the feature zstd")
    }
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use super::*;

    fn compressed(chunk: &[u8], level: i32) -> (Stored, Vec<u8>) {
        let mut into = Vec::new();
        let stored = Compressor::new(Compression::Zstd { level }).compress(chunk, &mut into);
        (stored, into)
    }

    #[test]
    fn a_chunk_comes_back_at_every_level_and_levels_that_there_are_not_become_the_nearest() {
        let chunk: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for level in [i32::MIN, -5, 0, 1, 3, 19, 22, i32::MAX] {
            let (stored, bytes) = compressed(&chunk, level);
            assert!(stored.fits(chunk.len()), "level={level}");
            assert!(stored != Stored::Plain || level < -5, "level={level}");
            if stored == Stored::Plain {
                continue;
            }
            assert_eq!(stored.len_bytes(chunk.len()), bytes.len());
            let mut back = vec![0; chunk.len()];
            decompress(&bytes, &mut back).unwrap();
            assert!(back == chunk, "level={level}");
        }
    }

    #[test]
    fn what_does_not_get_shorter_is_stored_as_it_is() {
        let noise: Vec<u8> = blake3::Hasher::new().finalize_xof().take_bytes(5000);
        for len in [0, 1, 2, 5000] {
            assert_eq!(compressed(&noise[..len], 3).0, Stored::Plain, "len={len}");
        }
        assert_eq!(Compressor::new(Compression::None).compress(&[0; 5000], &mut Vec::new()), Stored::Plain);
    }

    #[test]
    fn a_frame_that_holds_more_or_less_than_the_chunk_is_refused_without_more_room() {
        let (_, bomb) = compressed(&vec![0; 64 << 20], 3);
        assert!(bomb.len() < 10_000, "64 MiB in a few bytes");
        let mut chunk = vec![7; 4096];
        assert!(decompress(&bomb, &mut chunk).is_err());
        let (_, short) = compressed(&[0; 4095], 3);
        assert!(decompress(&short, &mut chunk).is_err());
        for cut in 0..short.len() {
            assert!(decompress(&short[..cut], &mut [0; 4095]).is_err(), "cut={cut}");
        }
    }

    /// The first bytes of a stream.
    trait TakeBytes {
        fn take_bytes(self, len: usize) -> Vec<u8>;
    }

    impl TakeBytes for blake3::OutputReader {
        fn take_bytes(mut self, len: usize) -> Vec<u8> {
            let mut bytes = vec![0; len];
            self.fill(&mut bytes);
            bytes
        }
    }
}
