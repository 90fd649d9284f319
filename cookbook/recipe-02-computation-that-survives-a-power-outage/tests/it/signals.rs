//! SIGINT and SIGTERM: a last checkpoint, a clean exit, a word on how to go on.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{PATIENCE, Running, home, now, program, run_to_end};

#[test]
fn a_signal_takes_a_last_checkpoint_and_the_next_run_ends_with_the_same_bits() {
    for signal in [Signal::INT, Signal::TERM] {
        let home = home();
        let mut running = Running::start(home.path(), &["--iterations", "50G", "--checkpoint-every", "50ms"]);
        running.wait_for("checkpoint").unwrap();
        running.wait_for("checkpoint").unwrap();
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(*ended.kinds().last().unwrap(), "interrupted", "{ended:?}");
        let (interrupted, last) = (ended.all("interrupted")[0], *ended.all("checkpoint").last().unwrap());
        for field in ["iteration", "sequence", "epoch"] {
            assert_eq!(interrupted[field], last[field], "everything is in the checkpoint: {ended:?}");
        }

        let goal = (interrupted["iteration"].as_u64().unwrap() + 1_000_000).to_string();
        let resumed = run_to_end(home.path(), &["--iterations", &goal]);
        assert_eq!(resumed.events[0]["iteration"], interrupted["iteration"], "nothing is computed again");
        let undisturbed = run_to_end(home.path(), &["--iterations", &goal, "--volume", "undisturbed"]);
        assert_eq!(resumed.result(), undisturbed.result());
    }
}

#[test]
fn a_stopped_program_says_how_to_go_on() {
    let home = home();
    let mut child = program(home.path())
        .args(["--iterations", "50G"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    // The first line comes after the signal handlers are set.
    let mut byte = [0];
    while !text.ends_with('\n') {
        stdout.read_exact(&mut byte).unwrap();
        text.push(byte[0] as char);
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(text.contains("stopped at iteration") && text.contains("the same command goes on"), "{text}");
}

/// Nobody reads what the program says, and the pipe is full: it can't come to a clean end. So it is still there when
/// the second signal comes.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    const PIPE_BYTES: usize = 4096;
    const LONGEST_LINE: u64 = 100;
    let home = home();
    let (unread, stdout) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&unread, PIPE_BYTES).unwrap();
    let mut child = program(home.path())
        .args(["--iterations", "50G", "--checkpoint-every", "100k", "--json"])
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(|| rustix::io::ioctl_fionread(&unread).unwrap() + LONGEST_LINE > PIPE_BYTES as u64);

    let pid = rustix::process::Pid::from_child(&child);
    let mut ended = None;
    until(|| {
        rustix::process::kill_process(pid, Signal::INT).unwrap();
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.signal()), Some(2), "{ended:?}");
    drop(unread);

    // That is no more than a crash.
    let mut again = Running::start(home.path(), &["--iterations", "50G"]);
    assert!(again.wait_for("resumed").is_some());
    again.kill();
}

/// Looks again and again until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = now().saturating_add(PATIENCE);
    while !is_so() {
        assert!(now() < deadline, "not so in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
