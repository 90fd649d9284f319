//! Checkpoints to test with. Their bytes are the same on every run.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, ChunkType, Compression, DataChunk, HlcTimestamp, WriteOptions,
};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;

pub(crate) const MIB: usize = 1 << 20;

/// Bytes that don't compress.
pub(crate) fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut noise = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut noise);
    noise
}

/// Bytes that do.
pub(crate) fn ramp(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 64).to_le_bytes()[0]).collect()
}

/// Every sort of chunk, in a few hundred bytes.
pub(crate) fn small() -> Checkpoint {
    CheckpointBuilder::new("sim-1", "fdtd_3d")
        .created_at(1_700_000_000_000_000)
        .step(42)
        .grid_size(8, 8, 4)
        .tile_size(4, 4, 2)
        .hlc(HlcTimestamp::new(17, 2, 3))
        .custom("experiment", "α")
        .control_block(noise(64, 1))
        .h2k_queue(vec![])
        .device_memory("pressure", ramp(300))
        .chunk(DataChunk::with_id(ChunkType::Custom, noise(33, 2), 7))
        .build()
}

/// The same a step later.
pub(crate) fn small_and_later() -> Checkpoint {
    let mut later = small();
    later.metadata.current_step = 43;
    later.chunks[0].data[5] ^= 1;
    later.chunks.remove(1);
    later.chunks.push(DataChunk::region("velocity", noise(20, 3)));
    later
}

pub(crate) fn compressions() -> [Compression; 3] {
    [Compression::None, Compression::Lz4, Compression::zstd()]
}

/// Short files.
pub(crate) fn packed(compression: Compression) -> WriteOptions {
    WriteOptions::new().alignment(64).threads(1).compression(compression)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let sized = |len: usize, seed: u8| if seed.is_multiple_of(2) { noise(len, seed) } else { ramp(len) };
    prop_oneof![
        8 => vec(any::<u8>(), 0..200),
        3 => (0_usize..70_000, any::<u8>()).prop_map(move |(len, seed)| sized(len, seed)),
        1 => (MIB - 2..MIB + 3, any::<u8>()).prop_map(move |(len, seed)| sized(len, seed)),
    ]
}

fn chunk() -> impl Strategy<Value = DataChunk> {
    let flags = prop_oneof![5 => Just(0), 1 => 0_u32..1 << 30];
    let plain = (any::<u32>(), any::<u64>(), flags, data()).prop_map(|(kind, id, flags, data)| {
        let mut chunk = DataChunk::with_id(ChunkType::Custom, data, id);
        (chunk.header.chunk_type, chunk.header.flags) = (kind, flags);
        chunk
    });
    let named = (".{0,12}", data()).prop_map(|(name, data)| DataChunk::region(name, data));
    prop_oneof![plain, named]
}

/// Any checkpoint that is not a delta.
pub(crate) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let head = (".{0,12}", ".{0,12}", any::<u64>(), any::<(u32, u32, u32)>(), any::<(u64, u64, u64)>());
    let custom = hash_map(".{0,8}", ".{0,20}", 0..4);
    (head, custom, any::<u64>(), vec(chunk(), 0..5)).prop_map(|(head, custom, created_at, chunks)| {
        let (id, kind, step, grid, (physical, logical, node)) = head;
        let mut checkpoint = CheckpointBuilder::new(id, kind)
            .created_at(created_at)
            .step(step)
            .grid_size(grid.0, grid.1, grid.2)
            .tile_size(grid.2, grid.0, grid.1)
            .hlc(HlcTimestamp::new(physical, logical, node))
            .build();
        (checkpoint.metadata.custom, checkpoint.chunks) = (custom, chunks);
        checkpoint
    })
}

/// Neither keeps what only its own file says: sizes in headers, and in version 1 the names.
pub(crate) fn assert_same(one: &Checkpoint, other: &Checkpoint) {
    assert_eq!(one.metadata, other.metadata);
    assert_eq!(one.header.created_at, other.header.created_at);
    assert!(one.chunks == other.chunks, "the chunks differ");
}
