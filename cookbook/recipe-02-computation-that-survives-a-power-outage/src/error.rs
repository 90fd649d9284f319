//! [`RecipeError`]: why a run could not go on, and what its user can do.

use std::error::Error;
use std::io;

use fabricbios_core::recovery::Recovery;
use grafos_collections::durable::DurableError;
use grafos_std::error::FabricError;

use crate::share::Share;

/// The result of a step of the recipe.
pub type Result<T, E = RecipeError> = std::result::Result<T, E>;

/// Why a run ended before its time. The newest committed checkpoint is intact, whatever the variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// A lease could not be had, or working memory failed beyond repair.
    #[error(transparent)]
    Fabric(#[from] FabricError),

    /// A checkpoint could not be read or written.
    #[error("a checkpoint of volume {volume} could not be read or written")]
    Durable {
        /// The volume that it is on.
        volume: String,
        /// What went wrong.
        source: DurableError,
    },

    /// The volume holds a run with another seed: its samples and ours don't belong together.
    #[error(
        "volume {volume} holds a run with another seed: requested={requested}, found={found}; \
         go on with --seed {found}, use another --volume, or throw that run away with --fresh"
    )]
    OtherSeed {
        /// The volume.
        volume: String,
        /// The seed that was asked for.
        requested: u64,
        /// The seed of the run on the volume.
        found: u64,
    },

    /// The volume holds another worker's part of a run.
    #[error(
        "volume {volume} holds another part of a run: requested=worker {} of {}, found=worker {} of {}; \
         use another --volume, or throw that run away with --fresh",
        requested.index, requested.of, found.index, found.of
    )]
    OtherShare {
        /// The volume.
        volume: String,
        /// The part that was asked for.
        requested: Share,
        /// The part on the volume.
        found: Share,
    },

    /// The run on the volume was started with another number of workers.
    #[error(
        "volume {volume} holds a run of another number of workers: requested={requested}, found={found}; \
         go on with --workers {found}, use another --volume, or throw that run away with --fresh"
    )]
    OtherWorkers {
        /// The coordinator's volume.
        volume: String,
        /// The number that was asked for.
        requested: u32,
        /// The number of the run on the volume.
        found: u32,
    },

    /// The run on the volume is past the end that was asked for: samples can't be taken back.
    #[error(
        "volume {volume} holds more samples than were asked for: requested={requested}, found={found}; \
         ask for at least {found}, use another --volume, or start over with --fresh"
    )]
    PastTheEnd {
        /// The volume.
        volume: String,
        /// How many were asked for.
        requested: u64,
        /// How many there are.
        found: u64,
    },

    /// The job itself makes no sense.
    #[error("{what}: expected {expected}, found={found}")]
    InvalidJob {
        /// Which part of it.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: u64,
    },

    /// A worker of a fan-out died again and again at the same place.
    #[error("worker {worker} died {times} times in a row without a checkpoint in between")]
    WorkerDied {
        /// Which worker.
        worker: u32,
        /// How often.
        times: u32,
    },

    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),

    /// The signal handlers could not be set.
    #[error("the signal handlers could not be set")]
    Signals(#[source] io::Error),
}

impl RecipeError {
    /// What the user, or the program around the recipe, can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Fabric(error) => error.recovery(),
            Self::Durable { source, .. } => source.recovery(),
            Self::OtherSeed { .. }
            | Self::OtherShare { .. }
            | Self::OtherWorkers { .. }
            | Self::PastTheEnd { .. }
            | Self::InvalidJob { .. } => Recovery::FixCaller,
            Self::WorkerDied { .. } => Recovery::ReportBug,
            Self::Thread(_) | Self::Signals(_) => Recovery::RetryLater,
        }
    }

    /// Whether somebody else has the volume. Waiting may help, but that is for the user to say.
    pub(crate) fn is_held(&self) -> bool {
        match self {
            Self::Fabric(error) => matches!(error, FabricError::Held { .. }),
            Self::Durable { source: DurableError::Fabric(error), .. } => {
                matches!(error, FabricError::Held { .. })
            }
            _ => false,
        }
    }

    /// For `map_err`: an error of the value on `volume`.
    pub(crate) fn durable(volume: &str) -> impl Fn(DurableError) -> Self + '_ {
        |source| Self::Durable { volume: volume.to_owned(), source }
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_in_use_is_known_through_both_layers_and_names_the_holder() {
        use fabricbios_core::resource::{ResourceId, ResourceKind};
        let held = || FabricError::Held {
            resource: ResourceId::new(ResourceKind::Block, "v"),
            holder_pid: Some(77),
        };
        let plain = RecipeError::from(held());
        let wrapped = RecipeError::durable("v")(DurableError::Fabric(held()));
        for error in [plain, wrapped] {
            assert!(error.is_held());
            assert!(in_full(&error).contains("holder_pid=77"), "{error}");
        }
        assert!(!RecipeError::WorkerDied { worker: 1, times: 2 }.is_held());
    }
}
