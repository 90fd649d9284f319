//! [`RecipeError`]: why the story could not be told to its end.

use std::io;

use grafos_replicated::ReplicatedError;
use grafos_std::FabricError;

/// Why a trainer, or the story, could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No GPU, or it did not do what it was asked.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// The stores refused, or failed.
    #[error(transparent)]
    Replicated(#[from] ReplicatedError),
    /// The story could not be written.
    #[error("the story could not be written")]
    Output(#[from] io::Error),
    /// Something was let through that must be refused: a bug in what is below.
    #[error("this must have been refused, and was not: {what}")]
    LetThrough {
        /// What was tried.
        what: &'static str,
    },
}
