//! How a state is saved: uploaded to all replicas, then published in one commit.

use std::io;
use std::sync::Arc;

use fabricbios_core::lease::FenceEpoch;
use serde::Serialize;

use super::{ReplicatedCheckpoint, SavedCheckpoint};
use crate::download::Download;
use crate::drive::drive;
use crate::engine::new_nonce;
use crate::error::{ReplicatedError, StoreError};
use crate::manifest::Manifest;
use crate::names::{CheckpointName, IdempotencyKey, OperationHash, Version};
use crate::observe;
use crate::payload_replica::BlobSpace;
use crate::protocol::change::{Change, Intent};
use crate::protocol::checkpoint::{Landed, Save};
use crate::register::{BlobTag, SavedVersion, StepMark};
use crate::upload::{Base, Cut, Upload};

/// States of this length and less are uploaded without starting threads.
const SMALL_BYTES: usize = 1 << 20;

#[allow(clippy::needless_pass_by_value, reason = "the published interface takes names by value")]
impl ReplicatedCheckpoint {
    /// Saves `bytes` as the version after `expected`, which is [`Version::NONE`] before the first.
    ///
    /// # Errors
    /// [`StaleEpoch`](ReplicatedError::StaleEpoch) and [`VersionConflict`](ReplicatedError::VersionConflict) for a
    /// writer that was overtaken; [`QuorumNotMet`](ReplicatedError::QuorumNotMet) if too few replicas took it: nothing
    /// was published then. [`OutcomeUnknown`](ReplicatedError::OutcomeUnknown) if the engine did not answer: look at
    /// [`current_version`](Self::current_version).
    pub fn save_bytes(
        &mut self,
        name: CheckpointName,
        expected: Version,
        bytes: &[u8],
        epoch: FenceEpoch,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        self.save_from(&name, expected, epoch, None, Some(bytes.len()), |sink| send_all(sink, bytes))
    }

    /// Saves a value, in postcard's encoding.
    ///
    /// # Errors
    /// Those of [`save_bytes`](Self::save_bytes).
    pub fn save<T: Serialize + ?Sized>(
        &mut self,
        name: CheckpointName,
        expected: Version,
        value: &T,
        epoch: FenceEpoch,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        self.save_from(&name, expected, epoch, None, None, |sink| {
            let written = postcard::to_io(value, sink);
            written.map(drop).map_err(encoding_failed)
        })
    }

    /// Saves what `produce` writes, chunk by chunk, so that the state is never in memory twice.
    ///
    /// # Errors
    /// Those of [`save_bytes`](Self::save_bytes), and those of `produce`: nothing was published then.
    pub fn save_with(
        &mut self,
        name: CheckpointName,
        expected: Version,
        epoch: FenceEpoch,
        produce: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        self.save_from(&name, expected, epoch, None, None, |sink| {
            produce(sink as &mut dyn io::Write).map_err(|cause| producing_failed(&cause))
        })
    }

    /// Saves `bytes` as the work of this step: a retry finds by [`step_version`](Self::step_version) that the step was
    /// done, though its effect was not completed.
    ///
    /// # Errors
    /// Those of [`save_bytes`](Self::save_bytes).
    pub fn save_step(
        &mut self,
        name: CheckpointName,
        expected: Version,
        bytes: &[u8],
        epoch: FenceEpoch,
        key: IdempotencyKey,
        operation: OperationHash,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        key.checked()?;
        let step = Some(StepMark { key, operation });
        self.save_from(&name, expected, epoch, step, Some(bytes.len()), |sink| send_all(sink, bytes))
    }

