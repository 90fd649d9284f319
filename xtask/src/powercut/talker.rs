//! [`Talker`]: a child process that answers in lines, each noted with a number at the moment when it arrives.
//!
//! It dies with its owner: when the owner drops it, and also when the rig itself is killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::PowercutError;
use crate::error::XtaskError;
use crate::step::Stopwatch;

/// A line longer than this is cut in two.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How many lines may wait to be heard before the child is made to wait.
const MAX_LINES: usize = 1024;

/// How long a child may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look whether somebody wants us to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// Whether somebody wants us to stop: an interrupt, or a polite request to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on; the signals no longer end us by themselves.
    pub(crate) fn on_signals() -> Result<Self, XtaskError> {
        let stop = Self::default();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
        {
            let registered = signal_hook::flag::register(signal, Arc::clone(&stop.0));
            registered.map_err(|source| XtaskError::io("listen for a signal", Path::new("-"), source))?;
        }
        Ok(stop)
    }

    /// # Errors
    /// [`PowercutError::Interrupted`] once we are asked to stop.
    pub(crate) fn check(&self) -> Result<(), PowercutError> {
        if self.0.load(Ordering::SeqCst) { Err(PowercutError::Interrupted) } else { Ok(()) }
    }
}

/// A line of a child, and the number that was read when it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) at: u64,
}

/// A child that answers in lines.
#[derive(Debug)]
pub(crate) struct Talker {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    stderr: PathBuf,
    stop: Stop,
    is_over: bool,
}

/// A command whose process the kernel kills when we die.
pub(crate) fn tethered(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Talker {
    /// Starts `command` in a process group of its own, so that no interrupt from the terminal reaches it: we end it
    /// in our own time, with all that it has started. What it says on standard error goes to the file `stderr`.
    /// `stamp` is called for each line, at once.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        stderr: &Path,
        stop: &Stop,
        stamp: impl Fn() -> u64 + Send + 'static,
    ) -> Result<Self, XtaskError> {
        let file = File::create(stderr).map_err(|source| XtaskError::io("make a file", stderr, source))?;
        let command = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let child = command.spawn();
        let mut child = child.map_err(|source| XtaskError::Start { program: name.to_owned(), source })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = mpsc::sync_channel(MAX_LINES);
        if let Some(stdout) = stdout {
            std::thread::spawn(move || listen(stdout, &sender, &stamp));
        }
        let (name, stderr) = (name.to_owned(), stderr.to_owned());
        Ok(Self { name, child, stdin, lines, stderr, stop: stop.clone(), is_over: false })
    }

    /// Says one line to the child. That it is gone shows when its answer is awaited.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin
                .write_all(line.as_bytes())
                .and_then(|()| stdin.write_all(b"\n"))
                .and_then(|()| stdin.flush());
        }
    }

    /// The next line, or `None` once the child has closed its output.
    ///
    /// # Errors
    /// `Silent` if it says nothing for a minute, `Interrupted`.
    pub(crate) fn next(&self) -> Result<Option<Line>, PowercutError> {
        let watch = Stopwatch::start();
        loop {
            self.stop.check()?;
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if watch.elapsed() < PATIENCE => {}
                Err(RecvTimeoutError::Timeout) => {
                    let (program, stderr) = (self.name.clone(), self.said_on_stderr());
                    return Err(PowercutError::Silent { program, waited_secs: PATIENCE.as_secs(), stderr });
                }
            }
        }
    }

    /// The next line of a child that has more to say.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `EndedEarly`.
    pub(crate) fn expect(&self) -> Result<Line, PowercutError> {
        self.next()?.ok_or_else(|| PowercutError::EndedEarly {
            program: self.name.clone(),
            stderr: self.said_on_stderr(),
        })
    }

    /// The last that the child said on standard error.
    pub(crate) fn said_on_stderr(&self) -> String {
        let said = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(4096)..]).into_owned()
    }

    /// Ends the child at once, as a power cut would end it, and returns what it had still said.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub(crate) fn kill(mut self) -> Result<Vec<Line>, PowercutError> {
        self.end();
        std::iter::from_fn(|| self.next().transpose()).collect()
    }

    /// Waits for a child that has closed its output.
    pub(crate) fn wait(mut self) -> bool {
        self.stdin = None;
        self.is_over = true;
        self.child.wait().is_ok_and(|status| status.success())
    }

    fn end(&mut self) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        // Not waited for yet, so its number is still its own. Gone already is fine, too.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.child.wait();
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.end();
    }
}

fn listen(stdout: ChildStdout, lines: &SyncSender<Line>, stamp: &impl Fn() -> u64) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match stdout.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let at = stamp();
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        if lines.send(Line { text, at }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Talker, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let talker = Talker::start("sh", command, &folder.path().join("stderr"), &Stop::default(), || 7);
        (talker.unwrap(), folder)
    }

    #[test]
    fn a_child_answers_line_by_line() {
        let (mut child, _folder) = shell("echo ready; read line; echo \"got $line\"");
        assert_eq!(child.expect().unwrap(), Line { text: "ready".to_owned(), at: 7 });
        child.say("it");
        assert_eq!(child.expect().unwrap().text, "got it");
        assert_eq!(child.next().unwrap(), None);
        assert!(child.wait());
    }

    #[test]
    fn a_child_that_ends_early_is_an_error_with_what_it_said() {
        let (child, _folder) = shell("echo broken >&2; exit 1");
        let error = child.expect().unwrap_err().to_string();
        assert!(error.contains("ended early") && error.contains("broken"), "{error}");
        assert!(!child.wait());
    }

    #[test]
    fn what_a_killed_child_had_said_is_not_lost() {
        let (mut child, _folder) = shell("echo a; echo b; echo c; read forever");
        assert_eq!(child.expect().unwrap().text, "a");
        child.say("");
        while child.next().unwrap().is_some_and(|line| line.text != "c") {}
        assert_eq!(child.kill().unwrap(), []);
        let (child, _folder) = shell("exec 1>&-; read forever");
        assert_eq!(child.next().unwrap(), None);
    }

    #[test]
    fn what_a_child_has_started_dies_with_it() {
        let (child, _folder) = shell("(echo grandchild; read forever <&3) 3<&0 & wait");
        assert_eq!(child.expect().unwrap().text, "grandchild");
        assert_eq!(child.kill().unwrap(), [], "its output is closed, so nobody has it any more");
    }

    #[test]
    fn a_wish_to_stop_ends_the_wait() {
        let (child, _folder) = shell("read forever");
        child.stop.0.store(true, Ordering::SeqCst);
        assert!(matches!(child.next().unwrap_err(), PowercutError::Interrupted));
    }
}
