//! [`JobStore`]: the durable side of one job: its states on three replicas, its strides in the register.
//!
//! Invariant: a state and the record of the stride that made it come to be in one transaction, so there is no moment in
//! which a crash could repeat a stride or lose one. That is why [`commit_step`] is used and not a save and a completion
//! one after the other.

use std::path::Path;

use fabricbios_core::lease::FenceEpoch;
use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::{
    CheckpointName, EffectRecord, Engine, FailureDomain, IdempotencyOutcome, LogicalResourceName,
    PlacementPolicy, PolicyHash, RecordKey, ReplicaHealth, ReplicaId, ReplicaLocator, ReplicaPolicy,
    ReplicaRole, ReplicaSetLocator, ReplicatedCheckpoint, ReplicatedError, ReplicatedIdempotencyStore,
    Reservation, ResourceGeneration, SavedVersion, SchemaId, StepCommit, Version, commit_step,
};

use super::error::RunError;
use super::place::{Name, REPLICAS};
use super::stride::{self, StrideRecord};
use crate::state::{FIRST_EPOCH, checkpoint_name};
use crate::training::{TrainingPlan, TrainingState};

/// How many versions are kept: the newest is what everybody goes on from, the others are for people.
const KEEP_VERSIONS: usize = 4;

/// How many replicas acknowledge a commit before it counts: it survives the loss of one of them.
const WRITE_QUORUM: usize = 2;

/// How many records are read at once.
const SCAN_LEN: usize = 256;

/// The states and the strides of one job.
#[derive(Debug)]
pub struct JobStore {
    engine: Engine,
    job: Name,
    checkpoint: CheckpointName,
    effects_name: LogicalResourceName,
    checkpoints: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
}

/// A committed state, verified.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its version; [`Version::NONE`] for the first state, which nobody has to commit.
    pub version: Version,
    /// The state.
    pub state: TrainingState,
}

/// What was mended on the replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// How many copies were made anew.
    pub copied: u64,
    /// How many are still missing.
    pub failed: u64,
    /// On which replicas.
    pub replicas: Vec<String>,
}

/// Strides by their first steps, with what became of each.
pub type Strides = Vec<(u64, Option<StrideRecord>)>;

impl JobStore {
    /// The store of a job in this home, made if it is new. Nobody is fenced.
    ///
    /// # Errors
    /// [`RunError::Replicated`] with those of [`EmbeddedHome`].
    pub fn open(home: &Path, job: &Name) -> Result<Self, RunError> {
        let home = EmbeddedHome::builder().home(home).open().map_err(ReplicatedError::from)?;
        Self::open_on(Engine::from(home), job)
    }

