//! [`LocalBlockHost`]: leases volumes that are files of the user's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;

use super::IoMode;
use super::boot::{BootId, Moment};
use super::data_file::DataFile;
use super::dir::Access;
use super::home::Home;
use super::lease_file::{LeaseFile, Records, Revocation};
use super::lease_record::LeaseRecord;
use super::leased_volume::LeasedVolume;
use super::volume_dir::{self, LockedVolume};
use crate::error::{FabricError, Result};
use crate::host::{BlockGrant, BlockHost, BlockRequest, RevokeOutcome, VolumeName};

/// How many names in the directory of volumes are looked at.
const MAX_VOLUMES: usize = 1 << 16;

/// The backend for block volumes of this machine: one directory per volume in the user's home for them.
///
/// Any number of processes, and any number of these values in one process, share a home. Made by
/// [`LocalHostBuilder`](super::LocalHostBuilder).
///
/// ```
/// use grafos_std::block::BlockBuilder;
/// use grafos_std::host::LocalHost;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
///
/// let host = LocalHost::builder().home(path).open()?;
/// let lease = BlockBuilder::new().on(&host).volume("sim-state").acquire()?;
///
/// let volumes = LocalHost::builder().home(path).open_block_host()?.volumes()?;
/// let state = volumes[0].state.as_ref().map_err(ToString::to_string)?;
/// assert_eq!(volumes[0].name.as_str(), "sim-state");
/// assert_eq!((state.lease_id, state.is_held), (lease.lease_id(), true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalBlockHost {
    home: Home,
    io_mode: IoMode,
    clock: Arc<dyn Clock>,
    boot_id: BootId,
}

/// A volume in the user's home, and what its record says.
#[derive(Debug)]
#[non_exhaustive]
pub struct VolumeListing {
    /// The volume.
    pub name: VolumeName,
    /// What its record says, or why that can't be known.
    pub state: Result<VolumeState>,
}

/// What the record of a volume says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeState {
    /// The size in blocks.
    pub blocks: u64,
    /// The newest lease.
    pub lease_id: LeaseId,
    /// Where that lease stands now.
    pub status: LeaseStatus,
    /// When that lease runs out or ran out, in seconds since 1970.
    pub expires_at_unix_secs: u64,
    /// The epoch of the newest holder.
    pub epoch: FenceEpoch,
    /// Whether somebody holds the volume now, be their lease active or not.
    pub is_held: bool,
    /// The process that holds it, if it has said so and can be seen from here.
    pub holder_pid: Option<u32>,
}

impl LocalBlockHost {
    pub(super) fn open(home: &Path, io_mode: IoMode, clock: Arc<dyn Clock>) -> Result<Self> {
        let home = Home::open(home)?;
        let swept = home.volumes().names(MAX_VOLUMES).and_then(|names| volume_dir::sweep(&home, &names));
        if let Err(error) = swept {
            tracing::warn!(%error, "remains of removed volumes stay");
        }
        Ok(Self { home, io_mode, clock, boot_id: BootId::current() })
    }

    /// The volumes in this home, by name. Takes no locks that anybody could notice.
    ///
    /// # Errors
    /// [`FabricError::IoError`] if the directory can't be read; [`FabricError::CapacityExceeded`] beyond 65,536
    /// volumes. What is wrong with a single volume is in its [`VolumeListing`].
    pub fn volumes(&self) -> Result<Vec<VolumeListing>> {
        let mut listings = Vec::new();
        for name in self.names()? {
            let state = self.state_of(&name);
            if let Some(state) = state.transpose() {
                listings.push(VolumeListing { name, state });
            }
        }
        Ok(listings)
    }

    /// Removes a volume that nobody holds, with its contents. A crash at any moment leaves it whole, or leaves
    /// nothing of it.
    ///
    /// # Errors
    /// [`FabricError::InvalidRequest`] if there is no such volume, or if its directory holds anything else;
    /// [`FabricError::Held`]; [`FabricError::DamagedRecord`] if nobody can tell what it is, and then its directory
    /// can be removed by hand; [`FabricError::IoError`].
    pub fn remove_volume(&self, name: &VolumeName) -> Result<()> {
        match LockedVolume::lock_existing(&self.home, name)? {
            Some(volume) => volume.remove(&self.home),
            None => Err(FabricError::InvalidRequest {
                what: "volume to remove",
                expected: "the name of a volume in this home",
                found: name.to_string(),
            }),
        }
    }

