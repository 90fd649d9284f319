//! [`ReplicatedCheckpoint`]: states with versions on a quorum of replicas.

mod change_replicas;
mod load;
mod maintenance;
mod removals;
mod save;
mod status;

use std::collections::HashMap;

use fabricbios_core::lease::FenceEpoch;

use crate::codec::Compression;
use crate::drive::drive_plain;
use crate::engine::Engine;
use crate::error::ReplicatedError;
use crate::manifest::{DEFAULT_CHUNK_BYTES, Manifest};
use crate::names::{
    CheckpointName, IdempotencyKey, LogicalResourceName, OperationHash, PolicyHash, SchemaId, Version,
};
use crate::payload_replica::BlobSpace;
use crate::placement::{ReplicaPolicy, ReplicaSetLocator};
use crate::protocol::checkpoint::{Claim, TakeOver};
use crate::register::{Register, SavedVersion};
use crate::replicas::Replicas;

use self::removals::Removals;

pub use change_replicas::ReplicasChanged;
pub use maintenance::{Collected, Repaired, Scrubbed};
pub(crate) use save::send_all;
pub use status::{CheckpointStatus, CopyState};

/// How many versions of a checkpoint are kept, unless a handle is told otherwise.
pub const DEFAULT_KEEP_VERSIONS: usize = 8;

/// The most versions that are kept, so that a register stays small.
pub const MAX_KEEP_VERSIONS: usize = 32;

/// Named states of one resource, each with versions of its own, on a quorum of replicas.
///
/// A save is acknowledged once its state is durable on the write quorum and the register has moved to it. A writer of an
/// older epoch, or one that builds on an older version, is refused there, and publishes nothing.
#[derive(Debug)]
pub struct ReplicatedCheckpoint {
    engine: Engine,
    resource: LogicalResourceName,
    schema: SchemaId,
    opened_at: FenceEpoch,
    policy: ReplicaPolicy,
    policy_hash: PolicyHash,
    set: ReplicaSetLocator,
    replicas: Replicas,
    removals: Removals,
    chunk_bytes: u32,
    compression: Compression,
    keep_versions: usize,
    /// The manifests of what this handle saved or loaded last, to write only what has changed since.
    manifests: HashMap<CheckpointName, Manifest>,
}

/// A state that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedCheckpoint {
    /// Its version: what the next save builds on.
    pub version: Version,
    /// The epoch of its writer.
    pub epoch: FenceEpoch,
    /// How many bytes were written to each replica; chunks that did not change were not.
    pub written_bytes: u64,
}

/// A state that was loaded and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedCheckpoint<T> {
    /// The state.
    pub value: T,
    /// Its version.
    pub version: Version,
    /// The epoch of its writer.
    pub epoch: FenceEpoch,
}

impl ReplicatedCheckpoint {
    /// The checkpoints of this resource on the ambient [`Engine`]. Writes nothing.
    ///
    /// # Errors
    /// [`InvalidName`](ReplicatedError::InvalidName), [`InvalidPolicy`](ReplicatedError::InvalidPolicy), and those of
    /// the engine.
    pub fn new(
        resource: LogicalResourceName,
        schema: SchemaId,
        epoch: FenceEpoch,
        policy: ReplicaPolicy,
        locator: ReplicaSetLocator,
        policy_hash: PolicyHash,
    ) -> Result<Self, ReplicatedError> {
        Self::new_on(&Engine::current()?, resource, schema, epoch, policy, locator, policy_hash)
    }

