//! Checkpoints that survive the loss of a disk or a machine, and steps that a retry can't repeat.
//!
//! A state is written to a quorum of replicas first; then one small record, the *register*, moves to it. An existing
//! engine orders the moves of the register, so there is one current state; a writer of an older epoch is turned away
//! there. An effect, the record of a step, is completed in the same transaction.
//!
//! ```
//! use grafos_replicated::embedded::EmbeddedHome;
//! use grafos_replicated::*;
//! # let home = tempfile::tempdir()?;
//! # let engine = Engine::from(EmbeddedHome::builder().home(home.path()).open()?);
//! # engine.scope(|| -> Result<(), ReplicatedError> {
//!
//! // Two disks, each a failure domain of its own; a save needs both.
//! let domain = |disk: &str| FailureDomain::cell("local", disk);
//! let placement = PlacementPolicy::new().allow(domain("disk-a")).allow(domain("disk-b"));
//! let policy = ReplicaPolicy::new(placement).min_replicas(2).write_quorum(2).read_quorum(1);
//! let replica = |disk: &str| ReplicaLocator {
//!     replica_id: ReplicaId::new(disk),
//!     domain: domain(disk),
//!     role: ReplicaRole::Voter,
//!     health: ReplicaHealth::Healthy,
//!     epoch: FenceEpoch(1),
//!     content_generation: 1,
//! };
//! let set = ReplicaSetLocator::new(ResourceGeneration(1), vec![replica("disk-a"), replica("disk-b")]);
//!
//! let (job, schema) = (LogicalResourceName::new("simulation"), SchemaId::new("state.v1"));
//! let mut job = ReplicatedCheckpoint::new(job, schema, FenceEpoch(1), policy, set, PolicyHash([1; 32]))?;
//! let latest = CheckpointName::new("latest");
//! let epoch = job.take_over(&latest)?; // whoever wrote before is fenced from here on
//! let saved = job.save_bytes(latest.clone(), job.current_version(&latest)?, b"iteration 1000", epoch)?;
//! assert_eq!(saved.version, Version(1));
//! assert_eq!(job.load_latest(&latest)?.map(|loaded| loaded.value), Some(b"iteration 1000".to_vec()));
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`ReplicatedCheckpoint`] saves, loads, repairs, collects and moves to other replicas;
//!   [`ReplicatedIdempotencyStore`] reserves and completes steps; [`commit_step`] does both at once.
//! - [`Engine`] says where registers and replicas are; without a choice they are the [`embedded`] one's, under the
//!   user's home directory.
//! - [`protocol`] is pure, and drives every change to a certain outcome; `grafos-sim` runs it in a world that fails.

mod checkpoint;
mod codec;
mod download;
mod drive;
mod effect_record;
mod effects;
#[cfg(feature = "embedded")]
pub mod embedded;
mod engine;
mod error;
mod manifest;
pub mod memory;
mod metadata_store;
mod names;
mod observe;
mod parallel;
mod payload_replica;
mod placement;
pub mod protocol;
mod record;
mod register;
mod replicas;
mod ring;
#[cfg(feature = "testing")]
pub mod testing;
mod upload;
mod worker;

pub use checkpoint::{
    CheckpointStatus, Collected, CopyState, DEFAULT_KEEP_VERSIONS, LoadedCheckpoint, MAX_KEEP_VERSIONS,
    Repaired, ReplicasChanged, ReplicatedCheckpoint, SavedCheckpoint, Scrubbed,
};
pub use codec::Compression;
pub use effect_record::{EffectRecord, EffectsHead, IdempotencyOutcome, MAX_EFFECT_BYTES};
pub use effects::{EffectValue, ReplicatedIdempotencyStore, Reservation, StepCommit, commit_step};
pub use engine::{AlreadyInstalled, Engine, ReplicaSource};
pub use error::{NameProblem, PolicyProblem, ReplicaFailures, ReplicatedError, StoreError};
pub use fabricbios_core::lease::FenceEpoch;
pub use manifest::{DEFAULT_CHUNK_BYTES, MAX_MANIFEST_BYTES};
pub use metadata_store::{
    CommitOutcome, Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, MetadataStore, Record, RecordKey, Revision,
    Transaction,
};
pub use names::{
    CheckpointName, IdempotencyKey, LayoutHash, LogicalResourceName, MAX_NAME_BYTES, OperationHash,
    PolicyHash, ReplicaId, ResourceGeneration, SchemaId, Version,
};
pub use payload_replica::{BlobSpace, BlobWriter, MAX_SPACE_BYTES, PayloadReplica};
pub use placement::{
    FailureDomain, MAX_REPLICAS, PlacementPolicy, ReplicaHealth, ReplicaLocator, ReplicaPolicy, ReplicaRole,
    ReplicaSetLocator,
};
pub use protocol::effect::ReservationKind;
pub use protocol::replica_change::NewReplicas;
pub use register::{BlobTag, MAX_BLOBS_PER_VERSION, RING_LEN, Register, SavedVersion, StepMark};
pub use ring::{Nonce, Ring};
