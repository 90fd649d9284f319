//! How a state is loaded: found in the register, verified on its way.

use std::io;

use serde::de::DeserializeOwned;

use super::{LoadedCheckpoint, ReplicatedCheckpoint};
use crate::download::Download;
use crate::error::ReplicatedError;
use crate::manifest::Manifest;
use crate::names::{CheckpointName, Version};
use crate::observe;
use crate::register::{Register, SavedVersion};

impl ReplicatedCheckpoint {
    /// The current state, if there is one.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable) and
    /// [`ReadQuorumNotMet`](ReplicatedError::ReadQuorumNotMet) if too few replicas have a good copy: an older version
    /// is never given out in its place. Those of [`current_version`](Self::current_version).
    pub fn load_latest(
        &mut self,
        name: &CheckpointName,
    ) -> Result<Option<LoadedCheckpoint<Vec<u8>>>, ReplicatedError> {
        loop {
            let Some(register) = self.register(name)? else { return Ok(None) };
            let Some(saved) = register.head() else { return Ok(None) };
            match self.load_saved(name, saved) {
                // Others were faster than this read: what is kept now is newer.
                Err(ReplicatedError::VersionNotKept { .. }) => {}
                loaded => return loaded.map(Some),
            }
        }
    }

    /// The state of this version.
    ///
    /// # Errors
    /// [`VersionNotKept`](ReplicatedError::VersionNotKept), and those of [`load_latest`](Self::load_latest).
    pub fn load_version(
        &mut self,
        name: &CheckpointName,
        version: Version,
    ) -> Result<LoadedCheckpoint<Vec<u8>>, ReplicatedError> {
        let register = self.register(name)?;
        let saved = register.as_ref().and_then(|register| register.at(version));
        match saved {
            Some(saved) => self.load_saved(name, saved),
            None => Err(not_kept(name, version, register.as_ref())),
        }
    }

    /// The current value, if there is one.
    ///
    /// # Errors
    /// [`Serialization`](ReplicatedError::Serialization) if the bytes are not such a value, and those of
    /// [`load_latest`](Self::load_latest).
    pub fn load<T: DeserializeOwned>(
        &mut self,
        name: &CheckpointName,
    ) -> Result<Option<LoadedCheckpoint<T>>, ReplicatedError> {
        let Some(LoadedCheckpoint { value, version, epoch }) = self.load_latest(name)? else {
            return Ok(None);
        };
        let value = postcard::from_bytes(&value).map_err(|cause| ReplicatedError::Serialization {
            what: "the saved bytes are not such a value",
            cause,
        })?;
        Ok(Some(LoadedCheckpoint { value, version, epoch }))
    }

    /// Writes the current state to `sink`, chunk by chunk, each one verified before; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`load_latest`](Self::load_latest), and [`VersionNotKept`](ReplicatedError::VersionNotKept) if others
    /// saved so often meanwhile that it was collected. What was written until then is good, but not all.
    pub fn load_into(
        &mut self,
        name: &CheckpointName,
        sink: &mut dyn io::Write,
    ) -> Result<Option<Version>, ReplicatedError> {
        let Some(register) = self.register(name)? else { return Ok(None) };
        let Some(saved) = register.head() else { return Ok(None) };
        let copied = self.with_saved(name, saved, |download, manifest| download.copy_to(manifest, sink));
        copied.map_err(|error| self.or_not_kept(name, saved, error))?;
        Ok(Some(saved.version))
    }

    fn load_saved(
        &mut self,
        name: &CheckpointName,
        saved: &SavedVersion,
    ) -> Result<LoadedCheckpoint<Vec<u8>>, ReplicatedError> {
        let loaded = self.with_saved(name, saved, |download, manifest| download.read_all(manifest));
        let value = loaded.map_err(|error| self.or_not_kept(name, saved, error))?;
        Ok(LoadedCheckpoint { value, version: saved.version, epoch: saved.epoch })
    }

    /// Why a version could not be read: its copies are gone, or it is not kept any more and was collected meanwhile.
    fn or_not_kept(
        &self,
        name: &CheckpointName,
        saved: &SavedVersion,
        error: ReplicatedError,
    ) -> ReplicatedError {
        let (ReplicatedError::PayloadUnavailable { .. } | ReplicatedError::ReadQuorumNotMet { .. }) = error
        else {
            return error;
        };
        match self.register(name) {
            Ok(register)
                if register.as_ref().and_then(|register| register.at(saved.version)) != Some(saved) =>
            {
                not_kept(name, saved.version, register.as_ref())
            }
            _ => error,
        }
    }

    /// Checks that enough replicas have it, and `read`s it.
    fn with_saved<T>(
        &mut self,
        name: &CheckpointName,
        saved: &SavedVersion,
        read: impl FnOnce(&Download<'_>, &Manifest) -> Result<T, ReplicatedError>,
    ) -> Result<T, ReplicatedError> {
        let resource = self.resource.clone();
        observe::load(&resource, name, || self.verify_and_read(name, saved, read))
    }

    fn verify_and_read<T>(
        &mut self,
        name: &CheckpointName,
        saved: &SavedVersion,
        read: impl FnOnce(&Download<'_>, &Manifest) -> Result<T, ReplicatedError>,
    ) -> Result<T, ReplicatedError> {
        let space = self.space(name);
        let download = Download::new(&self.replicas, &space, name, saved);
        let needed = self.policy.reads();
        if needed > 1 {
            let verified = download.verified_copies(needed);
            if verified < needed {
                return Err(ReplicatedError::ReadQuorumNotMet {
                    checkpoint: name.clone(),
                    version: saved.version,
                    needed,
                    verified,
                    failures: download.failures(),
                });
            }
        }
        let manifest = download.manifest()?;
        let loaded = read(&download, &manifest)?;
        for (replica, error) in download.failures().0 {
            observe::copy_failed(&error);
            tracing::warn!(%replica, %error, "a copy is not good: repair it");
        }
        self.manifests.insert(name.clone(), manifest);
        Ok(loaded)
    }
}

fn not_kept(name: &CheckpointName, asked: Version, register: Option<&Register>) -> ReplicatedError {
    let oldest = register.and_then(|register| register.history.first());
    ReplicatedError::VersionNotKept {
        checkpoint: name.clone(),
        asked,
        oldest: oldest.map_or(Version::NONE, |saved| saved.version),
        newest: register.map_or(Version::NONE, |register| register.version),
    }
}
