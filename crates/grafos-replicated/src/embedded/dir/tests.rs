//! Directories against links, pipes and what else may lie in them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn open() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap().unwrap();
    (temp, dir)
}

#[allow(clippy::needless_pass_by_value, reason = "it is asked of results that nobody else wants")]
fn is_foreign<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Foreign { .. }))
}

#[test]
fn the_way_to_a_directory_may_have_links_and_the_way_from_it_has_none() {
    let (temp, dir) = open();
    fs::create_dir(temp.path().join("real")).unwrap();
    fs::write(temp.path().join("real/file"), b"x").unwrap();
    symlink("real", temp.path().join("link")).unwrap();
    symlink("real/file", temp.path().join("file-link")).unwrap();
    symlink("nowhere", temp.path().join("dangling")).unwrap();
    let through = Dir::open(&temp.path().join("link")).unwrap().unwrap();
    assert!(through.file("file").unwrap().is_some());
    assert!(is_foreign(dir.dir("link")) && is_foreign(dir.dir_or_new("link")));
    assert!(is_foreign(dir.file("file-link")) && is_foreign(dir.file("dangling")));
    assert!(dir.new_file("dangling", OFlags::empty()).unwrap().is_none(), "not made where it points to");
    assert!(!temp.path().join("nowhere").exists());
}

#[test]
fn only_plain_files_are_opened_and_none_is_waited_for() {
    let (temp, dir) = open();
    fs::create_dir(temp.path().join("dir")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(temp.path().join("pipe")).status().unwrap();
    assert!(pipe.success());
    let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
    for name in ["dir", "pipe", "socket"] {
        assert!(is_foreign(dir.file(name)), "{name}");
    }
    fs::write(temp.path().join("file"), b"x").unwrap();
    assert!(is_foreign(dir.dir("file")) && dir.file("file").unwrap().is_some());
    assert!(dir.file("nothing").unwrap().is_none() && dir.dir("nothing").unwrap().is_none());
    assert!(is_foreign(Dir::open(&temp.path().join("file"))));
    assert!(Dir::open(&temp.path().join("nothing")).unwrap().is_none());
}

#[test]
fn what_is_made_is_its_owners_alone() {
    let (temp, dir) = open();
    dir.dir_or_new("d").unwrap();
    dir.new_file("f", OFlags::empty()).unwrap().unwrap();
    assert!(Dir::make_at(&temp.path().join("e")).unwrap() && !Dir::make_at(&temp.path().join("e")).unwrap());
    let mode = |name: &str| fs::metadata(temp.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("d"), mode("f"), mode("e")), (0o700, 0o600, 0o700));
}

#[test]
fn publishing_replaces_nothing() {
    let (temp, dir) = open();
    let to = dir.dir_or_new("to").unwrap();
    fs::write(temp.path().join("new"), b"new").unwrap();
    fs::write(temp.path().join("to/taken"), b"old").unwrap();
    symlink("nowhere", temp.path().join("to/link")).unwrap();
    assert!(!dir.publish("new", &to, "taken").unwrap());
    assert!(!dir.publish("new", &to, "link").unwrap());
    assert_eq!(fs::read(temp.path().join("to/taken")).unwrap(), b"old");
    assert!(dir.publish("new", &to, "free").unwrap());
    assert_eq!(fs::read(temp.path().join("to/free")).unwrap(), b"new");
    assert_eq!(fs::metadata(temp.path().join("to/free")).unwrap().nlink(), 1);
    assert!(dir.stat("new").unwrap().is_none());
}

#[test]
fn names_that_are_no_text_are_left_out_of_lists_and_not_overlooked() {
    use std::os::unix::ffi::OsStrExt;
    let (temp, dir) = open();
    assert!(dir.is_empty().unwrap());
    fs::write(temp.path().join(std::ffi::OsStr::from_bytes(b"\xFF")), b"x").unwrap();
    let mut names = Vec::new();
    let mut list = || {
        names.clear();
        dir.names(|name| {
            names.push(name.to_owned());
            Ok(true)
        })
    };
    list().unwrap();
    assert!(names.is_empty() && !dir.is_empty().unwrap());
}
