//! [`XtaskError`]: why a chore failed, with what to look at or repeat.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::powercut::PowercutError;

/// Why a chore failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XtaskError {
    #[error("{operation} failed: path={}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },

    #[error("`{program}` can't be started")]
    Start { program: String, source: io::Error },

    #[error("`{command}` failed: {status}\n{stderr}")]
    Command { command: String, status: ExitStatus, stderr: String },

    #[error("{step} failed: {status}\nrepeat it with: {repeat}")]
    Step { step: &'static str, status: ExitStatus, repeat: String },

    #[error("the tree breaks house rules: findings={count}\nrepeat it with: cargo xtask tidy")]
    Untidy { count: usize },

    #[error("cargo built no program of that name: name={name}")]
    NoProgram { name: String },

    #[error("no test to run: package={package}, filter={filter}")]
    NothingToRun { package: &'static str, filter: &'static str },

    #[error("there is no clang 19 (package clang-19; `clang-19` or `clang` on PATH, or $CLANG)")]
    NoClang,

    #[error("PTX is not what its source makes: files={count}\nput it right with: cargo xtask ptx --write")]
    PtxDiffers { count: usize },

    #[error("a GPU is required and there is none: {reason}")]
    NoDevice { reason: String },

    #[error(transparent)]
    Powercut(#[from] PowercutError),
}

impl XtaskError {
    /// An error of the operating system, with what was tried on which file.
    pub(crate) fn io(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.to_owned(), source: source.into() }
    }
}
