//! Which blocks exist, and what happens to requests for others.

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{TestedBlockHost, block_of, lease_fills};
use crate::block::{BLOCK_SIZE, BlockBuilder};
use crate::error::FabricError;

pub(super) fn every_block_inside_and_none_outside_can_be_used(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 4)?;
    let (handle, blocks) = (lease.block(), lease.block().num_blocks());
    for lba in 0..blocks {
        handle.write_block(lba, &block_of(1))?;
    }
    let outside = [(blocks, 1), (blocks - 1, 2), (blocks + 7, 1), (u64::MAX, 1), (u64::MAX - 1, 3)];
    for (first, count) in outside {
        let mut buffer = vec![9; count * BLOCK_SIZE];
        let end = first.saturating_add(count as u64);
        for result in [handle.write_blocks(first, &buffer), handle.read_blocks(first, &mut buffer)] {
            ensure_error!(
                result,
                FabricError::CapacityExceeded { requested, available, .. }
                    if (*requested, *available) == (end, blocks),
                "{count} blocks at {first} of a volume of {blocks}"
            );
        }
        ensure!(buffer.iter().all(|byte| *byte == 9), "a refused read changed the buffer");
    }
    for len in [0, 1, 511, 513, 1023] {
        let mut buffer = vec![9; len];
        for result in [handle.write_blocks(0, &buffer), handle.read_blocks(0, &mut buffer)] {
            ensure_error!(result, FabricError::InvalidRequest { .. }, "a buffer of {len} bytes");
        }
    }
    let two_blocks = handle.write_block(0, &[9; 2 * BLOCK_SIZE]);
    ensure_error!(two_blocks, FabricError::InvalidRequest { .. }, "two blocks written as one");
    let found = lease_fills(&lease)?;
    ensure!(found.iter().all(|fill| *fill == 1), "a refused write changed something: blocks={found:?}");
    handle.write_block(blocks - 1, &block_of(2))?;
    handle.flush()?;
    Ok(())
}

pub(super) fn requests_that_cannot_be_met_change_nothing(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 3)?;
    let blocks = lease.block().num_blocks();
    lease.block().write_blocks(0, &[8; 3 * BLOCK_SIZE])?;
    lease.release()?;
    // 2^55 blocks are more bytes than 64 bits can count, 2^54 more than a file can have. The host chooses the unit in
    // which it says what there is.
    for too_many in [u64::MAX, 1 << 55, 1 << 54] {
        for volume in ["v", "new"] {
            ensure_error!(
                tested.builder(volume, too_many)?.acquire(),
                FabricError::CapacityExceeded { requested, available, .. } if available < requested,
                "{too_many} blocks for volume {volume}"
            );
        }
    }
    let front = tested.front()?;
    let senseless = [
        BlockBuilder::new().on(&front).volume("v").min_blocks(0),
        BlockBuilder::new().on(&front).volume("v").lease_secs(0),
        BlockBuilder::new().on(&front).volume("../v"),
        BlockBuilder::new().on(&front).volume(""),
    ];
    for request in senseless {
        let what = format!("{request:?}");
        ensure_error!(request.acquire(), FabricError::InvalidRequest { .. }, "{what}");
    }
    let again = tested.lease("v", 1)?;
    ensure_eq!(again.block().num_blocks(), blocks, "size of the volume after refused requests");
    ensure_eq!(lease_fills(&again)?[..3], [8, 8, 8], "blocks of the volume after refused requests");
    let new = tested.lease("new", 2)?;
    ensure!(new.block().num_blocks() >= 2, "a volume of a refused request can't be made afterwards");
    Ok(())
}
