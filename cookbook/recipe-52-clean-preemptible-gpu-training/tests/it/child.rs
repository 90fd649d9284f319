//! [`Child`]: this test binary, started again to play a role in another process.
//!
//! The child runs the one test that plays roles and says lines on its standard output, so nobody waits for time to
//! pass.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, ChildStdout, Command, Stdio};

use super::{cuda_standin, step_killed};

const ROLE: &str = "GRAFOS_TEST_ROLE";
/// The test harness prints too; lines that are meant for the parent carry this.
const MARK: &str = "to-parent: ";

/// Plays a role if this process was started for one, and is nothing else's test.
#[test]
fn play_the_role_that_this_process_was_started_for() {
    match env::var(ROLE).as_deref() {
        Ok("trainer") => step_killed::play_trainer(),
        Ok("cuda-trainer") => cuda_standin::play_trainer(),
        Ok("mortal-trainer") => step_killed::play_mortal_trainer(),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}

/// A child process. Dropping it kills it.
pub(crate) struct Child {
    process: process::Child,
    from_child: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a child that plays `role`, with `home` as its `GRAFOS_HOME`.
    pub(crate) fn start(role: &str, home: &Path) -> Self {
        Self::start_with(role, home, &[])
    }

    /// Starts it with these environment variables, too.
    pub(crate) fn start_with(role: &str, home: &Path, variables: &[(&str, String)]) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child::play_the_role_that_this_process_was_started_for", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(ROLE, role)
            .env("GRAFOS_HOME", home)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let from_child = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, from_child }
    }

    /// The next line that the child says to its parent.
    pub(crate) fn hear(&mut self) -> String {
        for line in &mut self.from_child {
            // The harness may have begun the line with the name of the test.
            if let Some((_, said)) = line.unwrap().split_once(MARK) {
                return said.to_owned();
            }
        }
        panic!("the child ended without another word");
    }

    /// Waits for its end, and says whether it has lived to see it. An end that is neither that nor a kill is a failure.
    pub(crate) fn survives(mut self) -> bool {
        let said: Vec<String> = self.from_child.by_ref().map_while(Result::ok).collect();
        let status = self.process.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status}: {said:?}");
        status.success()
    }

    /// Kills it with SIGKILL and waits until it is dead.
    pub(crate) fn kill(mut self) {
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
