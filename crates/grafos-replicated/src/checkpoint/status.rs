//! [`CheckpointStatus`]: what is where, and what lies on too few replicas.

use std::collections::BTreeSet;

use fabricbios_core::lease::FenceEpoch;

use super::ReplicatedCheckpoint;
use super::maintenance::list_all;
use crate::error::{ReplicatedError, StoreError};
use crate::names::{CheckpointName, ReplicaId, Version};
use crate::observe;
use crate::register::SavedVersion;
use crate::replicas::Replica;

/// What a replica has of a version, as far as names tell. Whether the bytes are good, a scrub tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyState {
    /// All of it.
    Present,
    /// Not all of it.
    Missing,
    /// It can't be asked.
    Unknown(StoreError),
}

/// What is where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStatus {
    /// Which checkpoint.
    pub checkpoint: CheckpointName,
    /// The epoch below which writers are refused; 0 before the first save.
    pub epoch: FenceEpoch,
    /// The current version.
    pub version: Version,
    /// The kept versions, oldest first, and what each replica has of them.
    pub versions: Vec<(SavedVersion, Vec<(ReplicaId, CopyState)>)>,
    /// How many replicas a save needs.
    pub write_quorum: usize,
    /// How many blobs on all replicas together nothing names; see
    /// [`collect_garbage`](ReplicatedCheckpoint::collect_garbage).
    pub unreferenced: usize,
}

impl CheckpointStatus {
    /// The versions that fewer replicas have than a save needs. A repair mends it.
    pub fn under_replicated(&self) -> impl Iterator<Item = &SavedVersion> {
        let present = |copies: &[(ReplicaId, CopyState)]| {
            copies.iter().filter(|(_, copy)| *copy == CopyState::Present).count()
        };
        self.versions
            .iter()
            .filter(move |(_, copies)| present(copies) < self.write_quorum)
            .map(|(saved, _)| saved)
    }
}

impl ReplicatedCheckpoint {
    /// What is where. Reads names only.
    ///
    /// # Errors
    /// Those of [`current_version`](Self::current_version), and
    /// [`MetadataRegressed`](ReplicatedError::MetadataRegressed).
    pub fn status(&self, name: &CheckpointName) -> Result<CheckpointStatus, ReplicatedError> {
        let mut status = CheckpointStatus {
            checkpoint: name.clone(),
            epoch: FenceEpoch(0),
            version: Version::NONE,
            versions: Vec::new(),
            write_quorum: self.policy.writes(),
            unreferenced: 0,
        };
        name.checked()?;
        self.removals.wait();
        let space = self.space(name);
        let list = |replica: &Replica| replica.handle().and_then(|handle| list_all(handle.as_ref(), &space));
        let listed: Vec<_> = self.replicas.iter().map(|replica| (replica, list(replica))).collect();
        // Read after the replicas were listed, as in a collection.
        let register = self.register(name)?;
        for (replica, listed) in &listed {
            let blobs = listed.as_deref().unwrap_or_default();
            self.check_not_behind(name, register.as_ref(), replica, blobs)?;
        }
        let Some(register) = register else { return Ok(status) };
        (status.epoch, status.version) = (register.epoch, register.version);
        status.versions = register.history.iter().map(|saved| (saved.clone(), Vec::new())).collect();
        for (replica, listed) in listed {
            if let Ok(blobs) = &listed {
                status.unreferenced += blobs.iter().filter(|blob| register.is_dead(blob)).count();
            }
            let listed = listed.map(BTreeSet::from_iter);
            for (saved, copies) in &mut status.versions {
                let state = match &listed {
                    Ok(blobs) if saved.blobs.iter().all(|blob| blobs.contains(blob)) => CopyState::Present,
                    Ok(_) => CopyState::Missing,
                    Err(error) => CopyState::Unknown(error.clone()),
                };
                copies.push((replica.id().clone(), state));
            }
        }
        observe::looked_at(&status);
        Ok(status)
    }
}
