//! [`Event`]: what a run tells. The words for people are elsewhere.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A checkpoint is of no use, and the one before it is used.
    SetAside {
        /// Its name.
        checkpoint: String,
        /// What is wrong.
        cause: String,
        /// Where it lies now.
        moved_to: Option<String>,
    },
    /// The run has begun, on a device.
    Started {
        /// The process.
        pid: u32,
        /// The device.
        device: String,
        /// How many cells each edge of the box has.
        size: u32,
        /// Where it begins.
        step: u64,
        /// Where it is to end.
        steps: u64,
        /// The full checkpoint that it goes on from, if it does.
        full_step: Option<u64>,
        /// How many deltas were applied to that.
        deltas: u32,
    },
    /// A step is done.
    Step {
        /// Which.
        step: u64,
    },
    /// The loudest that the microphone heard since the checkpoint before. May be told again by another process.
    Heard {
        /// Behind which step.
        step: u64,
        /// The pressure there.
        pressure: f32,
    },
    /// A checkpoint is durable.
    Saved {
        /// How many steps are in it.
        step: u64,
        /// Its name.
        checkpoint: String,
        /// Whether it is a delta.
        is_delta: bool,
        /// How long its data is.
        state_bytes: u64,
        /// How long its file is.
        file_bytes: u64,
        /// The energy of the field.
        energy: f64,
    },
    /// The lease was taken away.
    Revoked {
        /// The last step that was seen.
        step: u64,
        /// The step of the newest checkpoint; nothing if there is none.
        saved: Option<u64>,
    },
    /// The run was asked to end, and has.
    Stopped {
        /// Where. A checkpoint of it is durable.
        step: u64,
    },
    /// All steps are done.
    Finished {
        /// How many.
        steps: u64,
        /// BLAKE3 of the pressure now and before, little-endian.
        field: String,
        /// The energy of the field.
        energy: f64,
    },
    /// A picture was drawn.
    Picture {
        /// Where.
        path: String,
        /// Behind which steps its panels are, from left to right.
        steps: Vec<u64>,
    },
    /// The run ends before its time.
    Error {
        /// Why.
        message: String,
        /// What can be done, by its name in `fabricbios_core::recovery::Recovery`.
        recovery: String,
    },
}
