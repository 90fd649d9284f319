//! What is written is read, in both versions, however it is written.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointError, CheckpointReader, ChunkType, Compression, DataChunk,
    Limits, WriteOptions, region_id,
};
use proptest::prelude::*;

use crate::samples::{MIB, assert_same, checkpoint, compressions, noise, packed, ramp, small};

fn options() -> impl Strategy<Value = WriteOptions> {
    let compression = prop::sample::select(compressions().to_vec());
    (compression, 6_u32..13, 1_usize..4).prop_map(|(compression, shift, threads)| {
        WriteOptions::new().compression(compression).alignment(1 << shift).threads(threads)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn version_2_is_read_as_it_was_written(checkpoint in checkpoint(), options in options()) {
        let bytes = checkpoint.encode(&options).unwrap();
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        assert_same(&read, &checkpoint);
        prop_assert_eq!(read.header.total_size, bytes.len() as u64);
        prop_assert_eq!(read.header.chunk_count as usize, checkpoint.chunks.len());

        // A stream gives the same bytes, and the table of chunks the same digest as the chunks.
        let mut stream = Vec::new();
        let written = checkpoint.write_to(&mut stream, &options).unwrap();
        prop_assert!(stream == bytes, "the stream differs");
        let reader = CheckpointReader::open(&bytes).unwrap();
        prop_assert_eq!(reader.root(), Some(written.root));
        prop_assert_eq!(reader.contents().unwrap(), checkpoint.contents());
        prop_assert_eq!(written.contents, checkpoint.contents());
        prop_assert_eq!((written.file_bytes, written.state_bytes), (bytes.len() as u64, reader.state_bytes()));
    }

    #[test]
    fn version_1_is_read_as_it_was_written(mut checkpoint in checkpoint()) {
        let bytes = checkpoint.to_bytes_v1().unwrap();
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        for chunk in &mut checkpoint.chunks {
            chunk.name = None;
        }
        assert_same(&read, &checkpoint);
        prop_assert_eq!(read.header.version, 1);
        prop_assert_eq!(CheckpointReader::open(&bytes).unwrap().contents().unwrap(), checkpoint.contents());
        // It is read once more from what it was read to.
        assert_same(&Checkpoint::from_bytes(&read.to_bytes()).unwrap(), &checkpoint);
    }

    #[test]
    fn any_range_of_a_chunk_is_read(at in 0_usize..2_500_000, len in 0_usize..1_500_000, compression in 0_usize..3) {
        let data: Vec<u8> = [ramp(MIB + 100), noise(MIB, 9), ramp(400_000)].concat();
        let checkpoint = CheckpointBuilder::new("k", "t").control_block(vec![1; 10]).device_memory("a", data.clone());
        let bytes = checkpoint.build().encode(&packed(compressions()[compression])).unwrap();
        let reader = CheckpointReader::open(&bytes).unwrap();
        let mut found = vec![0; len];
        match (reader.read_range(1, at as u64, &mut found), data.get(at..at + len)) {
            (Ok(()), Some(expected)) => prop_assert!(found == expected),
            (Err(CheckpointError::OutOfRange { chunk: 1, .. }), None) => {}
            (done, expected) => prop_assert!(false, "{done:?}, {:?} bytes are there", expected.map(<[u8]>::len)),
        }
    }
}

#[test]
fn the_length_of_the_bytes_is_known_before() {
    for len in [0, 1, 4095, 4096, MIB, 2 * MIB + 1] {
        let checkpoint = CheckpointBuilder::new("k", "t").device_memory("a", vec![1; len]).build();
        assert_eq!(checkpoint.to_bytes().len(), checkpoint.total_size());
        assert_eq!(checkpoint.total_size() % 4096, 0);
    }
}

#[test]
fn every_chunk_begins_at_a_multiple_of_the_alignment() {
    for alignment in [64, 512, 4096, 65_536] {
        let options = WriteOptions::new().alignment(alignment).compression(Compression::zstd());
        let bytes = small().encode(&options).unwrap();
        let reader = CheckpointReader::open(&bytes).unwrap();
        assert!(reader.chunks().iter().all(|chunk| chunk.offset % u64::from(alignment) == 0));
        assert_eq!(bytes.len() % alignment as usize, 0);
    }
    for alignment in [0, 1, 32, 65, 4095, 1 << 21] {
        let refused = small().encode(&WriteOptions::new().alignment(alignment));
        assert!(matches!(refused, Err(CheckpointError::InvalidOption { .. })), "{alignment}: {refused:?}");
    }
}

#[test]
fn what_compresses_is_smaller_and_what_does_not_is_stored_as_it_is() {
    for compression in [Compression::Lz4, Compression::zstd(), Compression::Zstd { level: 19 }] {
        let ramps = CheckpointBuilder::new("k", "t").device_memory("a", ramp(3 * MIB)).build();
        let bytes = ramps.encode(&WriteOptions::new().compression(compression)).unwrap();
        assert!(bytes.len() < MIB / 4, "{compression}: {}", bytes.len());
        let reader = CheckpointReader::open(&bytes).unwrap();
        assert_eq!(reader.chunks()[0].compression().to_string(), compression.to_string());

        let noises = CheckpointBuilder::new("k", "t").device_memory("a", noise(3 * MIB, 1)).build();
        let bytes = noises.encode(&WriteOptions::new().compression(compression)).unwrap();
        assert_eq!(bytes.len(), noises.to_bytes().len());
        assert_eq!(CheckpointReader::open(&bytes).unwrap().chunks()[0].compression(), Compression::None);
    }
    for level in [0, 20] {
        let refused = small().encode(&WriteOptions::new().compression(Compression::Zstd { level }));
        assert!(matches!(refused, Err(CheckpointError::InvalidOption { .. })), "{refused:?}");
    }
}

#[test]
fn a_region_is_found_by_name_and_never_a_namesake() {
    let mut checkpoint = small();
    assert_eq!(checkpoint.region("pressure").unwrap().unwrap().data, ramp(300));
    assert!(checkpoint.region("nothing").unwrap().is_none());
    let reader = CheckpointReader::open(checkpoint.to_bytes()).unwrap();
    assert_eq!(reader.region("pressure").unwrap().unwrap().0, 2);
    assert_eq!(reader.find(ChunkType::ControlBlock).unwrap().0, 0);

    checkpoint.chunks[2] = DataChunk::region("other", vec![1]);
    checkpoint.chunks[2].header.chunk_id = region_id("pressure");
    for found in [
        checkpoint.region("pressure").map(drop),
        CheckpointReader::open(checkpoint.to_bytes()).unwrap().region("pressure").map(drop),
    ] {
        assert!(matches!(found, Err(CheckpointError::NameCollision { .. })), "{found:?}");
    }
}

#[test]
fn a_buffer_is_used_again_and_keeps_nothing_of_what_it_held() {
    let mut buffer = Vec::new();
    let large =
        CheckpointBuilder::new("k", "t").created_at(1).device_memory("a", vec![0xff; 3 * MIB]).build();
    for checkpoint in [&large, &small(), &large] {
        for compression in compressions() {
            let options = WriteOptions::new().compression(compression);
            checkpoint.encode_into(&mut buffer, &options).unwrap();
            assert!(buffer == checkpoint.encode(&options).unwrap());
        }
    }
}

#[test]
fn sizes_in_headers_are_those_of_the_data() {
    let mut checkpoint = small();
    checkpoint.chunks[0].data.push(1);
    for bytes in [checkpoint.to_bytes(), checkpoint.to_bytes_v1().unwrap()] {
        assert_eq!(Checkpoint::from_bytes(&bytes).unwrap().chunks[0].header.uncompressed_size, 65);
    }
}

#[test]
fn a_compressed_state_needs_room_within_the_limits() {
    let checkpoint = CheckpointBuilder::new("k", "t").device_memory("a", vec![0; 4 * MIB]).build();
    let bytes = checkpoint.encode(&packed(Compression::zstd())).unwrap();
    let limits = |state_bytes| Limits { state_bytes, ..Limits::default() };
    assert!(bytes.len() < 4096);
    assert!(Checkpoint::decode(&bytes, &limits(4 << 20)).is_ok());
    match Checkpoint::decode(&bytes, &limits((4 << 20) - 1)) {
        Err(CheckpointError::TooLarge { limit, found, .. }) => {
            assert_eq!((limit, found), ((4 << 20) - 1, 4 << 20));
        }
        other => panic!("{other:?}"),
    }
    // One that is as long as its file needs none.
    assert!(Checkpoint::decode(&checkpoint.to_bytes(), &limits(0)).is_ok());
}
