//! [`LockedVolume`]: how a volume comes to be, is found and goes.
//!
//! ```text
//! <home>/volumes/<name>/lease   see `lease_file`
//! <home>/volumes/<name>/data    the blocks
//! ```
//!
//! A volume is made in this order, each step durable before the next: directory and lease file with a first record
//! that says "no blocks yet"; data file at full size; a record with the size; the record of the first grant. So what
//! a crash leaves tells where it happened: no whole record and no data, or a record without blocks, is a volume
//! that nobody was ever granted, and it is made again; anything else that is incomplete is damage.
//!
//! A volume is removed by renaming its directory to a name that no volume can have, which is one step, and by
//! removing the files then.
//!
//! Invariants: whoever has a `LockedVolume` is the only one who has, and it is the one that the name leads to; an
//! epoch is granted only after the slot that could hide a higher one was written over, and a size only after both
//! slots have it, so that the loss of either slot repeats no epoch and cuts nothing off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fabricbios_core::lease::{EpochExhausted, FenceEpoch, LeaseId};
use fabricbios_core::resource::{ResourceId, ResourceKind};
use fabricbios_core::state::LeaseStatus;

use super::data_file;
use super::dir::{Access, SecureDir};
use super::home::Home;
use super::lease_file::{LeaseFile, Records};
use super::lease_record::LeaseRecord;
use crate::error::{FabricError, Result};
use crate::host::VolumeName;

pub(super) const LEASE: &str = "lease";
pub(super) const DATA: &str = "data";
/// Starts with a dot, which no volume name does.
const REMOVED: &str = ".removed-";

/// How often to start over when the directory is removed or replaced while it is opened.
const TRIES: u32 = 8;

/// A volume whose lock we hold, with its newest record.
#[derive(Debug)]
pub(super) struct LockedVolume {
    dir: SecureDir,
    /// The lock goes with its last owner.
    lease: Arc<LeaseFile>,
    name: VolumeName,
    record: LeaseRecord,
    /// The slot beside the record may hold a newer one that can't be read.
    other_is_damaged: bool,
}

impl LockedVolume {
    /// Locks the volume, after making its lease file if there is none. Its data is not looked at.
    pub(super) fn lock_or_make(home: &Home, name: &VolumeName) -> Result<Self> {
        for _ in 0..TRIES {
            home.volumes().make_dir(name.as_str())?;
            let Some(dir) = home.volumes().open_dir(name.as_str())? else { continue };
            let Some(lease) = open_or_create_lease(&dir)? else { continue };
            if let Some(volume) = Self::lock(home, name, dir, lease)? {
                return Ok(volume);
            }
        }
        Err(held(name, None))
    }

    /// Locks the volume; `None` if there is none.
    pub(super) fn lock_existing(home: &Home, name: &VolumeName) -> Result<Option<Self>> {
        for _ in 0..TRIES {
            let Some(dir) = home.volumes().open_dir(name.as_str())? else { return Ok(None) };
            let Some(lease) = open_lease(&dir, Access::ReadWrite)? else { return Ok(None) };
            if let Some(volume) = Self::lock(home, name, dir, lease)? {
                return Ok(Some(volume));
            }
        }
        Err(held(name, None))
    }

    /// `None` if the volume was removed between opening and locking.
    fn lock(home: &Home, name: &VolumeName, dir: SecureDir, lease: LeaseFile) -> Result<Option<Self>> {
        if !lease.try_lock()? {
            return Err(held(name, lease.read_holder()));
        }
        if !home.volumes().leads_to(name.as_str(), &dir)? || !dir.leads_to(LEASE, lease.file())? {
            return Ok(None);
        }
        // Before anything is written: the file may be of a newer format.
        let (record, other_is_damaged) = load(name, &dir, &lease)?;
        lease.write_holder(Some(std::process::id()))?;
        Ok(Some(Self { dir, lease: Arc::new(lease), name: name.clone(), record, other_is_damaged }))
    }

