//! [`Child`]: this test binary, started again to save checkpoints in another process.
//!
//! The child says each step that is durable on its standard output, so nobody waits for time to pass.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, Command, Stdio};

use super::processes;

const PLACE: &str = "GRAFOS_TEST_PLACE";
/// The test harness prints too; lines that are meant for the parent carry this.
const MARK: &str = "to-parent: ";

/// Saves until it is killed, if this process was started for that; nothing else's test.
#[test]
fn save_checkpoints_if_this_process_was_started_for_that() {
    if let Some(place) = env::var_os(PLACE) {
        processes::save_until_killed(&PathBuf::from(place));
    }
}

/// A child process. Dropping it kills it.
pub(crate) struct Child {
    process: process::Child,
    from_child: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child that saves to the directory `place`.
    pub(crate) fn start(place: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child::save_checkpoints_if_this_process_was_started_for_that", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(PLACE, place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let from_child = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, from_child }
    }

    /// The next line that the child says to its parent; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        for line in &mut self.from_child {
            // A child that was killed may leave half a line.
            let Ok(line) = line else { continue };
            // The harness may have begun the line with the name of the test.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
        None
    }

    /// Kills it with SIGKILL and waits until it is dead. What it has said can still be [heard](Self::hear).
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        assert!(!self.process.wait().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the child: says a line to the parent.
pub(crate) fn say(line: &str) {
    println!("{MARK}{line}");
    io::stdout().flush().unwrap();
}
