//! [`LeasedVolume`]: a volume in the hands of its holder.
//!
//! Invariant: as long as it lives, the operating system's lock keeps every other holder away; so the file that it
//! writes to is the volume's, whatever its lease says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::{LeaseId, LeaseTiming};
use fabricbios_core::state::LeaseStatus;

use super::boot::{BootId, Moment};
use super::data_file::DataFile;
use super::lease_file::{LeaseFile, Revocation};
use super::volume_dir::{self, LockedVolume};
use crate::error::{FabricError, Result};
use crate::host::{BlockGrant, LeaseGrant, LeasedBlocks};

#[derive(Debug)]
pub(super) struct LeasedVolume {
    // The lock goes with the last field, so that nothing is written after it.
    data: DataFile,
    volume: Mutex<LockedVolume>,
    lease_id: LeaseId,
    released: AtomicBool,
    clock: Arc<dyn Clock>,
    boot_id: BootId,
    lease: Arc<LeaseFile>,
}

impl LeasedVolume {
    /// The grant of a volume whose record says that we hold it, for `granted` from when we were asked.
    pub(super) fn into_grant(
        volume: LockedVolume,
        data: DataFile,
        granted: Duration,
        clock: Arc<dyn Clock>,
        boot_id: BootId,
    ) -> BlockGrant {
        let record = volume.record();
        let (lease_id, epoch) = (record.lease_id, record.epoch);
        let lease = LeaseGrant { lease_id, epoch, granted, timing: LeaseTiming::SAME_CLOCK };
        let name = volume.name().clone();
        let held = Self {
            data,
            lease_id,
            released: AtomicBool::new(false),
            clock,
            boot_id,
            lease: Arc::clone(volume.lease()),
            volume: Mutex::new(volume),
        };
        BlockGrant { lease, volume: name, blocks: Box::new(held) }
    }

    fn check(&self, volume: &LockedVolume, now: &Moment) -> Result<()> {
        let record = volume.record();
        match record.status_at(now, self.lease.read_revocation()?) {
            LeaseStatus::Active => Ok(()),
            ended => Err(FabricError::lease_ended(
                ended,
                self.lease_id,
                &volume_dir::resource(volume.name()),
                record.epoch,
                record.expires_unix_ms / 1000,
            )),
        }
    }

    fn host_says(&self) -> Result<LeaseStatus> {
        if self.released.load(Ordering::SeqCst) {
            return Ok(LeaseStatus::Released);
        }
        match self.lease.read_revocation()? {
            Revocation::Of(lease_id) if lease_id == self.lease_id => Ok(LeaseStatus::Revoked),
            Revocation::Damaged => Ok(LeaseStatus::Fenced),
            // Somebody has removed the files of the volume: nobody will ever read what we write.
            _ if self.lease.is_removed()? => Ok(LeaseStatus::Fenced),
            _ => Ok(LeaseStatus::Active),
        }
    }
}

impl LeasedBlocks for LeasedVolume {
    fn num_blocks(&self) -> u64 {
        self.data.blocks()
    }

    fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        self.data.read(first_block, into)
    }

    fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        self.data.write(first_block, from)
    }

    fn flush(&self) -> Result<()> {
        self.data.flush()
    }

    fn host_status(&self) -> LeaseStatus {
        self.host_says().unwrap_or_else(|error| {
            tracing::error!(lease_id = %self.lease_id, %error, "the lease can't be looked at, so it is closed");
            LeaseStatus::Fenced
        })
    }

    fn renew(&self, lease_secs: u64) -> Result<Duration> {
        let now = Moment::now(self.clock.as_ref(), self.boot_id);
        let mut volume = self.volume.lock().unwrap_or_else(PoisonError::into_inner);
        self.check(&volume, &now)?;
        let mut record = volume.record().clone();
        record.extend(lease_secs, &now);
        volume.write(record)?;
        Ok(Duration::from_secs(lease_secs))
    }

    fn release(&self) -> Result<()> {
        let mut volume = self.volume.lock().unwrap_or_else(PoisonError::into_inner);
        if volume.record().status == LeaseStatus::Active {
            let mut record = volume.record().clone();
            record.status = LeaseStatus::Released;
            volume.write(record)?;
        }
        self.released.store(true, Ordering::SeqCst);
        Ok(())
    }
}
