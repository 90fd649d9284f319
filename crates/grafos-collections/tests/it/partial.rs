//! Only what differs from what lies in the slot already is written.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use grafos_collections::durable::{Bulk, Durable, DurableError};
use grafos_std::host::testing::{FaultPlan, Keep};
use serde::{Serialize, Serializer};

use crate::world::World;

const CHUNK: u64 = 65_536;
const CHUNKS: usize = 40;

fn array(seed: u64) -> Bulk<Vec<u64>> {
    Bulk((0..(CHUNKS as u64 * CHUNK / 8)).map(|i| i.wrapping_mul(seed)).collect())
}

fn blocks() -> u64 {
    // No room to spare: the areas lie close to each other.
    grafos_collections::durable::blocks_needed(postcard::to_stdvec(&array(3)).unwrap().len() as u64, 2)
}

/// The bytes of whole chunks among those that were written: headers and chunk table are padded to less.
fn chunks_written(written_bytes: u64) -> u64 {
    written_bytes / CHUNK
}

#[test]
fn an_unchanged_value_is_written_once_for_each_slot() {
    let world = World::new(blocks());
    let durable = Durable::new(array(3), world.lease());
    durable.checkpoint().unwrap();
    for _ in 0..4 {
        let committed = durable.checkpoint().unwrap();
        assert_eq!(chunks_written(committed.written_bytes), 0, "the first one was copied to both slots");
    }
    drop(durable);
    assert_eq!(Durable::<Bulk<Vec<u64>>>::restore(world.lease()).unwrap().0, array(3).0);
}

#[test]
fn a_changed_element_costs_its_chunk_in_each_slot() {
    let world = World::new(blocks());
    let mut durable = Durable::new(array(3), world.lease());
    durable.checkpoint().unwrap();
    durable[100_000] ^= 1;
    for expected in [1, 1, 0, 0] {
        assert_eq!(chunks_written(durable.checkpoint().unwrap().written_bytes), expected);
    }
    let expected = durable.0.clone();
    drop(durable);
    assert_eq!(Durable::<Bulk<Vec<u64>>>::restore(world.lease()).unwrap().0, expected);
}

#[test]
fn a_restored_value_knows_its_own_slot_but_not_the_other() {
    let world = World::new(blocks());
    Durable::new(array(3), world.lease()).checkpoint().unwrap();
    let durable: Durable<Bulk<Vec<u64>>> = Durable::restore(world.lease()).unwrap();
    let written: Vec<u64> =
        (0..3).map(|_| chunks_written(durable.checkpoint().unwrap().written_bytes)).collect();
    assert_eq!(written, [CHUNKS as u64, 0, 0]);
}

#[test]
fn a_slot_that_a_power_cut_tore_is_written_anew() {
    let world = World::new(blocks());
    let mut durable = Durable::new(array(3), world.lease());
    durable.checkpoint().unwrap();
    durable.iter_mut().for_each(|element| *element += 1);
    world.disk.set_plan(FaultPlan::none());
    durable.checkpoint().unwrap();
    durable.iter_mut().for_each(|element| *element += 1);
    // Dies in the middle of the third checkpoint, with half of its blocks on the disk.
    let op = 2;
    world.disk.set_plan(
        FaultPlan::none().at(op, grafos_std::host::testing::Fault::PowerCut { keep: Keep::Seeded(5) }),
    );
    assert!(durable.checkpoint().is_err());
    drop(durable);
    world.disk.power_on().unwrap();
    let mut durable: Durable<Bulk<Vec<u64>>> = Durable::restore(world.lease()).unwrap();
    for _ in 0..3 {
        durable[0] += 1;
        durable.checkpoint().unwrap();
    }
    let expected = durable.0.clone();
    drop(durable);
    world.disk.cut_power(&Keep::None);
    world.disk.power_on().unwrap();
    let durable: Durable<Bulk<Vec<u64>>> = Durable::restore(world.lease()).unwrap();
    assert_eq!(durable.0, expected);
    assert!(durable.rejected().is_empty(), "{:?}", durable.rejected());
}

#[test]
fn a_value_that_does_not_fit_touches_nothing() {
    let world = World::new(blocks());
    let mut durable = Durable::new(array(3), world.lease());
    durable.checkpoint().unwrap();
    let before = durable.0.clone();
    durable.0 = vec![0; 2 * CHUNKS * 8192];
    assert!(durable.checkpoint().is_err());
    durable.0 = before;
    assert_eq!(chunks_written(durable.checkpoint().unwrap().written_bytes), 0, "the slot is still known");
}

/// Bytes that are encoded wrongly, and to another length each time, while they are sick.
struct Patient {
    bytes: Vec<u8>,
    sick: AtomicBool,
    encodings: AtomicUsize,
}

impl Serialize for Patient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.sick.load(Ordering::SeqCst) {
            return serializer.serialize_bytes(&self.bytes);
        }
        let mut wrong: Vec<u8> = self.bytes.iter().map(|byte| !byte).collect();
        wrong.truncate(wrong.len() - self.encodings.fetch_add(1, Ordering::SeqCst));
        serializer.serialize_bytes(&wrong)
    }
}

#[test]
fn a_failed_checkpoint_forgets_what_it_overwrote() {
    let world = World::new(blocks());
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|i| (i / 7) as u8).collect();
    let (sick, encodings) = (AtomicBool::new(false), AtomicUsize::new(0));
    let patient = Durable::new(Patient { bytes: bytes.clone(), sick, encodings }, world.lease());
    patient.checkpoint().unwrap();
    patient.sick.store(true, Ordering::SeqCst);
    let error = patient.checkpoint().unwrap_err();
    assert!(matches!(error, DurableError::UnstableEncoding { .. }), "{error}");
    patient.sick.store(false, Ordering::SeqCst);
    let committed = patient.checkpoint().unwrap();
    assert!(
        committed.written_bytes >= committed.payload_bytes,
        "the slot was overwritten with something else"
    );
    drop(patient);
    let restored: Durable<Vec<u8>> = Durable::restore(world.lease()).unwrap();
    assert_eq!((restored.inner(), restored.rejected()), (&bytes, [].as_slice()));
}
