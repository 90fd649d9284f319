//! Values of every size around every limit, and volumes that grow.

use grafos_collections::durable::{Durable, DurableError, blocks_needed};
use grafos_std::block::BlockBuilder;
use proptest::prelude::*;

use crate::world::{State, World};

const BUFFER: usize = 1024 * 1024;

#[test]
fn values_around_every_limit_come_back() {
    let limits = [0, 3808, 4096, 8192, 65_536, 2 * 65_536, BUFFER, 2 * BUFFER, 9 * BUFFER];
    for limit in limits {
        for len in (limit.max(12) - 12..limit + 3).filter(|len| limit < BUFFER || len % 3 == 0) {
            let world = World::new(blocks_needed(len as u64 + 16, 2));
            let mut durable = Durable::new(State::at(1, len), world.lease());
            durable.checkpoint().unwrap();
            *durable = State::at(2, len);
            durable.checkpoint_in_background().unwrap().wait().unwrap();
            drop(durable);
            assert!(*world.restore().unwrap() == State::at(2, len), "{len} bytes");
        }
    }
}

#[test]
fn what_does_not_fit_says_how_many_blocks_it_needs_and_touches_nothing() {
    let world = World::new(64);
    let mut durable = Durable::new(State::at(1, 10), world.lease());
    durable.checkpoint().unwrap();
    let image = world.image();
    *durable = State::at(2, 100_000);
    let error = durable.checkpoint().unwrap_err();
    let DurableError::DoesNotFit { payload_bytes, needed_blocks, available_blocks } = error else {
        panic!("{error}")
    };
    assert_eq!((payload_bytes, available_blocks), (100_004, 64));
    assert_eq!(needed_blocks, blocks_needed(payload_bytes, 2));
    assert_eq!(world.image(), image);
    *durable = State::at(3, 10);
    durable.checkpoint().expect("the handle is not closed by a value that did not fit");
    drop(durable);

    let grown = BlockBuilder::new().on(&world.host).volume("v").min_blocks(needed_blocks).acquire().unwrap();
    let mut durable: Durable<State> = Durable::restore(grown).unwrap();
    assert_eq!(durable.step, 3);
    *durable = State::at(4, 100_000);
    durable.checkpoint().unwrap();
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 4);
}

#[test]
fn a_volume_of_one_block_says_what_it_needs() {
    let world = World::new(1);
    let error = Durable::new(State::at(1, 10), world.lease()).checkpoint().unwrap_err();
    assert!(
        matches!(error, DurableError::DoesNotFit { needed_blocks: 16, available_blocks: 1, .. }),
        "{error}"
    );
    assert!(matches!(world.restore(), Err(DurableError::NoCheckpoint)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_volume_that_grows_as_it_is_told_keeps_every_value(
        lens in prop::collection::vec(0..300_000_usize, 1..10), slots in 2..5_u32,
    ) {
        let mut world = World::new(8 * u64::from(slots));
        for (step, len) in (1_u64..).zip(lens) {
            let mut durable = Durable::with_slots(slots).open_or_init(world.lease(), || State::at(0, 0)).unwrap();
            prop_assert!(durable.is_whole());
            prop_assert_eq!(durable.step, step - 1);
            *durable = State::at(step, len);
            match durable.checkpoint() {
                Ok(_) => {}
                Err(DurableError::DoesNotFit { needed_blocks, .. }) => {
                    drop(durable);
                    world.blocks = needed_blocks;
                    let mut durable =
                        Durable::with_slots(slots).open_or_init(world.lease(), || State::at(0, 0)).unwrap();
                    prop_assert_eq!(durable.step, step - 1);
                    *durable = State::at(step, len);
                    prop_assert!(durable.checkpoint().is_ok());
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}
