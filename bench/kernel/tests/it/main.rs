//! The program as a whole: a run gives every table, and writes what it is asked to write.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

use std::fs;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = env!("CARGO_BIN_EXE_grafos-bench-kernel");
    let output = Command::new(program).arg("--dir").arg(dir.path()).args(arguments).output().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
    output
}

#[test]
fn a_run_prints_every_table_and_writes_what_was_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let out_dir = out.path().join("benchmarks");
    let output = bench(&["--size", "2MiB", "--rounds", "1", "--write", "--out", out_dir.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = String::from_utf8(output.stdout).unwrap();
    for part in [
        "encode into a buffer",
        "encode into fresh",
        "decode into memory",
        "digest",
        "save: ours is durable",
        "load",
        "to apply it",
        "lz4",
        "zstd",
    ] {
        assert!(tables.contains(part), "{part} is missing:\n{tables}");
    }
    assert!(!tables.contains("NaN"), "{tables}");
    let document = fs::read_to_string(out_dir.join("kernel.md")).unwrap();
    assert!(document.contains("`cargo xtask bench kernel --rounds 1 --size 2MiB --write`"), "{document}");
    assert!(fs::read_to_string(out_dir.join("kernel.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn a_directory_that_is_not_there_is_an_error_with_its_own_exit_code() {
    let program = env!("CARGO_BIN_EXE_grafos-bench-kernel");
    let output = Command::new(program).args(["--quick", "--dir", "/nonexistent/place"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: "));
}