    fn save_from<'env>(
        &mut self,
        name: &CheckpointName,
        expected: Version,
        epoch: FenceEpoch,
        step: Option<StepMark>,
        len: Option<usize>,
        produce: impl FnOnce(&mut Upload<'env, '_>) -> Result<(), ReplicatedError>,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        let save = self.new_save(name, expected, epoch, step)?;
        self.drive_save(name, save, |save| save, len, produce)
    }

    pub(crate) fn new_save(
        &self,
        name: &CheckpointName,
        expected: Version,
        epoch: FenceEpoch,
        step: Option<StepMark>,
    ) -> Result<Save, ReplicatedError> {
        let (claim, nonce) = (self.claim(name)?, new_nonce()?);
        let (policy, set) = (self.policy.clone(), self.set.clone());
        Ok(Save::new(claim, policy, set, expected, epoch, self.keep_versions, step, nonce))
    }

    /// Drives an intent that has a save within it. `len` is how long the state will be, if that is known.
    pub(crate) fn drive_save<'env, I: Intent<Output = Landed>>(
        &mut self,
        name: &CheckpointName,
        intent: I,
        save_of: impl Fn(&mut I) -> &mut Save,
        len: Option<usize>,
        produce: impl FnOnce(&mut Upload<'env, '_>) -> Result<(), ReplicatedError>,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        // The names are only borrowed from the handle, which the work needs whole.
        let resource = self.resource.clone();
        observe::save(&resource, name, || self.upload_and_publish(name, intent, save_of, len, produce))
    }

    fn upload_and_publish<'env, I: Intent<Output = Landed>>(
        &mut self,
        name: &CheckpointName,
        intent: I,
        save_of: impl Fn(&mut I) -> &mut Save,
        len: Option<usize>,
        produce: impl FnOnce(&mut Upload<'env, '_>) -> Result<(), ReplicatedError>,
    ) -> Result<SavedCheckpoint, ReplicatedError> {
        let mut change = Change::new(intent);
        let (mut produce, mut uploaded) = (Some(produce), None);
        let space = self.space(name);
        let store = Arc::clone(self.engine.registers());
        let landed = drive(store.as_ref(), &mut change, |intent| {
            let save = save_of(intent);
            let base = save.base().and_then(|base| self.manifest_of(name, base));
            // Version and epoch of a save are fixed, so it is uploaded once.
            let Some(produce) = produce.take() else { return Ok(()) };
            let is_small = len.is_some_and(|len| len <= SMALL_BYTES);
            let cut = Cut { chunk_bytes: self.chunk_bytes, compression: self.compression, is_small };
            let base = base.as_ref().map(|manifest| Base {
                manifest,
                lies_on_quorum: Box::new(|blob| self.lies_on_quorum(&space, blob)),
            });
            let done = Upload::run(&self.replicas, &space, save.tag(), base, cut, produce)?;
            save.uploaded(done.receipt.clone());
            uploaded = Some(done);
            Ok(())
        });
        let landed = landed?;
        self.removals.begin(&self.replicas, &space, save_of(change.intent_mut()).superseded());
        let written_bytes = match uploaded {
            Some(uploaded) => {
                self.manifests.insert(name.clone(), uploaded.manifest);
                uploaded.written_bytes
            }
            None => 0,
        };
        Ok(SavedCheckpoint { version: landed.version, epoch: landed.epoch, written_bytes })
    }

    /// Whether the loss of as many replicas as the write quorum promises leaves a copy of the blob: a disk may have been
    /// lost since the version was acknowledged that it was made for. Whether its bytes are good, a scrub tells.
    fn lies_on_quorum(&self, space: &BlobSpace, blob: &BlobTag) -> bool {
        let mut domains = Vec::new();
        for (replica, locator) in self.replicas.iter().zip(self.set.replicas()) {
            let has_it = locator.is_voter()
                && replica.handle().and_then(|replica| replica.make_durable(space, blob)).is_ok();
            domains.extend(has_it.then_some(&locator.domain));
            if self.policy.is_met_by(domains.iter().copied()) {
                return true;
            }
        }
        false
    }

    /// The manifest of the version that the next one builds on. Without it, everything is written.
    fn manifest_of(&self, name: &CheckpointName, saved: &SavedVersion) -> Option<Manifest> {
        match self.manifests.get(name) {
            Some(manifest) if manifest.blobs.first() == Some(&saved.manifest) => Some(manifest.clone()),
            _ => Download::new(&self.replicas, &self.space(name), name, saved).manifest().ok(),
        }
    }
}

/// A state that lies in memory as it is.
#[allow(clippy::unnecessary_wraps, reason = "states that are produced can fail")]
pub(crate) fn send_all<'env>(sink: &mut Upload<'env, '_>, bytes: &'env [u8]) -> Result<(), ReplicatedError> {
    sink.write_last(bytes);
    Ok(())
}

fn producing_failed(cause: &io::Error) -> ReplicatedError {
    let errno = cause.raw_os_error().unwrap_or(0);
    StoreError::Io { operation: "producing the state", what: cause.to_string(), errno }.into()
}

fn encoding_failed(cause: postcard::Error) -> ReplicatedError {
    ReplicatedError::Serialization { what: "the value can't be encoded", cause }
}
