//! Replay: the large data is not in the checkpoint, and yet it is there after a crash.

use cookbook_recipe_02_computation_that_survives_a_power_outage::error::RecipeError;
use cookbook_recipe_02_computation_that_survives_a_power_outage::replay::Replay;
use grafos_std::host::LocalHost;

use crate::support::home;

const BINS: usize = 100_000;

#[test]
fn derived_data_is_the_same_after_any_number_of_restarts() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let mut undisturbed = Replay::open(&host, "undisturbed", 3, BINS).unwrap();
    undisturbed.advance(6);

    for batches in [1, 2, 3] {
        let mut replay = Replay::open(&host, "restarted", 3, BINS).unwrap();
        replay.advance(batches);
        replay.checkpoint().unwrap();
        replay.advance(1); // not checkpointed: lost, and computed again
    }
    let replay = Replay::open(&host, "restarted", 3, BINS).unwrap();
    assert_eq!(replay.batches(), 6);
    assert_eq!(replay.histogram(), undisturbed.histogram());
}

#[test]
fn the_bins_may_change_since_they_are_not_stored() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let mut replay = Replay::open(&host, "v", 3, 10).unwrap();
    replay.advance(2);
    replay.checkpoint().unwrap();
    drop(replay);
    let finer = Replay::open(&host, "v", 3, BINS).unwrap();
    assert_eq!(finer.histogram().counts().iter().sum::<u64>(), 200_000);
}

#[test]
fn another_seed_is_refused() {
    let home = home();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    Replay::open(&host, "v", 3, 10).unwrap().checkpoint().unwrap();
    let error = Replay::open(&host, "v", 4, 10).unwrap_err();
    assert!(matches!(error, RecipeError::OtherSeed { requested: 4, found: 3, .. }), "{error}");
}