    pub(super) fn record(&self) -> &LeaseRecord {
        &self.record
    }

    pub(super) fn lease(&self) -> &Arc<LeaseFile> {
        &self.lease
    }

    pub(super) fn dir(&self) -> &SecureDir {
        &self.dir
    }

    pub(super) fn name(&self) -> &VolumeName {
        &self.name
    }

    /// Makes sure that the data is there, with at least `min_blocks` blocks, and that both facts are durable.
    pub(super) fn prepare_data(&self, home: &Home, min_blocks: u64) -> Result<u64> {
        if self.record.blocks > 0 {
            return data_file::grow(&self.dir, self.record.blocks, min_blocks.max(self.record.blocks));
        }
        // What we have just written, or what somebody wrote who died before it was durable.
        self.lease.sync_all()?;
        self.dir.sync()?;
        home.sync()?;
        let blocks = data_file::create(&self.dir, min_blocks)?;
        self.dir.sync()?;
        Ok(blocks)
    }

    /// Gives out the next epoch: `lease` says what else changes in the record. Durable when it returns.
    pub(super) fn grant(&mut self, blocks: u64, lease: impl FnOnce(&mut LeaseRecord)) -> Result<()> {
        let LeaseRecord { status, lease_id, epoch, .. } = self.record;
        if status == LeaseStatus::Fenced {
            return Err(FabricError::lease_ended(status, lease_id, &resource(&self.name), epoch, 0));
        }
        if self.other_is_damaged || self.record.blocks != blocks {
            let mut settled = self.record.clone();
            if self.other_is_damaged {
                tracing::warn!(volume = %self.name, "half of the lease record was lost; an epoch is skipped");
                settled.epoch = self.next_epoch()?;
            }
            if settled.volume != self.name {
                settled.volume = self.name.clone();
                settled.status = LeaseStatus::Released;
            }
            settled.blocks = blocks;
            self.write(settled)?;
            self.other_is_damaged = false;
        }
        let mut granted = self.record.clone();
        granted.epoch = self.next_epoch()?;
        granted.volume = self.name.clone();
        granted.pid = std::process::id();
        granted.status = LeaseStatus::Active;
        lease(&mut granted);
        self.write(granted)
    }

    /// Writes a record that follows the newest one.
    pub(super) fn write(&mut self, mut record: LeaseRecord) -> Result<()> {
        let next = self.record.counter.checked_add(1);
        record.counter = next.ok_or_else(|| self.exhausted())?;
        self.lease.write_record(&record)?;
        self.record = record;
        Ok(())
    }

    fn next_epoch(&self) -> Result<FenceEpoch> {
        self.record.epoch.next().map_err(|_| self.exhausted())
    }

    fn exhausted(&self) -> FabricError {
        FabricError::exhausted(resource(&self.name), EpochExhausted)
    }

    /// Removes the volume, contents and all.
    pub(super) fn remove(self, home: &Home) -> Result<()> {
        let foreign = self.dir.names(64)?.into_iter().find(|name| name != LEASE && name != DATA);
        if let Some(found) = foreign {
            return Err(FabricError::InvalidRequest {
                what: "directory of the volume to remove",
                expected: "nothing in it but `lease` and `data`",
                found,
            });
        }
        let grave = format!("{REMOVED}{}", new_lease_id()?);
        home.volumes().rename(self.name.as_str(), &grave)?;
        home.volumes().sync()?;
        empty_out(home, &grave, &self.dir)
    }
}

impl Drop for LockedVolume {
    fn drop(&mut self) {
        if let Err(error) = self.lease.write_holder(None) {
            tracing::debug!(volume = %self.name, %error, "the name of the last holder stays");
        }
    }
}

