//! Each fault does what its documentation says, and no other.

use std::sync::Arc;

use fabricbios_core::clock::{Clock, ManualClock};
use proptest::prelude::*;

use super::super::fault::{Fault, FaultPlan, Keep, OpKind};
use super::super::{CrashPoint, RamBlockHost};
use super::*;
use crate::block::{BLOCK_SIZE, BlockBuilder, BlockHandle, BlockLease};
use crate::host::{Host, LeasedBlocks, VolumeName};

struct World {
    disk: FaultyBlockHost,
    below: RamBlockHost,
    host: Host,
}

impl World {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let below = RamBlockHost::new(Arc::clone(&clock));
        let disk = FaultyBlockHost::new(Arc::new(below.clone()));
        let host = Host::builder().block(Arc::new(disk.clone())).clock(clock).build().unwrap();
        Self { disk, below, host }
    }

    /// Four blocks, durably full of 1.
    fn with_volume(volume: &str) -> (Self, BlockLease) {
        let world = Self::new();
        let lease = world.lease(volume);
        lease.block().write_blocks(0, &[1; 4 * BLOCK_SIZE]).unwrap();
        lease.block().flush().unwrap();
        (world, lease)
    }

    fn lease(&self, volume: &str) -> BlockLease {
        BlockBuilder::new().on(&self.host).volume(volume).min_blocks(4).acquire().unwrap()
    }

    fn plan(&self, op: usize, fault: Fault) {
        self.disk.set_plan(FaultPlan::none().at(op, fault));
    }

    /// What is there when the machine has lost power and started again.
    fn after_power_cut(&self, keep: &Keep, volume: &str) -> Vec<u8> {
        self.disk.cut_power(keep);
        self.disk.power_on().unwrap();
        fills(&self.lease(volume).block())
    }

    fn on_disk(&self, volume: &str) -> Vec<u8> {
        let volume: VolumeName = volume.parse().unwrap();
        self.below.image(&volume).unwrap().chunks(BLOCK_SIZE).map(fill_of).collect()
    }
}

fn fills(handle: &BlockHandle) -> Vec<u8> {
    let mut bytes = vec![0; 4 * BLOCK_SIZE];
    handle.read_blocks(0, &mut bytes).unwrap();
    bytes.chunks(BLOCK_SIZE).map(fill_of).collect()
}

fn fill_of(block: &[u8]) -> u8 {
    assert!(block.iter().all(|byte| *byte == block[0]), "a block is written whole or not at all");
    block[0]
}

fn errno(error: &FabricError) -> i32 {
    match error {
        FabricError::IoError { errno, .. } => *errno,
        other => panic!("{other}"),
    }
}

fn is_disconnected<T>(result: &Result<T>) -> bool {
    matches!(result, Err(FabricError::Disconnected { .. }))
}

#[test]
fn a_failed_operation_does_nothing_and_carries_its_number() {
    let (world, lease) = World::with_volume("v");
    world.plan(1, Fault::Fail { errno: 28 });
    lease.block().write_blocks(0, &[2; BLOCK_SIZE]).unwrap();
    assert_eq!(errno(&lease.block().write_blocks(1, &[2; BLOCK_SIZE]).unwrap_err()), 28);
    assert_eq!(fills(&lease.block()), [2, 1, 1, 1]);
    assert_eq!(world.disk.unflushed(), [1]);
}

#[test]
fn a_failed_flush_leaves_everything_unflushed() {
    let (world, lease) = World::with_volume("v");
    world.plan(1, Fault::Fail { errno: 5 });
    lease.block().write_blocks(0, &[2; 2 * BLOCK_SIZE]).unwrap();
    assert_eq!(errno(&lease.block().flush().unwrap_err()), 5);
    assert_eq!(world.disk.unflushed(), [2]);
    assert_eq!(world.after_power_cut(&Keep::None, "v"), [1; 4]);
}

#[test]
fn a_torn_write_lands_in_part() {
    for (torn, expected) in [(0, [1, 1, 1, 1]), (1, [1, 2, 1, 1]), (2, [1, 2, 2, 1]), (99, [1, 2, 2, 2])] {
        let (world, lease) = World::with_volume("v");
        world.plan(0, Fault::Tear { blocks: torn });
        assert_eq!(errno(&lease.block().write_blocks(1, &[2; 3 * BLOCK_SIZE]).unwrap_err()), 5);
        assert_eq!(fills(&lease.block()), expected);
        assert_eq!(world.after_power_cut(&Keep::None, "v"), [1; 4], "what landed was not flushed");
    }
}