    /// The names of directories that may be volumes, in order.
    fn names(&self) -> Result<Vec<VolumeName>> {
        let names = self.home.volumes().names(MAX_VOLUMES)?;
        let mut names: Vec<_> = names.into_iter().filter_map(|name| VolumeName::new(name).ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn state_of(&self, name: &VolumeName) -> Result<Option<VolumeState>> {
        let Some(Looked { record, revocation, lease }) = self.look(name)? else { return Ok(None) };
        // A record that came with a copied directory holds no lease of this volume.
        let is_own = record.volume == *name;
        let status = record.status_at(&self.now(), revocation);
        let is_held = lease.is_held()?;
        Ok(Some(VolumeState {
            blocks: record.blocks,
            lease_id: record.lease_id,
            status: if is_own || status != LeaseStatus::Active { status } else { LeaseStatus::Released },
            expires_at_unix_secs: record.expires_unix_ms / 1000,
            epoch: record.epoch,
            is_held,
            holder_pid: if is_held { lease.read_holder() } else { None },
        }))
    }

    /// The newest record of a volume, without its lock; `None` if there is no volume, or nobody was ever granted it.
    fn look(&self, name: &VolumeName) -> Result<Option<Looked>> {
        let Some((dir, lease)) = volume_dir::look(&self.home, name, Access::Read)? else { return Ok(None) };
        match volume_dir::read_newest(name, &dir, &lease)? {
            Records::Newest { record, .. } if record.is_of_a_grant() => {
                Ok(Some(Looked { record, revocation: lease.read_revocation()?, lease }))
            }
            _ => Ok(None),
        }
    }

    /// The volume whose newest lease is `lease_id`.
    ///
    /// # Errors
    /// If it is not found and some volume can't be read, the error of that one: the lease may be there.
    fn find(&self, lease_id: LeaseId) -> Result<Option<(VolumeName, Looked)>> {
        let mut unreadable = None;
        for name in self.names()? {
            match self.look(&name) {
                Ok(Some(looked)) if looked.record.is_of(lease_id, &name) => return Ok(Some((name, looked))),
                Ok(_) => {}
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
        unreadable.map_or(Ok(None), Err)
    }

    fn grant_new(
        &self,
        volume: &mut LockedVolume,
        request: &BlockRequest,
        lease_id: LeaseId,
        asked_at: &Moment,
    ) -> Result<DataFile> {
        let blocks = volume.prepare_data(&self.home, request.min_blocks)?;
        let data = DataFile::open(volume.dir(), blocks, self.io_mode)?;
        if volume.lease().read_revocation()? == Revocation::Damaged {
            volume.lease().clear_revocation()?;
        }
        volume.grant(blocks, |record| {
            record.lease_id = lease_id;
            record.set_remaining(Duration::from_secs(request.lease_secs), asked_at);
        })?;
        Ok(data)
    }

    /// Attaches to a lease that was seen on this volume a moment ago.
    fn attach_to(&self, name: &VolumeName, lease_id: LeaseId, asked_at: &Moment) -> Result<BlockGrant> {
        let volume = LockedVolume::lock_existing(&self.home, name)?;
        let volume = volume.filter(|volume| volume.record().is_of(lease_id, name));
        let mut volume = volume.ok_or(FabricError::LeaseNotFound { lease_id })?;
        ended(name, volume.record(), volume.lease().read_revocation()?, asked_at)?;
        let left = volume.record().remaining(asked_at);
        let blocks = volume.prepare_data(&self.home, volume.record().blocks)?;
        let data = DataFile::open(volume.dir(), blocks, self.io_mode)?;
        volume.grant(blocks, |record| record.set_remaining(left, asked_at))?;
        Ok(self.granted(volume, data, left))
    }

    /// Revokes a lease that was seen on this volume a moment ago.
    fn revoke_on(&self, name: &VolumeName, lease_id: LeaseId) -> Result<RevokeOutcome> {
        let Some((dir, lease)) = volume_dir::look(&self.home, name, Access::ReadWrite)? else {
            return Ok(RevokeOutcome::NotFound);
        };
        // One revoker at a time looks and writes: a slow one must not write over the word of the next lease.
        let _alone = dir.lock()?;
        let Records::Newest { record, .. } = lease.read_records()? else {
            return Ok(RevokeOutcome::NotFound);
        };
        let status = record.status_at(&self.now(), lease.read_revocation()?);
        // A word that can't be read closes the lease already, but does not say so for good.
        let can_be_revoked = matches!(status, LeaseStatus::Active | LeaseStatus::Fenced);
        if !record.is_of(lease_id, name) || record.status != LeaseStatus::Active || !can_be_revoked {
            return Ok(RevokeOutcome::NotFound);
        }
        lease.write_revocation(lease_id)?;
        tracing::info!(volume = %name, %lease_id, "revoked");
        Ok(RevokeOutcome::TornDown)
    }

    fn granted(&self, volume: LockedVolume, data: DataFile, granted: Duration) -> BlockGrant {
        let record = volume.record();
        tracing::debug!(volume = %volume.name(), lease_id = %record.lease_id, epoch = %record.epoch, "granted");
        LeasedVolume::into_grant(volume, data, granted, Arc::clone(&self.clock), self.boot_id)
    }

    fn now(&self) -> Moment {
        Moment::now(self.clock.as_ref(), self.boot_id)
    }
}

/// What can be seen of a volume without its lock.
struct Looked {
    record: LeaseRecord,
    revocation: Revocation,
    lease: LeaseFile,
}

impl BlockHost for LocalBlockHost {
    fn acquire(&self, request: &BlockRequest) -> Result<BlockGrant> {
        let asked_at = self.now();
        let lease_id = volume_dir::new_lease_id()?;
        let name = request.volume.clone().map_or_else(|| VolumeName::new(format!("v-{lease_id}")), Ok)?;
        if request.min_blocks == 0 {
            return Err(FabricError::InvalidRequest {
                what: "min_blocks",
                expected: "at least 1",
                found: "0".to_owned(),
            });
        }
        let mut volume = LockedVolume::lock_or_make(&self.home, &name)?;
        let is_new = !volume.record().is_of_a_grant();
        match self.grant_new(&mut volume, request, lease_id, &asked_at) {
            Ok(data) => Ok(self.granted(volume, data, Duration::from_secs(request.lease_secs))),
            Err(error) => {
                if is_new && let Err(error) = volume.remove(&self.home) {
                    tracing::warn!(volume = %name, %error, "a volume that could not be made leaves remains");
                }
                Err(error)
            }
        }
    }

    fn attach(&self, lease_id: LeaseId) -> Result<BlockGrant> {
        let asked_at = self.now();
        let (name, seen) = self.find(lease_id)?.ok_or(FabricError::LeaseNotFound { lease_id })?;
        ended(&name, &seen.record, seen.revocation, &asked_at)?;
        self.attach_to(&name, lease_id, &asked_at)
    }

    fn revoke(&self, lease_id: LeaseId) -> Result<RevokeOutcome> {
        match self.find(lease_id)? {
            Some((name, _)) => self.revoke_on(&name, lease_id),
            None => Ok(RevokeOutcome::NotFound),
        }
    }
}

/// Refuses unless the lease of the record is active.
fn ended(name: &VolumeName, record: &LeaseRecord, revocation: Revocation, now: &Moment) -> Result<()> {
    let status = record.status_at(now, revocation);
    if status == LeaseStatus::Active {
        return Ok(());
    }
    let expired_at = record.expires_unix_ms / 1000;
    Err(FabricError::lease_ended(
        status,
        record.lease_id,
        &volume_dir::resource(name),
        record.epoch,
        expired_at,
    ))
}

#[cfg(test)]
mod tests;