    /// The same on an engine of the caller's choice.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn new_on(
        engine: &Engine,
        resource: LogicalResourceName,
        schema: SchemaId,
        epoch: FenceEpoch,
        policy: ReplicaPolicy,
        locator: ReplicaSetLocator,
        policy_hash: PolicyHash,
    ) -> Result<Self, ReplicatedError> {
        resource.checked()?;
        schema.checked()?;
        for replica in locator.replicas() {
            replica.replica_id.checked()?;
        }
        policy.checked(&locator)?;
        Ok(Self {
            replicas: Replicas::of(engine, &locator),
            engine: engine.clone(),
            resource,
            schema,
            opened_at: epoch,
            policy,
            policy_hash,
            set: locator,
            chunk_bytes: u32::try_from(DEFAULT_CHUNK_BYTES).unwrap_or(u32::MAX),
            compression: Compression::None,
            removals: Removals::default(),
            keep_versions: DEFAULT_KEEP_VERSIONS,
            manifests: HashMap::new(),
        })
    }

    /// Keeps this many versions of each checkpoint, at least one and at most [`MAX_KEEP_VERSIONS`]. What a save
    /// pushes out is removed in the background, soon after it or at the latest when this value is dropped; what can't
    /// be removed then, and what a writer left behind that died in the middle of a save,
    /// [`collect_garbage`](Self::collect_garbage) does.
    #[must_use]
    pub fn keep_versions(mut self, versions: usize) -> Self {
        self.keep_versions = versions.clamp(1, MAX_KEEP_VERSIONS);
        self
    }

    /// Stores the chunks of what is saved from now on like this. What is stored already stays as it is, and chunks that
    /// do not change are not written again for it.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The kept version that this step made, if it made one.
    ///
    /// # Errors
    /// [`FingerprintConflict`](ReplicatedError::FingerprintConflict) if the key stands for another operation; those of
    /// [`current_version`](Self::current_version).
    pub fn step_version(
        &self,
        name: &CheckpointName,
        key: &IdempotencyKey,
        operation: OperationHash,
    ) -> Result<Option<Version>, ReplicatedError> {
        let Some(register) = self.register(name)? else { return Ok(None) };
        let Some(saved) = register.made_by(key) else { return Ok(None) };
        match &saved.step {
            Some(mark) if mark.operation != operation => Err(ReplicatedError::FingerprintConflict {
                key: key.clone(),
                expected: operation,
                found: mark.operation,
            }),
            _ => Ok(Some(saved.version)),
        }
    }

    /// The version that a save must build on: [`Version::NONE`] before the first.
    ///
    /// # Errors
    /// [`WrongSchema`](ReplicatedError::WrongSchema) and the like if the register is not the one that was meant,
    /// [`CorruptRegister`](ReplicatedError::CorruptRegister), and those of the engine.
    pub fn current_version(&self, name: &CheckpointName) -> Result<Version, ReplicatedError> {
        Ok(self.register(name)?.map_or(Version::NONE, |register| register.version))
    }

    /// The versions that are kept, oldest first.
    ///
    /// # Errors
    /// Those of [`current_version`](Self::current_version).
    pub fn history(&self, name: &CheckpointName) -> Result<Vec<SavedVersion>, ReplicatedError> {
        Ok(self.register(name)?.map_or_else(Vec::new, |register| register.history))
    }

    /// Fences every writer of this checkpoint so far, and returns the epoch to write with from now on. It is above
    /// every epoch that the register or a replica has seen.
    ///
    /// # Errors
    /// Those of [`current_version`](Self::current_version).
    pub fn take_over(&mut self, name: &CheckpointName) -> Result<FenceEpoch, ReplicatedError> {
        let seen = self.highest_epoch_on_replicas(name)?;
        let epoch = drive_plain(self.engine.registers().as_ref(), TakeOver::new(self.claim(name)?, seen))?;
        tracing::info!(resource = %self.resource, checkpoint = %name, %epoch, "took over");
        Ok(epoch)
    }

    pub(crate) fn register(&self, name: &CheckpointName) -> Result<Option<Register>, ReplicatedError> {
        let claim = self.claim(name)?;
        let Some(record) = self.engine.registers().read(&claim.key())? else { return Ok(None) };
        let register = claim.decode(&record)?;
        claim.check(&register)?;
        Ok(Some(register))
    }

    fn claim(&self, name: &CheckpointName) -> Result<Claim, ReplicatedError> {
        name.checked()?;
        Ok(Claim {
            resource: self.resource.clone(),
            checkpoint: name.clone(),
            schema: self.schema.clone(),
            policy_hash: self.policy_hash,
            generation: self.set.generation(),
            layout: self.set.layout(),
            opened_at: self.opened_at,
        })
    }

    fn space(&self, name: &CheckpointName) -> BlobSpace {
        BlobSpace::new(self.resource.as_str(), name.as_str())
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}
