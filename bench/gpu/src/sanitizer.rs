//! The cases once more, in a process of their own under NVIDIA's `compute-sanitizer`, where it is installed.

use std::env;
use std::process::Command;

use crate::report::{Section, Verdict};

const TITLE: &str = "compute-sanitizer";
/// What the tool exits with when it has found something.
const FOUND: &str = "9";
/// How much of what it says is kept.
const LAST_LINES: usize = 40;

pub(crate) fn section(device: u32) -> Section {
    let not_run = |why: &str| Section::judging(TITLE, Verdict::Skipped, why.to_owned());
    let is_there = Command::new(TITLE).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        return not_run("It is not on the path.");
    }
    let Ok(program) = env::current_exe() else { return not_run("This program does not find itself.") };
    let mut command = Command::new(TITLE);
    command.args(["--tool", "memcheck", "--error-exitcode", FOUND]).arg(program);
    command.args(["--only", "cases", "--device", &device.to_string()]);
    match command.output() {
        Err(error) => not_run(&format!("It can't be started: {error}.")),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("=========")).collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            let body = format!("`memcheck` over every PTX case: {}.\n\n```text\n{last}\n```", output.status);
            Section::judging(TITLE, Verdict::of(output.status.success()), body)
        }
    }
}
