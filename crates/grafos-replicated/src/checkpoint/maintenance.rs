//! What keeps copies good and disks from filling: [`scrub`](ReplicatedCheckpoint::scrub),
//! [`repair`](ReplicatedCheckpoint::repair), [`collect_garbage`](ReplicatedCheckpoint::collect_garbage).

use fabricbios_core::lease::FenceEpoch;

use super::ReplicatedCheckpoint;
use crate::download::{Download, verify_blob};
use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::Manifest;
use crate::names::{CheckpointName, ReplicaId, Version};
use crate::observe;
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::register::{BlobTag, Register, SavedVersion};
use crate::replicas::Replica;

/// How many names of blobs are asked for at once.
const LIST_LEN: usize = 1000;
/// How much of a blob is in memory while it is copied.
const COPY_BYTES: usize = 4 << 20;

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scrubbed {
    /// How many blobs that the register names were read on all replicas together.
    pub verified: usize,
    /// Copies that are missing or not good, with the reason.
    pub faults: Vec<(ReplicaId, BlobTag, StoreError)>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Copies that were made anew.
    pub copied: Vec<(ReplicaId, BlobTag)>,
    /// Copies that are still missing, with the reason.
    pub failed: Vec<(ReplicaId, BlobTag, StoreError)>,
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// How many blobs were removed, on all replicas together.
    pub deleted: usize,
    /// Replicas that could not be asked, with the reason. What they hold is collected the next time.
    pub failures: ReplicaFailures,
}

impl ReplicatedCheckpoint {
    /// Reads every copy of everything that the register names, and says what is not good. Changes nothing.
    ///
    /// # Errors
    /// Those of [`current_version`](Self::current_version). A bad copy is none: it is in the answer.
    pub fn scrub(&self, name: &CheckpointName) -> Result<Scrubbed, ReplicatedError> {
        let mut scrubbed = Scrubbed::default();
        let Some(register) = self.register(name)? else { return Ok(scrubbed) };
        let (space, versions) = (self.space(name), self.with_manifests(name, &register));
        for replica in self.replicas.iter() {
            for blob in register.blobs() {
                match verify_blob(replica, &space, &versions, &blob) {
                    Ok(()) => scrubbed.verified += 1,
                    Err(error) => {
                        observe::copy_failed(&error);
                        scrubbed.faults.push((replica.id().clone(), blob, error));
                    }
                }
            }
        }
        if !scrubbed.faults.is_empty() {
            // What was collected while this looked is no fault.
            let named = self.register(name)?.map_or_else(Vec::new, |register| register.blobs());
            scrubbed.faults.retain(|(_, blob, _)| named.contains(blob));
        }
        Ok(scrubbed)
    }

    /// Makes every copy that is missing or not good anew, from one that is.
    ///
    /// # Errors
    /// Those of [`scrub`](Self::scrub). A copy that can't be made is none: it is in the answer.
    pub fn repair(&mut self, name: &CheckpointName) -> Result<Repaired, ReplicatedError> {
        let mut repaired = Repaired::default();
        let faults = self.scrub(name)?.faults;
        let Some(register) = self.register(name)?.filter(|_| !faults.is_empty()) else { return Ok(repaired) };
        let (space, versions) = (self.space(name), self.with_manifests(name, &register));
        for (id, blob, _) in faults {
            match self.copy_anew(&space, &versions, &id, &blob) {
                Ok(()) => repaired.copied.push((id, blob)),
                Err(error) => repaired.failed.push((id, blob, error)),
            }
        }
        observe::repaired(&self.resource, name, repaired.copied.len());
        Ok(repaired)
    }

    /// Removes blobs that no commit can publish any more and that no kept version names. Safe at any time, from any
    /// process, however late: what is dead once stays dead.
    ///
    /// # Errors
    /// Those of [`current_version`](Self::current_version), and
    /// [`MetadataRegressed`](ReplicatedError::MetadataRegressed): nothing is removed while the register may be an old
    /// one.
    pub fn collect_garbage(&mut self, name: &CheckpointName) -> Result<Collected, ReplicatedError> {
        let mut collected = Collected::default();
        name.checked()?;
        self.removals.wait();
        let space = self.space(name);
        let mut listed = Vec::new();
        for replica in self.replicas.iter() {
            match replica.handle().and_then(|handle| Ok((list_all(handle.as_ref(), &space)?, handle))) {
                Ok((blobs, handle)) => listed.push((replica, handle, blobs)),
                Err(error) => collected.failures.0.push((replica.id().clone(), error)),
            }
        }
        // Read after the replicas were listed: a writer that is faster than this looks like one from the future
        // otherwise.
        let register = self.register(name)?;
        for (replica, _, blobs) in &listed {
            self.check_not_behind(name, register.as_ref(), replica, blobs)?;
        }
        let Some(register) = register else { return Ok(collected) };
        let dead = listed.into_iter().map(|(replica, handle, blobs)| {
            (replica, handle, blobs.into_iter().filter(|blob| register.is_dead(blob)).collect::<Vec<_>>())
        });
        for (replica, handle, blobs) in dead {
            for blob in blobs {
                match handle.delete(&space, &blob) {
                    Ok(()) => collected.deleted += 1,
                    Err(error) => {
                        collected.failures.0.push((replica.id().clone(), error));
                        break;
                    }
                }
            }
        }
        Ok(collected)
    }

