//! [`FaultyBlocks`]: a volume of a [`FaultyBlockHost`](super::FaultyBlockHost) in the hands of its holder.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabricbios_core::state::LeaseStatus;

use super::super::fault::{Fault, Op, OpKind};
use super::disconnected;
use super::machine::{Holder, HolderId, Machine, blocks_in};
use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::{LeasedBlocks, VolumeName};

/// The operating system's number for a device error.
const EIO: i32 = 5;

pub(super) struct FaultyBlocks {
    machine: Arc<Mutex<Machine>>,
    holder: HolderId,
    num_blocks: u64,
}

impl FaultyBlocks {
    pub(super) fn new(machine: Arc<Mutex<Machine>>, holder: HolderId, num_blocks: u64) -> Self {
        Self { machine, holder, num_blocks }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation of a holder that lives, and does what is the same for all kinds of it: refuse, lose
    /// power, die. `in_flight` is what a write is about to write.
    fn begin(
        &self,
        machine: &mut Machine,
        kind: OpKind,
        first_block: u64,
        len: usize,
        in_flight: &[u8],
    ) -> Result<(Holder, Option<Fault>)> {
        let holder = machine.holder(self.holder)?;
        let op =
            Op { volume: holder.volume.clone(), kind, first_block, blocks: blocks_in(len), faulted: false };
        match machine.count(op, self.num_blocks) {
            Some(Fault::Fail { errno }) => Err(refused(kind, &holder.volume, errno)),
            Some(Fault::PowerCut { keep }) => {
                let remembered = machine.remember(&holder, first_block, in_flight);
                machine.cut_power(&keep);
                remembered.and(Err(disconnected()))
            }
            Some(Fault::Kill) => {
                machine.kill_holders();
                Err(disconnected())
            }
            fault => Ok((holder, fault)),
        }
    }
}

impl LeasedBlocks for FaultyBlocks {
    fn num_blocks(&self) -> u64 {
        self.num_blocks
    }

    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        let mut machine = self.lock();
        let (holder, fault) = self.begin(&mut machine, OpKind::Read, first_block, into.len(), &[])?;
        match fault {
            Some(Fault::Tear { blocks }) => {
                let done = part(blocks, into.len());
                if done > 0 {
                    holder.blocks.read(first_block, &mut into[..done])?;
                }
                Err(refused(OpKind::Read, &holder.volume, EIO))
            }
            Some(Fault::FlipBit { byte, bit }) => {
                holder.blocks.read(first_block, into)?;
                flip(into, byte, bit);
                Ok(())
            }
            Some(Fault::Misdirect { blocks }) => {
                holder.blocks.read(first_block.saturating_add_signed(blocks), into)
            }
            _ => holder.blocks.read(first_block, into),
        }
    }

    fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        let mut machine = self.lock();
        let (holder, fault) = self.begin(&mut machine, OpKind::Write, first_block, from.len(), from)?;
        match fault {
            Some(Fault::Tear { blocks }) => {
                machine.write(&holder, first_block, &from[..part(blocks, from.len())])?;
                Err(refused(OpKind::Write, &holder.volume, EIO))
            }
            Some(Fault::FlipBit { byte, bit }) => {
                let mut flipped = from.to_vec();
                flip(&mut flipped, byte, bit);
                machine.write(&holder, first_block, &flipped)
            }
            Some(Fault::Misdirect { blocks }) => {
                machine.write(&holder, first_block.saturating_add_signed(blocks), from)
            }
            _ => machine.write(&holder, first_block, from),
        }
    }

    fn flush(&self) -> Result<()> {
        let mut machine = self.lock();
        let (holder, fault) = self.begin(&mut machine, OpKind::Flush, 0, 0, &[])?;
        match fault {
            Some(Fault::LoseFlush) => Ok(()),
            Some(Fault::Tear { blocks }) => {
                machine.flush_in_part(&holder, blocks)?;
                Err(refused(OpKind::Flush, &holder.volume, EIO))
            }
            _ => machine.flush(&holder),
        }
    }

    fn host_status(&self) -> LeaseStatus {
        // A dead holder hears of its death from the operation itself: nobody has ended its lease.
        self.lock().holder(self.holder).map_or(LeaseStatus::Active, |holder| holder.blocks.host_status())
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        let machine = self.lock();
        machine.holder(self.holder)?.blocks.renew(lease_secs)
    }

    fn release(&self) -> Result<()> {
        let machine = self.lock();
        machine.holder(self.holder)?.blocks.release()
    }
}

impl Drop for FaultyBlocks {
    fn drop(&mut self) {
        self.lock().remove_holder(self.holder);
    }
}

impl fmt::Debug for FaultyBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBlocks").field("num_blocks", &self.num_blocks).finish_non_exhaustive()
    }
}

fn refused(kind: OpKind, volume: &VolumeName, errno: i32) -> FabricError {
    let operation = match kind {
        OpKind::Read => "read",
        OpKind::Write => "write",
        OpKind::Flush => "flush",
    };
    FabricError::io(operation, Path::new(volume.as_str()), std::io::Error::from_raw_os_error(errno))
}

/// How many bytes the first `blocks` blocks are, of `len` at most.
fn part(blocks: u64, len: usize) -> usize {
    usize::try_from(blocks).map_or(len, |blocks| blocks.saturating_mul(BLOCK_SIZE).min(len))
}

fn flip(bytes: &mut [u8], byte: usize, bit: u8) {
    if let Some(byte) = bytes.get_mut(byte) {
        *byte ^= 1 << (bit & 7);
    }
}