#[test]
fn a_torn_flush_makes_the_oldest_blocks_durable() {
    let (world, lease) = World::with_volume("v");
    world.plan(2, Fault::Tear { blocks: 2 });
    lease.block().write_blocks(3, &[2; BLOCK_SIZE]).unwrap();
    lease.block().write_blocks(0, &[2; 2 * BLOCK_SIZE]).unwrap();
    assert_eq!(errno(&lease.block().flush().unwrap_err()), 5);
    assert_eq!(fills(&lease.block()), [2, 2, 1, 2]);
    assert_eq!(world.after_power_cut(&Keep::None, "v"), [2, 1, 1, 2]);
}

#[test]
fn a_flipped_bit_is_the_only_difference_and_nobody_is_told() {
    let (world, lease) = World::with_volume("v");
    world.plan(0, Fault::FlipBit { byte: BLOCK_SIZE + 7, bit: 3 });
    lease.block().write_blocks(1, &[2; 2 * BLOCK_SIZE]).unwrap();
    lease.block().flush().unwrap();
    assert!(world.disk.ops()[0].faulted);
    let image = world.below.image(&"v".parse().unwrap()).unwrap();
    let mut expected = [vec![1; BLOCK_SIZE], vec![2; 2 * BLOCK_SIZE], vec![1; BLOCK_SIZE]].concat();
    expected[2 * BLOCK_SIZE + 7] = 2 ^ 8;
    assert!(image == expected);
}

#[test]
fn a_flipped_bit_of_a_read_is_gone_at_the_next_read() {
    let (world, lease) = World::with_volume("v");
    world.disk.set_plan(FaultPlan::none().counting_reads().at(0, Fault::FlipBit { byte: 0, bit: 0 }));
    let mut block = [0; BLOCK_SIZE];
    lease.block().read_block(0, &mut block).unwrap();
    assert_eq!(block[..2], [0, 1]);
    lease.block().read_block(0, &mut block).unwrap();
    assert_eq!(block[..2], [1, 1]);
}

#[test]
fn a_misdirected_write_lands_elsewhere_and_a_power_cut_can_take_it_back_there() {
    for (blocks, expected) in [(2, [1, 1, 1, 2]), (-1, [2, 1, 1, 1])] {
        let (world, lease) = World::with_volume("v");
        world.plan(0, Fault::Misdirect { blocks });
        lease.block().write_blocks(1, &[2; BLOCK_SIZE]).unwrap();
        assert_eq!(fills(&lease.block()), expected);
        assert_eq!(world.after_power_cut(&Keep::None, "v"), [1; 4]);
    }
}

#[test]
fn a_misdirected_read_answers_with_other_blocks() {
    let (world, lease) = World::with_volume("v");
    lease.block().write_block(3, &[4; BLOCK_SIZE]).unwrap();
    world.disk.set_plan(FaultPlan::none().counting_reads().at(0, Fault::Misdirect { blocks: 3 }));
    let mut block = [0; BLOCK_SIZE];
    lease.block().read_block(0, &mut block).unwrap();
    assert_eq!(fill_of(&block), 4);
}

#[test]
fn a_torn_read_fills_the_beginning() {
    let (world, lease) = World::with_volume("v");
    world.disk.set_plan(FaultPlan::none().counting_reads().at(0, Fault::Tear { blocks: 1 }));
    let mut blocks = [9; 2 * BLOCK_SIZE];
    assert_eq!(errno(&lease.block().read_blocks(0, &mut blocks).unwrap_err()), 5);
    assert_eq!((blocks[0], blocks[BLOCK_SIZE]), (1, 9));
}

#[test]
fn a_lost_flush_is_seen_to_lose() {
    let (world, lease) = World::with_volume("v");
    world.disk.set_plan(FaultPlan::none().at_every(OpKind::Flush, Fault::LoseFlush));
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    lease.block().flush().unwrap();
    assert_eq!(world.after_power_cut(&Keep::None, "v"), [1; 4]);
}

#[test]
fn a_power_cut_keeps_what_it_is_told_to_keep() {
    let cases = [
        (Keep::None, [1, 1, 1, 1]),
        (Keep::All, [3, 2, 1, 3]),
        (Keep::Prefix { ops: 0, blocks: 1 }, [2, 1, 1, 1]),
        (Keep::Prefix { ops: 1, blocks: 0 }, [2, 2, 1, 1]),
        (Keep::Prefix { ops: 2, blocks: 0 }, [3, 2, 1, 1]),
        (Keep::Subset(vec![true, false, false, true]), [2, 1, 1, 3]),
        (Keep::Subset(vec![true, true, true]), [3, 2, 1, 1]),
    ];
    for (keep, expected) in cases {
        let (world, lease) = World::with_volume("v");
        world.plan(2, Fault::PowerCut { keep: keep.clone() });
        lease.block().write_blocks(0, &[2; 2 * BLOCK_SIZE]).unwrap();
        lease.block().write_block(0, &[3; BLOCK_SIZE]).unwrap();
        assert!(is_disconnected(&lease.block().write_block(3, &[3; BLOCK_SIZE])), "{keep:?}");
        assert_eq!(world.on_disk("v"), expected, "{keep:?}");
        world.disk.power_on().unwrap();
        assert_eq!(fills(&world.lease("v").block()), expected, "{keep:?}");
    }
}

