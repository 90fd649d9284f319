//! [`Marker`]: the file that says whose directory this is.
//!
//! ```text
//! offset  size  field
//!      0     8  magic "GRREPLIC"
//!      8     2  format, little-endian: 1
//!     10     2  length of the id, little-endian
//!     12     4  zero
//!     16     n  the replica's id, UTF-8
//! 16 + n    32  BLAKE3 of everything before it
//! ```

use std::fs::File;
use std::io::{Read, Take};
use std::path::Path;

use crate::embedded::dir::io_error;
use crate::error::StoreError;
use crate::names::{MAX_NAME_BYTES, ReplicaId};

/// Begins with a dot, as no space does.
pub(super) const MARKER: &str = ".replica";

const MAGIC: [u8; 8] = *b"GRREPLIC";
const FORMAT: u16 = 1;
const HEAD_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;
const MAX_BYTES: usize = HEAD_BYTES + MAX_NAME_BYTES + DIGEST_BYTES;

/// What the marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    id: String,
}

impl Marker {
    /// The marker of the replica of this id.
    pub(super) fn of(id: &ReplicaId) -> Result<Self, StoreError> {
        match id.checked() {
            Ok(id) => Ok(Self { id: id.to_owned() }),
            Err(_) => Err(StoreError::InvalidRequest {
                what: format!("{:?}", id.as_str()),
                problem: "the id of a replica is a text of 1 to 256 bytes without control characters",
            }),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // An id has at most 256 bytes.
        let len = u16::try_from(self.id.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.id.len() + DIGEST_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.id.as_bytes());
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// The marker in `file`, which lies at `path`.
    pub(super) fn read(file: &File, path: &Path) -> Result<Self, StoreError> {
        let mut bytes = Vec::with_capacity(MAX_BYTES + 1);
        let mut limited: Take<&File> = file.take(MAX_BYTES as u64 + 1);
        limited.read_to_end(&mut bytes).map_err(|error| io_error("read", path, error.raw_os_error()))?;
        Self::decode(&bytes).map_err(|fault| {
            let what = path.display().to_string();
            match fault {
                Fault::Foreign(problem) => StoreError::Foreign { what, problem },
                Fault::Damaged(problem) => StoreError::Corrupt { what, problem },
            }
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Fault::Foreign("it is no marker of a replica"));
        }
        let damaged = Fault::Damaged("the marker does not verify");
        let Some((content, digest)) = bytes.split_last_chunk::<DIGEST_BYTES>() else { return Err(damaged) };
        if bytes.len() > MAX_BYTES || blake3::hash(content).as_bytes() != digest {
            return Err(damaged);
        }
        let Some((head, id)) = content.split_first_chunk::<HEAD_BYTES>() else { return Err(damaged) };
        if head[8..10] != FORMAT.to_le_bytes() {
            return Err(Fault::Foreign("it has another format than this program knows"));
        }
        let len = usize::from(u16::from_le_bytes([head[10], head[11]]));
        match std::str::from_utf8(id) {
            Ok(id) if id.len() == len && head[12..] == [0; 4] => Ok(Self { id: id.to_owned() }),
            _ => Err(damaged),
        }
    }
}

/// Why there is no marker in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Foreign(&'static str),
    Damaged(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(id: &str) -> Marker {
        Marker::of(&ReplicaId::new(id)).unwrap()
    }

    #[test]
    fn the_bytes_of_format_1_stay_as_they_are() {
        let bytes = marker("b").encode();
        let mut expected = b"GRREPLIC\x01\0\x01\0\0\0\0\0b".to_vec();
        expected.extend_from_slice(blake3::hash(&expected).as_bytes());
        assert_eq!(bytes, expected);
        assert_eq!(bytes[17..21], [0xe9, 0xa4, 0xfa, 0x88], "of a digest that was written down");
    }

    #[test]
    fn a_marker_is_read_back_and_every_flipped_bit_and_every_cut_is_found() {
        for id in ["b", "disk é", &"x".repeat(MAX_NAME_BYTES)] {
            let bytes = marker(id).encode();
            assert_eq!(Marker::decode(&bytes), Ok(marker(id)));
            for at in 0..bytes.len() {
                assert!(Marker::decode(&bytes[..at]).is_err(), "cut at {at}");
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                assert!(Marker::decode(&damaged).is_err(), "flipped in {at}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_foreign_and_not_damaged() {
        let mut content = b"GRREPLIC\x02\0\x01\0\0\0\0\0b".to_vec();
        content.extend_from_slice(blake3::hash(&content).as_bytes());
        assert!(matches!(Marker::decode(&content), Err(Fault::Foreign(_))));
        assert!(matches!(Marker::decode(b"something else"), Err(Fault::Foreign(_))));
        assert!(matches!(Marker::decode(b""), Err(Fault::Foreign(_))));
    }

    #[test]
    fn an_id_that_can_not_be_one_makes_no_marker() {
        for id in ["", "a\nb", &"x".repeat(257)] {
            let refused = Marker::of(&ReplicaId::new(id)).unwrap_err();
            assert!(matches!(refused, StoreError::InvalidRequest { .. }), "{refused}");
        }
    }
}
