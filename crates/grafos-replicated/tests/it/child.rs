//! [`Child`]: this test binary, started again to play a role in another process.
//!
//! Parent and child talk in lines over the child's standard input and output, so nobody waits for time to pass.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{crash_matrix, processes, torture};

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
        Ok("torture-writer") => torture::writer::play_writer(&place()),
        Ok("crash-worker") => crash_matrix::worker::play_worker(&place()),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}

/// A child process. Dropping it kills it.
pub(crate) struct Child {
    process: process::Child,
    to_child: Option<ChildStdin>,
    from_child: Ear,
}

/// Hears what a child says.
struct Ear(Option<Lines<BufReader<ChildStdout>>>);

impl Ear {
    /// The next line that is meant for the parent.
    fn hear(&mut self) -> Option<String> {
        for line in self.0.as_mut()? {
            // A child that was killed may leave half a line.
            let Ok(line) = line else { continue };
            // The harness may have begun the line with the name of the test.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
        None
    }
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
        let from_child = Ear(process.stdout.take().map(|stdout| BufReader::new(stdout).lines()));
        Self { process, to_child, from_child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line that the child says to its parent; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        self.from_child.hear()
    }

    /// Calls `each` with every line, on a thread of its own, until the child has ended.
    pub(crate) fn hear_on_a_thread(&mut self, mut each: impl FnMut(String) + Send + 'static) {
        let mut ear = Ear(self.from_child.0.take());
        std::thread::spawn(move || std::iter::from_fn(|| ear.hear()).for_each(&mut each));
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

impl Child {
    /// Waits until it has killed itself.
    pub(crate) fn wait_until_killed(&mut self) {
        let status = self.process.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
    }

    /// Waits until it is stopped.
    pub(crate) fn wait_until_stopped(&self) {
        let (_, status) = waitpid(Some(self.rustix_pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Stops it, whatever it does just now.
    pub(crate) fn stop(&self) {
        kill_process(self.rustix_pid(), Signal::STOP).unwrap();
        self.wait_until_stopped();
    }

    /// Lets it go on after it was stopped.
    pub(crate) fn resume(&self) {
        kill_process(self.rustix_pid(), Signal::CONT).unwrap();
    }

    fn rustix_pid(&self) -> Pid {
        Pid::from_raw(self.pid().try_into().unwrap()).unwrap()
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

/// In the child: the next line that the parent says; `None` if it has closed the line or ended.
pub(crate) fn hear_parent() -> Option<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    Some(line.trim_end().to_owned())
}

/// In the child: what the parent says, until it closes the line or ends.
pub(crate) fn listen() -> impl Iterator<Item = String> {
    io::stdin().lines().map_while(Result::ok)
}
