//! Checkpoints in the background: in order, and their errors can't be missed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use grafos_collections::durable::{Bulk, Durable, DurableError};
use grafos_std::error::FabricError;
use grafos_std::host::testing::{Fault, FaultPlan};
use serde::{Serialize, Serializer};

use crate::world::{State, World};

#[test]
fn the_value_of_the_call_is_committed_whatever_happens_to_it_later() {
    let world = World::new(9000);
    let mut durable = Durable::new(State::at(1, 2_000_000), world.lease());
    let pending = durable.checkpoint_in_background().unwrap();
    *durable = State::at(2, 5);
    let committed = pending.wait().unwrap();
    assert_eq!((committed.sequence, durable.sequence()), (1, 1));
    drop(durable);
    assert_eq!(*world.restore().unwrap(), State::at(1, 2_000_000));
}

#[test]
fn checkpoints_are_committed_in_the_order_of_the_calls() {
    let world = World::new(9000);
    let mut durable = Durable::new(State::at(0, 0), world.lease());
    let mut pending = Vec::new();
    for step in 1..=6 {
        *durable = State::at(step, if step % 2 == 0 { 10 } else { 1_500_000 });
        if step % 3 == 0 {
            assert_eq!(durable.checkpoint().unwrap().sequence, step);
        } else {
            pending.push((step, durable.checkpoint_in_background().unwrap()));
        }
    }
    for (step, pending) in pending {
        assert!(pending.is_finished());
        assert_eq!(pending.wait().unwrap().sequence, step);
    }
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 6);
}

#[test]
fn dropping_the_value_finishes_what_is_being_written() {
    let world = World::new(9000);
    let durable = Durable::new(State::at(3, 2_000_000), world.lease());
    drop(durable.checkpoint_in_background().unwrap());
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 3);
}

/// A value whose next checkpoint in the background fails, and has failed when this returns.
fn with_unseen_failure(world: &World) -> Durable<State> {
    let durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    world.disk.set_plan(FaultPlan::none().at(0, Fault::Fail { errno: 5 }));
    let pending = durable.checkpoint_in_background().unwrap();
    while !pending.is_finished() {
        thread::yield_now();
    }
    durable
}

fn is_the_failure(error: &DurableError) -> bool {
    matches!(error, DurableError::Fabric(FabricError::IoError { errno: 5, .. }))
}

#[test]
fn an_error_that_nobody_waited_for_is_returned_by_the_next_call_whichever_it_is() {
    type Call = fn(Durable<State>) -> Result<(), DurableError>;
    let calls: [(&str, Call); 6] = [
        ("checkpoint", |durable| durable.checkpoint().map(drop)),
        ("checkpoint_in_background", |durable| durable.checkpoint_in_background().map(drop)),
        ("mutate", |mut durable| durable.mutate(|state| state.step = 99)),
        ("history", |durable| durable.history().map(drop)),
        ("restore_at", |mut durable| durable.restore_at(1)),
        ("into_block_lease", |durable| durable.into_block_lease().map(drop)),
    ];
    for (name, call) in calls {
        let world = World::new(64);
        let error = call(with_unseen_failure(&world)).unwrap_err();
        assert!(is_the_failure(&error), "{name}: {error}");
    }
}

#[test]
fn an_error_is_returned_once() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    world.disk.set_plan(FaultPlan::none().at(0, Fault::Fail { errno: 5 }));
    let pending = durable.checkpoint_in_background().unwrap();
    assert!(is_the_failure(&pending.wait().unwrap_err()));
    assert!(durable.history().is_ok(), "it was seen");
    let later = durable.checkpoint().unwrap_err();
    assert!(matches!(later, DurableError::Fabric(FabricError::Poisoned { .. })));
}

#[test]
fn waiting_for_what_another_call_has_reported_says_so() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    world.disk.set_plan(FaultPlan::none().at(0, Fault::Fail { errno: 5 }));
    let pending = durable.checkpoint_in_background().unwrap();
    assert!(is_the_failure(&durable.history().unwrap_err()));
    assert!(matches!(pending.wait(), Err(DurableError::BackgroundLost { .. })));
}

#[test]
fn what_does_not_fit_is_refused_by_the_call_itself() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 100_000), world.lease());
    let error = durable.checkpoint_in_background().unwrap_err();
    assert!(matches!(error, DurableError::DoesNotFit { .. }), "{error}");
    assert!(world.disk.ops().is_empty());
}

#[test]
fn threads_take_turns() {
    let world = World::new(2000);
    let durable = Durable::new(Bulk(vec![7_u8; 200_000]), world.lease());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    durable.checkpoint().unwrap();
                    durable.checkpoint_in_background().unwrap().wait().unwrap();
                }
            });
        }
    });
    assert_eq!(durable.sequence(), 40);
}

/// Encodes to something longer each time.
struct Unstable(AtomicU64);

impl Serialize for Unstable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = self.0.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_bytes(&vec![0; usize::try_from(len).unwrap()])
    }
}

#[test]
fn a_value_that_encodes_differently_each_time_is_refused_and_nothing_is_committed() {
    for len in [10, 5000, 1_048_570, 2_000_000] {
        let world = World::new(20_000);
        let durable = Durable::new(Unstable(AtomicU64::new(len)), world.lease());
        let error = durable.checkpoint().unwrap_err();
        assert!(matches!(error, DurableError::UnstableEncoding { .. }), "{len}: {error}");
        let error = durable.checkpoint_in_background().map(drop).unwrap_err();
        assert!(matches!(error, DurableError::UnstableEncoding { .. }), "{len}: {error}");
        drop(durable);
        assert!(matches!(world.restore(), Err(DurableError::NoCheckpoint)));
    }
}
