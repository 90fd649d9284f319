//! What a manager and a device say to each other: [`SnapshotRequest`] and [`SnapshotResponse`]; and what became of a
//! snapshot that was saved in the background: [`SnapshotOutcome`].

use std::time::SystemTime;

use super::error::ManagerError;

/// Asks for the state of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Stands for this request; no other one of the same manager has it.
    pub request_id: u64,
    /// Which actor.
    pub actor_slot: u32,
    /// Where in the buffer for snapshots the state is to go, in bytes. The backend decides; 0 from here.
    pub buffer_offset: u32,
    /// When it was made.
    pub issued_at: SystemTime,
}

/// The answer to a [`SnapshotRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotResponse {
    /// Which request it answers.
    pub request_id: u64,
    /// The actor whose state it is.
    pub actor_slot: u32,
    /// Whether there is a state.
    pub success: bool,
    /// The state.
    pub data: Vec<u8>,
    /// The step that the actor had done.
    pub step: u64,
}

/// What became of a snapshot that was saved in the background.
#[derive(Debug)]
#[non_exhaustive]
pub struct SnapshotOutcome {
    /// Which request it was.
    pub request_id: u64,
    /// The actor.
    pub actor_slot: u32,
    /// Its step.
    pub step: u64,
    /// The name of the checkpoint, which is durable; or why there is none.
    pub result: Result<String, ManagerError>,
}
