//! [`AlignedBuf`]: memory that direct I/O takes as it is.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A buffer of fixed size whose first byte lies at a multiple of [`ALIGN`](Self::ALIGN).
///
/// Any buffer can be read into and written from; an aligned one of aligned length at an aligned address spares the
/// copy that direct I/O needs otherwise. Allocate once and reuse: the first touch of a page costs more than the
/// copy into it.
///
/// ```
/// use grafos_std::block::AlignedBuf;
///
/// let buffer = AlignedBuf::zeroed(8192);
/// assert_eq!(buffer.len(), 8192);
/// assert_eq!(buffer.as_ptr().align_offset(AlignedBuf::ALIGN), 0);
/// ```
pub struct AlignedBuf {
    /// Never grows, so its bytes never move.
    storage: Box<[u8]>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// The alignment in bytes: a page, and a sector of every disk that we know of.
    pub const ALIGN: usize = 4096;

    /// `len` zeros. Aborts like any allocation if there is no memory: bound `len` before.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let storage = vec![0_u8; len.saturating_add(Self::ALIGN - 1)].into_boxed_slice();
        let start = storage.as_ptr().align_offset(Self::ALIGN);
        Self { storage, start, len }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_aligned_and_zero() {
        for len in [0, 1, 511, 512, 4095, 4096, 4097, 1 << 20] {
            let buffer = AlignedBuf::zeroed(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(AlignedBuf::ALIGN), 0);
            assert!(buffer.iter().all(|byte| *byte == 0));
        }
    }
}
