//! Damage that no power cut makes: each kind has its own error, and nothing is made up.

use std::fmt::Write as _;

use fabricbios_core::recovery::Recovery;
use grafos_collections::durable::{Durable, DurableError, SlotFault};
use grafos_std::block::BLOCK_SIZE;
use grafos_std::error::FabricError;
use grafos_std::host::testing::{CrashPoint, Fault, FaultPlan, Keep};

use crate::world::{State, World};

const HEADER_BYTES: usize = 4096;

/// A volume with the checkpoints of steps 1 and 2, 2 being the newest, in slots 0 and 1.
fn world(len: usize) -> World {
    let world = World::new(64);
    let mut durable = Durable::new(State::at(1, len), world.lease());
    durable.checkpoint().unwrap();
    // The first checkpoint stands in both slots; the next two go to slot 0 and slot 1.
    for step in [1, 2] {
        *durable = State::at(step, len);
        durable.checkpoint().unwrap();
    }
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 2);
    world
}

#[test]
fn a_flipped_bit_anywhere_in_the_newest_header_yields_the_one_before() {
    let world = world(100);
    let header = newest(&world.image());
    for byte in 0..HEADER_BYTES {
        let bit = byte % 8;
        let restored = world.restore_changed(|image| image[header + byte] ^= 1 << bit).unwrap();
        assert_eq!(restored.value, State::at(1, 100), "byte {byte}");
        assert_eq!(restored.rejected.len(), 1);
        let expected = if byte < 4 { "BadMagic" } else { "HeaderDigest" };
        assert!(format!("{:?}", restored.rejected[0].fault).starts_with(expected), "byte {byte}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_both_headers_is_an_error_that_names_both() {
    let world = world(100);
    for byte in 0..HEADER_BYTES {
        let restored = world.restore_changed(|image| {
            image[byte] ^= 0x10;
            image[HEADER_BYTES + byte] ^= 0x10;
        });
        match restored.unwrap_err() {
            DurableError::AllSlotsDamaged { rejected } if byte >= 4 => {
                assert_eq!(rejected.len(), 2);
                assert!(rejected.iter().all(|slot| slot.fault == SlotFault::HeaderDigest));
            }
            DurableError::ForeignVolume { found } if byte < 4 => {
                assert_eq!(found[byte] ^ 0x10, b"DCHK"[byte]);
            }
            error => panic!("byte {byte}: {error}"),
        }
    }
}

/// Where the newest header begins.
fn newest(image: &[u8]) -> usize {
    let sequence = |at: usize| u64::from_le_bytes(image[at + 16..at + 24].try_into().unwrap());
    if sequence(0) > sequence(HEADER_BYTES) { 0 } else { HEADER_BYTES }
}

/// Where the payload of the header at `header` begins.
fn payload(image: &[u8], header: usize) -> usize {
    let block = u64::from_le_bytes(image[header + 48..header + 56].try_into().unwrap());
    usize::try_from(block).unwrap() * BLOCK_SIZE
}

#[test]
fn a_flipped_bit_in_a_payload_or_its_chunk_table_yields_the_one_before() {
    let world = world(5000);
    let newest_payload = payload(&world.image(), newest(&world.image()));
    let encoded_len = 1 + 2 + 5000;
    for byte in (0..encoded_len).step_by(13).chain([encoded_len - 1]) {
        let restored = world.restore_changed(|image| image[newest_payload + byte] ^= 1).unwrap();
        assert_eq!(restored.value, State::at(1, 5000));
        assert_eq!(restored.rejected[0].fault, SlotFault::ChunkDigest { chunk: 0 });
        assert_eq!(restored.rejected[0].sequence, Some(3));
    }
    let table = newest_payload + 8192;
    for byte in 0..32 {
        let restored = world.restore_changed(|image| image[table + byte] ^= 1).unwrap();
        assert_eq!(restored.value, State::at(1, 5000));
        assert_eq!(restored.rejected[0].fault, SlotFault::TableDigest);
    }
}

#[test]
fn padding_is_zeros_and_nothing_of_an_older_value() {
    let world = World::new(64);
    let mut durable = Durable::new(State::at(1, 8000), world.lease());
    durable.checkpoint().unwrap();
    for step in [2, 3] {
        *durable = State::at(step, 5000);
        durable.checkpoint().unwrap();
    }
    drop(durable);
    let image = world.image();
    for header in [0, HEADER_BYTES] {
        let padding = payload(&image, header) + 1 + 2 + 5000..payload(&image, header) + 8192;
        assert!(image[padding].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn damage_to_both_payloads_is_an_error_and_no_default() {
    let world = world(5000);
    let error = world
        .restore_changed(|image| {
            for header in [0, HEADER_BYTES] {
                let at = payload(image, header);
                image[at + 100] ^= 1;
            }
        })
        .unwrap_err();
    assert!(matches!(&error, DurableError::AllSlotsDamaged { rejected } if rejected.len() == 2), "{error}");
    assert_eq!(error.recovery(), Recovery::RestoreElsewhere);
}

#[test]
fn a_value_that_did_not_come_from_the_volume_spares_the_newest_checkpoint_that_verifies() {
    // The newest header is good, but its payload is not; what verifies is the older slot.
    let damaged = || {
        let world = world(5000);
        let mut image = world.image();
        let at = payload(&image, newest(&image));
        image[at + 100] ^= 1;
        world.set_image(image);
        world
    };
    let run = |plan: FaultPlan| {
        let world = damaged();
        world.disk.set_plan(plan);
        let acknowledged = Durable::new(State::at(9, 5000), world.lease()).checkpoint().is_ok();
        (world, acknowledged)
    };
    let (world, acknowledged) = run(FaultPlan::none());
    assert!(acknowledged);
    for point in CrashPoint::all(&world.disk.ops()) {
        for keep in [Keep::None, Keep::All].into_iter().chain((0..20).map(Keep::Seeded)) {
            let (world, acknowledged) = run(point.plan(keep));
            assert!(!acknowledged);
            world.disk.power_on().unwrap();
            let step = world.restore().unwrap().step;
            assert!(step == 1 || step == 9, "{step}");
        }
    }
}

#[test]
fn open_or_init_does_not_start_anew_over_damage() {
    let world = world(100);
    let mut image = world.image();
    image[100] ^= 1;
    image[HEADER_BYTES + 100] ^= 1;
    world.set_image(image.clone());
    let outcome = Durable::open_or_init(world.lease(), || State::at(77, 1));
    assert!(matches!(outcome, Err(DurableError::AllSlotsDamaged { .. })));
    assert_eq!(world.image(), image, "nothing was written");
}

#[test]
fn swapped_slots_are_told_apart() {
    let world = world(100);
    let error = world
        .restore_changed(|image| {
            let (first, second) = image.split_at_mut(HEADER_BYTES);
            first.swap_with_slice(&mut second[..HEADER_BYTES]);
        })
        .unwrap_err();
    let DurableError::AllSlotsDamaged { rejected } = error else { panic!("{error}") };
    assert_eq!(rejected[0].fault, SlotFault::Misplaced { expected: 0, found: 1 });
    assert_eq!(rejected[1].fault, SlotFault::Misplaced { expected: 1, found: 0 });
}

#[test]
fn a_copied_slot_counts_once() {
    let world = world(100);
    let restored = world.restore_changed(|image| {
        let from = newest(image);
        image.copy_within(from..from + HEADER_BYTES, HEADER_BYTES - from);
    });
    let restored = restored.unwrap();
    assert_eq!(restored.value, State::at(2, 100));
    assert!(matches!(restored.rejected[0].fault, SlotFault::Misplaced { .. }));
}

#[test]
fn a_volume_that_was_cut_short_says_how_long_it_was() {
    let world = world(5000);
    let mut image = world.image();
    image.truncate(40 * BLOCK_SIZE);
    world.set_image(image);
    let restored = Durable::<State>::restore(
        grafos_std::block::BlockBuilder::new().on(&world.host).volume("v").acquire().unwrap(),
    );
    let faults: Vec<SlotFault> = match restored {
        Ok(durable) => durable.rejected().iter().map(|slot| slot.fault.clone()).collect(),
        Err(DurableError::AllSlotsDamaged { rejected }) => {
            rejected.into_iter().map(|slot| slot.fault).collect()
        }
        Err(error) => panic!("{error}"),
    };
    let cut = SlotFault::Truncated { needed_blocks: 40 + 16 + 8, volume_blocks: 40 };
    assert!(faults.contains(&cut), "{faults:?}");
}

#[test]
fn a_volume_of_another_program_is_neither_read_nor_overwritten() {
    let world = world(100);
    let mut image = world.image();
    image.fill(0x55);
    image[..6].copy_from_slice(b"SQLite");
    world.set_image(image.clone());
    let is_foreign =
        |error: &DurableError| matches!(error, DurableError::ForeignVolume { found } if found == b"SQLi");
    assert!(is_foreign(&world.restore().unwrap_err()));
    assert!(is_foreign(&Durable::open_or_init(world.lease(), || State::at(0, 0)).unwrap_err()));
    assert!(is_foreign(&Durable::new(State::at(0, 0), world.lease()).checkpoint().unwrap_err()));
    assert_eq!(world.image(), image);
}

#[test]
fn a_newer_format_is_neither_read_nor_overwritten() {
    let world = world(100);
    let mut image = world.image();
    let at = newest(&image);
    image[at + 4] = 3;
    let digest = blake3::hash(&image[at..at + 4064]);
    image[at + 4064..at + 4096].copy_from_slice(digest.as_bytes());
    world.set_image(image.clone());
    for outcome in
        [world.restore().map(drop), Durable::new(State::at(0, 0), world.lease()).checkpoint().map(drop)]
    {
        assert!(matches!(outcome, Err(DurableError::OtherFormatVersion { supported: 2, found: 3 })));
    }
    assert_eq!(world.image(), image);
}

#[test]
fn an_older_epoch_can_neither_read_nor_overwrite_what_a_newer_one_wrote() {
    let newer = world(100);
    for _ in 0..5 {
        newer.restore().unwrap().checkpoint().unwrap();
    }
    let epoch = newer.restore().unwrap().restored().unwrap().epoch;
    let image = newer.image();
    let older = World::new(64);
    drop(older.lease());
    older.set_image(image.clone());
    let write = || Durable::new(State::at(9, 9), older.lease()).checkpoint().map(drop);
    for outcome in [older.restore().map(drop), write()] {
        let Err(DurableError::StaleEpoch { held, found }) = outcome else { panic!("{outcome:?}") };
        assert!(held < found && found == epoch, "{held} {found}");
    }
    assert_eq!(older.image(), image);
}

#[test]
fn a_full_device_is_an_error_and_the_checkpoint_before_stays() {
    let world = world(5000);
    let mut durable = world.restore().unwrap();
    *durable = State::at(3, 5000);
    world.disk.set_plan(FaultPlan::none().at(0, Fault::Fail { errno: 28 }));
    let error = durable.checkpoint().unwrap_err();
    assert!(matches!(error, DurableError::Fabric(FabricError::IoError { errno: 28, .. })), "{error}");
    drop(durable);
    assert_eq!(world.restore().unwrap().step, 2);
}

#[test]
fn a_header_that_the_device_cannot_read_is_passed_over() {
    let world = world(100);
    // A restore reads both headers first.
    world.disk.set_plan(FaultPlan::none().counting_reads().at(1, Fault::Fail { errno: 5 }));
    let durable = world.restore().unwrap();
    assert_eq!(durable.rejected()[0].fault, SlotFault::Unreadable { errno: 5 });
    assert!(durable.is_whole());
}

#[test]
fn messages_name_what_was_expected_and_found() {
    let world = world(100);
    let error = world
        .restore_changed(|image| {
            image[200] ^= 1;
            image[HEADER_BYTES + 200] ^= 1;
        })
        .unwrap_err();
    let mut message = String::new();
    write!(message, "{error}").unwrap();
    assert_eq!(
        message,
        "no checkpoint on this volume verifies: slot 0: the header's digest does not match; \
         slot 1: the header's digest does not match"
    );
}