    /// The highest epoch of a blob on any replica that can be asked.
    pub(super) fn highest_epoch_on_replicas(
        &self,
        name: &CheckpointName,
    ) -> Result<FenceEpoch, ReplicatedError> {
        name.checked()?;
        let space = self.space(name);
        let mut highest = FenceEpoch(0);
        for replica in self.replicas.iter() {
            match replica.handle().and_then(|handle| list_all(handle.as_ref(), &space)) {
                Ok(blobs) => highest = blobs.iter().map(|blob| blob.epoch).fold(highest, FenceEpoch::max),
                Err(error) => {
                    tracing::warn!(replica = %replica.id(), %error, "a replica can't say which epochs it has seen");
                }
            }
        }
        Ok(highest)
    }

    pub(super) fn check_not_behind(
        &self,
        name: &CheckpointName,
        register: Option<&Register>,
        replica: &Replica,
        blobs: &[BlobTag],
    ) -> Result<(), ReplicatedError> {
        // Nobody uploads before there is a register: where there are blobs, one is gone.
        let is_ahead = |blob: &&BlobTag| register.is_none_or(|register| register.is_behind(blob));
        let ahead = blobs.iter().filter(is_ahead).max();
        ahead.map_or(Ok(()), |blob| {
            Err(ReplicatedError::MetadataRegressed {
                checkpoint: name.clone(),
                epoch: register.map_or(FenceEpoch(0), |register| register.epoch),
                version: register.map_or(Version::NONE, |register| register.version),
                replica: replica.id().clone(),
                seen_epoch: blob.epoch,
                seen_version: blob.version,
            })
        })
    }

    fn with_manifests(&self, name: &CheckpointName, register: &Register) -> Versions {
        let space = self.space(name);
        let manifest =
            |saved: &SavedVersion| Download::new(&self.replicas, &space, name, saved).manifest().ok();
        register.history.iter().map(|saved| (saved.clone(), manifest(saved))).collect()
    }

    fn copy_anew(
        &self,
        space: &BlobSpace,
        versions: &Versions,
        id: &ReplicaId,
        blob: &BlobTag,
    ) -> Result<(), StoreError> {
        let no_source = StoreError::NotFound { what: blob.file_name() };
        let mut others = self.replicas.iter().filter(|replica| replica.id() != id);
        let source =
            others.find(|replica| verify_blob(replica, space, versions, blob).is_ok()).ok_or(no_source)?;
        let target = self.replicas.iter().find(|replica| replica.id() == id);
        let target = target.ok_or(StoreError::NotFound { what: id.to_string() })?;
        let (source, to) = (source.handle()?, target.handle()?);
        copy(source.as_ref(), to.as_ref(), space, blob)?;
        verify_blob(target, space, versions, blob)
    }
}

/// The kept versions, each with its manifest if any replica has that.
pub(crate) type Versions = Vec<(SavedVersion, Option<Manifest>)>;

pub(super) fn copy(
    from: &dyn PayloadReplica,
    to: &dyn PayloadReplica,
    space: &BlobSpace,
    blob: &BlobTag,
) -> Result<(), StoreError> {
    let len = from.len_bytes(space, blob)?;
    // Never deleted first: somebody else may have mended it meanwhile, and good in the place of good does no harm.
    let mut writer = to.replace(space, blob, Some(len))?;
    let mut buffer = Vec::new();
    let mut offset = 0;
    while offset < len {
        let now = usize::try_from(len - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        buffer.resize(now, 0);
        from.read(space, blob, offset, &mut buffer)?;
        writer.write(&buffer)?;
        offset += now as u64;
    }
    writer.finish()
}

pub(super) fn list_all(replica: &dyn PayloadReplica, space: &BlobSpace) -> Result<Vec<BlobTag>, StoreError> {
    let mut all: Vec<BlobTag> = Vec::new();
    loop {
        let page = replica.list(space, all.last(), LIST_LEN)?;
        let is_last = page.len() < LIST_LEN;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
