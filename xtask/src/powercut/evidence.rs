//! What is kept of a failing state, so that it can be looked at and tried again.
//!
//! One folder for each workload and seed: `log.img`, the write log; `history.json`, what the workload said; and for
//! each failing state `state-<n>.json`, the cut with what had arrived and the verdict, and `state-<n>.img`, the disk
//! as the cut left it, never mounted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PowercutError;
use super::crash_state::CrashState;
use super::disk::DISK_BYTES;
use super::history::History;
use super::rig::Recording;
use crate::error::XtaskError;

const LOG: &str = "log.img";
const HISTORY: &str = "history.json";

/// A failing state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedState {
    /// What ran.
    pub(crate) workload: String,
    /// The cut.
    pub(crate) state: CrashState,
    /// What was wrong, for people.
    pub(crate) faults: Vec<String>,
}

/// Writes what belongs to one failing state. The first of a run replaces what an earlier run has left.
pub(crate) fn keep(
    folder: &Path,
    recording: &Recording,
    index: usize,
    failed: &FailedState,
    is_first: bool,
) -> Result<PathBuf, XtaskError> {
    let io = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| XtaskError::Io { operation, path, source }
    };
    if is_first {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(io("remove what an earlier run has kept", folder))?;
        }
        fs::create_dir_all(folder).map_err(io("make a folder", folder))?;
        let log = folder.join(LOG);
        fs::copy(&recording.log_path, &log).map_err(io("copy the write log", &log))?;
        write(&folder.join(HISTORY), &recording.history)?;
    }
    let image = folder.join(format!("state-{index}.img"));
    let built = failed.state.build(&recording.log, &recording.entries.entries, &image, DISK_BYTES);
    built.map_err(io("build a disk", &image))?;
    let path = folder.join(format!("state-{index}.json"));
    write(&path, failed)?;
    Ok(path)
}

/// Reads a failing state, with the log and the history beside it.
pub(crate) fn read(path: &Path) -> Result<(FailedState, Recording), XtaskError> {
    let failed = read_json(path)?;
    let folder = path.parent().unwrap_or(path);
    let history: History = read_json(&folder.join(HISTORY))?;
    Ok((failed, Recording::open(&folder.join(LOG), history)?))
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), XtaskError> {
    let file = File::create(path).map_err(|source| XtaskError::io("make a file", path, source))?;
    let written = serde_json::to_writer_pretty(file, value);
    written.map_err(|source| PowercutError::Evidence { path: path.to_owned(), source }.into())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, XtaskError> {
    let bytes = fs::read(path).map_err(|source| XtaskError::io("read a file", path, source))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| PowercutError::Evidence { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::super::crash_state::Piece;
    use super::super::history::{Fact, Heard};
    use super::super::write_log::tests::log_of;
    use super::*;

    /// A log of two writes, the first of them flushed, and one promise.
    fn recording(folder: &Path) -> Recording {
        let log = folder.join("recorded.img");
        fs::write(&log, log_of(&[[8, 2, 0, 0], [0, 0, 1, 0], [16, 4, 0, 0]])).unwrap();
        let fact = Fact::Saved { volume: "v".to_owned(), sequence: 1, value: 7 };
        Recording::open(&log, History { heard: vec![Heard { log_bytes: 2560, fact }] }).unwrap()
    }

    #[test]
    fn what_is_kept_can_be_read_again_and_a_new_run_replaces_it() {
        let place = tempfile::tempdir().unwrap();
        let recording = recording(place.path());
        let kept = place.path().join("kept");
        let state = CrashState { cut: 3, arrived: vec![Piece { entry: 2, first: 1, sectors: 2 }] };
        let failed = FailedState { workload: "recipe".to_owned(), state, faults: vec!["lost".to_owned()] };

        let path = keep(&kept, &recording, 4, &failed, true).unwrap();
        let second = keep(&kept, &recording, 5, &failed, false).unwrap();
        let (read_back, read_recording) = read(&path).unwrap();
        assert_eq!(read_back, failed);
        assert_eq!(read_recording.history, recording.history);
        assert_eq!(read_recording.entries, recording.entries);
        let image = fs::read(kept.join("state-4.img")).unwrap();
        let is_written = |sector: usize| image[sector * 512] != 0;
        assert_eq!([8, 9, 10, 16, 17, 18, 19].map(is_written), [true, true, false, false, true, true, false]);

        keep(&kept, &recording, 4, &failed, true).unwrap();
        assert!(path.exists() && !second.exists());
    }

    #[test]
    fn evidence_that_is_none_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state-1.json");
        assert!(matches!(read(&path).unwrap_err(), XtaskError::Io { .. }));
        fs::write(&path, "{}").unwrap();
        assert!(matches!(read(&path).unwrap_err(), XtaskError::Powercut(PowercutError::Evidence { .. })));
    }
}