    /// The store of a job on an engine of the caller's choice, which has the [`REPLICAS`].
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::new_on`].
    pub fn open_on(engine: Engine, job: &Name) -> Result<Self, RunError> {
        let (policy, set) = placement();
        // Of its own for each job: jobs don't fence each other.
        let effects_name = LogicalResourceName::new(format!("training-strides:{job}"));
        let schema = SchemaId::new("training-stride.v1");
        let effects = ReplicatedIdempotencyStore::new_on(
            &engine,
            effects_name.clone(),
            schema,
            FIRST_EPOCH,
            &policy,
            &set,
        )?;
        let checkpoints = open_checkpoints(&engine, job)?;
        let checkpoint = checkpoint_name(job.as_str());
        Ok(Self { engine, job: job.clone(), checkpoint, effects_name, checkpoints, effects })
    }

    /// Fences every worker of the job so far, and returns the epoch to work under.
    ///
    /// # Errors
    /// [`RunError::Fenced`] if another one takes over at this very moment, and is faster.
    pub fn take_over(&mut self) -> Result<FenceEpoch, RunError> {
        loop {
            let held = self.checkpoints.take_over(&self.checkpoint)?;
            match self.effects.take_over_as(held) {
                Ok(()) => return Ok(held),
                // Somebody took over in between. If the register does not know of them, it was restored from an old
                // copy: it is raised until both agree.
                Err(ReplicatedError::StaleEpoch { .. }) => self.check_epoch(held)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// # Errors
    /// [`RunError::Fenced`] unless nobody has taken over since `held` was given out.
    pub fn check_epoch(&self, held: FenceEpoch) -> Result<(), RunError> {
        let current = self.epoch()?;
        if current > held { Err(RunError::Fenced { held, current }) } else { Ok(()) }
    }

    /// The epoch below which workers are refused.
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::status`].
    pub fn epoch(&self) -> Result<FenceEpoch, RunError> {
        Ok(self.checkpoints.status(&self.checkpoint)?.epoch)
    }

    /// The newest committed state.
    ///
    /// # Errors
    /// [`RunError::State`] if it is not one of this plan; those of [`ReplicatedCheckpoint::load_latest`].
    pub fn load(&mut self, plan: &TrainingPlan) -> Result<Loaded, RunError> {
        let Some(loaded) = self.checkpoints.load_latest(&self.checkpoint)? else {
            return Ok(Loaded { version: Version::NONE, state: TrainingState::initial(plan) });
        };
        let version = loaded.version;
        let state = TrainingState::decode(&loaded.value, plan).map_err(|source| RunError::State {
            job: self.job.to_string(),
            version: version.0,
            source,
        })?;
        Ok(Loaded { version, state })
    }

    /// Takes the stride from this step.
    ///
    /// # Errors
    /// Those of [`ReplicatedIdempotencyStore::reserve`].
    pub fn reserve(
        &mut self,
        plan: &[u8; 32],
        from: u64,
        epoch: FenceEpoch,
    ) -> Result<Reservation, RunError> {
        let (key, operation) = (stride::key(&self.job, from), stride::operation(plan, from));
        Ok(self.effects.reserve(key, operation, Some(from), epoch)?)
    }

    /// Makes the state of a stride the newest one, and the stride done, in one transaction. The same call again does
    /// nothing more.
    ///
    /// # Errors
    /// Those of [`commit_step`].
    pub fn commit(
        &mut self,
        reservation: &Reservation,
        expected: Version,
        state: &[u8],
        record: &[u8],
        epoch: FenceEpoch,
    ) -> Result<Version, RunError> {
        let commit = StepCommit {
            checkpoint: &self.checkpoint,
            expected,
            bytes: state,
            reservation,
            effect: Some(record),
            epoch,
        };
        Ok(commit_step(&mut self.checkpoints, &mut self.effects, commit)?.version)
    }

    /// Reads every copy of every kept version, and makes those anew that are missing or not good.
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::repair`].
    pub fn mend(&mut self) -> Result<Mended, RunError> {
        // Opened anew: a handle may still have a directory open that was removed.
        self.checkpoints = open_checkpoints(&self.engine, &self.job)?;
        let repaired = self.checkpoints.repair(&self.checkpoint)?;
        let copied = repaired.copied.iter().map(|(replica, _)| replica);
        let failed = repaired.failed.iter().map(|(replica, ..)| replica);
        let mut replicas: Vec<_> = copied.chain(failed).map(ToString::to_string).collect();
        replicas.sort_unstable();
        replicas.dedup();
        Ok(Mended { copied: repaired.copied.len() as u64, failed: repaired.failed.len() as u64, replicas })
    }

    /// Whether some replica lacks some of what is kept. Looks at names only.
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::status`].
    pub fn lacks_copies(&self) -> Result<bool, RunError> {
        use grafos_replicated::CopyState;
        let status = self.checkpoints.status(&self.checkpoint)?;
        Ok(status.versions.iter().flat_map(|(_, copies)| copies).any(|(_, copy)| *copy != CopyState::Present))
    }

    /// Removes what no version needs any more, and returns how many blobs that were.
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::collect_garbage`].
    pub fn collect_garbage(&mut self) -> Result<usize, RunError> {
        Ok(self.checkpoints.collect_garbage(&self.checkpoint)?.deleted)
    }

    /// The versions that are kept, oldest first.
    ///
    /// # Errors
    /// Those of [`ReplicatedCheckpoint::history`].
    pub fn history(&self) -> Result<Vec<SavedVersion>, RunError> {
        Ok(self.checkpoints.history(&self.checkpoint)?)
    }

    /// The record of the stride that made the newest version.
    ///
    /// # Errors
    /// [`RunError::DamagedStride`], and those of the engine.
    pub fn last_stride(&self) -> Result<Option<StrideRecord>, RunError> {
        let Some(mark) = self.history()?.pop().and_then(|saved| saved.step) else { return Ok(None) };
        let Some(from) = self.first_step(mark.key.as_str()) else { return Ok(None) };
        match self.effects.lookup(&mark.key)?.map(|value| value.outcome) {
            Some(IdempotencyOutcome::Completed { effect: Some(effect) }) => {
                StrideRecord::decode(from, &effect).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Every stride that was ever reserved, by its first step; with its record if it was done.
    ///
    /// # Errors
    /// [`RunError::DamagedStride`], and those of the engine.
    pub fn strides(&self) -> Result<Strides, RunError> {
        let prefix = format!("{}/", RecordKey::new("effect", &[self.effects_name.as_str()]));
        let (mut strides, mut after) = (Strides::new(), None);
        loop {
            let page = self.engine.registers().scan(&prefix, after.as_ref(), SCAN_LEN);
            let page = page.map_err(ReplicatedError::from)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, record) in page {
                let effect = EffectRecord::decode(&key, &record.body)?;
                // Reserved with the first step as its place in the order.
                let from = effect.sequence.unwrap_or(u64::MAX);
                let record = match effect.outcome {
                    IdempotencyOutcome::Completed { effect } => {
                        Some(StrideRecord::decode(from, &effect.unwrap_or_default())?)
                    }
                    _ => None,
                };
                strides.push((from, record));
            }
        }
        strides.sort_unstable_by_key(|(from, _)| *from);
        Ok(strides)
    }

    /// The first step of the stride of this key.
    pub(crate) fn first_step(&self, key: &str) -> Option<u64> {
        key.strip_prefix(self.job.as_str())?.strip_prefix(":from-step-")?.parse().ok()
    }
}

/// The checkpoints of a job.
fn open_checkpoints(engine: &Engine, job: &Name) -> Result<ReplicatedCheckpoint, RunError> {
    let (policy, set) = placement();
    let name = LogicalResourceName::new(format!("training:{job}"));
    let schema = SchemaId::new("training-state.v1");
    let opened =
        ReplicatedCheckpoint::new_on(engine, name, schema, FIRST_EPOCH, policy, set, PolicyHash([52; 32]))?;
    Ok(opened.keep_versions(KEEP_VERSIONS))
}

/// Three replicas, each in a failure domain of its own, of which a commit needs two.
fn placement() -> (ReplicaPolicy, ReplicaSetLocator) {
    let domain = |name: &str| FailureDomain::cell("local", name);
    let allowed = REPLICAS.iter().fold(PlacementPolicy::new(), |policy, name| policy.allow(domain(name)));
    let policy = ReplicaPolicy::new(allowed.min_domains(WRITE_QUORUM))
        .min_replicas(REPLICAS.len())
        .write_quorum(WRITE_QUORUM)
        .read_quorum(1);
    let generation = ResourceGeneration(1);
    let replica = |name: &&str| ReplicaLocator {
        replica_id: ReplicaId::new(*name),
        domain: domain(name),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FIRST_EPOCH,
        content_generation: generation.0,
    };
    (policy, ReplicaSetLocator::new(generation, REPLICAS.iter().map(replica).collect()))
}
