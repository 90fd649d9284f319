//! [`Sector`]: 512 bytes that say themselves whether they are whole.
//!
//! ```text
//! offset  size
//!      0     8  magic: what the sector holds
//!      8   472  content
//!    480    32  BLAKE3 of bytes 0..480
//! ```
//!
//! Invariant: a sector in which any bit differs from what was sealed does not verify.

pub(super) const SECTOR_BYTES: usize = 512;
pub(super) const MAGIC: usize = 0;
pub(super) const CONTENT: usize = MAGIC + 8;
const DIGEST: usize = SECTOR_BYTES - blake3::OUT_LEN;

/// The bytes of one sector, verified or not.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sector(pub(super) [u8; SECTOR_BYTES]);

impl Sector {
    pub(super) const ZERO: Self = Self([0; SECTOR_BYTES]);

    /// A sector with this magic, to be filled and then [sealed](Self::seal).
    pub(super) fn with_magic(magic: [u8; 8]) -> Self {
        let mut sector = Self::ZERO;
        sector.put(MAGIC, magic);
        sector
    }

    /// Whether nothing was ever written here.
    pub(super) fn is_zero(&self) -> bool {
        self.0 == [0; SECTOR_BYTES]
    }

    pub(super) fn seal(mut self) -> Self {
        let digest = blake3::hash(&self.0[..DIGEST]);
        self.put(DIGEST, *digest.as_bytes());
        self
    }

    pub(super) fn is_sealed(&self) -> bool {
        blake3::hash(&self.0[..DIGEST]) == self.take(DIGEST)
    }

    /// The `N` bytes at `at`, which is a constant inside the sector.
    pub(super) fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    pub(super) fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    pub(super) fn take_u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.take(at))
    }

    pub(super) fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, value.to_le_bytes());
    }

    pub(super) fn take_u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.take(at))
    }

    pub(super) fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, value.to_le_bytes());
    }
}

impl std::fmt::Debug for Sector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sector").field("is_sealed", &self.is_sealed()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_sector_notices_every_flipped_bit() {
        let mut sector = Sector::with_magic(*b"TESTTEST");
        sector.put_u64(CONTENT, 0x0123_4567_89ab_cdef);
        let sector = sector.seal();
        assert!(sector.is_sealed());
        for bit in 0..SECTOR_BYTES * 8 {
            let mut flipped = sector.clone();
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!flipped.is_sealed(), "bit {bit}");
        }
        assert!(!Sector::ZERO.is_sealed());
    }
}
