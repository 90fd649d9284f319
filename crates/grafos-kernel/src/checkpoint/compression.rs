//! [`Compression`], and [`Codec`]: one segment smaller, and back. Knows nothing of files.
//!
//! Invariant: what is decompressed is never longer than the buffer that the caller made for it.

use std::fmt;

use super::error::CheckpointError;

/// How the segments of a chunk are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// [LZ4's block format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md): fast.
    Lz4,
    /// A [Zstandard frame](https://www.rfc-editor.org/rfc/rfc8878): smaller.
    Zstd {
        /// 1 (fast) to 19 (small).
        level: u8,
    },
}

const MOST_LEVEL: u8 = 19;

impl Compression {
    /// Zstandard at level 1, the one that comes near to a disk's speed.
    #[must_use]
    pub const fn zstd() -> Self {
        Self::Zstd { level: 1 }
    }

    /// Its number in a file.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd { .. } => 2,
        }
    }

    /// The compression with this number; a file does not say at which level.
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::zstd()),
            _ => None,
        }
    }

    pub(super) fn checked(self) -> Result<Self, CheckpointError> {
        match self {
            Self::Zstd { level } if !(1..=MOST_LEVEL).contains(&level) => {
                Err(CheckpointError::InvalidOption {
                    option: "zstd level",
                    least: 1,
                    most: u64::from(MOST_LEVEL),
                    found: u64::from(level),
                })
            }
            right => Ok(right),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd { .. } => "zstd",
        })
    }
}

/// What compresses and decompresses on one thread, and keeps its tables from one segment to the next.
#[derive(Default)]
pub(super) struct Codec {
    zstd_in: Option<(u8, zstd::bulk::Compressor<'static>)>,
    zstd_out: Option<zstd::bulk::Decompressor<'static>>,
    buffer: Vec<u8>,
    packed: Vec<u8>,
}

impl Codec {
    /// `raw`, compressed; `None` if that saves nothing or the compressor fails, so that it is stored as it is.
    pub(super) fn compress(&mut self, compression: Compression, raw: &[u8]) -> Option<Vec<u8>> {
        let packed = match compression {
            Compression::None => return None,
            Compression::Lz4 => lz4_flex::block::compress(raw),
            Compression::Zstd { level } => self.zstd_compressor(level)?.compress(raw).ok()?,
        };
        (packed.len() < raw.len()).then_some(packed)
    }

    /// Decompresses into the whole of `into`. False if `packed` is not exactly that.
    pub(super) fn decompress(&mut self, compression: Compression, packed: &[u8], into: &mut [u8]) -> bool {
        let expected = into.len();
        let len = match compression {
            Compression::None => return false,
            Compression::Lz4 => lz4_flex::block::decompress_into(packed, into).ok(),
            Compression::Zstd { .. } => self
                .zstd_decompressor()
                .and_then(|decompressor| decompressor.decompress_to_buffer(packed, into).ok()),
        };
        len == Some(expected)
    }

    /// A buffer of so many bytes, with anything in it, for one segment.
    pub(super) fn with_buffer<T>(&mut self, len: usize, work: impl FnOnce(&mut Self, &mut [u8]) -> T) -> T {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(len, 0);
        let done = work(self, &mut buffer);
        self.buffer = buffer;
        done
    }

    /// The same for one that is compressed.
    pub(super) fn with_packed<T>(&mut self, len: usize, work: impl FnOnce(&mut Self, &mut [u8]) -> T) -> T {
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(len, 0);
        let done = work(self, &mut packed);
        self.packed = packed;
        done
    }

    fn zstd_compressor(&mut self, level: u8) -> Option<&mut zstd::bulk::Compressor<'static>> {
        if self.zstd_in.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            self.zstd_in = Some((level, zstd::bulk::Compressor::new(i32::from(level)).ok()?));
        }
        self.zstd_in.as_mut().map(|(_, compressor)| compressor)
    }

    fn zstd_decompressor(&mut self) -> Option<&mut zstd::bulk::Decompressor<'static>> {
        if self.zstd_out.is_none() {
            self.zstd_out = zstd::bulk::Decompressor::new().ok();
        }
        self.zstd_out.as_mut()
    }
}
