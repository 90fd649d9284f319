//! `cargo xtask fix`: repairs what a program can repair. It changes the tree, and commits nothing.

use crate::error::XtaskError;
use crate::{repo, step};

/// Lints first, format last: a repaired line is often badly laid out.
pub(crate) fn fix() -> Result<(), XtaskError> {
    let mut lints = repo::cargo();
    lints.args(["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"]);
    step::run("lints with a suggestion", &mut lints)?;
    step::run("format", repo::cargo().args(["fmt", "--all"]))
}
