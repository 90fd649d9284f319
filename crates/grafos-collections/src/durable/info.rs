//! What a caller learns about a checkpoint.

use fabricbios_core::lease::FenceEpoch;

use super::format::Header;

/// A checkpoint on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// Its number on this volume: 1 for the first, one more for each.
    pub sequence: u64,
    /// The epoch of the lease that wrote it.
    pub epoch: FenceEpoch,
    /// When it was committed, in milliseconds since 1970 by the writer's clock.
    pub unix_ms: u64,
    /// How long the encoded value is.
    pub payload_bytes: u64,
    /// The schema tag that it was made under; empty if none was given.
    pub schema: String,
}

impl From<&Header> for CheckpointInfo {
    fn from(header: &Header) -> Self {
        Self {
            sequence: header.sequence,
            epoch: header.epoch,
            unix_ms: header.unix_ms,
            payload_bytes: header.payload_bytes,
            schema: header.schema.clone(),
        }
    }
}

/// A checkpoint that was made durable just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Its number on this volume.
    pub sequence: u64,
    /// How long the encoded value is.
    pub payload_bytes: u64,
    /// How many bytes were written for it: less than the payload where parts of it lay there already, more with
    /// headers and padding.
    pub written_bytes: u64,
}
