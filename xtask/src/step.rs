//! Running a command as a named, timed step, and how to show a command to people.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::XtaskError;
use crate::repo;

/// Measures real time, for people to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(
        clippy::disallowed_methods,
        reason = "shown to people, never decided on; no library is linked in here"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs `work` under a heading, and prints how long it took if it went well.
pub(crate) fn timed<T>(step: &str, work: impl FnOnce() -> Result<T, XtaskError>) -> Result<T, XtaskError> {
    println!("==> {step}");
    let watch = Stopwatch::start();
    let result = work()?;
    println!("    {step}: ok, {:.1} s", watch.elapsed().as_secs_f64());
    Ok(result)
}

/// Runs `command` as the step `step`, its output shown as it comes.
///
/// # Errors
/// [`XtaskError::Step`] names the command that repeats it.
pub(crate) fn run(step: &'static str, command: &mut Command) -> Result<(), XtaskError> {
    timed(step, || {
        let status = command.stdin(Stdio::null()).status();
        let status = status.map_err(|source| XtaskError::Start { program: shown(command), source })?;
        if status.success() { Ok(()) } else { Err(XtaskError::Step { step, status, repeat: shown(command) }) }
    })
}

/// Runs `command` with its output kept, and returns its standard output.
///
/// # Errors
/// [`XtaskError::Command`] with what it said on standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String, XtaskError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|source| XtaskError::Start { program: shown(command), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(XtaskError::Command { command: shown(command), status: output.status, stderr })
}

/// Builds with optimization and returns the path of the program `name`. `target` is what cargo is asked for.
pub(crate) fn build_program(target: &[&str], name: &str) -> Result<std::path::PathBuf, XtaskError> {
    let mut command = repo::cargo();
    command.args(["build", "--release", "--quiet", "--message-format=json-render-diagnostics"]).args(target);
    command.stderr(Stdio::inherit());
    let messages = capture(&mut command)?;
    let is_ours = |message: &Value| message.pointer("/target/name").and_then(Value::as_str) == Some(name);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(is_ours)
        .find_map(|message| message.get("executable")?.as_str().map(Into::into))
        .ok_or_else(|| XtaskError::NoProgram { name: name.to_owned() })
}

/// The command as one would type it: the variables that we set, the program by its name, the arguments.
pub(crate) fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.to_string_lossy(), quoted(value)))
    });
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/opt/bin/cargo");
        command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps", "it's"]);
        assert_eq!(shown(&command), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }

    #[test]
    fn a_failing_step_names_the_command_that_repeats_it() {
        let error = run("a step", Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("a step failed") && said.contains("exit status: 3"), "{said}");
        assert!(said.contains("repeat it with: sh -c 'exit 3'"), "{said}");
    }

    #[test]
    fn a_captured_command_tells_what_it_said_on_standard_error() {
        assert_eq!(capture(Command::new("sh").args(["-c", "echo out"])).unwrap(), "out\n");
        let error = capture(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
