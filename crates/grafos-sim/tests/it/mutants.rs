//! Planted faults are caught: those that show soon, here; all of them, by `cargo xtask sim --mutants`.

use grafos_sim::{Config, Failure, Mutant, run};

/// What shows within so many seeds.
const SEEDS: u64 = 60;

fn caught(mutant: Mutant) -> Option<Failure> {
    (1..=SEEDS).find_map(|seed| run(&Config { seed, steps: 3000, mutant: Some(mutant) }).err())
}

#[test]
fn planted_faults_that_show_soon_are_caught_by_the_invariant_they_break() {
    let expected = [
        (Mutant::GarbageUnnamed, "nothing referenced is deleted"),
        (Mutant::TakeOverWithoutBump, "epochs never fall"),
        (Mutant::PublishBeforeQuorum, "acknowledged is durable"),
        (Mutant::FenceIgnored, "a fenced writer publishes nothing"),
        (Mutant::TimeoutIsFailure, "one writer per version"),
        (Mutant::StepWithoutMark, "an effect is applied once"),
        (Mutant::StaleReads, "no read goes back"),
        (Mutant::RegisterBeforeCopies, "acknowledged is durable"),
        (Mutant::OldSetWrites, "a writer of an old replica set publishes nothing"),
    ];
    for (mutant, invariant) in expected {
        let failure = caught(mutant).unwrap_or_else(|| panic!("{} was not caught", mutant.name()));
        assert_eq!(failure.violation.invariant, invariant, "{failure}");
    }
}

#[test]
fn a_failing_world_names_the_command_that_replays_it_and_fails_again() {
    let failure = caught(Mutant::GarbageUnnamed).unwrap();
    let said = failure.to_string();
    let command = format!("cargo xtask sim --seed {} --steps 3000 --mutant garbage-unnamed", failure.seed);
    assert!(said.contains(&command), "{said}");
    let again = run(&Config { seed: failure.seed, steps: 3000, mutant: Some(Mutant::GarbageUnnamed) });
    assert_eq!(again.unwrap_err(), failure);
}

#[test]
fn every_planted_fault_has_a_name_of_its_own() {
    for mutant in Mutant::ALL {
        assert_eq!(Mutant::of_name(mutant.name()), Some(mutant));
    }
}
