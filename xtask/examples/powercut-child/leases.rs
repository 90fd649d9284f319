//! Volumes that are leased, marked, and let go of in every way: released, dropped, still held when the power goes.

use std::collections::VecDeque;

use grafos_std::block::{BLOCK_SIZE, BlockBuilder, BlockLease};
use serde_json::json;

use crate::{Result, fingerprint, on_each_line, say};

const VOLUMES: usize = 4;

/// So many leases are held at a time; the oldest goes when one more is taken.
const HELD: usize = 2;

/// The blocks of a new volume; each grant asks for one more than there have been marks.
const MIN_BLOCKS: u64 = 8;

/// Tells a marked block from one that is not.
const MAGIC: u64 = 0x706f_7765_7263_7574;

/// What each grant leaves in block 0 of its volume.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// How many grants have left their mark.
    sequence: u64,
    /// The epoch of the last of them.
    epoch: u64,
}

impl Mark {
    fn encode(self) -> [u8; BLOCK_SIZE] {
        let mut block = [0; BLOCK_SIZE];
        block[..24].copy_from_slice(&[MAGIC, self.sequence, self.epoch].map(u64::to_le_bytes).concat());
        let sum = fingerprint(&block[..24]);
        block[24..32].copy_from_slice(&sum.to_le_bytes());
        block
    }

    /// The mark in block 0; none yet if that is all zeros.
    fn read(lease: &BlockLease) -> Result<Self> {
        let mut block = [0; BLOCK_SIZE];
        lease.block().read_block(0, &mut block)?;
        let number =
            |at: usize| block[at..at + 8].iter().rev().fold(0, |n, &byte| (n << 8) | u64::from(byte));
        let mark = Self { sequence: number(8), epoch: number(16) };
        if block == [0; BLOCK_SIZE] {
            return Ok(Self::default());
        }
        if block != mark.encode() {
            return Err(format!("block 0 holds what nobody wrote: volume={}", lease.volume()).into());
        }
        if lease.block().num_blocks() < MIN_BLOCKS + mark.sequence - 1 {
            return Err(format!("the volume has shrunk: volume={}", lease.volume()).into());
        }
        Ok(mark)
    }
}

fn name(index: usize) -> String {
    format!("powercut-{}", index % VOLUMES)
}

/// Takes one more lease for each line, marks the volume, and lets go of the oldest lease.
pub(crate) fn drive() -> Result<()> {
    let mut held: VecDeque<BlockLease> = VecDeque::new();
    let mut grants = 0;
    on_each_line(|| {
        if held.len() == HELD {
            let oldest = held.pop_front();
            // Every other lease is left to `Drop`.
            oldest.filter(|_| grants % 2 == 0).map(BlockLease::release).transpose()?;
        }
        let volume = name(grants);
        let mark = Mark::read(&BlockBuilder::new().volume(&volume).min_blocks(MIN_BLOCKS).acquire()?)?;
        if mark.sequence > 0 {
            say(&json!({"event": "read", "volume": volume, "sequence": mark.sequence, "value": mark.epoch}))?;
        }
        let lease = BlockBuilder::new().volume(&volume).min_blocks(MIN_BLOCKS + mark.sequence).acquire()?;
        let mark = Mark { sequence: mark.sequence + 1, epoch: lease.epoch().0 };
        say(&json!({"event": "granted", "volume": volume, "epoch": mark.epoch}))?;
        lease.block().write_block(0, &mark.encode())?;
        lease.block().flush()?;
        held.push_back(lease);
        grants += 1;
        say(&json!({"event": "saved", "volume": volume, "sequence": mark.sequence, "value": mark.epoch}))
    })
}

/// The mark of each volume, and the epoch of a new grant.
pub(crate) fn check() -> Result<()> {
    for volume in (0..VOLUMES).map(name) {
        let lease = BlockBuilder::new().volume(&volume).min_blocks(1).acquire()?;
        let (mark, epoch) = (Mark::read(&lease)?, lease.epoch().0);
        let (sequence, value) = (mark.sequence, mark.epoch);
        say(
            &json!({"event": "found", "volume": volume, "sequence": sequence, "value": value, "epoch": epoch}),
        )?;
    }
    Ok(())
}
