//! [`RamBlocks`]: a volume in memory in the hands of its holder.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;

use super::{Content, Disk, LeaseRecord, resource};
use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};
use crate::host::{LeasedBlocks, VolumeName};

pub(super) struct RamBlocks {
    disk: Arc<Disk>,
    content: Arc<Content>,
    volume: VolumeName,
    lease_id: LeaseId,
    epoch: FenceEpoch,
    num_blocks: u64,
}

impl RamBlocks {
    pub(super) fn new(
        disk: Arc<Disk>,
        content: Arc<Content>,
        volume: VolumeName,
        lease_id: LeaseId,
        epoch: FenceEpoch,
    ) -> Self {
        let num_blocks = content.num_blocks();
        Self { disk, content, volume, lease_id, epoch, num_blocks }
    }

    /// Refuses a holder that was cut off and has a successor. Called under the lock of the bytes.
    fn check_epoch(&self) -> Result<()> {
        self.content
            .guard
            .check(self.epoch)
            .map_err(|stale| FabricError::stale(resource(&self.volume), stale))
    }

    fn range(&self, first_block: u64, len: usize) -> Result<Range<usize>> {
        let start = usize::try_from(first_block).ok().and_then(|first| first.checked_mul(BLOCK_SIZE));
        let end = start.and_then(|start| start.checked_add(len));
        match (start, end) {
            (Some(start), Some(end)) if (end / BLOCK_SIZE) as u64 <= self.num_blocks => Ok(start..end),
            _ => Err(self.out_of_range(first_block)),
        }
    }

    fn out_of_range(&self, first_block: u64) -> FabricError {
        FabricError::CapacityExceeded {
            what: "blocks on this volume",
            requested: first_block,
            available: self.num_blocks,
        }
    }

    /// Changes the record of this lease if it is still the newest one of the volume, and active.
    fn with_active_record(&self, change: impl FnOnce(&mut LeaseRecord)) -> Result<()> {
        let mut state = self.disk.lock();
        let unknown = FabricError::LeaseNotFound { lease_id: self.lease_id };
        let lease = state.volume_of(self.lease_id).and_then(|(_, volume)| volume.lease.as_mut());
        let lease = lease.ok_or(unknown)?;
        if let Some(ended) = lease.ended_error(self.disk.clock.now(), &self.volume, self.epoch) {
            return Err(ended);
        }
        change(lease);
        Ok(())
    }
}

impl LeasedBlocks for RamBlocks {
    fn num_blocks(&self) -> u64 {
        self.num_blocks
    }

    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        let range = self.range(first_block, into.len())?;
        let bytes = self.content.bytes.read().unwrap_or_else(PoisonError::into_inner);
        self.check_epoch()?;
        into.copy_from_slice(bytes.get(range).ok_or_else(|| self.out_of_range(first_block))?);
        Ok(())
    }

    fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        let range = self.range(first_block, from.len())?;
        let mut bytes = self.content.bytes.write().unwrap_or_else(PoisonError::into_inner);
        self.check_epoch()?;
        bytes.get_mut(range).ok_or_else(|| self.out_of_range(first_block))?.copy_from_slice(from);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.check_epoch()
    }

    fn host_status(&self) -> LeaseStatus {
        let mut state = self.disk.lock();
        let lease = state.volume_of(self.lease_id).and_then(|(_, volume)| volume.lease);
        match lease.map(|lease| lease.status) {
            Some(LeaseStatus::Revoked) => LeaseStatus::Revoked,
            // A lease that was superseded behind this holder's back is told by the fence, where its write lands.
            _ => LeaseStatus::Active,
        }
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        self.with_active_record(|lease| lease.extend(lease_secs, self.disk.clock.as_ref()))?;
        Ok(Duration::from_secs(lease_secs))
    }

    fn release(&self) -> Result<()> {
        self.with_active_record(|lease| lease.status = LeaseStatus::Released)
    }
}

impl Drop for RamBlocks {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if let Some(volume) = state.volumes.get_mut(&self.volume)
            && volume.holder == Some(self.epoch)
        {
            volume.holder = None;
        }
    }
}

impl fmt::Debug for RamBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RamBlocks")
            .field("volume", &self.volume)
            .field("lease_id", &self.lease_id)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
