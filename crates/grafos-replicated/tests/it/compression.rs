//! States whose chunks are stored compressed.

use grafos_replicated::*;

use crate::world::{World, name, payload};

const MIB: usize = 1 << 20;
const FAST: Compression = Compression::Zstd { level: 1 };

/// Text that repeats itself, but no two chunks are the same.
fn wordy(len: usize) -> Vec<u8> {
    (0..).flat_map(|n: u32| format!("line {} of many, ", n / 3).into_bytes()).take(len).collect()
}

#[test]
fn a_compressed_state_takes_less_room_and_comes_back_whole() {
    let world = World::new();
    let mut job = world.checkpoints(1).compression(FAST);
    for (at, len) in [0, 1, 1000, MIB, 3 * MIB + 7].into_iter().enumerate() {
        let bytes = wordy(len);
        let saved = job.save_bytes(name(), Version(at as u64), &bytes, FenceEpoch(1)).unwrap();
        assert!(len < 100_000 || saved.written_bytes < len as u64 / 4, "{len}: {}", saved.written_bytes);
        let mut other = world.checkpoints_reading(1, 3);
        assert!(other.load_latest(&name()).unwrap().unwrap().value == bytes, "len={len}");
        let mut streamed = Vec::new();
        other.load_into(&name(), &mut streamed).unwrap();
        assert!(streamed == bytes, "len={len}");
    }
    assert_eq!(job.scrub(&name()).unwrap().faults, []);
    let emptied = world.with_empty("a");
    assert!(!emptied.checkpoints(1).repair(&name()).unwrap().copied.is_empty());
    assert_eq!(emptied.checkpoints(1).scrub(&name()).unwrap().faults, []);
}

#[test]
fn chunks_that_did_not_change_stay_as_they_are_whatever_new_ones_are_stored_like() {
    let world = World::new();
    let mut bytes = wordy(8 * MIB);
    bytes[4 * MIB..].copy_from_slice(&payload(4 * MIB, 1));
    let first = world.checkpoints(1).save_bytes(name(), Version::NONE, &bytes, FenceEpoch(1)).unwrap();
    assert!(first.written_bytes > 8 * MIB as u64);
    let mut version = 1;
    for compression in [FAST, Compression::None, Compression::Zstd { level: 19 }, FAST] {
        for place in [MIB / 2, 6 * MIB] {
            bytes[place] ^= 1;
            let mut job = world.checkpoints(1).compression(compression);
            let saved = job.save_bytes(name(), Version(version), &bytes, FenceEpoch(1)).unwrap();
            assert!(saved.written_bytes < MIB as u64 + 10_000, "one chunk: {saved:?}");
            if place < MIB && compression != Compression::None {
                assert!(saved.written_bytes < MIB as u64 / 4, "it is compressed: {saved:?}");
            }
            version += 1;
        }
        assert!(world.checkpoints(1).load_latest(&name()).unwrap().unwrap().value == bytes);
    }
}

#[test]
fn a_stream_of_typed_values_is_compressed_too() {
    let world = World::new();
    let mut job = world.checkpoints(1).compression(FAST);
    let value: Vec<u64> = (0..500_000).map(|n| n / 1000).collect();
    let saved = job.save(name(), Version::NONE, &value, FenceEpoch(1)).unwrap();
    assert!(saved.written_bytes < 200_000, "{saved:?}");
    assert!(job.load::<Vec<u64>>(&name()).unwrap().unwrap().value == value);
}
