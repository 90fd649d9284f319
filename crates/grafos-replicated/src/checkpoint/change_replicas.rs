//! How a checkpoint moves to other replicas: [`change_replicas`](ReplicatedCheckpoint::change_replicas).
//!
//! What is to move and when, [`replica_change`](crate::protocol::replica_change) decides; here is how blobs get there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use fabricbios_core::lease::FenceEpoch;

use super::ReplicatedCheckpoint;
use super::maintenance::{Versions, copy, list_all};
use crate::download::{Download, verify_blob};
use crate::drive::drive;
use crate::error::{ReplicaFailures, ReplicatedError, StoreError};
use crate::manifest::Manifest;
use crate::metadata_store::RecordKey;
use crate::names::{CheckpointName, ReplicaId, ResourceGeneration, Version};
use crate::payload_replica::{BlobSpace, PayloadReplica};
use crate::protocol::change::Change;
use crate::protocol::replica_change::{ChangeReplicas, Copies, MAX_ROUNDS, NewReplicas};
use crate::register::{BlobTag, SavedVersion};
use crate::replicas::{Replica, Replicas};

/// What a change of replicas did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicasChanged {
    /// The generation that the checkpoint is in now.
    pub generation: ResourceGeneration,
    /// The version that moved with it.
    pub version: Version,
    /// Copies that were made, by their new place.
    pub copied: Vec<(ReplicaId, BlobTag)>,
    /// Replicas of the new set that don't have everything, with the first reason. A repair mends it.
    pub failures: ReplicaFailures,
}

/// How many records are looked at in one go.
const SCAN_LEN: usize = 100;

impl ReplicatedCheckpoint {
    /// The checkpoints of this resource that have a register, in whatever set they are: what there is to
    /// [move](Self::change_replicas).
    ///
    /// # Errors
    /// [`CorruptRegister`](ReplicatedError::CorruptRegister) for a record whose key is not a name's, and those of the
    /// engine.
    pub fn names(&self) -> Result<Vec<CheckpointName>, ReplicatedError> {
        let prefix = format!("{}/", RecordKey::new("checkpoint", &[self.resource.as_str()]));
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = self.engine.registers().scan(&prefix, after.as_ref(), SCAN_LEN)?;
            let Some((last, _)) = page.last() else { return Ok(names) };
            after = Some(last.clone());
            for (key, _) in page {
                let problem = "its key is not the name of a checkpoint";
                let foreign = || ReplicatedError::CorruptRegister { key: key.to_string(), problem };
                names.push(CheckpointName::new(key.last_name().ok_or_else(foreign)?));
            }
        }
    }

    /// Moves this checkpoint to another set of replicas: a lost disk is replaced, a quorum gets wider.
    ///
    /// Every kept version is copied to the new replicas and verified there, on their write quorum at least, and then the
    /// register moves to the new generation in one commit. From then on this handle, and everybody else's of the old
    /// generation, is refused with [`WrongGeneration`](ReplicatedError::WrongGeneration), in the middle of a save too:
    /// open one with the new set. If it fails, the old set is in force as before, and the same call goes on where it
    /// stopped. Called again after it took place, it says so.
    ///
    /// Each checkpoint of a resource moves by itself, and [`names`](Self::names) lists them; so does the
    /// [store of effects](crate::ReplicatedIdempotencyStore::change_generation). Nothing is removed from replicas that
    /// leave: what is on them stays good, and should they come back, what has changed is copied and what is dead is
    /// collected.
    ///
    /// # Errors
    /// [`GenerationNotNew`](ReplicatedError::GenerationNotNew);
    /// [`QuorumNotMet`](ReplicatedError::QuorumNotMet) if too few new replicas took everything;
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable) if a kept version has no good copy anywhere: it is
    /// never left behind silently, but leaves the history with newer saves;
    /// [`OvertakenBySaves`](ReplicatedError::OvertakenBySaves);
    /// [`MetadataRegressed`](ReplicatedError::MetadataRegressed) if a new replica knows more than the register: a handle
    /// opened with a higher epoch than it has seen may go on. Those of [`save_bytes`](Self::save_bytes) for a writer that
    /// was overtaken, and of [`new`](Self::new) for a policy that the new set can't meet.
    pub fn change_replicas(
        &self,
        name: &CheckpointName,
        to: &NewReplicas,
        epoch: FenceEpoch,
    ) -> Result<ReplicasChanged, ReplicatedError> {
        for replica in to.set.replicas() {
            replica.replica_id.checked()?;
        }
        to.policy.checked(&to.set)?;
        let (claim, space) = (self.claim(name)?, self.space(name));
        let mut mover = Mover {
            name,
            space: &space,
            old: &self.replicas,
            new: Replicas::of(&self.engine, &to.set),
            wanted: Vec::new(),
            copies: Copies::default(),
            seen: Default::default(),
            copied: Vec::new(),
        };
        // Listed before the register is read, as in a collection.
        let newest = mover.newest();
        let store = Arc::clone(self.engine.registers());
        let mut rounds = 0;
        let moved = loop {
            rounds += 1;
            let intent = ChangeReplicas::new(claim.clone(), to.clone(), epoch, newest.clone());
            let outcome = drive(store.as_ref(), &mut Change::new(intent), |intent| {
                mover.bring(intent.wanted())?;
                intent.copied(mover.copies.clone());
                Ok(())
            });
            let error = match outcome {
                Ok(moved) => break moved,
                Err(error) => error,
            };
            let is_missing = matches!(
                error,
                ReplicatedError::PayloadUnavailable { .. } | ReplicatedError::QuorumNotMet { .. }
            );
            let Some(current) = self.version_without(name, &mover.wanted)?.filter(|_| is_missing) else {
                return Err(error);
            };
            if rounds == MAX_ROUNDS {
                return Err(ReplicatedError::OvertakenBySaves { checkpoint: name.clone(), rounds, current });
            }
            (mover.seen, mover.copies) = (Default::default(), Copies::default());
        };
        tracing::info!(resource = %self.resource, checkpoint = %name, generation = %moved.generation, "moved to other replicas");
        let (copied, failures) = (mover.copied, mover.copies.failures);
        Ok(ReplicasChanged { generation: moved.generation, version: moved.version, copied, failures })
    }

    /// The current version, if not all of `wanted` are kept any more: what is missing of them may have been collected
    /// while it was copied.
    fn version_without(
        &self,
        name: &CheckpointName,
        wanted: &[SavedVersion],
    ) -> Result<Option<Version>, ReplicatedError> {
        let register = self.register(name)?;
        let gone = register.filter(|register| wanted.iter().any(|saved| !register.history.contains(saved)));
        Ok(gone.map(|register| register.version))
    }
}

