//! What the README shows is what the program prints and draws.

use std::fs;
use std::path::Path;

use crate::program::program;

fn pixels(png: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[test]
fn the_program_prints_and_draws_what_the_readme_shows() {
    let shown = include_str!("../../README.md");
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], code: i32| {
        let output = program().current_dir(dir.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&format!("```text\n{printed}```")), "the README is to show this:\n{printed}");
        let command = format!("-p cookbook-kernel-checkpoint-resume -- {}\n", arguments.join(" "));
        assert!(shown.contains(&command), "the README is to show this:\n{command}");
    };
    run(&["--home", "box", "--revoke-at", "70"], 75);
    run(&["--home", "box", "--picture", "wave.png"], 0);

    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("wave.png");
    let [drawn, committed] = [dir.path().join("wave.png"), committed].map(|path| fs::read(path).unwrap());
    assert!(pixels(&drawn) == pixels(&committed), "wave.png is another picture now");
    assert!(shown.contains("](wave.png)"));
}

#[test]
fn the_undisturbed_run_of_the_readme_has_the_same_field() {
    let dir = tempfile::tempdir().unwrap();
    let output = program().current_dir(dir.path()).args(["--home", "box"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let last = printed.lines().last().unwrap();
    let shown = include_str!("../../README.md");
    assert_eq!(shown.matches(last).count(), 2, "the README is to show this twice:\n{last}");
}
