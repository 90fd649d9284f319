//! Worlds hold, and a seed is a world.

use grafos_sim::{Config, Totals, run};

const STEPS: u64 = 3000;

#[test]
fn fifty_worlds_hold() {
    let mut totals = Totals::default();
    for seed in 1..=50 {
        match run(&Config { seed, steps: STEPS, mutant: None }) {
            Ok(report) => totals += report.totals,
            Err(failure) => panic!("{failure}"),
        }
    }
    // A world in which nothing goes wrong would hold without any protocol.
    let Totals {
        unknown,
        barriers,
        fencings,
        deletes,
        repairs,
        takeovers,
        wipes,
        set_changes,
        misplaced,
        ..
    } = totals;
    let seen = [unknown, barriers, fencings, deletes, repairs, takeovers, wipes, set_changes, misplaced];
    assert!(seen.iter().all(|count| *count > 10), "{totals}");
    let Totals { completed, taken_over, repeated, reconciled, retired, regressions, late_commits, .. } =
        totals;
    let seen = [completed, taken_over, repeated, reconciled, retired, regressions, late_commits];
    assert!(seen.iter().all(|count| *count > 0), "{totals}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in [3, 4] {
        let config = Config { seed, steps: STEPS, mutant: None };
        assert_eq!(run(&config).unwrap(), run(&config).unwrap());
    }
}

#[test]
fn another_seed_gives_another_world() {
    let hash = |seed| run(&Config { seed, steps: STEPS, mutant: None }).unwrap().hash;
    assert_ne!(hash(3), hash(4));
}
