//! `cargo xtask verify`: everything that must hold before a change is handed in. Writes nothing but build outputs.

use crate::error::XtaskError;
use crate::step::{self, Stopwatch};
use crate::{repo, tidy};

/// Quick steps first, so that a slip is found early.
pub(crate) fn verify() -> Result<(), XtaskError> {
    let watch = Stopwatch::start();
    step::timed("house rules", tidy::check)?;
    step::run("format", repo::cargo().args(["fmt", "--all", "--check"]))?;

    let mut lints = repo::cargo();
    lints.args(["clippy", "--locked", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    step::run("lints", &mut lints)?;

    let mut docs = repo::cargo();
    docs.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--locked", "--quiet", "--no-deps"]);
    step::run("documentation", &mut docs)?;

    step::run("tests", repo::cargo().args(["test", "--locked", "--quiet"]))?;
    println!("verified in {:.1} s", watch.elapsed().as_secs_f64());
    Ok(())
}
