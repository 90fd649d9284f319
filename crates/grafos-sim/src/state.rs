//! [`State`]: what the programs of this world save, and [`Content`]: how it lies in a blob. A state says where it comes from,
//! so that a lost update or a wrong copy shows.

use std::rc::Rc;

use grafos_replicated::{BlobTag, FenceEpoch, Nonce, Version};

/// BLAKE3 of a blob.
pub(crate) type Digest = [u8; 32];

/// The two checkpoints of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// States that any writer replaces.
    Plain,
    /// A job of steps, one after the other.
    Job,
}

impl Space {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Job];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Job => 1,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Job => "job",
        }
    }
}

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The attempt that made it.
    pub(crate) payload: u64,
    /// The state that it was made from; 0 for none.
    pub(crate) made_from: u64,
    /// How many steps are in it.
    pub(crate) steps: u64,
}

/// What a blob holds: a state, and the blobs of the version before of which it keeps parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) state: State,
    pub(crate) refers_to: Vec<(BlobTag, Digest)>,
}

/// Little-endian: payload, made from, steps; then epoch, version, nonce and digest of each blob.
const STATE_BYTES: usize = 24;
const REFERENCE_BYTES: usize = 64;

impl Content {
    pub(crate) fn encode(&self) -> Rc<[u8]> {
        let mut bytes = Vec::with_capacity(STATE_BYTES + REFERENCE_BYTES * self.refers_to.len());
        for number in [self.state.payload, self.state.made_from, self.state.steps] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (tag, digest) in &self.refers_to {
            bytes.extend_from_slice(&tag.epoch.0.to_le_bytes());
            bytes.extend_from_slice(&tag.version.0.to_le_bytes());
            bytes.extend_from_slice(&tag.nonce.0.to_le_bytes());
            bytes.extend_from_slice(digest);
        }
        bytes.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (state, references) = bytes.split_at_checked(STATE_BYTES)?;
        let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
        let state = State {
            payload: number(&state[..8])?,
            made_from: number(&state[8..16])?,
            steps: number(&state[16..])?,
        };
        let reference = |bytes: &[u8]| {
            let (epoch, version) = (FenceEpoch(number(&bytes[..8])?), Version(number(&bytes[8..16])?));
            let nonce = Nonce(u128::from_le_bytes(bytes[16..32].try_into().ok()?));
            Some((BlobTag { epoch, version, nonce }, bytes[32..].try_into().ok()?))
        };
        let whole = references.len().is_multiple_of(REFERENCE_BYTES);
        let refers_to = references.chunks_exact(REFERENCE_BYTES).map(reference).collect::<Option<_>>()?;
        whole.then_some(Self { state, refers_to })
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_read_back_as_it_was_written() {
        let tag = BlobTag { epoch: FenceEpoch(3), version: Version(4), nonce: Nonce(5) };
        let content = Content {
            state: State { payload: 1, made_from: 2, steps: 3 },
            refers_to: vec![(tag, [7; 32]), (tag, [8; 32])],
        };
        let bytes = content.encode();
        assert_eq!(Content::decode(&bytes), Some(content));
        assert_eq!(Content::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Content::decode(&bytes[..7]), None);
    }
}
