//! The published methods, used as their documents use them.

use std::time::Duration;

use fabricbios_core::recovery::Recovery;
use fabricbios_core::state::LeaseStatus;
use grafos_collections::durable::{Durable, DurableError};
use grafos_std::block::BlockBuilder;
use grafos_std::error::FabricError;
use serde::{Deserialize, Serialize};

use crate::world::{State, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SimState {
    iter: u64,
    rng_seed: u64,
    sum: f64,
    count: u64,
}

#[test]
fn the_recipe_of_the_documents_compiles_and_resumes() -> Result<(), FabricError> {
    let world = World::new(64);
    let lease_id = world.host.scope(|| -> Result<u128, FabricError> {
        let block_lease = BlockBuilder::new().min_blocks(64).acquire()?;
        let lease_id = block_lease.lease_id();
        let mut d: Durable<SimState> =
            Durable::new(SimState { iter: 0, rng_seed: 123, sum: 0.0, count: 0 }, block_lease);
        let checkpoint_every = 10_u64;
        let total_iters = 55_u64;
        while d.iter < total_iters {
            d.inner_mut().iter += 1;
            if d.iter.is_multiple_of(checkpoint_every) {
                d.checkpoint()?;
            }
        }
        // The process dies here: nothing is released.
        world.disk.kill_holders();
        drop(d);
        Ok(lease_id.into())
    })?;
    world.host.scope(|| {
        let d: Durable<SimState> = Durable::restore(BlockBuilder::attach(lease_id)?)?;
        assert_eq!((d.iter, d.rng_seed), (50, 123));
        Ok(())
    })
}

#[test]
fn new_writes_nothing() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 10), world.lease());
    assert_eq!(durable.sequence(), 0);
    drop(durable);
    assert!(world.disk.ops().is_empty());
    assert!(matches!(world.restore(), Err(DurableError::NoCheckpoint)));
}

#[test]
fn a_value_comes_back_with_its_number() {
    let world = World::new(64);
    let mut durable = Durable::open_or_init(world.lease(), || State::at(5, 10)).unwrap();
    assert!(durable.restored().is_none());
    assert_eq!(durable.checkpoint().unwrap().sequence, 1);
    *durable = State::at(6, 20);
    let committed = durable.checkpoint().unwrap();
    assert_eq!((committed.sequence, durable.sequence()), (2, 2));
    assert_eq!(committed.payload_bytes, 1 + 1 + 20);
    let epoch = durable.lease().epoch();
    drop(durable);

    let durable = Durable::open_or_init(world.lease(), || unreachable!()).unwrap();
    let _: &State = &durable;
    assert_eq!(*durable.inner(), State::at(6, 20));
    let restored = durable.restored().unwrap();
    assert_eq!((restored.sequence, restored.epoch, restored.payload_bytes), (2, epoch, 22));
    assert!(durable.rejected().is_empty());
    assert!(durable.lease().epoch() > epoch);
}

#[test]
fn a_small_checkpoint_is_one_write_and_one_flush() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 500), world.lease());
    durable.checkpoint().unwrap();
    world.disk.set_plan(grafos_std::host::testing::FaultPlan::none());
    assert_eq!(durable.checkpoint().unwrap().written_bytes, 4096);
    assert_eq!(world.disk.ops().len(), 2);
}

#[test]
fn new_goes_on_counting_where_the_volume_is() {
    let world = World::new(64);
    for round in 1..=3 {
        let durable = Durable::new(State::at(round, 10), world.lease());
        assert_eq!(durable.checkpoint().unwrap().sequence, round);
    }
    assert_eq!(world.restore().unwrap().step, 3);
}

#[test]
fn mutate_counts_and_checkpoints_when_it_is_time() {
    let world = World::new(64);
    let mut durable = Durable::new(State::at(0, 10), world.lease());
    durable.mutate(|state| state.step += 1).unwrap();
    assert_eq!(durable.sequence(), 0, "not unless it is asked for");
    durable.set_auto_checkpoint(Some(3));
    for _ in 0..7 {
        assert_eq!(
            durable
                .mutate(|state| {
                    state.step += 1;
                    "answer"
                })
                .unwrap(),
            "answer"
        );
    }
    durable.inner_mut().step += 1;
    assert_eq!(durable.sequence(), 2);
    durable.set_auto_checkpoint(Some(0));
    durable.mutate(|_| ()).unwrap();
    assert_eq!(durable.sequence(), 3);
    durable.set_auto_checkpoint(None);
    durable.mutate(|_| ()).unwrap();
    assert_eq!(durable.sequence(), 3);
}

