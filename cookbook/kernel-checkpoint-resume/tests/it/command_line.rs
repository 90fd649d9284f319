//! What is refused, with which words and which exit code; and outputs that break.

use std::fs;
use std::process::Stdio;

use cookbook_kernel_checkpoint_resume::event::Event;

use crate::program::{ARGUMENTS, Running, expected, program, run_to_end};

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_is_written() {
    let home = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 9] = [
        &["--size", "3"],
        &["--size", "513"],
        &["--size", "-1"],
        &["--steps", "0"],
        &["--steps", "many"],
        &["--checkpoint-every", "0"],
        &["--checkpoint-every", "1025"],
        &["--revoke-at"],
        &["picture.png"],
    ];
    for arguments in wrong {
        let output = program().args(arguments).arg("--home").arg(home.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn help_tells_every_option_and_exit_code() {
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--steps",
        "--size",
        "--checkpoint-every",
        "--home",
        "--picture",
        "--json",
        "--revoke-at",
        "--notice-secs",
        "GRAFOS_GPU",
        "75",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_home_with_another_simulation_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(Running::start(home.path(), &["--revoke-at", "30"]).end().status.code(), Some(75));
    let other = Running::start(home.path(), &["--size", "13"]).end();
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert!(other.stderr.contains("another kernel's"), "{}", other.stderr);
    let short = Running::start(home.path(), &["--steps", "20"]).end();
    assert_eq!(short.status.code(), Some(1));
    assert!(short.stderr.contains("past the end: steps=20, found=28"), "{}", short.stderr);
    assert_eq!(run_to_end(home.path()).field(), expected());
}

#[test]
fn two_processes_do_not_compute_in_the_same_home() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Running::start(home.path(), &["--steps", "100000"]);
    assert!(first.wait_for_step(1));
    let second = run_to_end(home.path());
    assert_eq!(second.status.code(), Some(1));
    let [Event::Error { message, recovery }] = second.events.as_slice() else { panic!("{second:?}") };
    assert!(message.contains("another process") && recovery == "RetryLater", "{message}");
    assert!(first.kill().was_killed());
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let home = tempfile::tempdir().unwrap();
    let mut child =
        program().args(ARGUMENTS).arg("--home").arg(home.path()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(run_to_end(home.path()).field(), expected());
}

#[test]
fn a_picture_that_can_not_be_written_fails_and_the_result_stays() {
    let home = tempfile::tempdir().unwrap();
    let failed = Running::start(home.path(), &["--picture", "/no/such/place.png"]).end();
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("/no/such/place.png"), "{}", failed.stderr);
    let path = home.path().join("wave.png");
    let done = Running::start(home.path(), &["--picture", path.to_str().unwrap()]).end();
    assert_eq!(done.field(), expected());
    // The oldest full checkpoint that is kept, and the end; nothing was cut.
    assert!(
        matches!(done.events.last(), Some(Event::Picture { steps, .. }) if *steps == [42, 90]),
        "{done:?}"
    );
    assert!(fs::read(path).unwrap().starts_with(b"\x89PNG"));
}
