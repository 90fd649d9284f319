//! [`CloudError`]: why a cloud could not be played to its end. What the run itself did wrong is a
//! [`Fault`](super::judge::Fault).

use std::io;
use std::path::PathBuf;

/// Why the play ended before its time. No process of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// A worker could not be started.
    #[error("a worker can't be started: program={}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// A worker could not be signalled or waited for.
    #[error("a worker can't be {operation}: host={host}")]
    Process {
        /// What was tried.
        operation: &'static str,
        /// The host that it plays.
        host: String,
        /// Why not.
        source: io::Error,
    },

    /// Somebody wants the play to end. The job goes on with the same command.
    #[error("stopped; the same command goes on")]
    Interrupted,

    /// A worker ended though nobody had done anything to it.
    #[error("a worker ended by itself: host={host}, {end}\n{stderr}")]
    EndedEarly {
        /// The host that it played.
        host: String,
        /// How it ended.
        end: String,
        /// The last that it said on standard error.
        stderr: String,
    },

    /// No worker has said anything for a long time.
    #[error("no worker says anything: host={host}, waited_secs={waited_secs}\n{stderr}")]
    Silent {
        /// The host of the one that should.
        host: String,
        /// How long.
        waited_secs: u64,
        /// The last that it said on standard error.
        stderr: String,
    },

    /// A worker said something that is no event.
    #[error("a worker said what is no event: host={host}, line={line}")]
    Unexpected {
        /// The host that it plays.
        host: String,
        /// What it said.
        line: String,
        /// Why it is none.
        source: serde_json::Error,
    },

    /// A file of the job could not be touched.
    #[error("{operation} failed: path={}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// The signal handlers could not be set.
    #[error("the signal handlers could not be set")]
    Signals(#[source] io::Error),
}
