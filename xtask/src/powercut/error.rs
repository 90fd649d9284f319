//! [`PowercutError`]: why the rig can't judge, or what it has judged.

use std::path::PathBuf;

use super::write_log::LogError;

/// Why a run ended without a clean bill.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PowercutError {
    #[error("powercut needs {missing}")]
    Missing { missing: String },

    #[error("interrupted")]
    Interrupted,

    #[error("the write log can't be read: path={}", path.display())]
    Log { path: PathBuf, source: LogError },

    #[error("no answer in time: program={program}, waited_secs={waited_secs}\n{stderr}")]
    Silent { program: String, waited_secs: u64, stderr: String },

    #[error("ended early: program={program}\n{stderr}")]
    EndedEarly { program: String, stderr: String },

    #[error("said what nobody expects: program={program}, line={line}")]
    Unexpected { program: String, line: String },

    #[error("no evidence that can be read: path={}", path.display())]
    Evidence { path: PathBuf, source: serde_json::Error },

    #[error(
        "the workload left nothing to cut: workload={workload}, writes={writes}, acknowledgements={promises}"
    )]
    NothingToCut { workload: &'static str, writes: usize, promises: usize },

    #[error("lost or broken: states={states}; {hint}")]
    Broken { states: usize, hint: String },

    #[error(
        "the control, which never flushes, was not seen to lose: the rig sees nothing, so it proves nothing"
    )]
    Blind,
}