/// Opens the lease file to look at it without its lock; `None` if there is no volume.
pub(super) fn look(home: &Home, name: &VolumeName, access: Access) -> Result<Option<(SecureDir, LeaseFile)>> {
    let dir = match home.volumes().open_dir(name.as_str()) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(None),
        // A file that somebody has put beside the volumes.
        Err(FabricError::IoError { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(open_lease(&dir, access)?.map(|lease| (dir, lease)))
}

/// Removes what a removal that was cut off has left.
pub(super) fn sweep(home: &Home, names: &[String]) -> Result<()> {
    for grave in names.iter().filter(|name| name.starts_with(REMOVED)) {
        if let Some(dir) = home.volumes().open_dir(grave)? {
            empty_out(home, grave, &dir)?;
        }
    }
    Ok(())
}

/// Data first: whoever still has the directory open must not see data without a lease file.
fn empty_out(home: &Home, grave: &str, dir: &SecureDir) -> Result<()> {
    dir.remove_file(DATA)?;
    dir.remove_file(LEASE)?;
    match home.volumes().remove_dir(grave) {
        // Another process that was about to lock the volume has made a lease file there: the next sweep has it.
        Err(FabricError::IoError { source, .. }) if source.kind() == io::ErrorKind::DirectoryNotEmpty => {
            Ok(())
        }
        result => result,
    }
}

fn open_lease(dir: &SecureDir, access: Access) -> Result<Option<LeaseFile>> {
    Ok(dir.open_file(LEASE, access)?.map(|file| LeaseFile::new(file, dir.path_of(LEASE))))
}

/// `None` if the directory is being removed.
fn open_or_create_lease(dir: &SecureDir) -> Result<Option<LeaseFile>> {
    if let Some(lease) = open_lease(dir, Access::ReadWrite)? {
        return Ok(Some(lease));
    }
    // Data comes after the lease file, so without one there is none, or somebody was faster than we are.
    if dir.has(DATA)? && !dir.has(LEASE)? {
        return Err(damaged(
            dir,
            LEASE,
            "the lease file is missing beside its data; restore the volume from a copy",
        ));
    }
    open_lease(dir, Access::Create)
}

/// The newest record; the first one, not durable yet, if the volume is only being made.
fn load(name: &VolumeName, dir: &SecureDir, lease: &LeaseFile) -> Result<(LeaseRecord, bool)> {
    if let Records::Newest { record, other_is_damaged } = read_newest(name, dir, lease)? {
        return Ok((record, other_is_damaged));
    }
    lease.write_first(name)?;
    Ok((LeaseRecord::first(name.clone()), false))
}

/// Reads the records. If none verifies, the volume is only being made, or the answer is an error.
pub(super) fn read_newest(name: &VolumeName, dir: &SecureDir, lease: &LeaseFile) -> Result<Records> {
    let records = lease.read_records()?;
    if matches!(records, Records::Newest { .. }) || (lease.is_unfinished(name)? && !dir.has(DATA)?) {
        return Ok(records);
    }
    // Without the lock, the maker of the volume may have gone on since the first look.
    if let Records::Newest { record, other_is_damaged } = lease.read_records()? {
        return Ok(Records::Newest { record, other_is_damaged });
    }
    let problem = "no copy of the lease record verifies; restore the volume from a copy, or remove it";
    Err(damaged(dir, LEASE, problem))
}

pub(super) fn damaged(dir: &SecureDir, file: &str, problem: &'static str) -> FabricError {
    FabricError::DamagedRecord { path: dir.path_of(file), problem }
}

pub(super) fn resource(name: &VolumeName) -> ResourceId {
    ResourceId::new(ResourceKind::Block, name.as_str())
}

fn held(name: &VolumeName, holder_pid: Option<u32>) -> FabricError {
    FabricError::Held { resource: resource(name), holder_pid }
}

/// 128 random bits, which makes it one that was never used.
pub(super) fn new_lease_id() -> Result<LeaseId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let source =
            error.raw_os_error().map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error);
        FabricError::io("read random bytes", Path::new("getrandom"), source)
    })?;
    Ok(LeaseId(u128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests;