#[test]
fn a_power_cut_takes_from_all_volumes_but_never_what_was_flushed() {
    let (world, left) = World::with_volume("left");
    let right = world.lease("right");
    right.block().write_blocks(0, &[5; 4 * BLOCK_SIZE]).unwrap();
    left.block().write_block(0, &[6; BLOCK_SIZE]).unwrap();
    right.block().flush().unwrap();
    right.block().write_block(1, &[7; BLOCK_SIZE]).unwrap();
    assert_eq!(world.disk.unflushed(), [1, 1]);
    world.disk.cut_power(&Keep::Subset(vec![false, true]));
    assert_eq!(world.on_disk("left"), [1; 4]);
    assert_eq!(world.on_disk("right"), [5, 7, 5, 5]);
}

#[test]
fn nothing_answers_while_the_power_is_off_and_old_holders_stay_dead() {
    let (world, lease) = World::with_volume("v");
    let other = world.lease("other");
    world.plan(0, Fault::PowerCut { keep: Keep::All });
    assert!(is_disconnected(&lease.block().flush()));
    assert!(!world.disk.is_powered());
    assert!(is_disconnected(&BlockBuilder::new().on(&world.host).acquire()));
    assert!(is_disconnected(&BlockBuilder::attach_on(&world.host, lease.lease_id())));
    assert!(is_disconnected(&world.host.revoke(lease.lease_id())));
    let mut block = [0; BLOCK_SIZE];
    for _before_and_after_power_on in 0..2 {
        assert!(is_disconnected(&other.block().read_block(0, &mut block)));
        assert!(is_disconnected(&lease.block().read_block(0, &mut block)));
        assert!(is_disconnected(&lease.renew()));
        world.disk.power_on().unwrap();
    }
    let again = world.lease("v");
    assert!(again.epoch() > lease.epoch(), "the volume is free though its old holder still has a value");
    assert!(is_disconnected(&lease.release()));
    again.block().write_block(0, &block).unwrap();
}

#[test]
fn the_lease_of_a_machine_that_lost_power_can_be_attached() {
    let (world, lease) = World::with_volume("v");
    world.disk.cut_power(&Keep::All);
    world.disk.power_on().unwrap();
    let attached = BlockBuilder::attach_on(&world.host, lease.lease_id()).unwrap();
    assert_eq!(attached.lease_id(), lease.lease_id());
    assert_eq!(fills(&attached.block()), [1; 4]);
}

#[test]
fn unflushed_writes_outlive_their_process_until_the_power_goes() {
    let (world, lease) = World::with_volume("v");
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    world.disk.kill_holders();
    assert!(is_disconnected(&lease.block().flush()), "the process is dead");
    let next = world.lease("v");
    assert_eq!(fills(&next.block()), [2, 1, 1, 1], "as read from the page cache");
    drop(next);
    assert_eq!(world.disk.unflushed(), [1], "no flush came");
    assert_eq!(world.after_power_cut(&Keep::None, "v"), [1; 4]);
}

#[test]
fn a_flush_of_the_next_process_makes_the_writes_of_the_dead_one_durable() {
    let (world, lease) = World::with_volume("v");
    world.plan(1, Fault::Kill);
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    assert!(is_disconnected(&lease.block().write_block(1, &[2; BLOCK_SIZE])), "killed before the write");
    world.lease("v").block().flush().unwrap();
    assert_eq!(world.after_power_cut(&Keep::None, "v"), [2, 1, 1, 1]);
}

#[test]
fn dropping_the_decorator_is_no_power_cut() {
    let (world, lease) = World::with_volume("v");
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    let World { disk, below, host } = world;
    drop((lease, disk, host));
    assert_eq!(below.image(&"v".parse().unwrap()).unwrap()[..2], [2, 2]);
}

