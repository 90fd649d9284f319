//! What the README shows is what the program prints.

use std::process::Command;

#[test]
fn the_program_prints_what_the_readme_shows() {
    let program = Command::new(env!("CARGO_BIN_EXE_cookbook-recipe-53-stale-writer")).output().unwrap();
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    let printed = String::from_utf8(program.stdout).unwrap();
    let shown = include_str!("../../README.md");
    assert!(shown.contains(&format!("```text\n{printed}```")), "the README is to show this:\n{printed}");
}
