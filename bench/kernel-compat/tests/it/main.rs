//! Checkpoints of version 1: what RingKernel writes we read, what we write RingKernel reads, and where the format leaves
//! no choice the bytes are the same.

#![cfg(test)]

use grafos_kernel::checkpoint::{self as ours, Checkpoint as Ours};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use ringkernel_core::checkpoint::{self as theirs, Checkpoint as Theirs};
use ringkernel_core::hlc::HlcTimestamp as TheirTime;

/// Where both write the time of day.
const CREATED_AT: std::ops::Range<usize> = 40..48;

/// One part of a kernel's state, for either crate.
#[derive(Clone, Debug)]
enum Part {
    ControlBlock(Vec<u8>),
    H2kQueue(Vec<u8>),
    K2hQueue(Vec<u8>),
    Region(String, Vec<u8>),
    Other(u32, u64, Vec<u8>),
}

/// All that goes into a checkpoint, for either crate.
#[derive(Clone, Debug)]
struct State {
    id: String,
    kind: String,
    step: u64,
    grid: (u32, u32, u32),
    tile: (u32, u32, u32),
    time: (u64, u64, u64),
    custom: Vec<(String, String)>,
    parts: Vec<Part>,
}

fn part() -> impl Strategy<Value = Part> {
    let data = || vec(any::<u8>(), 0..5000);
    let types = prop::sample::select(vec![1_u32, 2, 3, 4, 5, 6, 7, 8, 100]);
    prop_oneof![
        data().prop_map(Part::ControlBlock),
        data().prop_map(Part::H2kQueue),
        data().prop_map(Part::K2hQueue),
        (".{0,20}", data()).prop_map(|(name, data)| Part::Region(name, data)),
        (types, any::<u64>(), data()).prop_map(|(kind, id, data)| Part::Other(kind, id, data)),
    ]
}

fn state() -> impl Strategy<Value = State> {
    let custom = hash_map(".{0,10}", ".{0,30}", 0..4);
    let head = (".{0,20}", ".{0,20}", any::<u64>(), any::<(u32, u32, u32)>(), any::<(u32, u32, u32)>());
    (head, any::<(u64, u64, u64)>(), custom, vec(part(), 0..6)).prop_map(|(head, time, custom, parts)| {
        let (id, kind, step, grid, tile) = head;
        State { id, kind, step, grid, tile, time, custom: custom.into_iter().collect(), parts }
    })
}

fn in_ours(state: &State) -> Ours {
    let (time, grid, tile) = (state.time, state.grid, state.tile);
    let mut builder = ours::CheckpointBuilder::new(&state.id, &state.kind)
        .step(state.step)
        .grid_size(grid.0, grid.1, grid.2)
        .tile_size(tile.0, tile.1, tile.2)
        .hlc(ours::HlcTimestamp::new(time.0, time.1, time.2));
    for (key, value) in &state.custom {
        builder = builder.custom(key, value);
    }
    for part in state.parts.clone() {
        builder = match part {
            Part::ControlBlock(data) => builder.control_block(data),
            Part::H2kQueue(data) => builder.h2k_queue(data),
            Part::K2hQueue(data) => builder.k2h_queue(data),
            Part::Region(name, data) => builder.device_memory(&name, data),
            Part::Other(kind, id, data) => {
                let kind = ours::ChunkType::from_u32(kind).unwrap();
                builder.chunk(ours::DataChunk::with_id(kind, data, id))
            }
        };
    }
    builder.build()
}

fn in_theirs(state: &State) -> Theirs {
    let (time, grid, tile) = (state.time, state.grid, state.tile);
    let mut builder = theirs::CheckpointBuilder::new(&state.id, &state.kind)
        .step(state.step)
        .grid_size(grid.0, grid.1, grid.2)
        .tile_size(tile.0, tile.1, tile.2)
        .hlc(TheirTime::new(time.0, time.1, time.2));
    for (key, value) in &state.custom {
        builder = builder.custom(key, value);
    }
    for part in state.parts.clone() {
        builder = match part {
            Part::ControlBlock(data) => builder.control_block(data),
            Part::H2kQueue(data) => builder.h2k_queue(data),
            Part::K2hQueue(data) => builder.k2h_queue(data),
            Part::Region(name, data) => builder.device_memory(&name, data),
            Part::Other(kind, id, data) => {
                let kind = theirs::ChunkType::from_u32(kind).unwrap();
                builder.chunk(theirs::DataChunk::with_id(kind, data, id))
            }
        };
    }
    builder.build()
}

