//! Checkpoints that are damaged: the one before is used, and what is wrong is said.

use std::fs;
use std::path::{Path, PathBuf};

use cookbook_kernel_checkpoint_resume::event::Event;

use crate::program::{Ended, Running, expected, run_to_end};

/// Flips a bit in the middle of a checkpoint's file.
fn damage(home: &Path, name: &str) {
    let path = file(home, name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn file(home: &Path, name: &str) -> PathBuf {
    home.join("checkpoints").join(format!("wave_0_{name}.rkcp"))
}

/// A run that is cut off behind step 53: full checkpoints of steps 7 and 42, four deltas behind the first, and one, of
/// step 49, behind the second.
fn cut() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let cut = Running::start(home.path(), &["--revoke-at", "53"]).end();
    assert_eq!(cut.saved(), Some(49), "{cut:?}");
    home
}

fn set_aside(ended: &Ended) -> Vec<&str> {
    let mut names = Vec::new();
    for event in &ended.events {
        if let Event::SetAside { checkpoint, moved_to, .. } = event {
            assert!(Path::new(moved_to.as_ref().unwrap()).is_file(), "it is there to look at");
            names.push(checkpoint.as_str());
        }
    }
    names
}

#[test]
fn a_damaged_delta_is_set_aside_and_the_state_before_it_is_used() {
    let home = cut();
    damage(home.path(), "delta_49");
    let done = run_to_end(home.path());
    assert_eq!(set_aside(&done), ["wave_0_delta_49"]);
    assert_eq!((done.started(), done.field()), (Some((42, 0)), expected()));
    assert!(file(home.path(), "delta_49").is_file(), "there is a good one in its place");
    assert!(set_aside(&run_to_end(home.path())).is_empty(), "it is said once");
}

#[test]
fn a_damaged_full_checkpoint_takes_its_deltas_with_it_and_the_one_before_is_used_with_its_own() {
    let home = cut();
    damage(home.path(), "step_42");
    let done = run_to_end(home.path());
    assert_eq!(set_aside(&done), ["wave_0_step_42", "wave_0_delta_49"]);
    assert_eq!((done.started(), done.field()), (Some((35, 4)), expected()));
}

#[test]
fn a_delta_that_is_missing_ends_its_chain() {
    let home = cut();
    damage(home.path(), "step_42");
    fs::remove_file(file(home.path(), "delta_21")).unwrap();
    let done = run_to_end(home.path());
    let expected_aside = ["wave_0_step_42", "wave_0_delta_28", "wave_0_delta_35", "wave_0_delta_49"];
    assert_eq!(set_aside(&done), expected_aside);
    assert_eq!((done.started(), done.field()), (Some((14, 1)), expected()));
}

#[test]
fn a_delta_of_another_run_is_not_applied() {
    let (home, other) = (cut(), tempfile::tempdir().unwrap());
    let cut = Running::start(other.path(), &["--checkpoint-every", "10", "--revoke-at", "53"]).end();
    assert_eq!(cut.saved(), Some(50));
    let foreign = file(other.path(), "delta_50");
    fs::copy(foreign, file(home.path(), "delta_50")).unwrap();
    let done = run_to_end(home.path());
    assert_eq!(set_aside(&done), ["wave_0_delta_50"]);
    assert_eq!((done.started(), done.field()), (Some((49, 1)), expected()));
}

#[test]
fn an_archive_without_any_good_checkpoint_is_not_taken_for_a_beginning() {
    let home = cut();
    damage(home.path(), "step_42");
    damage(home.path(), "step_7");
    for _ in 0..2 {
        let failed = run_to_end(home.path());
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        assert!(failed.stderr.contains("no checkpoint is good"), "{}", failed.stderr);
        assert!(
            matches!(failed.events.as_slice(), [Event::Error { recovery, .. }] if recovery == "RestoreElsewhere")
        );
    }
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let home = cut();
    for name in ["delta_0049", "delta_x", "other_60"] {
        fs::write(file(home.path(), name), "mine").unwrap();
    }
    let done = run_to_end(home.path());
    assert_eq!((set_aside(&done).len(), done.field()), (0, expected()));
    assert_eq!(fs::read_to_string(file(home.path(), "delta_x")).unwrap(), "mine");
}
