//! More than two slots: older checkpoints to go back to.

use grafos_collections::durable::{Durable, DurableError};
use grafos_std::host::testing::{CrashPoint, FaultPlan, Keep};

use crate::world::{State, World};

fn sequences(durable: &Durable<State>) -> Vec<u64> {
    durable.history().unwrap().iter().map(|info| info.sequence).collect()
}

fn committed(world: &World, slots: u32, steps: u64) -> Durable<State> {
    let mut durable = Durable::with_slots(slots).start(State::at(0, 10), world.lease());
    for step in 1..=steps {
        *durable = State::at(step, 10);
        durable.checkpoint().unwrap();
    }
    durable
}

#[test]
fn a_volume_keeps_as_many_checkpoints_as_it_has_slots() {
    let world = World::new(200);
    assert_eq!(sequences(&committed(&world, 4, 1)), [1]);
    assert_eq!(sequences(&committed(&world, 4, 1)), [2, 1]);
    assert_eq!(sequences(&committed(&world, 4, 8)), [10, 9, 8, 7]);
    assert_eq!(sequences(&world.restore().unwrap()), [10, 9, 8, 7], "the volume knows its slots");
}

#[test]
fn going_back_takes_the_value_and_keeps_counting() {
    let world = World::new(200);
    let mut durable = committed(&world, 3, 5);
    durable.restore_at(3).unwrap();
    assert_eq!((durable.step, durable.sequence()), (3, 3));
    *durable = State::at(30, 10);
    assert_eq!(durable.checkpoint().unwrap().sequence, 6);
    assert_eq!(sequences(&durable), [6, 5, 3]);
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 30);
}

#[test]
fn going_back_to_what_is_gone_says_what_there_is_and_changes_nothing() {
    let world = World::new(200);
    let mut durable = committed(&world, 3, 5);
    let DurableError::NotInHistory { requested, available } = durable.restore_at(2).unwrap_err() else {
        panic!()
    };
    assert_eq!((requested, available), (2, vec![5, 4, 3]));
    assert_eq!(durable.step, 5);
}

#[test]
fn a_power_cut_while_going_on_from_an_older_one_leaves_it_or_a_newer_one() {
    let run = |plan: FaultPlan| {
        let world = World::new(64);
        let mut durable = committed(&world, 2, 4);
        durable.restore_at(3).unwrap();
        world.disk.set_plan(plan);
        *durable = State::at(30, 10);
        let acknowledged = durable.checkpoint().is_ok();
        (world, acknowledged)
    };
    let (world, acknowledged) = run(FaultPlan::none());
    assert!(acknowledged);
    for point in CrashPoint::all(&world.disk.ops()) {
        for keep in point.outcomes(8) {
            let (world, acknowledged) = run(point.plan(keep));
            assert!(!acknowledged);
            world.disk.power_on().unwrap();
            let step = world.restore().unwrap().step;
            assert!([3, 4, 30].contains(&step), "{step}");
        }
    }
    world.disk.cut_power(&Keep::None);
}

#[test]
fn the_number_of_slots_is_fixed_by_the_first_checkpoint() {
    let world = World::new(200);
    drop(committed(&world, 3, 1));
    let error = Durable::<State>::with_slots(4).restore(world.lease()).unwrap_err();
    assert!(matches!(error, DurableError::SlotCountMismatch { requested: 4, found: 3 }), "{error}");
    let error = Durable::with_slots(2).start(State::at(0, 0), world.lease()).checkpoint().unwrap_err();
    assert!(matches!(error, DurableError::SlotCountMismatch { requested: 2, found: 3 }), "{error}");
    for slots in [0, 1, 65] {
        let error = Durable::<State>::with_slots(slots).restore(world.lease()).unwrap_err();
        assert!(matches!(error, DurableError::InvalidOption { option: "slots", .. }), "{error}");
    }
}
