//! [`Child`]: this test binary, started again to play a role in another process.
//!
//! Parent and child talk in lines over the child's standard input and output, so nobody waits for time to pass.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use super::processes;

const ROLE: &str = "GRAFOS_TEST_ROLE";
const PLACE: &str = "GRAFOS_TEST_PLACE";
/// The test harness prints too; lines that are meant for the parent carry this.
const MARK: &str = "to-parent: ";

/// Plays a role if this process was started for one, and is nothing else's test.
#[test]
fn play_the_role_that_this_process_was_started_for() {
    let place = || PathBuf::from(env::var_os(PLACE).unwrap());
    match env::var(ROLE).as_deref() {
        Ok("committer") => processes::play_committer(&place()),
        Ok("adder") => processes::play_adder(&place()),
        Ok("blob-writer") => processes::play_blob_writer(&place()),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}

/// A child process. Dropping it kills it.
pub(crate) struct Child {
    process: process::Child,
    to_child: Option<ChildStdin>,
    from_child: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child that plays `role` at `place`.
    pub(crate) fn start(role: &str, place: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child::play_the_role_that_this_process_was_started_for", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(ROLE, role)
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to_child = process.stdin.take();
        let from_child = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, to_child, from_child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
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

    pub(crate) fn tell(&mut self, line: &str) {
        let to_child = self.to_child.as_mut().unwrap();
        writeln!(to_child, "{line}").unwrap();
        to_child.flush().unwrap();
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

/// In the child: what the parent says, until it closes the line or ends.
pub(crate) fn listen() -> impl Iterator<Item = String> {
    io::stdin().lines().map_while(Result::ok)
}
