//! [`run`]: gets the work done on GPUs that are taken away.
//!
//! Invariant: the state in memory is always the one of the last checkpoint; what a lost kernel has done is nowhere.

use std::io::Write;

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::recovery::Recovery;
use grafos_replicated::{
    CheckpointName, Engine, FailureDomain, LogicalResourceName, PlacementPolicy, PolicyHash, ReplicaHealth,
    ReplicaId, ReplicaLocator, ReplicaPolicy, ReplicaRole, ReplicaSetLocator, ReplicatedCheckpoint,
    ResourceGeneration, SchemaId, Version,
};
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuLease};
use grafos_std::host::Host;

use crate::error::RecipeError;
use crate::slice::{self, FIRST_STATE, Gate, Walk};

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Where the walkers stand.
    pub state: Vec<u8>,
    /// The version of the last checkpoint: one for each slice.
    pub version: Version,
    /// How many kernels were launched by this call.
    pub launches: u64,
    /// How many of them were stopped in their middle.
    pub stopped: u64,
}

/// Does what is left of the work, slice by slice, with a checkpoint behind each; says what happens.
///
/// In the middle of each slice of `revoked`, counted from 1, the host takes the lease away, once.
///
/// # Errors
/// [`RecipeError::CanNotStop`] on a device that does not stop running kernels, and those of host and engine. Whatever
/// ends this, the next call goes on from the last checkpoint.
pub fn run(
    host: &Host,
    engine: &Engine,
    walk: Walk,
    revoked: &[u64],
    out: &mut dyn Write,
) -> Result<Ending, RecipeError> {
    let mut checkpoints = checkpoints(engine)?;
    let epoch = checkpoints.take_over(&latest())?;
    let before = host.gpu_host().usage()?.launches;
    let (mut stopped, mut revocations) = (0, revoked.to_vec());
    loop {
        let lease = acquire(host)?;
        let (mut version, mut state) = load(&mut checkpoints)?;
        writeln!(out, "a fresh lease (epoch {}): going on behind slice {version}", lease.epoch())?;
        while version.0 < walk.slices {
            let number = version.0 + 1;
            let gate = match revocations.iter().position(|slice| *slice == number) {
                Some(at) => {
                    revocations.remove(at);
                    Gate::Shut
                }
                None => Gate::Open,
            };
            match slice::run(host, &lease, walk, &state, gate) {
                Ok(after) => {
                    let saved = checkpoints.save_bytes(latest(), version, &after, epoch)?;
                    (version, state) = (saved.version, after);
                    writeln!(out, "slice {number} is done, checkpoint {version} is durable")?;
                }
                // The lease is gone, and a new one is all that it takes.
                Err(error) if error.recovery() == Recovery::Reacquire => {
                    stopped += 1;
                    if !host.gpu_host().usage()?.is_idle() {
                        return Err(RecipeError::LeftBehind);
                    }
                    writeln!(
                        out,
                        "the lease is revoked in the middle of slice {number}: its kernel was stopped, its memory is gone"
                    )?;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if version.0 >= walk.slices {
            lease.release()?;
            let launches = host.gpu_host().usage()?.launches - before;
            return Ok(Ending { state, version, launches, stopped });
        }
    }
}

fn acquire(host: &Host) -> Result<GpuLease, RecipeError> {
    let lease = GpuBuilder::new()
        .on(host)
        .min_vram(1 << 20)
        .lease_secs(60)
        .exclusivity(GpuExclusivityClass::SessionExclusive)
        .acquire()?;
    let device = lease.device_info();
    if !device.stops_running_kernels {
        return Err(RecipeError::CanNotStop { device: device.name.clone() });
    }
    Ok(lease)
}

fn load(checkpoints: &mut ReplicatedCheckpoint) -> Result<(Version, Vec<u8>), RecipeError> {
    match checkpoints.load_latest(&latest())? {
        None => Ok((Version::NONE, FIRST_STATE.to_vec())),
        Some(loaded) if loaded.value.len() == FIRST_STATE.len() => Ok((loaded.version, loaded.value)),
        Some(loaded) => {
            let (expected, found) = (FIRST_STATE.len(), loaded.value.len());
            Err(RecipeError::OtherState { expected, found })
        }
    }
}

fn latest() -> CheckpointName {
    CheckpointName::new("latest")
}

/// The work's checkpoints, with one replica: the recipe is about kernels, not about disks.
fn checkpoints(engine: &Engine) -> Result<ReplicatedCheckpoint, RecipeError> {
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
    let (name, schema) = (LogicalResourceName::new("walk"), SchemaId::new("walk.v1"));
    let hash = PolicyHash([55; 32]);
    Ok(ReplicatedCheckpoint::new_on(engine, name, schema, FenceEpoch(1), policy, set, hash)?)
}
