//! [`Ptxas`]: the assembler of NVIDIA, where somebody has it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::error::XtaskError;
use crate::step;

/// An assembler for PTX.
#[derive(Debug)]
pub(super) struct Ptxas {
    program: OsString,
}

/// A device new enough for everything that is committed.
const ARCHITECTURE: &str = "-arch=sm_90";

impl Ptxas {
    /// What is in `$PTXAS`, else what is on PATH, if it runs.
    pub(super) fn find() -> Option<Self> {
        let program = std::env::var_os("PTXAS").unwrap_or_else(|| "ptxas".into());
        step::capture(Command::new(&program).arg("--version")).ok().map(|_| Self { program })
    }

    /// Assembles one file and throws the result away.
    ///
    /// # Errors
    /// [`XtaskError::Command`] with what it said.
    pub(super) fn check(&self, path: &Path) -> Result<(), XtaskError> {
        let nowhere = if cfg!(windows) { "NUL" } else { "/dev/null" };
        let mut command = Command::new(&self.program);
        step::capture(command.args([ARCHITECTURE, "-o", nowhere]).arg(path)).map(drop)
    }
}
