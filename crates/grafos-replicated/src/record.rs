//! The frame that every record of the register shares. Pure: bytes in, bytes out.
//!
//! ```text
//! offset  size  field
//!      0     4  what it is: "GRRG" a register, "GREF" an effect, "GREH" the head of a store of effects
//!      4     2  format, little-endian: 1
//!      6     2  zero
//!      8     n  the fields, in postcard's encoding
//!  8 + n    32  BLAKE3 of everything before it
//! ```
//!
//! Invariant: no field is looked at before the digest was found to fit.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ReplicatedError;
use crate::metadata_store::{MAX_RECORD_BYTES, RecordKey};

pub(crate) const REGISTER: [u8; 4] = *b"GRRG";
pub(crate) const EFFECT: [u8; 4] = *b"GREF";
pub(crate) const EFFECTS_HEAD: [u8; 4] = *b"GREH";

const FORMAT: u16 = 1;
const HEAD_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;

/// The bytes of a record.
///
/// # Errors
/// [`TooLarge`](ReplicatedError::TooLarge).
pub(crate) fn encode(magic: [u8; 4], fields: &impl Serialize) -> Result<Vec<u8>, ReplicatedError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    let mut bytes = postcard::to_extend(fields, bytes)
        .map_err(|cause| ReplicatedError::Serialization { what: "a record can't be encoded", cause })?;
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    if bytes.len() > MAX_RECORD_BYTES {
        let (limit, found) = (MAX_RECORD_BYTES as u64, bytes.len() as u64);
        return Err(ReplicatedError::TooLarge { what: "bytes of a record", limit, found });
    }
    Ok(bytes)
}

/// The fields of the record in these bytes.
///
/// # Errors
/// [`CorruptRegister`](ReplicatedError::CorruptRegister).
pub(crate) fn decode<T: DeserializeOwned>(
    magic: [u8; 4],
    key: &RecordKey,
    bytes: &[u8],
) -> Result<T, ReplicatedError> {
    let corrupt = |problem| ReplicatedError::CorruptRegister { key: key.to_string(), problem };
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(corrupt("it is longer than a record can be"));
    }
    let content = bytes.split_last_chunk::<DIGEST_BYTES>();
    let Some((content, digest)) = content.filter(|(content, _)| content.len() >= HEAD_BYTES) else {
        return Err(corrupt("it is shorter than a record can be"));
    };
    let (head, fields) = content.split_at(HEAD_BYTES);
    if !head.starts_with(&magic) {
        return Err(corrupt("it is a record of another kind"));
    }
    if blake3::hash(content).as_bytes() != digest {
        return Err(corrupt("its digest does not fit"));
    }
    if head.get(4..) != Some(&[FORMAT.to_le_bytes(), [0; 2]].concat()) {
        return Err(corrupt("it has a newer format than this program knows"));
    }
    match postcard::take_from_bytes::<T>(fields) {
        Ok((record, [])) => Ok(record),
        Ok(_) => Err(inconsistent(key)),
        Err(_) => Err(corrupt("its fields can't be read though its digest fits")),
    }
}

/// The error for fields that can't stand together.
pub(crate) fn inconsistent(key: &RecordKey) -> ReplicatedError {
    let problem = "its fields contradict each other though its digest fits";
    ReplicatedError::CorruptRegister { key: key.to_string(), problem }
}
