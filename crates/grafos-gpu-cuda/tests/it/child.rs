//! [`run`]: this test binary, started again with another `libcuda.so` on its path to play a role. A driver is loaded
//! once per process, so each kind of driver needs a process.

use std::env;
use std::process::Command;

use super::standin::Library;
use super::{behaviour, conformance, every_call_fails, unavailable};

const ROLE: &str = "GRAFOS_TEST_ROLE";

/// Plays a role if this process was started for one, and is nothing else's test.
#[test]
fn play_the_role_that_this_process_was_started_for() {
    match env::var(ROLE).as_deref() {
        Ok("conformance") => conformance::play(),
        Ok("every-call-fails") => every_call_fails::play(),
        Ok("process-wide-fault") => every_call_fails::play_process_wide_fault(),
        Ok("unavailable") => unavailable::play(),
        Ok("behaviour") => behaviour::play(),
        Ok("old-driver") => behaviour::play_old_driver(),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}

/// Plays `role` in a child that finds `library` and has these variables set. Returns what it said.
///
/// # Panics
/// If the child fails, with everything that it said.
pub(crate) fn run(role: &str, library: &Library, variables: &[(&str, &str)]) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child::play_the_role_that_this_process_was_started_for", "--nocapture"])
        .args(["--test-threads", "1"])
        .env(ROLE, role)
        .env("LD_LIBRARY_PATH", library.path())
        .env_remove("GRAFOS_GPU")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as {role}: {}\n{said}\n{complained}", output.status);
    assert!(said.contains("1 passed"), "as {role}, no test ran:\n{said}");
    said
}
