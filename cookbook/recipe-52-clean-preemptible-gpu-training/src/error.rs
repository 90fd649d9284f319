//! [`TrainingError`]: why a step or a job could not go on, and what its caller can do.

use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_replicated::ReplicatedError;
use grafos_std::FabricError;

use crate::training::{DataError, PlanError, StateError};

/// Why a step of a training could not be done. What was committed before is intact, whatever the variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The lease has ended before the step began. No GPU work was submitted, and the step was not reserved.
    #[error("the GPU lease is not active: status={0}; take a new lease")]
    LeaseNotActive(LeaseStatus),

    /// The batch makes no sense. Nothing was reserved and nothing launched.
    #[error("{what}: expected {expected}, found={found}")]
    InvalidBatch {
        /// Which part of it.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: u64,
    },

    /// The training can't be done as it was planned. Nothing was done on the device.
    #[error(transparent)]
    Plan(#[from] PlanError),

    /// The images to train with can't be used.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A checkpoint does not hold a state that this training can go on from.
    #[error(transparent)]
    State(#[from] StateError),

    /// An earlier step of this trainer failed half-way, so what is on the device is no state. Begin again from the last
    /// checkpoint.
    #[error("a step was not finished: step={step}; go on from the last checkpoint")]
    StepUnfinished {
        /// Which step.
        step: u64,
    },

    /// All steps of the plan are done.
    #[error("no steps are left: steps={steps}")]
    NoStepsLeft {
        /// The steps of the plan.
        steps: u64,
    },

    /// The lease was lost in the middle of the step, or the GPU did not do it. Nothing of it was committed.
    #[error(transparent)]
    Fabric(#[from] FabricError),

    /// The step could not be reserved or committed.
    #[error(transparent)]
    Replicated(#[from] ReplicatedError),
}

impl TrainingError {
    /// What the caller can do. The same step with the same key is always safe to ask for again; what has to be new is
    /// the lease (`Reacquire`), the version (`RefreshAndRetry`) or the whole writer (`StopWriting`).
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            // The host that fenced the device wants to see an operator first.
            Self::LeaseNotActive(LeaseStatus::Fenced) => Recovery::StopWriting,
            Self::LeaseNotActive(_) => Recovery::Reacquire,
            Self::InvalidBatch { .. } | Self::Plan(_) | Self::NoStepsLeft { .. } => Recovery::FixCaller,
            // The images are part of the program.
            Self::Data(_) => Recovery::ReportBug,
            Self::State(error) => error.recovery(),
            Self::StepUnfinished { .. } => Recovery::Reopen,
            Self::Fabric(error) => error.recovery(),
            Self::Replicated(error) => error.recovery(),
        }
    }
}
