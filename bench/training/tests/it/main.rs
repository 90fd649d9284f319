//! The program as a whole: a run gives every table, and writes what it is asked to write.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

use std::fs;
use std::process::Command;

#[test]
fn a_run_prints_every_table_and_writes_what_was_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_grafos-bench-training");
    let arguments = ["--quick", "--rounds", "1", "--write", "--out", out.path().to_str().unwrap()];
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = String::from_utf8(output.stdout).unwrap();
    for part in ["without commits", "with ÷ without", "64 → 16 → 8 → 10", "2 launches a step"] {
        assert!(tables.contains(part), "{part} is missing:\n{tables}");
    }
    assert!(!tables.contains("NaN"), "{tables}");
    let document = fs::read_to_string(out.path().join("training.md")).unwrap();
    assert!(document.contains("`cargo xtask bench training --quick --rounds 1 --write`"), "{document}");
}
