//! The program as a whole: a run gives every table, and writes what it is asked to write.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

use std::fs;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = env!("CARGO_BIN_EXE_grafos-bench-durable");
    let output = Command::new(program).arg("--dir").arg(dir.path()).args(arguments).output().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
    output
}

#[test]
fn a_run_prints_every_table_and_writes_nothing_but_what_was_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let out_dir = out.path().join("benchmarks");
    let output =
        bench(&["--sizes", "512,4MiB", "--rounds", "1", "--write", "--out", out_dir.to_str().unwrap()]);
    let tables = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "raw 4 KiB write",
        "background stall",
        "restore",
        "redb",
        "SQLite WAL",
        "moving",
        "element by element",
    ] {
        assert!(tables.contains(part), "{part} is missing:\n{tables}");
    }
    assert!(!tables.contains("NaN"), "{tables}");
    let document = fs::read_to_string(out_dir.join("durable.md")).unwrap();
    assert!(
        document.contains("`cargo xtask bench durable --rounds 1 --sizes 512B,4MiB --write`"),
        "{document}"
    );
    assert!(fs::read_to_string(out_dir.join("durable.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn a_directory_that_is_not_there_is_an_error_with_its_own_exit_code() {
    let program = env!("CARGO_BIN_EXE_grafos-bench-durable");
    let output = Command::new(program).args(["--quick", "--dir", "/nonexistent/place"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "));
}
