//! [`Child`]: this test binary, started again to play a role in another process.
//!
//! The child runs the one test that plays roles, [`role`](play_the_role_that_this_process_was_started_for). Parent and
//! child talk in lines over the child's standard input and output, so nobody waits for time to pass.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use super::{ambient, gpu_processes, processes};

const ROLE: &str = "GRAFOS_TEST_ROLE";
/// The test harness prints too; lines that are meant for the parent carry this.
const MARK: &str = "to-parent: ";

/// Plays a role if this process was started for one, and is nothing else's test.
#[test]
fn play_the_role_that_this_process_was_started_for() {
    match env::var(ROLE).as_deref() {
        Ok("holder") => processes::play_holder(),
        Ok("gpu-holder") => gpu_processes::play_holder(),
        Ok("gpu-chooser") => gpu_processes::play_chooser(),
        Ok("installer") => ambient::play_installer(),
        Ok("without-host") => ambient::play_program_without_a_host(),
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
    /// Starts a child that plays `role`, with `home` as its `GRAFOS_HOME`.
    pub(crate) fn start(role: &str, home: &Path) -> Self {
        Self::start_with(role, home, &[])
    }

    /// Starts it with these environment variables, too.
    pub(crate) fn start_with(role: &str, home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child::play_the_role_that_this_process_was_started_for", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(ROLE, role)
            .env("GRAFOS_HOME", home)
            .envs(variables.iter().copied())
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

    /// The next line that the child says to its parent.
    pub(crate) fn hear(&mut self) -> String {
        for line in &mut self.from_child {
            let line = line.unwrap();
            // The harness may have begun the line with the name of the test.
            if let Some((_, said)) = line.split_once(MARK) {
                return said.to_owned();
            }
        }
        panic!("the child ended without another word");
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let to_child = self.to_child.as_mut().unwrap();
        writeln!(to_child, "{line}").unwrap();
        to_child.flush().unwrap();
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    /// Kills it with SIGKILL and waits until it is dead.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        assert!(!self.process.wait().unwrap().success());
    }

    /// Says no more, and waits for its end.
    pub(crate) fn close(mut self) -> ExitStatus {
        drop(self.to_child.take());
        // What else it prints must not fill the pipe, which would make it wait for us.
        self.from_child.by_ref().for_each(drop);
        self.process.wait().unwrap()
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
