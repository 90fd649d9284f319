//! `cargo xtask powercut`: a real program on a real file system, its power cut at hundreds of points.
//!
//! The program's file system lies on a disk that logs each write and each flush. From the log, the disk is built
//! anew as a cut could have left it: all that was flushed, and any part of the rest. Then the file system is
//! mounted, the program recovers, and what it finds is held against what it had acknowledged by then. A control
//! program that never flushes must be seen to lose, else the rig sees nothing. `docs/powercut.md` says what this
//! proves and what not.
//!
//! Everything runs in a mount namespace of its own and dies with it, so that no mount and no loop device stays
//! behind, whatever kills the rig.

mod args;
mod crash_state;
mod disk;
mod error;
mod evidence;
mod history;
mod judge;
mod mount;
mod needs;
mod plan;
mod programs;
mod report;
mod rig;
mod rng;
mod talker;
mod workload;
mod write_log;

use std::os::unix::process::CommandExt;
use std::process::Command;

pub(crate) use args::PowercutArgs;
pub(crate) use error::PowercutError;

use crate::error::XtaskError;

/// Makes the runs fail where they would be skipped.
const REQUIRE: &str = "GRAFOS_REQUIRE_POWERCUT";

/// Cuts the power as asked, or says why it can't.
pub(crate) fn run(args: &PowercutArgs) -> Result<(), XtaskError> {
    let missing = needs::missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        if std::env::var_os(REQUIRE).is_some_and(|value| !value.is_empty()) {
            return Err(PowercutError::Missing { missing }.into());
        }
        println!("SKIPPED: powercut needs {missing}");
        return Ok(());
    }
    if !args.inside {
        return Err(in_a_namespace());
    }
    match &args.replay {
        Some(state) => rig::replay(args, state),
        None => rig::run(args),
    }
}

/// Becomes the same command in a mount namespace of its own. Returns only if that fails.
fn in_a_namespace() -> XtaskError {
    let start = |source| XtaskError::Start { program: "unshare".to_owned(), source };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(source) => return start(source),
    };
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--"])
        .arg(program)
        .args(std::env::args_os().skip(1));
    start(command.arg("--inside").exec())
}
