//! [`Journal`]: the unflushed writes of a machine, with what was there before.
//!
//! The host below always holds the newest contents. The journal knows, block by block, how to go back to any state
//! that the disk could be in: the oldest content of each block, and the kept writes over it in their order.

use std::collections::BTreeMap;

use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::VolumeName;

use super::super::fault::Keep;
use super::FaultyBlockHost;

#[derive(Default)]
pub(super) struct Journal {
    /// In the order of writing.
    writes: Vec<Unflushed>,
}

struct Unflushed {
    volume: VolumeName,
    first_block: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Neighbouring blocks that have to be written to bring the disk into its state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) volume: VolumeName,
    pub(super) first_block: u64,
    pub(super) bytes: Vec<u8>,
}

impl Journal {
    /// Refuses a write that would make the journal too large.
    pub(super) fn check_room(&self, len: usize) -> Result<()> {
        let unflushed: usize = self.writes.iter().map(|write| write.after.len()).sum();
        let available = FaultyBlockHost::MAX_UNFLUSHED_BYTES.saturating_sub(unflushed);
        if len <= available {
            return Ok(());
        }
        let (requested, available) = (len as u64, available as u64);
        Err(FabricError::CapacityExceeded { what: "bytes of unflushed writes", requested, available })
    }

    /// A write of `after` over `before`, which has as many bytes.
    pub(super) fn add(&mut self, volume: VolumeName, first_block: u64, before: Vec<u8>, after: Vec<u8>) {
        self.writes.push(Unflushed { volume, first_block, before, after });
    }

    /// The writes to `volume` are durable.
    pub(super) fn flushed(&mut self, volume: &VolumeName) {
        self.writes.retain(|write| write.volume != *volume);
    }

    /// The first `blocks` blocks that were written to `volume` are durable.
    pub(super) fn flushed_in_part(&mut self, volume: &VolumeName, mut blocks: u64) {
        for write in self.writes.iter_mut().filter(|write| write.volume == *volume) {
            let durable = blocks.min(write.num_blocks());
            blocks -= durable;
            write.first_block += durable;
            let durable_bytes = usize::try_from(durable).map_or(0, |durable| durable * BLOCK_SIZE);
            write.before.drain(..durable_bytes);
            write.after.drain(..durable_bytes);
        }
        self.writes.retain(|write| !write.after.is_empty());
    }

    /// The blocks of each write.
    pub(super) fn blocks_of_writes(&self) -> Vec<u64> {
        self.writes.iter().map(Unflushed::num_blocks).collect()
    }

    /// Empties the journal and returns what brings the disk into the state that `keep` describes.
    pub(super) fn settle(&mut self, keep: &Keep) -> Vec<Run> {
        let mut kept = keep.answers(&self.blocks_of_writes()).into_iter();
        let mut settled: BTreeMap<(&VolumeName, u64), &[u8]> = BTreeMap::new();
        for write in &self.writes {
            let blocks = write.before.chunks(BLOCK_SIZE).zip(write.after.chunks(BLOCK_SIZE));
            for (block, (before, after)) in (write.first_block..).zip(blocks) {
                let content = settled.entry((&write.volume, block)).or_insert(before);
                if kept.next() == Some(true) {
                    *content = after;
                }
            }
        }
        let mut runs: Vec<Run> = Vec::new();
        for ((volume, block), content) in settled {
            match runs.last_mut() {
                Some(run) if run.volume == *volume && run.end() == block => {
                    run.bytes.extend_from_slice(content);
                }
                _ => runs.push(Run { volume: volume.clone(), first_block: block, bytes: content.to_vec() }),
            }
        }
        self.writes.clear();
        runs
    }
}

impl Unflushed {
    fn num_blocks(&self) -> u64 {
        (self.after.len() / BLOCK_SIZE) as u64
    }
}

impl Run {
    fn end(&self) -> u64 {
        self.first_block + (self.bytes.len() / BLOCK_SIZE) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(fill: &[u8]) -> Vec<u8> {
        fill.iter().flat_map(|byte| [*byte; BLOCK_SIZE]).collect()
    }

    fn run(volume: &str, first_block: u64, fill: &[u8]) -> Run {
        Run { volume: volume.parse().unwrap(), first_block, bytes: blocks(fill) }
    }

    /// Blocks 2 and 3 of `v` go from 0 to 1, then block 3 to 2; block 0 of `w` from 7 to 8.
    fn journal() -> Journal {
        let (v, w): (VolumeName, VolumeName) = ("v".parse().unwrap(), "w".parse().unwrap());
        let mut journal = Journal::default();
        journal.add(v.clone(), 2, blocks(&[0, 0]), blocks(&[1, 1]));
        journal.add(w, 0, blocks(&[7]), blocks(&[8]));
        journal.add(v, 3, blocks(&[1]), blocks(&[2]));
        journal
    }

    #[test]
    fn every_block_ends_with_its_last_kept_content_or_its_oldest() {
        let settle = |kept: [bool; 4]| journal().settle(&Keep::Subset(kept.to_vec()));
        assert_eq!(settle([false; 4]), [run("v", 2, &[0, 0]), run("w", 0, &[7])]);
        assert_eq!(settle([true; 4]), [run("v", 2, &[1, 2]), run("w", 0, &[8])]);
        assert_eq!(settle([false, true, false, false]), [run("v", 2, &[0, 1]), run("w", 0, &[7])]);
        assert_eq!(settle([false, false, true, true]), [run("v", 2, &[0, 2]), run("w", 0, &[8])]);
    }

    #[test]
    fn a_partial_flush_takes_the_oldest_blocks_of_its_volume() {
        let mut journal = journal();
        journal.flushed_in_part(&"v".parse().unwrap(), 1);
        assert_eq!(journal.blocks_of_writes(), [1, 1, 1]);
        assert_eq!(journal.settle(&Keep::None), [run("v", 3, &[0]), run("w", 0, &[7])]);
        assert!(journal.blocks_of_writes().is_empty());
    }

    #[test]
    fn a_flushed_volume_can_lose_nothing() {
        let mut journal = journal();
        journal.flushed(&"v".parse().unwrap());
        assert_eq!(journal.settle(&Keep::None), [run("w", 0, &[7])]);
    }

    #[test]
    fn the_journal_does_not_grow_without_limit() {
        let max = FaultyBlockHost::MAX_UNFLUSHED_BYTES;
        assert!(journal().check_room(max - 4 * BLOCK_SIZE).is_ok());
        let error = journal().check_room(max).unwrap_err();
        assert!(matches!(error, FabricError::CapacityExceeded { available, .. } if available < max as u64));
    }
}
