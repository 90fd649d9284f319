//! [`CrashPoint`]: every place where a workload can lose power, and everything that can be on the disk then.
//!
//! A test runs its workload once over a [`FaultyBlockHost`](super::FaultyBlockHost) without faults, takes the log of
//! operations, and runs it anew for each crash point and each of its outcomes. Nothing is sampled.

use super::fault::{Fault, FaultPlan, Keep, Op, OpKind};

/// One operation of a workload, and what is unflushed if the power goes in the middle of it.
///
/// ```
/// use std::sync::Arc;
/// use fabricbios_core::clock::ManualClock;
/// use grafos_std::block::{BLOCK_SIZE, BlockBuilder};
/// use grafos_std::host::{Host, testing::{CrashPoint, FaultPlan, FaultyBlockHost, RamBlockHost}};
///
/// // Overwrites two blocks and flushes; returns whether it was told that they are durable.
/// fn workload(plan: FaultPlan) -> grafos_std::Result<(FaultyBlockHost, bool)> {
///     let clock = Arc::new(ManualClock::default());
///     let disk = FaultyBlockHost::new(Arc::new(RamBlockHost::new(clock.clone())));
///     disk.set_plan(plan);
///     let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build()?;
///     let lease = BlockBuilder::new().on(&host).volume("pair").min_blocks(2).acquire()?;
///     let block = lease.block();
///     let acknowledged = block.write_blocks(0, &[1; 2 * BLOCK_SIZE]).is_ok() && block.flush().is_ok();
///     drop(lease);
///     disk.power_on()?;
///     Ok((disk, acknowledged))
/// }
///
/// let (counted, acknowledged) = workload(FaultPlan::none())?;
/// assert!(acknowledged);
/// let mut outcomes = 0;
/// for point in CrashPoint::all(&counted.ops()) {
///     for keep in point.outcomes(8) {
///         let (_disk, acknowledged) = workload(point.plan(keep))?;
///         // Here a real test reopens `_disk` and checks its promise.
///         assert!(!acknowledged, "the power went before the flush had returned");
///         outcomes += 1;
///     }
/// }
/// assert_eq!(outcomes, 4 + 4, "two unflushed blocks: four subsets at the write, four at the flush");
/// # Ok::<(), grafos_std::FabricError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    op: usize,
    unflushed: Vec<u64>,
}

impl CrashPoint {
    /// The number of subsets must stay a number of runs: 2^20.
    const MOST_EXHAUSTIVE_BLOCKS: u64 = 20;

    /// One for each of these operations, which ran without faults. A power cut after the last one is
    /// [`FaultyBlockHost::cut_power`](super::FaultyBlockHost::cut_power).
    #[must_use]
    pub fn all(ops: &[Op]) -> Vec<Self> {
        let mut unflushed: Vec<&Op> = Vec::new();
        let mut points = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            if op.kind == OpKind::Write {
                unflushed.push(op);
            }
            points.push(Self { op: index, unflushed: unflushed.iter().map(|op| op.blocks).collect() });
            if op.kind == OpKind::Flush {
                unflushed.retain(|write| write.volume != op.volume);
            }
        }
        points
    }

    /// The number of the operation, as [`FaultPlan::at`] takes it.
    #[must_use]
    pub fn op(&self) -> usize {
        self.op
    }

    /// How many unflushed blocks there are, those of a write in flight included.
    #[must_use]
    pub fn unflushed_blocks(&self) -> u64 {
        self.unflushed.iter().sum()
    }

    /// A plan with a power cut here.
    #[must_use]
    pub fn plan(&self, keep: Keep) -> FaultPlan {
        FaultPlan::none().at(self.op, Fault::PowerCut { keep })
    }

    /// What can be on the disk afterwards: every subset of the unflushed blocks if there are at most
    /// `exhaustive_blocks` of them (20 at most), else all, none, and every prefix, torn at each block. For larger
    /// cases add [`Keep::Seeded`].
    pub fn outcomes(&self, exhaustive_blocks: u64) -> Box<dyn Iterator<Item = Keep> + '_> {
        let blocks = self.unflushed_blocks();
        if blocks <= exhaustive_blocks.min(Self::MOST_EXHAUSTIVE_BLOCKS) {
            return Box::new(every_subset(blocks));
        }
        Box::new(self.every_prefix())
    }

    /// From nothing to everything, block by block in the order of writing.
    fn every_prefix(&self) -> impl Iterator<Item = Keep> + '_ {
        let torn = self.unflushed.iter().enumerate().flat_map(|(ops, blocks)| {
            (1..=*blocks).map(move |blocks| Keep::Prefix { ops, blocks }) // the last one is the whole write
        });
        std::iter::once(Keep::None).chain(torn)
    }
}

/// All 2^`blocks` subsets.
fn every_subset(blocks: u64) -> impl Iterator<Item = Keep> {
    let subset = move |bits: u64| Keep::Subset((0..blocks).map(|block| bits >> block & 1 == 1).collect());
    (0..1_u64 << blocks).map(subset)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn op(volume: &str, kind: OpKind, blocks: u64) -> Op {
        Op { volume: volume.parse().unwrap(), kind, first_block: 0, blocks, faulted: false }
    }

    #[test]
    fn a_flush_clears_its_own_volume_only_and_only_when_it_is_over() {
        use OpKind::{Flush, Write};
        let ops =
            [op("a", Write, 2), op("b", Write, 3), op("a", Flush, 0), op("a", Write, 1), op("b", Flush, 0)];
        let unflushed: Vec<Vec<u64>> =
            CrashPoint::all(&ops).into_iter().map(|point| point.unflushed).collect();
        assert_eq!(unflushed, [vec![2], vec![2, 3], vec![2, 3], vec![3, 1], vec![3, 1]]);
    }

    #[test]
    fn small_points_enumerate_every_subset_once() {
        let point = CrashPoint { op: 0, unflushed: vec![2, 3] };
        let distinct: BTreeSet<Vec<bool>> = point.outcomes(5).map(|keep| keep.answers(&[2, 3])).collect();
        assert_eq!((distinct.len(), point.outcomes(5).count()), (32, 32));
    }

    #[test]
    fn large_points_enumerate_every_prefix_once() {
        let point = CrashPoint { op: 0, unflushed: vec![2, 3] };
        let kept: Vec<usize> = point
            .outcomes(4)
            .map(|keep| keep.answers(&[2, 3]).iter().filter(|kept| **kept).count())
            .collect();
        assert_eq!(kept, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn nobody_is_made_to_wait_for_the_subsets_of_a_large_write() {
        let point = CrashPoint { op: 0, unflushed: vec![4096] };
        assert_eq!(point.outcomes(u64::MAX).count(), 4097);
    }
}
