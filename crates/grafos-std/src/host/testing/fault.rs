//! [`Fault`], [`Keep`] and [`FaultPlan`]: what a [`FaultyBlockHost`](super::FaultyBlockHost) does wrong, and when.
//!
//! Plain values: the same plan over the same operations makes the same damage, whatever the time or the machine.

use std::collections::BTreeMap;

use super::random::mix;
use crate::block::BLOCK_SIZE;
use crate::host::VolumeName;

/// What goes wrong at one operation.
///
/// A fault that makes no sense for its operation (a lost flush at a write, a flipped bit behind the end of the
/// buffer) does not happen; [`Op::faulted`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is done and the operation answers `IoError` with this number. What is unflushed stays so.
    Fail {
        /// The operating system's error number.
        errno: i32,
    },
    /// The operation stops half-way with `IoError` (`EIO`): of a write the first `blocks` blocks are written, of a
    /// read so many are filled, of a flush so many unflushed blocks of the volume become durable, oldest first.
    Tear {
        /// How many blocks are done.
        blocks: u64,
    },
    /// The machine loses power in the middle of the operation, which answers `Disconnected`. Of the unflushed
    /// writes on all volumes, this one included, `keep` decides which blocks have reached the disk.
    PowerCut {
        /// What is on the disk afterwards.
        keep: Keep,
    },
    /// The process dies before the operation does anything; all holders count as one process. The operation and
    /// everything later that they try answers `Disconnected`. Their volumes are free, their leases not ended, and
    /// their unflushed writes live on in the machine's memory, where the next process reads them and a power cut
    /// loses them.
    Kill,
    /// One bit of what is written or read is another one, and nobody is told.
    FlipBit {
        /// Which byte of the buffer.
        byte: usize,
        /// Which bit of it, 0 to 7.
        bit: u8,
    },
    /// The write lands, or the read looks, so many blocks further on, and nobody is told. Negative is further back.
    Misdirect {
        /// How far.
        blocks: i64,
    },
    /// The flush answers `Ok` and makes nothing durable: the control that a crash test must be seen to fail.
    LoseFlush,
}

impl Fault {
    /// Whether it can happen to `op` on a volume of `num_blocks`.
    pub(super) fn fits(&self, op: &Op, num_blocks: u64) -> bool {
        let moves_data = op.kind != OpKind::Flush;
        match self {
            Self::Fail { .. } | Self::Tear { .. } | Self::PowerCut { .. } | Self::Kill => true,
            Self::FlipBit { byte, bit } => {
                moves_data && *bit < 8 && (*byte / BLOCK_SIZE) as u64 <= op.blocks.saturating_sub(1)
            }
            Self::Misdirect { blocks } => {
                let end = op.first_block.checked_add_signed(*blocks).and_then(|to| to.checked_add(op.blocks));
                moves_data && end.is_some_and(|end| end <= num_blocks)
            }
            Self::LoseFlush => op.kind == OpKind::Flush,
        }
    }
}

/// Which of the unflushed blocks have reached the disk when the power goes.
///
/// The unit is one block of one write, counted over all volumes in the order in which they were written: a disk
/// writes a block whole or not at all, several in any order. A block that was written twice counts twice, so that it
/// can be left with its first content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// None of them.
    None,
    /// All of them.
    All,
    /// The first `ops` unflushed writes whole, and the first `blocks` blocks of the next one.
    Prefix {
        /// How many writes are whole.
        ops: usize,
        /// How many blocks of the write after those.
        blocks: u64,
    },
    /// The i-th unflushed block if the i-th entry says so; blocks behind the last entry are lost.
    Subset(Vec<bool>),
    /// Each block by the toss of a coin that this seed decides.
    Seeded(u64),
}

impl Keep {
    /// One answer for each unflushed block of writes of so many blocks each.
    pub(super) fn answers(&self, blocks_of_writes: &[u64]) -> Vec<bool> {
        let blocks = blocks_of_writes.iter().enumerate().flat_map(|(op, blocks)| {
            (0..*blocks).map(move |block| (op, block)) // which write, which block of it
        });
        let answer = |(index, (op, block)): (usize, (usize, u64))| match self {
            Self::None => false,
            Self::All => true,
            Self::Prefix { ops, blocks } => op < *ops || (op == *ops && block < *blocks),
            Self::Subset(kept) => kept.get(index).copied().unwrap_or(false),
            Self::Seeded(seed) => mix(seed ^ mix(index as u64)) & 1 == 1,
        };
        blocks.enumerate().map(answer).collect()
    }
}

/// The kinds of operation that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// A read; counted only on demand.
    Read,
    /// A write.
    Write,
    /// A flush.
    Flush,
}

