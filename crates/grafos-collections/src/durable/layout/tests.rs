//! Placement: what must stay is never in the way of what is written.

use fabricbios_core::lease::FenceEpoch;
use proptest::prelude::*;

use super::*;

/// A volume on which checkpoints are placed, without the bytes.
struct World {
    layout: Layout,
    slots: Vec<Slot>,
    base: Option<u32>,
    sequence: u64,
}

impl World {
    fn new(volume_blocks: u64, slot_count: u32) -> Self {
        let slots = vec![Slot::Blank; slot_count as usize];
        Self { layout: Layout::new(volume_blocks, slot_count), slots, base: None, sequence: 0 }
    }

    fn grow_to(&mut self, volume_blocks: u64) {
        self.layout = Layout::new(volume_blocks, self.layout.slot_count);
    }

    fn commit(&mut self, payload_bytes: u64) -> Result<Place, DurableError> {
        let place = self.layout.place(&self.slots, self.base, payload_bytes)?;
        self.sequence += 1;
        self.slots[place.slot as usize] = Slot::Valid(Header {
            slot: place.slot,
            slot_count: self.layout.slot_count,
            sequence: self.sequence,
            epoch: FenceEpoch(1),
            unix_ms: 0,
            payload_bytes,
            payload_block: place.payload_block,
            schema: String::new(),
            payload_root: [0; 32],
        });
        self.base = Some(place.slot);
        Ok(place)
    }

    fn extent(&self, slot: u32) -> Option<Range<u64>> {
        extents(&self.slots, |other| other == slot).next()
    }
}

#[test]
fn the_first_two_checkpoints_go_to_the_first_two_slots() {
    for slot_count in [2, 3, 64] {
        let mut world = World::new(100_000, slot_count);
        assert_eq!(world.commit(5000).unwrap().slot, 0);
        assert_eq!(world.commit(5000).unwrap().slot, 1);
    }
}

#[test]
fn a_volume_of_the_recipe_holds_small_values_in_its_headers() {
    let mut world = World::new(64, 2);
    assert_eq!(world.commit(INLINE_BYTES as u64).unwrap(), Place { slot: 0, payload_block: None });
    assert_eq!(world.commit(INLINE_BYTES as u64 + 1).unwrap(), Place { slot: 1, payload_block: Some(40) });
    // An empty volume would need 80 blocks; in one of 80, the payload at 40 would lie across both areas.
    let error = world.commit(8193).unwrap_err();
    assert!(matches!(
        error,
        DurableError::DoesNotFit { payload_bytes: 8193, needed_blocks: 112, available_blocks: 64 }
    ));
}

#[test]
fn a_volume_too_small_for_its_headers_holds_nothing() {
    for volume_blocks in [0, 1, 15] {
        let error = World::new(volume_blocks, 2).commit(1).unwrap_err();
        assert!(matches!(error, DurableError::DoesNotFit { needed_blocks: 16, .. }), "{error}");
    }
    assert!(World::new(16, 2).commit(1).is_ok());
}

#[test]
fn going_back_spares_the_checkpoint_that_was_gone_back_to() {
    let mut world = World::new(10_000, 3);
    for _ in 0..3 {
        world.commit(5000).unwrap();
    }
    world.base = Some(0); // the oldest
    assert_eq!(world.commit(5000).unwrap().slot, 1, "the oldest but one gives way");
}

#[test]
fn a_huge_length_is_refused_without_overflow() {
    let error = World::new(1 << 40, 2).commit(u64::MAX).unwrap_err();
    assert!(matches!(error, DurableError::DoesNotFit { .. }));
}

proptest! {
    #[test]
    fn what_must_stay_is_never_in_the_way(
        slot_count in 2..6_u32,
        steps in prop::collection::vec((0..60_000_u64, 0..100_u64, any::<bool>()), 1..40),
    ) {
        let mut volume_blocks = 16 * u64::from(slot_count);
        let mut world = World::new(volume_blocks, slot_count);
        let mut grown = false;
        for (payload_bytes, growth, reopen) in steps {
            if reopen && growth > 50 {
                volume_blocks += growth;
                world.grow_to(volume_blocks);
                grown = true;
            }
            let (base, kept) = (world.base.and_then(|base| world.extent(base)), world.slots.clone());
            match world.commit(payload_bytes) {
                Ok(place) => {
                    let Some(extent) = world.extent(place.slot) else { continue };
                    prop_assert!(extent.end <= volume_blocks);
                    prop_assert!(extent.start >= u64::from(slot_count) * HEADER_BLOCKS);
                    prop_assert!(base.is_none_or(|base| !overlap(&base, &extent)), "the base is in the way");
                    if !grown {
                        let others = extents(&kept, |slot| slot != place.slot);
                        prop_assert!(others.into_iter().all(|other| !overlap(&other, &extent)));
                    }
                }
                Err(DurableError::DoesNotFit { needed_blocks, .. }) => {
                    prop_assert!(needed_blocks > volume_blocks);
                    volume_blocks = needed_blocks;
                    world.grow_to(volume_blocks);
                    grown = true;
                    prop_assert!(world.commit(payload_bytes).is_ok(), "{needed_blocks} blocks were said to do");
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn the_blocks_that_are_said_to_be_needed_do_and_fewer_do_not(
        payload_bytes in 0..50_000_000_u64, slot_count in 2..65_u32,
    ) {
        let needed = blocks_needed(payload_bytes, slot_count);
        let mut world = World::new(needed, slot_count);
        for _ in 0..2 * slot_count {
            prop_assert!(world.commit(payload_bytes).is_ok());
        }
        let fewer = World::new(needed - HEADER_BLOCKS, slot_count).commit(payload_bytes);
        prop_assert!(fewer.is_err());
    }
}
