//! What a tool sees of a volume, against what a restore makes of it.

use std::io::{self, Cursor};

use grafos_collections::durable::{Durable, SlotFault, SlotReport, inspect};

use crate::world::{State, World};

/// A volume with three checkpoints in three slots, of values of this length.
fn world(len: usize) -> World {
    let world = World::new(if len == 100 { 64 } else { 4096 });
    let mut durable = Durable::with_slots(3).start(State::at(1, len), world.lease());
    for step in 1..=4 {
        *durable = State::at(step, len);
        durable.checkpoint().unwrap();
    }
    world
}

/// What a restore of this image takes, by its sequence.
fn restored(world: &World, image: &[u8]) -> Option<u64> {
    world.set_image(image.to_vec());
    world.restore().ok().map(|durable| durable.sequence())
}

fn newest_good(image: &[u8]) -> Option<u64> {
    inspect(&mut Cursor::new(image)).unwrap().newest_good().map(|(_, checkpoint)| checkpoint.info.sequence)
}

#[test]
fn every_checkpoint_is_described() {
    for (len, chunks) in [(100, 1), (300_000, 5)] {
        let image = world(len).image();
        let report = inspect(&mut Cursor::new(&image)).unwrap();
        assert_eq!(report.volume_bytes, image.len() as u64);
        let mut sequences = Vec::new();
        for slot in &report.slots {
            let SlotReport::Checkpoint(checkpoint) = slot else { panic!("{slot:?}") };
            assert_eq!((checkpoint.fault.clone(), checkpoint.chunks), (None, chunks));
            assert_eq!(checkpoint.payload_block.is_none(), len == 100);
            sequences.push(checkpoint.info.sequence);
        }
        sequences.sort_unstable();
        assert_eq!(sequences, [2, 3, 4]);
        assert_eq!(newest_good(&image), Some(4));
    }
}

#[test]
fn a_flipped_bit_anywhere_leaves_the_same_newest_as_a_restore_takes() {
    for (len, stride) in [(100, 97), (300_000, 4_999)] {
        let world = world(len);
        let image = world.image();
        let mut changed = 0;
        for at in (0..image.len()).step_by(stride) {
            let mut damaged = image.clone();
            damaged[at] ^= 1 << (at % 8);
            let found = newest_good(&damaged);
            assert_eq!(found, restored(&world, &damaged), "byte {at}");
            changed += u32::from(found != Some(4));
        }
        assert!(changed > 2, "no flip has hit the newest checkpoint");
    }
}

#[test]
fn a_volume_cut_short_anywhere_is_described_and_nothing_past_its_end_is_believed() {
    let image = world(300_000).image();
    for len in (0..image.len()).step_by(512 * 31) {
        let report = inspect(&mut Cursor::new(&image[..len])).unwrap();
        for slot in &report.slots {
            if let SlotReport::Checkpoint(checkpoint) = slot {
                assert_eq!(checkpoint.fault, None, "it lies before the cut at {len}");
            }
        }
    }
    let report = inspect(&mut Cursor::new(&image[..512 * 24])).unwrap();
    let is_truncated = |slot: &SlotReport| matches!(slot, SlotReport::Fault(SlotFault::Truncated { .. }));
    assert!(report.slots.iter().all(is_truncated), "{report:?}");
}

#[test]
fn what_is_no_volume_is_said_to_be_none() {
    for bytes in [&b""[..], b"short", &[0xff; 9000]] {
        let report = inspect(&mut Cursor::new(bytes)).unwrap();
        assert!(!report.is_ours() && report.newest_good().is_none(), "{report:?}");
    }
}

/// A disk that can't be read.
struct Broken(Cursor<Vec<u8>>);

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(5))
    }
}

impl io::Seek for Broken {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_disk_that_fails_is_an_error_and_not_a_report() {
    let error = inspect(&mut Broken(Cursor::new(world(100).image()))).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
}