/// One operation that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// On which volume.
    pub volume: VolumeName,
    /// What was asked for.
    pub kind: OpKind,
    /// From which block on; 0 for a flush.
    pub first_block: u64,
    /// How many blocks; 0 for a flush.
    pub blocks: u64,
    /// Whether a fault happened to it.
    pub faulted: bool,
}

/// Which faults happen at which operations. Operations are counted from 0, over all volumes.
///
/// ```
/// use grafos_std::host::testing::{Fault, FaultPlan, Keep, OpKind};
///
/// // The first flush lies, and the power goes in the middle of the sixth operation.
/// let plan = FaultPlan::none().at(1, Fault::LoseFlush).at(5, Fault::PowerCut { keep: Keep::None });
/// // A disk that is full for good.
/// let full = FaultPlan::none().at_every(OpKind::Write, Fault::Fail { errno: 28 });
/// # let _ = (plan, full);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    at: BTreeMap<usize, Fault>,
    at_every: Vec<(OpKind, Fault)>,
    counts_reads: bool,
}

impl FaultPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// At operation number `op` this happens; a later call for the same operation replaces it.
    #[must_use]
    pub fn at(mut self, op: usize, fault: Fault) -> Self {
        self.at.insert(op, fault);
        self
    }

    /// At every operation of this kind this happens, where nothing else was planned with [`at`](Self::at).
    #[must_use]
    pub fn at_every(mut self, kind: OpKind, fault: Fault) -> Self {
        self.counts_reads |= kind == OpKind::Read;
        self.at_every.push((kind, fault));
        self
    }

    /// Counts and logs reads too.
    #[must_use]
    pub fn counting_reads(mut self) -> Self {
        self.counts_reads = true;
        self
    }

    pub(super) fn counts(&self, kind: OpKind) -> bool {
        self.counts_reads || kind != OpKind::Read
    }

    /// What is planned for operation number `index`.
    pub(super) fn fault(&self, index: usize, kind: OpKind) -> Option<&Fault> {
        let always = || self.at_every.iter().find(|(every, _)| *every == kind).map(|(_, fault)| fault);
        self.at.get(&index).or_else(always)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_keeps_the_blocks_that_it_names() {
        let writes = [2, 3];
        assert_eq!(Keep::None.answers(&writes), [false; 5]);
        assert_eq!(Keep::All.answers(&writes), [true; 5]);
        let prefix = Keep::Prefix { ops: 1, blocks: 1 };
        assert_eq!(prefix.answers(&writes), [true, true, true, false, false]);
        assert_eq!(Keep::Prefix { ops: 9, blocks: 9 }.answers(&writes), [true; 5]);
        let subset = Keep::Subset(vec![false, true, false, true]);
        assert_eq!(subset.answers(&writes), [false, true, false, true, false]);
    }

    #[test]
    fn a_seed_decides_each_block_anew_and_always_alike() {
        let kept = Keep::Seeded(7).answers(&[1000]);
        let count = kept.iter().filter(|kept| **kept).count();
        assert!((400..600).contains(&count), "{count} of 1000");
        assert_eq!(kept, Keep::Seeded(7).answers(&[400, 600]));
        assert_ne!(kept, Keep::Seeded(8).answers(&[1000]));
    }

    #[test]
    fn a_fault_fits_only_where_it_can_be_noticed() {
        let volume: VolumeName = "v".parse().unwrap();
        let op = |kind, first_block, blocks| Op {
            volume: volume.clone(),
            kind,
            first_block,
            blocks,
            faulted: false,
        };
        let (write, flush) = (op(OpKind::Write, 2, 2), op(OpKind::Flush, 0, 0));
        assert!(Fault::FlipBit { byte: 1023, bit: 7 }.fits(&write, 8));
        assert!(!Fault::FlipBit { byte: 1024, bit: 0 }.fits(&write, 8));
        assert!(!Fault::FlipBit { byte: 0, bit: 8 }.fits(&write, 8));
        assert!(!Fault::FlipBit { byte: 0, bit: 0 }.fits(&flush, 8));
        assert!(Fault::Misdirect { blocks: 4 }.fits(&write, 8));
        assert!(!Fault::Misdirect { blocks: 5 }.fits(&write, 8));
        assert!(Fault::Misdirect { blocks: -2 }.fits(&write, 8));
        assert!(!Fault::Misdirect { blocks: -3 }.fits(&write, 8));
        assert!(!Fault::Misdirect { blocks: i64::MAX }.fits(&op(OpKind::Write, u64::MAX, 1), 8));
        assert!(Fault::LoseFlush.fits(&flush, 8) && !Fault::LoseFlush.fits(&write, 8));
    }
}
