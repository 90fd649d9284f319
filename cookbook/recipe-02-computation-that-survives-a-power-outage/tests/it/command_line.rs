//! The program's promises on the command line: exit codes, events, messages.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Running, home, program, run_to_end};

const SMALL: [&str; 4] = ["--iterations", "1_050_000", "--checkpoint-every", "200k"];

#[test]
fn wrong_arguments_exit_with_2_and_touch_nothing() {
    let home = home();
    for wrong in [
        vec!["--iterations", "0"],
        vec!["--iterations", "a few"],
        vec!["--checkpoint-every", "0ms"],
        vec!["--volume", "../escape"],
        vec!["--volume", ""],
        vec!["--threads", "0"],
        vec!["--workers", "0"],
        vec!["--seed", "x"],
        vec!["--status", "--fresh"],
        vec!["--no-such-option"],
        vec!["surprise"],
    ] {
        let output = program(home.path()).args(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_run_tells_its_start_its_checkpoints_and_its_result() {
    let home = home();
    let ended = run_to_end(home.path(), &SMALL);
    ended.result();
    let told: Vec<_> = ended.events[..7].to_vec();
    let checkpoint = |sequence: u64, iteration: u64| json!({"event": "checkpoint", "sequence": sequence, "epoch": 1, "iteration": iteration});
    let mut expected = vec![json!({"event": "started", "epoch": 1, "iteration": 0})];
    expected.extend((0..6).map(|index| checkpoint(index + 1, index * 200_000)));
    assert_eq!(told, expected);
    assert_eq!(ended.events[7], checkpoint(7, 1_050_000));
    assert_eq!(ended.events.len(), 9);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_finished_run_that_is_started_again_tells_its_result_and_computes_nothing() {
    let home = home();
    let first = run_to_end(home.path(), &SMALL).result();
    let again = run_to_end(home.path(), &SMALL);
    assert_eq!(again.kinds(), ["resumed", "finished"]);
    assert_eq!(again.result(), first);

    let output = program(home.path()).args(SMALL).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["going on from checkpoint 7", "1 050 000", &first.digest, "--fresh starts over"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn fresh_throws_the_run_away_at_once_and_another_seed_is_refused_without_it() {
    let home = home();
    let first = run_to_end(home.path(), &SMALL).result();
    let mut other = SMALL.to_vec();
    other.extend(["--seed", "9"]);

    let refused = run_to_end(home.path(), &other);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.kinds(), ["error"]);
    assert_eq!(refused.events[0]["recovery"], "FixCaller");
    for part in ["requested=9", "found=123", "--fresh", "--volume"] {
        assert!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
    }

    other.push("--fresh");
    let fresh = run_to_end(home.path(), &other);
    assert_eq!(fresh.kinds()[..2], ["started", "checkpoint"]);
    assert_eq!(fresh.events[1]["iteration"], 0, "the old run is gone from here on");
    assert_ne!(fresh.result().digest, first.digest);
    // Without a seed, it is the volume's run that goes on.
    assert_eq!(run_to_end(home.path(), &SMALL).result(), fresh.result());
    assert_eq!(run_to_end(home.path(), &["--iterations", "1_050_000", "--fresh"]).result(), first);
}

#[test]
fn fewer_samples_than_there_are_is_an_error_that_says_what_to_do() {
    let home = home();
    run_to_end(home.path(), &SMALL).result();
    let refused = run_to_end(home.path(), &["--iterations", "1M"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("ask for at least 1050000"), "{}", refused.stderr);
}

#[test]
fn status_tells_what_the_volume_holds_and_computes_nothing() {
    let home = home();
    let empty = run_to_end(home.path(), &["--status"]);
    assert!(empty.status.success());
    assert_eq!(empty.events, [json!({"event": "status", "sequence": 0})]);

    let mut arguments = SMALL.to_vec();
    arguments.extend(["--seed", "5"]);
    let ran = run_to_end(home.path(), &arguments);
    let epoch = ran.events[0]["epoch"].clone();
    let status = json!({"event": "status", "sequence": 7, "epoch": epoch, "iteration": 1_050_000, "seed": 5});
    let expected = [status];
    for _ in 0..2 {
        assert_eq!(run_to_end(home.path(), &["--status"]).events, expected);
    }
    let output = program(home.path()).arg("--status").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("checkpoint 7") && text.contains("seed 5"), "{text}");
}

#[test]
fn the_result_does_not_depend_on_the_threads_of_the_program() {
    let home = home();
    let of = |threads: &str| {
        let mut arguments = SMALL.to_vec();
        let volume = format!("threads-{threads}");
        arguments.extend(["--threads", threads, "--volume", &volume]);
        run_to_end(home.path(), &arguments).result()
    };
    let one = of("1");
    assert_eq!(of("2"), one);
    assert_eq!(of("7"), one);
}

#[test]
fn a_volume_in_use_is_an_error_with_the_holders_pid_and_free_once_it_is_dead() {
    let home = home();
    let mut holder = Running::start(home.path(), &["--iterations", "50G", "--checkpoint-every", "100k"]);
    holder.wait_for("checkpoint").unwrap();
    for arguments in [vec!["--iterations", "50G"], vec!["--status"], vec!["--fresh"]] {
        let refused = run_to_end(home.path(), &arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert_eq!(refused.kinds(), ["error"]);
        let message = refused.events[0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("holder_pid={}", holder.pid())), "{message}");
        assert!(refused.stderr.contains(message));
    }
    let killed = holder.kill();
    assert!(killed.was_killed());
    let mut heir = Running::start(home.path(), &["--iterations", "50G"]);
    let resumed = heir.wait_for("resumed").expect("the volume is free at once");
    let last = killed.all("checkpoint").last().unwrap()["iteration"].as_u64().unwrap();
    assert!(resumed["iteration"].as_u64().unwrap() >= last);
    heir.kill();
}

/// A reader that goes away closes the pipe: every write to it fails from then on.
#[test]
fn closed_outputs_do_not_end_the_computation() {
    for json in [false, true] {
        let home = home();
        let mut command = program(home.path());
        command.args(SMALL).stdout(Stdio::piped()).stderr(Stdio::piped());
        if json {
            command.arg("--json");
        }
        let mut child = command.spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success(), "json: {json}");
        let after = run_to_end(home.path(), &SMALL);
        assert_eq!(after.kinds(), ["resumed", "finished"], "json: {json}");
    }
}

#[test]
fn plain_output_is_lines_for_people() {
    let home = home();
    let output = program(home.path()).args(SMALL).args(["--volume", "plain"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "volume plain: a new run (epoch 1, process ",
        "mean distance",
        "0.661707182",
        "standard errors away",
        "digest",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\x1b'), "no terminal sequences in a pipe: {text:?}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn logs_come_on_standard_error_when_they_are_asked_for() {
    let home = home();
    let output = program(home.path()).args(SMALL).env("RUST_LOG", "info").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.lines().any(|line| line.contains("checkpoint") && line.contains("iteration=600000")),
        "{text}"
    );
    assert!(text.contains("epoch=1"), "{text}");
}

#[test]
fn a_home_that_is_no_path_is_an_error() {
    let home = home();
    let output = program(home.path()).env("GRAFOS_HOME", "relative/path").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
}