#[test]
fn a_second_power_cut_can_hit_the_recovery_from_the_first() {
    let (world, lease) = World::with_volume("v");
    let cut = Fault::PowerCut { keep: Keep::None };
    world.disk.set_plan(FaultPlan::none().at(1, cut.clone()).at(3, cut));
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    assert!(is_disconnected(&lease.block().flush()));
    world.disk.power_on().unwrap();
    let recovery = world.lease("v");
    recovery.block().write_block(0, &[3; BLOCK_SIZE]).unwrap();
    assert!(is_disconnected(&recovery.block().flush()), "operation 3");
    world.disk.power_on().unwrap();
    assert_eq!(fills(&world.lease("v").block()), [1; 4]);
}

#[test]
fn a_disk_that_cannot_be_settled_is_told_at_power_on() {
    let (world, lease) = World::with_volume("v");
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    // Somebody past the decorator takes the volume, so the power cut can't take the write back.
    assert!(world.below.forget_holder(&"v".parse().unwrap()));
    let request = BlockRequest { volume: Some("v".parse().unwrap()), min_blocks: 1, lease_secs: 60 };
    let _usurper = world.below.acquire(&request).unwrap();
    world.disk.cut_power(&Keep::None);
    let error = world.disk.power_on().unwrap_err();
    assert!(matches!(error, FabricError::Fenced { .. }), "{error}");
    world.disk.power_on().unwrap();
}

#[test]
fn a_disk_is_settled_through_its_newest_holder() {
    let (world, old) = World::with_volume("v");
    assert!(world.below.forget_holder(&"v".parse().unwrap()));
    let new = world.lease("v");
    new.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    world.disk.cut_power(&Keep::None);
    world.disk.power_on().unwrap();
    assert_eq!(world.on_disk("v"), [1; 4]);
    drop((old, new));
}

