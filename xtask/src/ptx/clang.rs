//! [`Clang`]: the compiler that makes our PTX. Version 19 and no other, since another one writes other text.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::recipe::{COMMON, Recipe};
use crate::error::XtaskError;
use crate::step;

/// Clang 19.
#[derive(Debug)]
pub(super) struct Clang {
    program: OsString,
}

/// How it is called where several versions live side by side, and where there is one only.
const PROGRAMS: [&str; 2] = ["clang-19", "clang"];

impl Clang {
    /// What is in `$CLANG`, or on PATH; none if neither is version 19.
    ///
    /// # Errors
    /// [`XtaskError::NoClang`] if `$CLANG` is set and no clang 19.
    pub(super) fn find() -> Result<Option<Self>, XtaskError> {
        if let Some(program) = std::env::var_os("CLANG") {
            let named = Self { program };
            return if named.is_version_19() { Ok(Some(named)) } else { Err(XtaskError::NoClang) };
        }
        Ok(PROGRAMS.into_iter().map(Self::at).find(Self::is_version_19))
    }

    pub(super) fn at(program: impl Into<OsString>) -> Self {
        Self { program: program.into() }
    }

    fn is_version_19(&self) -> bool {
        let said = step::capture(Command::new(&self.program).arg("--version"));
        said.is_ok_and(|said| said.contains("clang version 19."))
    }

    fn command(&self, recipe: &Recipe) -> Command {
        let mut command = Command::new(&self.program);
        command.args(COMMON).args(recipe.options);
        command
    }

    /// The command without its files.
    pub(super) fn shown(&self, recipe: &Recipe) -> String {
        step::shown(&self.command(recipe))
    }

    /// The PTX of one source. It runs in the folder of the sources, so that no path of this machine gets in.
    ///
    /// # Errors
    /// [`XtaskError::Command`] with what the compiler said.
    pub(super) fn make(&self, kernels: &Path, name: &str, recipe: &Recipe) -> Result<String, XtaskError> {
        let mut command = self.command(recipe);
        command.current_dir(kernels).args(["-o", "-", &format!("{name}.cu")]);
        step::capture(&mut command)
    }
}
