//! What stands in a volume: written is read, everything survives everything, nothing comes from nowhere.

use std::thread;

use super::super::random::Random;
use super::super::rule::{Broken, Checked, ensure, ensure_eq};
use super::{TestedBlockHost, block_of, fills, lease_fills};
use crate::block::{BLOCK_SIZE, BlockHandle};

pub(super) fn new_blocks_read_as_zeros(tested: &TestedBlockHost) -> Checked {
    let found = fills(tested.grant("new", 5)?.blocks.as_ref())?;
    ensure!(found.iter().all(|fill| *fill == 0), "a new volume is not all zeros: blocks={found:?}");
    Ok(())
}

pub(super) fn what_is_written_is_read(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 4)?;
    for (lba, fill) in [(0, 1), (1, 2), (2, 3), (3, 4), (1, 9)] {
        lease.block().write_block(lba, &block_of(fill))?;
    }
    ensure_eq!(lease_fills(&lease)?[..4], [1, 9, 3, 4], "blocks after writing");
    lease.block().flush()?;
    ensure_eq!(lease_fills(&lease)?[..4], [1, 9, 3, 4], "blocks after a flush");
    Ok(())
}

pub(super) fn writes_of_any_size_do_the_same_as_single_blocks(tested: &TestedBlockHost) -> Checked {
    for seed in 0..4 {
        let lease = tested.lease(&format!("seed-{seed}"), 40)?;
        let mut random = Random(seed);
        let mut model = vec![0; 40 * BLOCK_SIZE];
        for step in 0..150 {
            let first = random.below(40);
            let blocks = 1 + random.below(40 - first);
            let range = first * BLOCK_SIZE..(first + blocks) * BLOCK_SIZE;
            if random.below(2) == 0 {
                let bytes = random.bytes(blocks * BLOCK_SIZE);
                lease.block().write_blocks(first as u64, &bytes)?;
                model[range].copy_from_slice(&bytes);
            } else {
                let mut found = vec![0xAA; blocks * BLOCK_SIZE];
                lease.block().read_blocks(first as u64, &mut found)?;
                let same = found == model[range];
                ensure!(same, "read differs: seed={seed}, step={step}, first_block={first}, blocks={blocks}");
            }
        }
        for (lba, expected) in (0_u64..).zip(model.chunks(BLOCK_SIZE)) {
            let mut found = [0xAA; BLOCK_SIZE];
            lease.block().read_block(lba, &mut found)?;
            ensure!(found == expected, "a block differs at the end: seed={seed}, block={lba}");
        }
    }
    Ok(())
}

pub(super) fn buffers_of_any_alignment_work(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 16)?;
    for (blocks, offset) in
        [1, 8, 16].into_iter().flat_map(|blocks| [0, 1, 3, 8, 511].map(|offset| (blocks, offset)))
    {
        let len = blocks * BLOCK_SIZE;
        let buffer = Random(offset as u64).bytes(len + 512);
        lease.block().write_blocks(0, &buffer[offset..offset + len])?;
        let mut found = vec![0; len + 512];
        lease.block().read_blocks(0, &mut found[511 - offset..511 - offset + len])?;
        let same = found[511 - offset..511 - offset + len] == buffer[offset..offset + len];
        ensure!(same, "read differs from what was written: blocks={blocks}, offset_bytes={offset}");
    }
    Ok(())
}

pub(super) fn threads_can_share_a_handle(tested: &TestedBlockHost) -> Checked {
    const THREADS: u8 = 4;
    let lease = tested.lease("v", u64::from(THREADS) * 4)?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                let handle = lease.block();
                scope.spawn(move || use_every_nth_block(&handle, number, THREADS))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(checked) => checked,
            Err(_) => Err(Broken("it panicked in a thread".to_owned())),
        })
    })?;
    let expected: Vec<u8> = (0..THREADS * 4).map(|lba| lba % THREADS + 100).collect();
    ensure_eq!(lease_fills(&lease)?[..expected.len()], expected[..], "blocks after all threads have ended");
    Ok(())
}

fn use_every_nth_block(handle: &BlockHandle, number: u8, threads: u8) -> Checked {
    for round in 0..=100 {
        let fill = if round == 100 { number + 100 } else { round };
        for turn in 0..4 {
            let lba = u64::from(number + turn * threads);
            handle.write_block(lba, &block_of(fill))?;
            let mut found = [0; BLOCK_SIZE];
            handle.read_block(lba, &mut found)?;
            ensure!(found == block_of(fill), "a block of one thread was changed by another: block={lba}");
        }
    }
    handle.flush()?;
    Ok(())
}

pub(super) fn volumes_do_not_share_blocks(tested: &TestedBlockHost) -> Checked {
    let (left, right) = (tested.lease("left", 2)?, tested.lease("left-2", 2)?);
    left.block().write_blocks(0, &[1; 2 * BLOCK_SIZE])?;
    right.block().write_block(1, &block_of(2))?;
    ensure_eq!(lease_fills(&left)?[..2], [1, 1], "blocks of one volume");
    ensure_eq!(lease_fills(&right)?[..2], [0, 2], "blocks of the other volume");
    Ok(())
}

pub(super) fn data_outlive_a_released_lease(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 2)?;
    lease.block().write_blocks(0, &[3; 2 * BLOCK_SIZE])?;
    lease.release()?;
    ensure_eq!(lease_fills(&tested.lease("v", 1)?)?[..2], [3, 3], "blocks after release");
    Ok(())
}

pub(super) fn data_outlive_a_dead_holder(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 2)?;
    grant.blocks.write(0, &[4; 2 * BLOCK_SIZE])?;
    grant.blocks.flush()?;
    drop(grant);
    ensure_eq!(fills(tested.grant("v", 1)?.blocks.as_ref())?[..2], [4, 4], "blocks after the holder's death");
    Ok(())
}

pub(super) fn flushed_data_outlive_a_restart(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 2)?;
    grant.blocks.write(1, &block_of(5))?;
    grant.blocks.flush()?;
    drop(grant);
    let lease = tested.front_of(&(tested.reopen)())?;
    let lease = crate::block::BlockBuilder::new().on(&lease).volume("v").acquire()?;
    ensure!(lease.block().num_blocks() >= 2, "the volume is smaller after a restart");
    ensure_eq!(lease_fills(&lease)?[..2], [0, 5], "blocks after a restart");
    Ok(())
}

pub(super) fn growth_keeps_data_and_adds_zeros(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 3)?;
    let blocks_before = lease.block().num_blocks();
    for lba in 0..blocks_before {
        lease.block().write_block(lba, &block_of(6))?;
    }
    lease.release()?;
    let wanted = blocks_before + 20;
    let grown = tested.lease("v", wanted)?;
    ensure!(grown.block().num_blocks() >= wanted, "the volume did not grow to {wanted} blocks");
    for (lba, fill) in (0..).zip(lease_fills(&grown)?) {
        let expected = if lba < blocks_before { 6 } else { 0 };
        ensure_eq!(fill, expected, "block {lba} of a volume that grew from {blocks_before} blocks");
    }
    Ok(())
}

pub(super) fn a_volume_never_shrinks(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 30)?;
    let blocks = lease.block().num_blocks();
    lease.block().write_block(blocks - 1, &block_of(7))?;
    lease.release()?;
    let again = tested.lease("v", 1)?;
    ensure_eq!(again.block().num_blocks(), blocks, "size of a volume of which less was asked for");
    ensure_eq!(lease_fills(&again)?.last(), Some(&7), "its last block");
    Ok(())
}
