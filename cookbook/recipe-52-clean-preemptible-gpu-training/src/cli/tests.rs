//! The command line, as typed.

use clap::CommandFactory;

use super::*;

fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(["recipe"].iter().chain(arguments))
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn training_needs_no_option() {
    assert!(matches!(parse(&["train"]).unwrap().command, Command::Train(_)));
    assert!(parse(&[]).is_err(), "and says what there is without a command");
}

#[test]
fn nonsense_is_refused() {
    for wrong in [
        vec!["--steps", "many"],
        vec!["--steps", "-1"],
        vec!["--job", "../escape"],
        vec!["--host", ""],
        vec!["--host", ".hidden"],
        vec!["--interval-steps", "0"],
        vec!["--lease-secs", "0"],
        vec!["--threads", "0"],
        vec!["--notice-secs", "never"],
        vec!["--every-step"],
        vec!["--status", "--control"],
        vec!["--preempt-every", "1s", "--control"],
        vec!["surprise"],
    ] {
        let arguments: Vec<_> = std::iter::once("train").chain(wrong.iter().copied()).collect();
        assert!(parse(&arguments).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_help_of_train_explains_the_exit_codes() {
    let mut command = Arguments::command();
    let train = command.find_subcommand_mut("train").unwrap();
    let help = train.render_help().to_string();
    for code in ["0   ", "1   ", "2   ", "75  ", "76  "] {
        assert!(help.contains(code), "{code} in {help}");
    }
}