/// Brings blobs to the new replicas.
struct Mover<'a> {
    name: &'a CheckpointName,
    space: &'a BlobSpace,
    old: &'a Replicas,
    new: Replicas,
    /// The versions that they were to be given last.
    wanted: Vec<SavedVersion>,
    copies: Copies,
    /// Versions that the new replicas were given, and all blobs of them.
    seen: (Vec<SavedVersion>, BTreeSet<BlobTag>),
    copied: Vec<(ReplicaId, BlobTag)>,
}

/// What became of a blob on one of the new replicas.
enum Brought {
    /// It was there, and good.
    WasThere,
    Copied,
    /// It could not be put there.
    Failed(StoreError),
    /// No replica has it whole.
    Lost(ReplicaFailures),
}

impl Mover<'_> {
    /// The highest tag of a blob on the new replicas.
    fn newest(&self) -> Option<(ReplicaId, BlobTag)> {
        let highest = |replica: &Replica| {
            let listed = replica.handle().and_then(|handle| list_all(handle.as_ref(), self.space));
            let blobs = listed.unwrap_or_else(|error| {
                tracing::warn!(replica = %replica.id(), %error, "a new replica can't say what it has");
                Vec::new()
            });
            Some((replica.id().clone(), blobs.into_iter().max()?))
        };
        self.new.iter().filter_map(highest).max_by_key(|(_, tag)| *tag)
    }

    /// Gives all new replicas the blobs of these versions, and sees that they have them whole. What they were given
    /// before is not looked at again: a newer version needs no part of an older one's blobs that this one does not.
    ///
    /// # Errors
    /// [`PayloadUnavailable`](ReplicatedError::PayloadUnavailable). A new replica that fails is none.
    fn bring(&mut self, wanted: &[SavedVersion]) -> Result<(), ReplicatedError> {
        self.wanted = wanted.to_vec();
        let last = self.seen.0.last().map_or(Version::NONE, |saved| saved.version);
        if wanted.iter().any(|saved| saved.version <= last && !self.seen.0.contains(saved)) {
            // The engine was put back to an old copy meanwhile.
            (self.seen, self.copies) = (Default::default(), Copies::default());
        }
        let with_manifest = |saved: &SavedVersion| Ok((saved.clone(), Some(self.manifest(saved)?)));
        let versions: Result<Versions, ReplicatedError> = wanted.iter().map(with_manifest).collect();
        let versions = versions?;
        let blobs: BTreeSet<_> = wanted.iter().flat_map(|saved| saved.blobs.iter().copied()).collect();
        let blobs: Vec<_> = blobs.difference(&self.seen.1).copied().collect();
        let this = &*self;
        let by_replica: Vec<Vec<Brought>> = thread::scope(|scope| {
            let bring_all = |replica| {
                let (versions, blobs) = (&versions, &blobs);
                move || blobs.iter().map(|blob| this.bring_one(replica, versions, blob)).collect()
            };
            let threads: Vec<_> = this.new.iter().map(|replica| scope.spawn(bring_all(replica))).collect();
            let panicked = || StoreError::Unavailable { reason: "its copier panicked".to_owned() };
            let all_failed = |_| blobs.iter().map(|_| Brought::Failed(panicked())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(all_failed)).collect()
        });
        for (at, brought) in by_replica.into_iter().enumerate() {
            for (blob, brought) in blobs.iter().zip(brought) {
                self.note(at, *blob, brought, wanted)?;
            }
        }
        self.seen.0 = wanted.to_vec();
        self.seen.1.extend(blobs);
        Ok(())
    }

    fn note(
        &mut self,
        at: usize,
        blob: BlobTag,
        brought: Brought,
        wanted: &[SavedVersion],
    ) -> Result<(), ReplicatedError> {
        let Some(id) = self.new.iter().nth(at).map(|replica| replica.id().clone()) else { return Ok(()) };
        match brought {
            Brought::WasThere => {}
            Brought::Copied => self.copied.push((id, blob)),
            Brought::Failed(error) => {
                let failures = &mut self.copies.failures.0;
                if !failures.iter().any(|(failed, _)| *failed == id) {
                    failures.push((id, error));
                }
                return Ok(());
            }
            Brought::Lost(failures) => {
                let version = wanted.iter().rfind(|saved| saved.blobs.contains(&blob));
                let version = version.map_or(Version::NONE, |saved| saved.version);
                let checkpoint = self.name.clone();
                return Err(ReplicatedError::PayloadUnavailable { checkpoint, version, failures });
            }
        }
        self.copies.holders.entry(blob).or_default().insert(at);
        Ok(())
    }

    fn bring_one(&self, to: &Replica, versions: &Versions, blob: &BlobTag) -> Brought {
        match verify_blob(to, self.space, versions, blob) {
            // Whoever wrote it may have died before it was acknowledged.
            Ok(()) => {
                let durable = to.handle().and_then(|to| to.make_durable(self.space, blob));
                return durable.map_or_else(Brought::Failed, |()| Brought::WasThere);
            }
            // It can't be written either.
            Err(error @ StoreError::Unavailable { .. }) => return Brought::Failed(error),
            Err(_) => {}
        }
        let source = match self.source(to, versions, blob) {
            Ok(source) => source,
            Err(failures) => return Brought::Lost(failures),
        };
        let copied = to.handle().and_then(|to| copy(source.as_ref(), to.as_ref(), self.space, blob));
        match copied.and_then(|()| verify_blob(to, self.space, versions, blob)) {
            Ok(()) => Brought::Copied,
            Err(error) => Brought::Failed(error),
        }
    }

    /// A replica, of the old set or the new one, that has the blob whole.
    fn source(
        &self,
        to: &Replica,
        versions: &Versions,
        blob: &BlobTag,
    ) -> Result<Arc<dyn PayloadReplica>, ReplicaFailures> {
        let mut failures = ReplicaFailures::default();
        for replica in self.old.iter().chain(self.new.iter()).filter(|replica| replica.id() != to.id()) {
            let verified = verify_blob(replica, self.space, versions, blob);
            match verified.and_then(|()| replica.handle()) {
                Ok(source) => return Ok(source),
                Err(error) => failures.0.push((replica.id().clone(), error)),
            }
        }
        Err(failures)
    }

    /// The manifest of a version, from any replica of either set.
    fn manifest(&self, saved: &SavedVersion) -> Result<Manifest, ReplicatedError> {
        let of = |replicas| Download::new(replicas, self.space, self.name, saved).manifest();
        of(self.old).or_else(|error| of(&self.new).map_err(|_| error))
    }
}
