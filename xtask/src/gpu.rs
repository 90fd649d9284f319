//! `cargo xtask gpu`: the checks that need a device, by the program `grafos-bench-gpu`, and their report.
//!
//! Without a device it says so and is content, unless one is required. The report that is written then says on its first
//! line that nothing ran on a device, and what ran over the stand-in driver of the tests instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::Value;

use crate::error::XtaskError;
use crate::{repo, step};

/// The package, and the program in it.
const PROGRAM: &str = "grafos-bench-gpu";
/// The package with the stand-in driver.
const STANDIN: &str = "grafos-cuda-standin";
/// Where the report is committed.
const REPORT: &str = "docs/gpu-report.md";
/// What the program exits with when it is asked for a device and there is none.
const NO_DEVICE: i32 = 3;

/// Options of `gpu`.
#[derive(Debug, Args)]
pub(crate) struct GpuArgs {
    /// Fail if there is no device.
    #[arg(long)]
    require: bool,
    /// Write the report to docs/gpu-report.md.
    #[arg(long)]
    write: bool,
    /// Which device, counted from 0.
    #[arg(long, default_value_t = 0)]
    device: u32,
}

/// Builds the program, and runs it on a device if there is one.
pub(crate) fn run(args: &GpuArgs) -> Result<(), XtaskError> {
    let program = step::timed("build the program", || step::build_program(&["--package", PROGRAM], PROGRAM))?;
    let device = args.device.to_string();
    let mut command = Command::new(&program);
    command.current_dir(repo::root()).args(["--device", &device]);
    if let Some(reason) = why_none(&program, &device)? {
        println!("SKIPPED: nothing was run on a device. {reason}");
        if args.require {
            return Err(XtaskError::NoDevice { reason });
        }
        return if args.write { over_the_standin(command) } else { Ok(()) };
    }
    command.arg("--require");
    if args.write {
        command.args(["--report", REPORT]);
    }
    step::run("GPU", &mut command)
}

/// Why there is no device; `None` if there is one.
fn why_none(program: &Path, device: &str) -> Result<Option<String>, XtaskError> {
    let mut command = Command::new(program);
    command.args(["--device", device, "--probe"]).stdin(Stdio::null());
    let output =
        command.output().map_err(|source| XtaskError::Start { program: step::shown(&command), source })?;
    if output.status.success() {
        return Ok(None);
    }
    if output.status.code() == Some(NO_DEVICE) {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(XtaskError::Command { command: step::shown(&command), status: output.status, stderr })
}

/// Writes a report of what ran over the stand-in driver.
fn over_the_standin(mut command: Command) -> Result<(), XtaskError> {
    let library = step::timed("build the stand-in driver", build_standin)?;
    let folder = tempfile::tempdir().map_err(|error| XtaskError::io("make", Path::new("a folder"), error))?;
    let place = folder.path().join("libcuda.so");
    fs::copy(&library, &place).map_err(|error| XtaskError::io("copy", &library, error))?;
    command.env("LD_LIBRARY_PATH", folder.path()).args(["--require", "--standin", "--report", REPORT]);
    step::run("GPU, over the stand-in driver", &mut command)
}

fn build_standin() -> Result<PathBuf, XtaskError> {
    let mut command = repo::cargo();
    command.args(["build", "--release", "--quiet", "--package", STANDIN]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = step::capture(&mut command)?;
    shared_library(&messages).ok_or_else(|| XtaskError::NoProgram { name: STANDIN.to_owned() })
}

/// The stand-in among what cargo says that it has built.
fn shared_library(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_ours = |message: &Value| {
        message.pointer("/target/name").and_then(Value::as_str) == Some("grafos_cuda_standin")
    };
    let files = messages
        .filter(is_ours)
        .filter_map(|message| message.get("filenames")?.as_array().cloned())
        .flatten();
    files
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|end| end == "so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_library_is_found_among_what_cargo_says() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"grafos_ptx"},"filenames":["/t/libgrafos_ptx.so"]}"#,
            "\nnot a message\n",
            r#"{"reason":"compiler-artifact","target":{"name":"grafos_cuda_standin"},"filenames":["/t/a.rlib","/t/a.so"]}"#,
            "\n",
        );
        assert_eq!(shared_library(messages), Some(PathBuf::from("/t/a.so")));
        assert_eq!(shared_library(""), None);
    }
}
