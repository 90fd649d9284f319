//! [`Child`]: a worker as a process of its own, which tells its events in lines.
//!
//! Invariant: it never outlives its owner. When that drops it, it is killed; when the owner itself is killed, its standard
//! input ends, which it takes for a notice.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::chronicle::End;

/// A line longer than this is cut in two.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// So much of the end of standard error is kept.
const MAX_STDERR_BYTES: usize = 8 << 10;

/// What a child's listener passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A line of standard output.
    Line(String),
    /// Standard output was closed: the child has ended, or is about to.
    Closed,
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    stderr: Option<JoinHandle<String>>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts it in a process group of its own, so that no key at the terminal reaches it but by us. `life` marks its
    /// news.
    pub(super) fn start(
        mut command: Command,
        life: usize,
        news: SyncSender<(usize, News)>,
    ) -> io::Result<Self> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        // From here on the drop of `child` ends the process, should a thread not start.
        let mut child = Self { process, stdin, stderr: None, ended: None };
        if let Some(stdout) = stdout {
            thread::Builder::new().spawn(move || listen(stdout, life, &news))?;
        }
        if let Some(stderr) = stderr {
            child.stderr = Some(thread::Builder::new().spawn(move || last_of(stderr))?);
        }
        Ok(child)
    }

    /// Says one line to it. That it is gone shows elsewhere.
    pub(super) fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush());
        }
    }

    /// Sends it a signal, unless it has been waited for.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.pid() {
            Some(pid) if self.ended.is_none() => Ok(kill_process(pid, signal)?),
            _ => Ok(()),
        }
    }

    /// Stops it with SIGSTOP, and waits until it stands still. False if it has ended instead.
    pub(super) fn freeze(&self) -> io::Result<bool> {
        let Some(pid) = self.pid().filter(|_| self.ended.is_none()) else { return Ok(false) };
        self.signal(Signal::STOP)?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(pid), options) {
                Ok(status) => return Ok(status.is_some_and(|status| status.stopped())),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether it is in the middle of a transaction of SQLite, whose locks are the only POSIX locks of a worker. False
    /// where the system does not tell.
    pub(super) fn is_committing(&self) -> bool {
        let Ok(locks) = fs::read_to_string("/proc/locks") else { return false };
        has_write_lock(&locks, self.process.id())
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) -> io::Result<End> {
        let status = match self.ended {
            Some(status) => status,
            None => *self.ended.insert(self.process.wait()?),
        };
        Ok(end_of(status))
    }

    /// The last that it said on standard error. Waits for its end, so it is for those that have ended or were killed.
    pub(super) fn stderr(&mut self) -> String {
        self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // SIGKILL reaches the stopped, too. Gone already is fine.
            let _ = self.signal(Signal::KILL);
            let _ = self.wait();
        }
    }
}

/// Whether a line such as `1: POSIX  ADVISORY  WRITE 4711 08:01:123 0 EOF` names the process.
fn has_write_lock(locks: &str, pid: u32) -> bool {
    locks.lines().any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_held = words.next() == Some("POSIX") && words.nth(1) == Some("WRITE");
        is_held && words.next().and_then(|word| word.parse().ok()) == Some(pid)
    })
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, signal) => End::Signal(signal.unwrap_or(0)),
    }
}

fn listen(stdout: impl Read, life: usize, news: &SyncSender<(usize, News)>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match stdout.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            // A line without its end is one that the child could not finish.
            Ok(_) if line.ends_with(b"\n") || line.len() as u64 == MAX_LINE_BYTES => {}
            Ok(_) | Err(_) => {
                let _ = news.send((life, News::Closed));
                return;
            }
        }
        let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        if news.send((life, News::Line(line))).is_err() {
            return;
        }
    }
}

/// Reads to the end, and keeps the last of it.
fn last_of(mut stderr: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let too_many = kept.len().saturating_sub(MAX_STDERR_BYTES);
        kept.drain(..too_many);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    fn shell(script: &str) -> (Child, Receiver<(usize, News)>) {
        let (sender, news) = sync_channel(100);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Child::start(command, 7, sender).unwrap(), news)
    }

    fn line(text: &str) -> (usize, News) {
        (7, News::Line(text.to_owned()))
    }

    #[test]
    fn a_child_talks_in_lines_and_hears_ours() {
        let (mut child, news) = shell("echo ready; read it; echo \"got $it\"; echo why >&2; exit 3");
        assert_eq!(news.recv().unwrap(), line("ready"));
        child.say("revoke");
        assert_eq!(news.recv().unwrap(), line("got revoke"));
        assert_eq!(news.recv().unwrap(), (7, News::Closed));
        assert_eq!(child.wait().unwrap(), End::Code(3));
        assert_eq!(child.stderr(), "why\n");
        child.signal(Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap(), End::Code(3), "again is no error");
    }

    #[test]
    fn a_line_that_a_killed_child_could_not_finish_is_not_heard() {
        let (mut child, news) = shell("echo whole; printf half; exec sleep 1000");
        assert_eq!(news.recv().unwrap(), line("whole"));
        child.signal(Signal::KILL).unwrap();
        assert_eq!(news.recv().unwrap(), (7, News::Closed));
        assert_eq!(child.wait().unwrap(), End::Signal(9));
    }

    #[test]
    fn a_frozen_child_stands_still_until_it_is_woken_and_dies_when_dropped() {
        let (mut child, news) = shell("while read it; do echo \"$it\"; done");
        assert!(child.freeze().unwrap());
        child.say("first");
        assert!(news.try_recv().is_err());
        child.signal(Signal::CONT).unwrap();
        assert_eq!(news.recv().unwrap(), line("first"));
        assert!(child.freeze().unwrap());
        drop(child);
        assert_eq!(news.recv().unwrap(), (7, News::Closed));
    }

    #[test]
    fn a_child_that_has_ended_cannot_be_frozen_and_is_not_waited_for_in_vain() {
        let (mut child, news) = shell("exit 0");
        assert_eq!(news.recv().unwrap(), (7, News::Closed));
        assert!(!child.freeze().unwrap());
        assert_eq!(child.wait().unwrap(), End::Code(0));
        assert!(!child.freeze().unwrap());
    }

    #[test]
    fn the_lock_of_a_transaction_is_told_from_others() {
        let locks = "1: POSIX  ADVISORY  READ 11 08:01:1 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 08:01:1 0 EOF\n\
                     3: POSIX  ADVISORY  WRITE 13 08:01:1 128 128\n3: -> POSIX  ADVISORY  WRITE 14 08:01:1 128 128\n";
        let holders: Vec<_> = (1..20).filter(|&pid| has_write_lock(locks, pid)).collect();
        assert_eq!(holders, [13]);
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let long = "x".repeat(3 * MAX_STDERR_BYTES) + "the end";
        let kept = last_of(long.as_bytes());
        assert_eq!(kept.len(), MAX_STDERR_BYTES);
        assert!(kept.ends_with("xthe end"));
    }
}
