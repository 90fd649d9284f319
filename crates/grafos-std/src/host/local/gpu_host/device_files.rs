//! [`DeviceFiles`]: what the processes of this machine share about one local device: who has it, and its epoch.
//!
//! ```text
//! <home>/gpu/                     locked for a moment while a lease is granted
//! ├── device-0.lock               the lock of leases, and the record of the newest one
//! └── device-0.session            the lock of sessions
//! ```
//!
//! Both are [`LeaseFile`]s. The lock of leases is shared by `Shared` and `SessionExclusive` leases and exclusive to a
//! `DeviceExclusive` one; the lock of sessions is shared by sessions of `Shared` leases and exclusive to one of a
//! `SessionExclusive` lease. The operating system takes a lock back when its holder dies.
//!
//! Invariant: no epoch of a device is granted twice, whichever process asks.

use std::fs::TryLockError;
use std::path::Path;
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::{EpochExhausted, FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;

use super::super::boot::{BootId, Moment};
use super::super::dir::{Access, SecureDir};
use super::super::home::Home;
use super::super::lease_file::{LeaseFile, Records};
use super::super::lease_record::LeaseRecord;
use crate::error::{FabricError, Result};
use crate::gpu::{GpuExclusivityClass, resource};
use crate::host::VolumeName;

/// The files of one device.
#[derive(Debug)]
pub(super) struct DeviceFiles {
    dir: SecureDir,
    index: u32,
    /// The device, as its records name it.
    name: VolumeName,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Exclusive,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct DeviceLock(LeaseFile);

impl DeviceFiles {
    /// The files of device `index` in the home at `home`, which are made when they are needed.
    pub(super) fn open(home: &Path, index: u32) -> Result<Self> {
        let name = VolumeName::new(format!("device-{index}"))?;
        Ok(Self { dir: Home::open(home)?.gpu()?, index, name })
    }

    /// Takes the lock of leases and the next epoch. The epoch is durable when it returns.
    ///
    /// # Errors
    /// `Held`, `DamagedRecord`, `Fenced` (no epoch is left), `InsecureHome`, `IoError`.
    pub(super) fn grant(
        &self,
        class: GpuExclusivityClass,
        lease_id: LeaseId,
        lease_secs: u64,
        clock: &dyn Clock,
    ) -> Result<(DeviceLock, FenceEpoch)> {
        let mode = match class {
            GpuExclusivityClass::Shared | GpuExclusivityClass::SessionExclusive => Mode::Shared,
            GpuExclusivityClass::DeviceExclusive | GpuExclusivityClass::PartitionExclusive => Mode::Exclusive,
        };
        // One at a time looks at the record and writes the next one: several may hold a shared lock.
        let _alone = self.dir.lock()?;
        let lock = self.lock("lock", mode)?;
        let mut record = self.newest(&lock.0)?;
        record.lease_id = lease_id;
        record.epoch = self.next_epoch(&record)?;
        record.counter = record.counter.checked_add(1).ok_or_else(|| self.exhausted())?;
        record.status = LeaseStatus::Active;
        record.pid = std::process::id();
        record.volume = self.name.clone();
        let now = Moment::now(clock, BootId::current());
        record.set_remaining(Duration::from_secs(lease_secs), &now);
        lock.0.write_record(&record)?;
        Ok((lock, record.epoch))
    }

    /// Takes the lock of sessions, if the class needs it.
    ///
    /// # Errors
    /// `Held`, `InsecureHome`, `IoError`.
    pub(super) fn open_session(&self, class: GpuExclusivityClass) -> Result<Option<DeviceLock>> {
        match class {
            GpuExclusivityClass::Shared => self.lock("session", Mode::Shared).map(Some),
            GpuExclusivityClass::SessionExclusive => self.lock("session", Mode::Exclusive).map(Some),
            // Nobody else has a lease.
            GpuExclusivityClass::DeviceExclusive | GpuExclusivityClass::PartitionExclusive => Ok(None),
        }
    }

    fn lock(&self, what: &str, mode: Mode) -> Result<DeviceLock> {
        let name = format!("{}.{what}", self.name);
        let path = self.dir.path_of(&name);
        let Some(file) = self.dir.open_file(&name, Access::Create)? else {
            return Err(FabricError::io("open", &path, std::io::Error::from(std::io::ErrorKind::NotFound)));
        };
        let file = LeaseFile::new(file, path.clone());
        let locked = match mode {
            Mode::Shared => file.file().try_lock_shared(),
            Mode::Exclusive => file.file().try_lock(),
        };
        match locked {
            Ok(()) => {
                file.write_holder(Some(std::process::id()))?;
                Ok(DeviceLock(file))
            }
            Err(TryLockError::WouldBlock) => {
                Err(FabricError::Held { resource: resource(self.index), holder_pid: file.read_holder() })
            }
            Err(TryLockError::Error(error)) => Err(FabricError::io("lock", &path, error)),
        }
    }

    /// The newest record, or the first one of a new file. If one slot is damaged, the epoch that may be lost with it
    /// is skipped, and the slot is written over before anything is granted.
    fn newest(&self, file: &LeaseFile) -> Result<LeaseRecord> {
        match file.read_records()? {
            Records::Newest { record, other_is_damaged: false } => Ok(record),
            Records::Newest { mut record, other_is_damaged: true } => {
                tracing::warn!(device = self.index, "half of the lease record was lost; an epoch is skipped");
                record.epoch = self.next_epoch(&record)?;
                record.counter = record.counter.checked_add(1).ok_or_else(|| self.exhausted())?;
                file.write_record(&record)?;
                Ok(record)
            }
            Records::Damaged if !file.is_unfinished(&self.name)? => Err(FabricError::DamagedRecord {
                path: self.dir.path_of(&format!("{}.lock", self.name)),
                problem: "no record of the device's epoch verifies; remove the file if no data depend on the epoch",
            }),
            Records::Empty | Records::Damaged => {
                file.write_first(&self.name)?;
                file.sync_all()?;
                self.dir.sync()?;
                Ok(LeaseRecord::first(self.name.clone()))
            }
        }
    }

    fn next_epoch(&self, record: &LeaseRecord) -> Result<FenceEpoch> {
        record.epoch.next().map_err(|_| self.exhausted())
    }

    fn exhausted(&self) -> FabricError {
        FabricError::exhausted(resource(self.index), EpochExhausted)
    }
}

impl Drop for DeviceLock {
    fn drop(&mut self) {
        // Whoever else shares the lock has said the same of itself, or says nothing from now on.
        if self.0.read_holder() == Some(std::process::id())
            && let Err(error) = self.0.write_holder(None)
        {
            tracing::debug!(%error, "the name of the last holder stays");
        }
    }
}
