//! RingKernel's deltas: whole chunks, no deletions, and a parent that is named by a CRC-32. They are applied, not made.

use std::collections::{HashMap, HashSet};
use std::io;

use super::Checkpoint;
use super::chunk::{ChunkType, DataChunk};
use super::delta::{DELTA_PARENT_DIGEST_KEY, is_recipe, no_parent, parent_of};
use super::error::CheckpointError;

/// A delta without recipe whose parent is named by 8 hexadecimal digits.
pub(super) fn is_one(delta: &Checkpoint) -> Result<bool, CheckpointError> {
    let has_recipe = delta.chunks.first().is_some_and(|chunk| is_recipe(chunk.header.flags));
    let parent = parent_of(&delta.metadata)?;
    Ok(!has_recipe && check_parent(parent).is_ok())
}

/// It is the CRC-32 of a parent.
pub(super) fn check_parent(parent: &str) -> Result<(), CheckpointError> {
    let is_crc = parent.len() == 8 && parent.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_crc { Ok(()) } else { Err(no_parent(parent)) }
}

type Identity = (ChunkType, Option<u64>);

/// RingKernel's digest of the contents: CRC-32 over type u32, id u64, a zero u32 and the data of each chunk whose type
/// it knows.
pub(super) fn digest(checkpoint: &Checkpoint) -> String {
    let mut hasher = Hasher::default();
    for chunk in &checkpoint.chunks {
        if let Some(identity) = chunk.chunk_identity() {
            hasher.begin(identity);
            hasher.0.update(&chunk.data);
        }
    }
    hasher.finish()
}

/// Builds that digest, chunk by chunk: the data of each is written behind its beginning.
#[derive(Default)]
pub(super) struct Hasher(crc32fast::Hasher);

impl Hasher {
    pub(super) fn begin(&mut self, (kind, id): Identity) {
        self.0.update(&(kind as u32).to_le_bytes());
        self.0.update(&id.unwrap_or(0).to_le_bytes());
        self.0.update(&[0; 4]);
    }

    pub(super) fn finish(self) -> String {
        format!("{:08x}", self.0.finalize())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Chunks of the delta stand for those of the parent with their identity; the others are appended.
pub(super) fn apply(parent: &Checkpoint, delta: &Checkpoint) -> Result<Checkpoint, CheckpointError> {
    let expected = parent_of(&delta.metadata)?;
    let found = digest(parent);
    if expected != found {
        let expected = expected.to_owned();
        return Err(CheckpointError::ParentMismatch { link: 0, expected, found });
    }
    let mut new: HashMap<Identity, &DataChunk> = HashMap::new();
    for (index, chunk) in delta.chunks.iter().enumerate() {
        // RingKernel loses one of two: which it should be can't be told.
        if chunk.chunk_identity().is_none_or(|identity| new.insert(identity, chunk).is_some()) {
            return Err(ambiguous(index));
        }
    }
    let mut replaced = HashSet::new();
    let mut chunks = Vec::with_capacity(parent.chunks.len());
    for chunk in &parent.chunks {
        let identity = chunk.chunk_identity();
        match identity.and_then(|identity| new.get(&identity)) {
            Some(newer) => {
                if !replaced.insert(identity) {
                    return Err(ambiguous(0));
                }
                let name = newer.name.clone().or_else(|| chunk.name.clone());
                chunks.push(DataChunk { name, ..(*newer).clone() });
            }
            None => chunks.push(chunk.clone()),
        }
    }
    chunks.extend(delta.chunks.iter().filter(|chunk| !replaced.contains(&chunk.chunk_identity())).cloned());
    let mut metadata = delta.metadata.clone();
    metadata.custom.remove(DELTA_PARENT_DIGEST_KEY);
    Ok(Checkpoint { header: delta.header.of_full(), metadata, chunks })
}

fn ambiguous(chunk: usize) -> CheckpointError {
    let field = "chunks of one type and id";
    CheckpointError::MalformedDelta { field, chunk, offset: 0, expected: 1, found: 2 }
}