/// The same state, though one is ours and the other theirs. Names of regions are not in version 1.
fn assert_same(ours: &Ours, theirs: &Theirs) {
    let (mine, other) = (&ours.metadata, &theirs.metadata);
    assert_eq!((&mine.kernel_id, &mine.kernel_type), (&other.kernel_id, &other.kernel_type));
    assert_eq!(
        (mine.current_step, mine.grid_size, mine.tile_size),
        (other.current_step, other.grid_size, other.tile_size)
    );
    let (here, there) = (mine.hlc_timestamp, other.hlc_timestamp);
    assert_eq!((here.physical, here.logical, here.node_id), (there.physical, there.logical, there.node_id));
    assert_eq!(mine.custom, other.custom);
    assert_eq!(ours.chunks.len(), theirs.chunks.len());
    for (mine, other) in ours.chunks.iter().zip(&theirs.chunks) {
        assert_eq!(mine.header.to_bytes(), other.header.to_bytes());
        assert_eq!(mine.data, other.data);
    }
}

fn without_time(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[CREATED_AT].fill(0);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_they_write_we_read(state in state()) {
        let theirs = in_theirs(&state);
        let bytes = theirs.to_bytes();
        let read = Ours::from_bytes(&bytes).unwrap();
        assert_same(&read, &theirs);
        prop_assert_eq!(read.header.version, 1);
        for part in &state.parts {
            if let Part::Region(name, _) = part {
                prop_assert!(read.region(name).unwrap().is_some(), "region {:?} by name", name);
            }
        }
    }

    #[test]
    fn their_digest_is_told_from_a_file_of_either_version(state in state()) {
        let expected = in_theirs(&state).content_digest();
        let old = ours::CheckpointReader::open(in_theirs(&state).to_bytes()).unwrap();
        prop_assert_eq!(old.ringkernel_digest().unwrap(), expected.as_str());
        let new = ours::CheckpointReader::open(in_ours(&state).to_bytes()).unwrap();
        prop_assert_eq!(new.ringkernel_digest().unwrap(), expected);
    }

    #[test]
    fn what_we_write_they_read(state in state()) {
        let ours = in_ours(&state);
        let read = Theirs::from_bytes(&ours.to_bytes_v1().unwrap()).unwrap();
        assert_same(&ours, &read);
    }

    #[test]
    fn the_bytes_are_theirs_but_for_the_time(mut state in state()) {
        // They write several values in whatever order their hash map has.
        state.custom.truncate(1);
        let ours = without_time(in_ours(&state).to_bytes_v1().unwrap());
        prop_assert_eq!(ours, without_time(in_theirs(&state).to_bytes()));
    }

    #[test]
    fn their_deltas_are_applied_as_they_do_it(old in state(), new in state()) {
        let (base, delta) = (in_theirs(&old), Theirs::delta_from(&in_theirs(&old), &in_theirs(&new)));
        let ours = Ours::applied_with_delta(
            &Ours::from_bytes(&base.to_bytes()).unwrap(),
            &Ours::from_bytes(&delta.to_bytes()).unwrap(),
        );
        // Several chunks of one type and id: they lose one of them in silence.
        let is_ambiguous = |checkpoint: &Theirs| {
            let mut seen = std::collections::HashSet::new();
            checkpoint.chunks.iter().any(|chunk| !seen.insert(chunk.chunk_identity()))
        };
        if is_ambiguous(&base) || is_ambiguous(&delta) {
            return Ok(());
        }
        let mut theirs = Theirs::applied_with_delta(&base, &delta).unwrap();
        theirs.metadata.custom.remove(theirs::DELTA_PARENT_DIGEST_KEY);
        assert_same(&ours.unwrap(), &theirs);
    }
}

#[test]
fn their_delta_of_another_parent_is_refused() {
    let state = |byte| theirs::CheckpointBuilder::new("k", "t").control_block(vec![byte; 256]).build();
    let delta = Ours::from_bytes(&Theirs::delta_from(&state(1), &state(2)).to_bytes()).unwrap();
    let other = Ours::from_bytes(&state(3).to_bytes()).unwrap();
    let refused = Ours::applied_with_delta(&other, &delta);
    assert!(matches!(refused, Err(ours::CheckpointError::ParentMismatch { .. })), "{refused:?}");
}

#[test]
fn they_refuse_version_2_as_a_newer_version() {
    let bytes = ours::CheckpointBuilder::new("k", "t").control_block(vec![1; 256]).build().to_bytes();
    let refused = Theirs::from_bytes(&bytes).unwrap_err().to_string();
    assert!(refused.contains("Unsupported version: 2"), "{refused}");
}

#[test]
fn constants_and_names_are_theirs() {
    assert_eq!(ours::CHECKPOINT_MAGIC, theirs::CHECKPOINT_MAGIC);
    assert_eq!(ours::CHECKPOINT_VERSION_1, theirs::CHECKPOINT_VERSION);
    assert_eq!(ours::MAX_CHECKPOINT_SIZE, theirs::MAX_CHECKPOINT_SIZE);
    assert_eq!(ours::DELTA_PARENT_DIGEST_KEY, theirs::DELTA_PARENT_DIGEST_KEY);
}
