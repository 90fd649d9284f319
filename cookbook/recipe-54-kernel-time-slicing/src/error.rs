//! [`RecipeError`]: why the story could not be told to its end.

use std::io;

use grafos_std::FabricError;

/// Why a job, or the story, could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No GPU, or it did not do what it was asked.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// The story could not be written.
    #[error("the story could not be written")]
    Output(#[from] io::Error),
    /// A job stopped in the middle of something that can't fail.
    #[error("the thread of job {job} panicked")]
    Panicked {
        /// Which job.
        job: &'static str,
    },
    /// Something was let through that must be refused, or came out otherwise than it must: a bug in what is below.
    #[error("this must not be: {what}")]
    LetThrough {
        /// What happened.
        what: &'static str,
    },
}
