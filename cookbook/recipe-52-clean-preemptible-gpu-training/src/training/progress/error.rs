//! [`StateError`]: why bytes are not the state of a training.

use fabricbios_core::recovery::Recovery;

/// Why bytes are not a state that a plan can go on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// They don't begin as a state does.
    #[error("this is no state of a training")]
    NoState,
    /// They are of a format that this program does not know.
    #[error("a state of an unknown format: expected={expected}, found={found}")]
    Format {
        /// The format that this program writes.
        expected: u32,
        /// The format of the bytes.
        found: u32,
    },
    /// They are not as they were written.
    #[error("the state is damaged: its digest does not fit")]
    Damaged,
    /// They are of another plan.
    #[error("a state of another plan: expected={}, found={}", blake3::Hash::from_bytes(*.expected), blake3::Hash::from_bytes(*.found))]
    OtherPlan {
        /// The fingerprint of the plan at hand.
        expected: [u8; 32],
        /// The fingerprint of the state's plan.
        found: [u8; 32],
    },
    /// They have another length than a state of the plan.
    #[error("a state of another size: expected_bytes={expected}, found_bytes={found}")]
    Length {
        /// What a state of the plan has.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// Steps, images and place in the images don't belong together. Whoever wrote this counted wrong.
    #[error(
        "the counts of a state contradict each other: step={step}, examples={examples}, pass={pass}, place={place}"
    )]
    Contradiction {
        /// Steps done.
        step: u64,
        /// Images used.
        examples: u64,
        /// Complete passes.
        pass: u64,
        /// Images of the present pass that were used.
        place: u64,
    },
    /// The state is past the last step of the plan: steps can't be taken back.
    #[error("the state is past the end of the plan: steps={steps}, found={found}")]
    PastTheEnd {
        /// The steps of the plan.
        steps: u64,
        /// The steps of the state.
        found: u64,
    },
}

impl StateError {
    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Damaged => Recovery::RestoreElsewhere,
            Self::Contradiction { .. } => Recovery::ReportBug,
            Self::NoState
            | Self::Format { .. }
            | Self::OtherPlan { .. }
            | Self::Length { .. }
            | Self::PastTheEnd { .. } => Recovery::FixCaller,
        }
    }
}