#[test]
fn what_this_machine_flushes_and_settles_is_flushed_below() {
    let World { disk: below, .. } = World::new();
    let above = FaultyBlockHost::new(Arc::new(below.clone()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let host = Host::builder().block(Arc::new(above.clone())).clock(clock).build().unwrap();
    let lease = BlockBuilder::new().on(&host).volume("v").min_blocks(4).acquire().unwrap();
    lease.block().write_block(0, &[1; BLOCK_SIZE]).unwrap();
    assert_eq!(below.unflushed(), [1]);
    lease.block().flush().unwrap();
    assert_eq!(below.unflushed(), [0_u64; 0], "a flush goes through");
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    above.cut_power(&Keep::None);
    assert_eq!(below.unflushed(), [0_u64; 0], "a power cut above leaves nothing that one below could lose");
    above.power_on().unwrap();
    let again = BlockBuilder::new().on(&host).volume("v").acquire().unwrap();
    assert_eq!(fills(&again.block()), [1, 0, 0, 0]);
}

#[test]
fn a_fault_at_every_read_counts_reads_by_itself() {
    let (world, lease) = World::with_volume("v");
    world.disk.set_plan(FaultPlan::none().at_every(OpKind::Read, Fault::Fail { errno: 5 }));
    for _ in 0..2 {
        assert_eq!(errno(&lease.block().read_block(0, &mut [0; BLOCK_SIZE]).unwrap_err()), 5);
    }
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    assert_eq!(world.disk.ops().len(), 3);
}

#[test]
fn the_log_tells_every_operation_and_reads_on_demand() {
    let (world, lease) = World::with_volume("v");
    let script = |handle: &BlockHandle| {
        handle.write_blocks(1, &[2; 2 * BLOCK_SIZE]).unwrap();
        handle.read_block(3, &mut [0; BLOCK_SIZE]).unwrap();
        handle.flush().unwrap();
    };
    let op = |kind, first_block, blocks| Op {
        volume: "v".parse().unwrap(),
        kind,
        first_block,
        blocks,
        faulted: false,
    };
    world.disk.set_plan(FaultPlan::none());
    script(&lease.block());
    assert_eq!(world.disk.ops(), [op(OpKind::Write, 1, 2), op(OpKind::Flush, 0, 0)]);
    world.disk.set_plan(FaultPlan::none().counting_reads());
    script(&lease.block());
    assert_eq!(world.disk.ops(), [op(OpKind::Write, 1, 2), op(OpKind::Read, 3, 1), op(OpKind::Flush, 0, 0)]);
}

#[test]
fn a_fault_that_does_not_fit_its_operation_does_not_happen() {
    let (world, lease) = World::with_volume("v");
    let plan = FaultPlan::none().at(0, Fault::LoseFlush).at(1, Fault::FlipBit { byte: 0, bit: 0 });
    world.disk.set_plan(plan.at(2, Fault::Misdirect { blocks: 4 }));
    lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap();
    lease.block().flush().unwrap();
    lease.block().write_block(0, &[3; BLOCK_SIZE]).unwrap();
    assert!(world.disk.ops().iter().all(|op| !op.faulted));
    assert_eq!(world.after_power_cut(&Keep::All, "v"), [3, 1, 1, 1]);
}

/// Writes two blocks, flushes, overwrites one of them: the promise is that the first two are there after the flush.
fn promising_workload(plan: FaultPlan) -> (World, bool) {
    let (world, lease) = World::with_volume("v");
    world.disk.set_plan(plan);
    let handle = lease.block();
    let promised = handle.write_blocks(0, &[2; 2 * BLOCK_SIZE]).is_ok() && handle.flush().is_ok();
    let _in_flight = handle.write_block(3, &[3; BLOCK_SIZE]);
    world.disk.cut_power(&Keep::None);
    world.disk.power_on().unwrap();
    (world, promised)
}

#[test]
fn every_crash_point_of_a_workload_can_be_tried() {
    let (counted, _) = promising_workload(FaultPlan::none());
    let mut seen = std::collections::BTreeSet::new();
    for point in CrashPoint::all(&counted.disk.ops()) {
        for keep in point.outcomes(8) {
            let (world, promised) = promising_workload(point.plan(keep));
            let found = world.on_disk("v");
            assert!(!promised || found[..2] == [2, 2], "a promise was broken: {found:?}");
            seen.insert(found);
        }
    }
    let all = [[1, 1, 1, 1], [1, 2, 1, 1], [2, 1, 1, 1], [2, 2, 1, 1], [2, 2, 1, 3]];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn the_control_breaks_its_promise() {
    let lying = FaultPlan::none().at_every(OpKind::Flush, Fault::LoseFlush);
    let (world, promised) = promising_workload(lying);
    assert!(promised);
    assert_eq!(world.on_disk("v"), [1; 4]);
}

#[derive(Clone, Debug)]
enum Step {
    Write { volume: usize, first: u64, blocks: usize },
    Flush { volume: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..2_usize, 0..4_u64, 1..4_usize).prop_map(|(volume, first, blocks)| Step::Write {
        volume,
        first,
        blocks: blocks.min(4 - usize::try_from(first).unwrap()),
    });
    let flush = (0..2_usize).prop_map(|volume| Step::Flush { volume });
    prop::collection::vec(prop_oneof![3 => write, 1 => flush], 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The model keeps for each block what it durably is and what it was since, and knows nothing of journals.
    #[test]
    fn a_block_ends_as_what_was_flushed_or_as_what_was_written_since(steps in steps(), seed in any::<u64>()) {
        let world = World::new();
        let leases = [world.lease("a"), world.lease("b")];
        let mut possible = vec![vec![vec![0_u8]; 4]; 2];
        for (fill, step) in (1..).zip(steps) {
            match step {
                Step::Write { volume, first, blocks } => {
                    leases[volume].block().write_blocks(first, &vec![fill; blocks * BLOCK_SIZE]).unwrap();
                    let first = usize::try_from(first).unwrap();
                    possible[volume][first..first + blocks].iter_mut().for_each(|block| block.push(fill));
                }
                Step::Flush { volume } => {
                    leases[volume].block().flush().unwrap();
                    possible[volume].iter_mut().for_each(|block| { block.drain(..block.len() - 1); });
                }
            }
        }
        for (lease, possible) in leases.iter().zip(&possible) {
            let newest: Vec<u8> = possible.iter().map(|block| *block.last().unwrap()).collect();
            prop_assert_eq!(fills(&lease.block()), newest, "while the power is on");
        }
        world.disk.cut_power(&Keep::Seeded(seed));
        for (volume, possible) in ["a", "b"].iter().zip(&possible) {
            for (block, possible) in world.on_disk(volume).iter().zip(possible) {
                prop_assert!(possible.contains(block), "{} is not among {:?}", block, possible);
            }
        }
    }
}

#[test]
fn an_inner_error_passes_through_and_the_write_stays_revocable() {
    let (world, lease) = World::with_volume("v");
    assert!(world.below.forget_holder(&"v".parse().unwrap()));
    let request = BlockRequest { volume: Some("v".parse().unwrap()), min_blocks: 1, lease_secs: 60 };
    let newer: Box<dyn LeasedBlocks> = world.below.acquire(&request).unwrap().blocks;
    let error = lease.block().write_block(0, &[2; BLOCK_SIZE]).unwrap_err();
    assert!(matches!(error, FabricError::Fenced { .. }), "{error}");
    assert_eq!(world.disk.unflushed(), [0_u64; 0], "nothing was written");
    drop(newer);
}
