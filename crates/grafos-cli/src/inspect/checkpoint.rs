//! A kernel checkpoint of either version: whose state it is, whether each of its chunks verifies, and, of a delta, the
//! checkpoints that it builds on.
//!
//! Invariant: of the state only some segments are in memory at a time, however large the file.

mod chain;
mod json;
#[cfg(test)]
mod tests;
mod text;

use std::io;
use std::path::Path;

use grafos_kernel::checkpoint::{
    CHECKPOINT_MAGIC, CheckpointError, CheckpointHeader, CheckpointReader, DeltaInfo, Digest, Kind, Limits,
    ReadAt,
};
use serde_json::Value;

use self::chain::Chain;
use super::Report;

pub(super) use self::text::in_full;

/// What every file of checkpoints has in its name.
const EXTENSION: &str = ".rkcp";

/// Whether a file that begins like this, and has this name, is to be taken for a checkpoint: a damaged one too.
pub(super) fn is_one(begin: &[u8], path: &Path) -> bool {
    let magic = CHECKPOINT_MAGIC.to_le_bytes();
    let compared = begin.len().min(magic.len());
    let is_named = || path.file_name().is_some_and(|name| name.to_string_lossy().contains(EXTENSION));
    (compared > 0 && begin.get(..compared) == magic.get(..compared)) || is_named()
}

/// What was found.
pub(super) enum CheckpointReport {
    /// Header or index don't verify, so that nothing is known of the chunks.
    Closed(Closed),
    /// The rest.
    Opened(Box<Opened>),
}

/// A checkpoint that can't be opened.
pub(super) struct Closed {
    file_bytes: u64,
    /// As it stands there, if there is so much of the file; nothing of it is certain.
    header: Option<CheckpointHeader>,
    fault: CheckpointError,
}

/// A checkpoint whose index verifies.
pub(super) struct Opened {
    reader: CheckpointReader<Box<dyn ReadAt>>,
    /// What the chunks are together.
    contents: Result<Digest, CheckpointError>,
    /// For each chunk.
    faults: Vec<Option<CheckpointError>>,
    /// What is wrong between the chunks.
    other_fault: Option<CheckpointError>,
    /// What a delta says of itself.
    delta: Option<Result<DeltaInfo, CheckpointError>>,
    chain: Option<Chain>,
}

/// Reads all of `source`. The checkpoints that a delta builds on are looked for beside `path`.
///
/// # Errors
///
/// What is no damage: bytes that can't be read, and another version of the format.
pub(super) fn report(
    source: Box<dyn ReadAt>,
    path: Option<&Path>,
) -> Result<CheckpointReport, CheckpointError> {
    let file_bytes = source.len_bytes().map_err(|source| CheckpointError::Read { offset: 0, source })?;
    let mut header = [0; 64];
    let header = source.read_exact_at(0, &mut header).is_ok().then(|| CheckpointHeader::from_bytes(&header));
    // The state has no limit: chunks are read in pieces.
    let limits = Limits { state_bytes: u64::MAX, ..Limits::default() };
    match CheckpointReader::open_with(source, &limits) {
        Ok(reader) => Ok(CheckpointReport::Opened(Box::new(Opened::of(reader, path)))),
        Err(fault) if is_damage(&fault) => Ok(CheckpointReport::Closed(Closed { file_bytes, header, fault })),
        Err(error) => Err(error),
    }
}

fn is_damage(error: &CheckpointError) -> bool {
    !matches!(
        error,
        CheckpointError::Read { .. }
            | CheckpointError::OutOfMemory { .. }
            | CheckpointError::UnsupportedVersion { .. }
    )
}

impl Opened {
    fn of(reader: CheckpointReader<Box<dyn ReadAt>>, path: Option<&Path>) -> Self {
        // On all cores, for what is good as a rule; then one by one, to tell which is not.
        let first_fault = reader.verify().err();
        let check = |chunk| match &first_fault {
            Some(_) => reader.copy_chunk(chunk, &mut io::sink()).err(),
            None => None,
        };
        let faults: Vec<_> = (0..reader.chunks().len()).map(check).collect();
        let other_fault = first_fault.filter(|_| faults.iter().all(Option::is_none));
        let delta = (reader.kind() == Kind::Delta).then(|| {
            reader
                .delta_info()
                .and_then(|info| info.ok_or(CheckpointError::WrongKind { expected: Kind::Delta }))
        });
        let chain = match (&delta, path) {
            (Some(Ok(delta)), Some(path)) => Some(Chain::beside(path, &delta.parent)),
            _ => None,
        };
        let contents = reader.contents();
        Self { reader, contents, faults, other_fault, delta, chain }
    }

    /// All that is wrong with the file itself.
    fn faults(&self) -> impl Iterator<Item = &CheckpointError> {
        let delta = self.delta.as_ref().and_then(|delta| delta.as_ref().err());
        self.faults.iter().flatten().chain(&self.other_fault).chain(delta).chain(self.contents.as_ref().err())
    }
}

impl Report for CheckpointReport {
    fn text(&self) -> Vec<String> {
        match self {
            Self::Closed(closed) => text::closed(closed),
            Self::Opened(opened) => text::opened(opened),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Closed(closed) => json::closed(closed),
            Self::Opened(opened) => json::opened(opened),
        }
    }

    fn is_good(&self) -> bool {
        match self {
            Self::Closed(_) => false,
            Self::Opened(opened) => {
                opened.faults().next().is_none() && opened.chain.as_ref().is_none_or(Chain::verifies)
            }
        }
    }
}
