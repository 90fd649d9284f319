//! The program as typed: exit codes, plain output, the drawing, places that can't be used.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cookbook_recipe_52_clean_preemptible_gpu_training::run::event::Event;
use rustix::process::Signal;

use crate::job_program::{Running, SHORT, assert_sound, home, run_to_end, train, undisturbed};

/// What a plain run says, and how it ends.
fn plain(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = train(home, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_plain_run_writes_no_progress_where_there_is_no_terminal() {
    let home = home();
    let (code, stdout, stderr) = plain(home.path(), &SHORT);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines[0].starts_with("job digits: a new run of 60"), "{stdout}");
    for part in ["test accuracy", &undisturbed().0, "every step once", "The same command"] {
        assert!(stdout.contains(part), "{part} is missing: {stdout}");
    }
    assert!(!stdout.contains("steps/s") && !stdout.contains('\r') && !stdout.contains('\u{1b}'), "{stdout}");
    assert_eq!(lines.len(), 8, "{stdout}");

    let (code, stdout, _) = plain(home.path(), &["--status"]);
    assert!(code == Some(0) && stdout.contains("every step was done once"), "{stdout}");
}

#[test]
fn wrong_arguments_are_exit_code_two_and_touch_nothing() {
    let home = home();
    let place = home.path().join("jobs");
    for wrong in [&["--steps", "many"][..], &["--job", "../up"], &["--interval-steps", "0"], &["surprise"]] {
        let (code, stdout, stderr) = plain(&place, wrong);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(stderr.contains("error: "), "{stderr}");
    }
    for wrong in [&["--batch", "7"][..], &["--steps", "0"]] {
        let (code, _, stderr) = plain(&place, wrong);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains("expected"), "{stderr}");
    }
    let (code, stdout, _) = plain(&place, &["--status"]);
    assert!(code == Some(0) && stdout.contains("0 steps done"), "{stdout}");
    assert!(!place.join("replicated").exists());
}

#[test]
fn a_home_that_can_not_be_used_is_a_clear_error() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, b"not a directory").unwrap();
    for place in [file.clone(), file.join("below")] {
        let (code, stdout, stderr) = plain(&place, &SHORT);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains("file"), "{stderr}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"not a directory");

    let run = Running::start(&file, &SHORT).end();
    let Some(Event::Error { message, recovery }) = run.events.last() else { panic!("{run:?}") };
    assert!(message.contains("file") && !recovery.is_empty(), "{run:?}");
}

#[test]
fn another_plan_and_too_few_steps_are_told_with_what_to_do() {
    let home = home();
    run_to_end(home.path(), &SHORT).result();
    let (code, _, stderr) = plain(home.path(), &[&SHORT[..], &["--seed", "7"]].concat());
    assert!(code == Some(1) && stderr.contains("another --job"), "{stderr}");
    let (code, _, stderr) = plain(home.path(), &["--steps", "59", "--batch", "4"]);
    assert!(code == Some(1) && stderr.contains("requested=59, found=60"), "{stderr}");
    assert_sound(home.path(), "refused");
}

#[test]
fn the_drawing_is_written_whole_at_the_end_and_shows_a_killed_worker() {
    let home = home();
    let file = home.path().join("loss.svg");
    let mut running = Running::start(home.path(), &SHORT);
    running.wait_for_step(20);
    running.kill();
    let plot = ["--plot", file.to_str().unwrap()];
    let mut running = Running::start(home.path(), &[&SHORT[..], &plot].concat());
    running.wait_for_step(35);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code(), Some(75));
    let drawing = fs::read_to_string(&file).unwrap();
    assert!(drawing.contains("killed or fenced: 1"), "it is drawn at every end: {drawing}");

    run_to_end(home.path(), &[&SHORT[..], &plot].concat()).result();
    let drawing = fs::read_to_string(&file).unwrap();
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    for part in ["60 steps", "3 workers", "killed or fenced: 1", "told to end: 1", "every step once"] {
        assert!(drawing.contains(part), "{part} is missing: {drawing}");
    }
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");

    let nowhere = home.path().join("no").join("such").join("loss.svg");
    let (code, _, stderr) =
        plain(home.path(), &[&SHORT[..], &["--plot", nowhere.to_str().unwrap()]].concat());
    assert!(code == Some(1) && stderr.contains("can't be written"), "{stderr}");
}

#[test]
fn nobody_listening_is_no_reason_to_stop() {
    let home = home();
    let mut child = train(home.path(), &SHORT).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_sound(home.path(), "a closed pipe");
}

/// A file system of its own, of so many KiB.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(kib: u32) -> Option<Self> {
        let at = home();
        let options = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "recipe-52"])
            .arg(at.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self { at });
        }
        assert!(env::var_os("GRAFOS_REQUIRE_MOUNT").is_none(), "a tmpfs can't be mounted here");
        println!("SKIPPED: a tmpfs can't be mounted here; set GRAFOS_REQUIRE_MOUNT to make this an error");
        None
    }

    /// Leaves no room for a single byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.at.path().join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.at.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.at.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_what_is_committed_stays_whole() {
    let Some(disk) = SmallDisk::mount(8192) else { return };
    let place = disk.at.path().join("home");
    let mut running = Running::start(&place, &SHORT);
    running.wait_for_step(20);
    running.signal(Signal::TERM);
    let stopped = running.end();
    assert_eq!(stopped.code(), Some(75), "{stopped:?}");
    disk.fill();
    let mut full = Running::start(&place, &SHORT);
    // It tries for a while, and says so: room may be made.
    let word = full.wait_for(|event| matches!(event, Event::Retrying { .. } | Event::Error { .. }));
    match word {
        Some(Event::Retrying { reason, .. } | Event::Error { message: reason, .. }) => {
            assert!(reason.contains("no room is left") || reason.contains("full"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    disk.make_room();
    // With room it goes on by itself; if it had given up before, the same command does.
    let ended = full.end();
    let done = if ended.code() == Some(0) { ended } else { run_to_end(&place, &SHORT) };
    assert_eq!(done.result(), *undisturbed());
    assert_sound(&place, "a full disk");
}
