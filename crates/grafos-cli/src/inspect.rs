//! `grafos inspect`: finds out what a file is by what is in it, and describes it.
//!
//! Invariant: bytes of any kind get a description and an exit code. Nothing is written, and no lease is taken: what a
//! program is writing at this moment may look damaged, and the report says so.

mod checkpoint;
mod volume;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use grafos_kernel::checkpoint::CheckpointError;
use serde::Serialize;

use crate::{ExitReason, output};

/// How a report is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("a kernel checkpoint that can't be read: {}", checkpoint::in_full(.0))]
    Checkpoint(#[from] CheckpointError),
    #[error("the directory holds no volume: there is no file `data` in it")]
    NoVolume,
    #[error("a {kind}, and no file")]
    NoFile { kind: &'static str },
    #[error("nothing that this program knows: it begins with {begin}")]
    Unknown { begin: String },
    #[error("it is empty")]
    Empty,
}

/// What was found.
trait Report {
    /// What it is, and each of its parts, a line each.
    fn text(&self) -> Vec<String>;
    /// The same for programs.
    fn json(&self) -> serde_json::Value;
    /// Whether all of it verifies.
    fn is_good(&self) -> bool;
}

/// The line of a file that has no report.
#[derive(Serialize)]
struct Failed<'a> {
    file: &'a str,
    kind: &'static str,
    error: String,
}

/// Describes one file.
pub(crate) fn file(path: &Path, format: Format) -> ExitReason {
    let name = path.display().to_string();
    match (report(path), format) {
        (Ok(report), Format::Text) => {
            let mut lines = report.text().into_iter();
            output::line(&format!("{name}: {}", lines.next().unwrap_or_default()));
            lines.for_each(|line| output::line(&line));
            reason(report.as_ref())
        }
        (Ok(report), Format::Json) => {
            let mut json = report.json();
            if let Some(fields) = json.as_object_mut() {
                fields.insert("file".to_owned(), name.into());
                fields.insert("good".to_owned(), report.is_good().into());
            }
            output::line(&json.to_string());
            reason(report.as_ref())
        }
        (Err(error), Format::Text) => {
            output::complain(&format!("{name}: {error}"));
            ExitReason::Unreadable
        }
        (Err(error), Format::Json) => {
            let failed = Failed { file: &name, kind: "unknown", error: error.to_string() };
            // Three strings always have a form in JSON.
            output::line(&serde_json::to_string(&failed).unwrap_or_default());
            ExitReason::Unreadable
        }
    }
}

fn reason(report: &dyn Report) -> ExitReason {
    if report.is_good() { ExitReason::Good } else { ExitReason::Damaged }
}

fn report(path: &Path) -> Result<Box<dyn Report>, InspectError> {
    let mut file = File::open(file_to_read(path)?)?;
    let mut begin = Vec::new();
    file.by_ref().take(16).read_to_end(&mut begin)?;
    file.seek(SeekFrom::Start(0))?;
    if begin.is_empty() {
        return Err(InspectError::Empty);
    }
    if checkpoint::is_one(&begin, path) {
        return Ok(Box::new(checkpoint::report(Box::new(file), Some(path))?));
    }
    let report = volume::report(&mut file)?;
    if let Some(report) = report {
        return Ok(Box::new(report));
    }
    Err(InspectError::Unknown { begin: format!("{begin:02x?}") })
}

/// The file that `path` stands for: a volume is named by its directory too.
fn file_to_read(path: &Path) -> Result<PathBuf, InspectError> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return Ok(path.to_owned());
    }
    if !kind.is_dir() {
        // A pipe or a terminal would be waited for without end.
        return Err(InspectError::NoFile { kind: "device, pipe or socket" });
    }
    let data = path.join("data");
    if data.is_file() { Ok(data) } else { Err(InspectError::NoVolume) }
}