#[test]
fn the_lease_can_be_taken_out_and_used_again() {
    let world = World::new(64);
    let durable = Durable::new(State::at(4, 10), world.lease());
    durable.checkpoint().unwrap();
    let lease = durable.into_block_lease().unwrap();
    assert_eq!(lease.status(), LeaseStatus::Active);
    assert_eq!(Durable::<State>::restore(lease).unwrap().step, 4);
}

#[test]
fn a_checkpoint_on_a_lease_that_ended_fails_closed() {
    let world = World::new(64);
    let durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    world.host.revoke(durable.lease().lease_id()).unwrap();
    let error = durable.checkpoint().unwrap_err();
    assert!(matches!(error, DurableError::Fabric(FabricError::Revoked { .. })), "{error}");
    assert_eq!(error.recovery(), Recovery::Reacquire);
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 1);

    let lease = BlockBuilder::new().on(&world.host).volume("v").lease_secs(10).acquire().unwrap();
    let durable: Durable<State> = Durable::restore(lease).unwrap();
    world.clock.advance(Duration::from_secs(10));
    let error = durable.checkpoint().unwrap_err();
    assert!(matches!(error, DurableError::Fabric(FabricError::LeaseExpired { .. })), "{error}");
}

#[test]
fn checkpoints_renew_the_lease_in_time() {
    let world = World::new(64);
    let lease =
        BlockBuilder::new().on(&world.host).volume("v").min_blocks(64).lease_secs(100).acquire().unwrap();
    let durable = Durable::new(State::at(1, 10), lease);
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(76));
        durable.checkpoint().unwrap();
    }
}

#[test]
fn a_schema_tag_is_stored_and_checked() {
    let world = World::new(64);
    let tagged = |tag: &str| Durable::<State>::options().schema(tag);
    tagged("sim.v1").start(State::at(1, 1), world.lease()).checkpoint().unwrap();
    let restored = world.restore_with(tagged("sim.v1")).unwrap();
    assert_eq!(restored.restored().unwrap().schema, "sim.v1");
    drop(restored);
    for other in ["sim.v2", ""] {
        let error = world.restore_with(tagged(other)).unwrap_err();
        let DurableError::SchemaMismatch { expected, found } = &error else { panic!("{error}") };
        assert_eq!((expected.as_str(), found.as_str()), (other, "sim.v1"));
        assert_eq!(error.recovery(), Recovery::FixCaller);
    }
    let too_long = world.restore_with(tagged(&"x".repeat(65))).unwrap_err();
    assert!(matches!(too_long, DurableError::InvalidOption { found: 65, .. }));
}

#[test]
fn another_type_is_a_decode_error_and_not_an_older_checkpoint() {
    let world = World::new(64);
    Durable::new(vec![1_u8; 3], world.lease()).checkpoint().unwrap();
    let longer = Durable::<[u64; 9]>::restore(world.lease()).unwrap_err();
    assert!(matches!(longer, DurableError::Decode { sequence: 1, .. }), "{longer}");
    let shorter = Durable::<u8>::restore(world.lease()).unwrap_err();
    assert!(matches!(shorter, DurableError::Decode { sequence: 1, .. }), "{shorter}");
}

#[test]
fn errors_pass_through_functions_of_the_layer_below() {
    fn below(world: &World) -> grafos_std::Result<Durable<State>> {
        Ok(world.restore()?)
    }
    let error = below(&World::new(64)).unwrap_err();
    assert_eq!(error.recovery(), Recovery::FixCaller);
    assert_eq!(error.to_string(), DurableError::NoCheckpoint.to_string());
    let FabricError::Layer(layer) = error else { panic!("{error}") };
    assert!(matches!(layer.get_ref().downcast_ref(), Some(DurableError::NoCheckpoint)));
}

#[test]
fn an_empty_value_is_a_value() {
    let world = World::new(64);
    Durable::new((), world.lease()).checkpoint().unwrap();
    assert!(Durable::<()>::restore(world.lease()).is_ok());
}
