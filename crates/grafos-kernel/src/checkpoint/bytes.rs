//! Little-endian integers and lengths in bytes: put, and taken with every length checked first. Knows no structure.

use super::error::CheckpointError;

pub(super) fn put_u32(into: &mut [u8], at: usize, value: u32) {
    into[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(into: &mut [u8], at: usize, value: u64) {
    into[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// The caller's array is long enough.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The caller's array is long enough.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The caller's array is long enough.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// A length of something that is in memory, or was checked against it.
pub(super) fn usize_of(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// A count that a vector in memory has. More than `u32::MAX` can't be counted in the format, and is caught there.
pub(super) fn count_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// `bytes` rounded up to a multiple of `alignment`, a power of two; the largest multiple, should it overflow.
pub(super) fn align_up(bytes: u64, alignment: u32) -> u64 {
    let mask = u64::from(alignment) - 1;
    bytes.saturating_add(mask) & !mask
}

/// Takes values from bytes, one after the other. Nothing is taken that is not there.
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the first byte lies in the file.
    base: u64,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, at: 0, base }
    }

    /// Where the next byte lies in the file.
    pub(super) fn offset(&self) -> u64 {
        self.base.saturating_add(self.at as u64)
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(CheckpointError::Truncated {
            offset: self.offset(),
            expected: len as u64,
            found: rest.len() as u64,
        })?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        Ok(array_at(self.take(N)?, 0))
    }

    pub(super) fn u32(&mut self) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, CheckpointError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A text with its length in front, as u32.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, CheckpointError> {
        let len = self.u32()?;
        let offset = self.offset();
        let bytes = self.take(usize_of(u64::from(len)))?;
        std::str::from_utf8(bytes).map_err(|error| CheckpointError::NotText {
            offset: offset.saturating_add(error.valid_up_to() as u64),
            field,
        })
    }

    /// Nothing may be left.
    pub(super) fn end(&self, what: &'static str) -> Result<(), CheckpointError> {
        if self.remaining() == 0 {
            return Ok(());
        }
        Err(CheckpointError::TrailingBytes { offset: self.offset(), what, found: self.remaining() as u64 })
    }
}

/// Appends a text with its length in front.
pub(super) fn push_text(into: &mut Vec<u8>, text: &str) {
    into.extend_from_slice(&count_of(text.len()).to_le_bytes());
    into.extend_from_slice(text.as_bytes());
}
