//! [`Trainer`]: one who trains a job on a leased GPU, and publishes each step.
//!
//! Invariant: a step is published under the epoch at which the trainer started. It never asks for a newer one on its
//! own, since that would be taking over from whoever took over from it.

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::state::LeaseStatus;
use grafos_replicated::{
    CheckpointName, Engine, FailureDomain, IdempotencyKey, LogicalResourceName, OperationHash,
    PlacementPolicy, PolicyHash, ReplicaHealth, ReplicaId, ReplicaLocator, ReplicaPolicy, ReplicaRole,
    ReplicaSetLocator, ReplicatedCheckpoint, ReplicatedIdempotencyStore, Reservation, ResourceGeneration,
    SchemaId, StepCommit, Version, commit_step,
};
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuLease, GpuSession, KernelArgs};
use grafos_std::host::Host;

use crate::error::RecipeError;

/// The state that the job begins with.
pub const FIRST_STATE: [u8; 32] = [7; 32];

const TRAIN_STEP: &[u8] = include_bytes!("../../../kernels/train_step.ptx");

/// A trainer with its lease and its epoch.
#[derive(Debug)]
pub struct Trainer {
    lease: GpuLease,
    checkpoints: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
    epoch: FenceEpoch,
    /// How many steps were published: step n makes version n.
    version: Version,
    state: Vec<u8>,
}

/// A step that was computed, and is nowhere but in the trainer's memory.
#[derive(Debug)]
pub struct Computed {
    reservation: Reservation,
    state: Vec<u8>,
}

impl Trainer {
    /// Leases the GPU, takes the job over, and loads what was published last.
    ///
    /// # Errors
    /// `Held` while somebody else has the GPU; those of the stores.
    pub fn start(host: &Host, engine: &Engine) -> Result<Self, RecipeError> {
        let lease = GpuBuilder::new()
            .on(host)
            .min_vram(1 << 20)
            .lease_secs(60)
            .exclusivity(GpuExclusivityClass::DeviceExclusive)
            .acquire()?;
        let (mut checkpoints, mut effects) = stores(engine)?;
        let epoch = checkpoints.take_over(&latest())?;
        effects.take_over_as(epoch)?;
        let (version, state) = match checkpoints.load_latest(&latest())? {
            Some(loaded) => (loaded.version, loaded.value),
            None => (Version::NONE, FIRST_STATE.to_vec()),
        };
        Ok(Self { lease, checkpoints, effects, epoch, version, state })
    }

    /// The epoch that this trainer writes with.
    #[must_use]
    pub fn epoch(&self) -> FenceEpoch {
        self.epoch
    }

    /// The version that it has published or loaded last.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The state of that version.
    #[must_use]
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// Its lease.
    #[must_use]
    pub fn lease(&self) -> &GpuLease {
        &self.lease
    }

    /// Whether its lease still stands. A trainer that asks knows the answer for this moment only: it can be frozen
    /// right after.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.lease.status() == LeaseStatus::Active
    }

    /// Reserves the next step and computes it.
    ///
    /// # Errors
    /// `StaleEpoch` if somebody took over; `Revoked` and the like without a lease.
    pub fn compute(&mut self) -> Result<Computed, RecipeError> {
        let step = self.version.next();
        let operation = OperationHash::of_parts(&[b"train_step", &step.0.to_le_bytes(), &self.state]);
        let reservation = self.effects.reserve(key(step), operation, Some(step.0), self.epoch)?;
        Ok(Computed { reservation, state: self.run_kernel(step, &self.state)? })
    }

    /// The kernel alone: what `step` makes of `state`.
    ///
    /// # Errors
    /// `Revoked` and the like without a lease.
    pub fn run_kernel(&self, step: Version, state: &[u8]) -> Result<Vec<u8>, RecipeError> {
        let mut session = GpuSession::new(&self.lease);
        let memory = session.mem_alloc(state.len() as u64)?;
        session.mem_write(&memory, 0, state)?;
        let module = session.module_load(TRAIN_STEP)?;
        let len = u32::try_from(state.len()).unwrap_or(u32::MAX);
        let args = KernelArgs::new().push_u64(step.0).push_u32(len).push_buffer(&memory);
        session.launch_with_args(&module, "train_step", [1; 3], [32, 1, 1], args)?;
        let state = session.mem_read(&memory, 0, len)?;
        session.close()?;
        Ok(state)
    }

    /// Publishes a step that was computed, and records that it was done, in one commit.
    ///
    /// # Errors
    /// `StaleEpoch` if somebody took over since, `VersionConflict` if somebody of this epoch was faster: nothing was
    /// published.
    pub fn publish(&mut self, computed: &Computed) -> Result<Version, RecipeError> {
        let commit = StepCommit {
            checkpoint: &latest(),
            expected: self.version,
            bytes: &computed.state,
            reservation: &computed.reservation,
            effect: None,
            epoch: self.epoch,
        };
        let saved = commit_step(&mut self.checkpoints, &mut self.effects, commit)?;
        self.version = saved.version;
        self.state.clone_from(&computed.state);
        Ok(saved.version)
    }

    /// Tries to publish without a word about the step: the checkpoint alone has to refuse this.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish).
    pub fn save(&mut self, computed: &Computed, expected: Version) -> Result<Version, RecipeError> {
        let saved = self.checkpoints.save_bytes(latest(), expected, &computed.state, self.epoch)?;
        Ok(saved.version)
    }

    /// Gives the computed step back: it was never published.
    ///
    /// # Errors
    /// Those of the store.
    pub fn abandon(&mut self, computed: &Computed) -> Result<(), RecipeError> {
        let Reservation { key, version, .. } = &computed.reservation;
        self.effects.abandon(key.clone(), *version, self.epoch)?;
        Ok(())
    }
}

fn latest() -> CheckpointName {
    CheckpointName::new("latest")
}

fn key(step: Version) -> IdempotencyKey {
    IdempotencyKey::new(format!("step:{step}"))
}

/// The job's stores, with one replica: the recipe is about writers, not about disks.
fn stores(engine: &Engine) -> Result<(ReplicatedCheckpoint, ReplicatedIdempotencyStore), RecipeError> {
    let domain = FailureDomain::cell("local", "cookbook");
    let policy = ReplicaPolicy::new(PlacementPolicy::new().allow(domain.clone())).min_replicas(1);
    let replica = ReplicaLocator {
        replica_id: ReplicaId::new("a"),
        domain,
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    let set = ReplicaSetLocator::new(ResourceGeneration(1), vec![replica]);
    let (name, schema) = (LogicalResourceName::new("training"), SchemaId::new("state.v1"));
    let checkpoints = ReplicatedCheckpoint::new_on(
        engine,
        name,
        schema,
        FenceEpoch(1),
        policy.clone(),
        set.clone(),
        PolicyHash([53; 32]),
    )?;
    let (name, schema) = (LogicalResourceName::new("training-steps"), SchemaId::new("step.v1"));
    let effects = ReplicatedIdempotencyStore::new_on(engine, name, schema, FenceEpoch(1), &policy, &set)?;
    Ok((checkpoints, effects))
}
