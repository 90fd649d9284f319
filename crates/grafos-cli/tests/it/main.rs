//! The program as its users see it: what it prints, and how it ends.
#![cfg(test)]

mod checkpoint;
mod volume;

use std::ffi::OsStr;
use std::process::{Command, Output};

/// Runs `grafos` and waits for it.
fn grafos<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grafos")).args(arguments).output().unwrap()
}

/// What it said, and its exit code.
fn said(output: &Output) -> (String, i32) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code().unwrap())
}

#[test]
fn the_help_names_the_exit_codes_and_wrong_arguments_are_told_apart() {
    let (help, code) = said(&grafos(["--help"]));
    assert!(help.contains("Exit codes:") && help.contains("inspect") && code == 0, "{help}");
    assert_eq!(said(&grafos(["inspect"])).1, 2);
    assert_eq!(said(&grafos(["nonsense"])).1, 2);
}

#[test]
fn what_can_t_be_read_or_is_unknown_is_said_for_each_file_and_the_others_are_still_told() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let unknown = dir.path().join("unknown");
    let empty = dir.path().join("empty");
    std::fs::write(&unknown, b"#!/bin/sh\n").unwrap();
    std::fs::write(&empty, b"").unwrap();
    let files = [missing.as_path(), &unknown, &empty, dir.path(), "/dev/null".as_ref()];
    let (text, code) = said(&grafos([OsStr::new("inspect")].into_iter().chain(files.map(OsStr::new))));
    assert_eq!(code, 3, "{text}");
    for expected in
        ["missing: can't be read", "unknown: nothing that", "empty: it is empty", "no volume", "no file"]
    {
        assert!(text.contains(expected), "{expected} is not in: {text}");
    }
    let (text, code) = said(&grafos(["inspect".as_ref(), "--json".as_ref(), unknown.as_os_str()]));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(line["error"].as_str().unwrap().contains("nothing that") && code == 3, "{text}");
}
