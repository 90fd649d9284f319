//! Every bit of a small file flipped, and every length that it can be cut to: found, with the place.

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointError, CheckpointReader, Compression, DeltaOptions, Limits, WriteOptions,
};

use crate::samples::{compressions, noise, packed, small, small_and_later};

/// Of version 1, what no checksum covers and no rule determines: the time of day.
const UNPROTECTED_IN_VERSION_1: std::ops::Range<usize> = 40..48;

fn files() -> Vec<(String, Vec<u8>)> {
    let delta = DeltaOptions::new().page_bytes(512).between(&small(), &small_and_later()).unwrap();
    let mut files = vec![("delta".to_owned(), delta.encode(&packed(Compression::None)).unwrap())];
    for compression in compressions() {
        files.push((format!("version 2, {compression}"), small().encode(&packed(compression)).unwrap()));
    }
    files.push(("version 1".to_owned(), small().to_bytes_v1().unwrap()));
    files
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    for (name, good) in files() {
        let mut file = good.clone();
        for at in 0..file.len() {
            for bit in 0..8 {
                file[at] ^= 1 << bit;
                let is_unprotected = name == "version 1" && UNPROTECTED_IN_VERSION_1.contains(&at);
                match Checkpoint::from_bytes(&file) {
                    Ok(read) if is_unprotected => {
                        let good = Checkpoint::from_bytes(&good).unwrap();
                        assert_eq!((read.metadata, read.chunks), (good.metadata, good.chunks));
                    }
                    Ok(_) => panic!("{name}: bit {bit} of byte {at} was flipped, and nobody saw it"),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
                file[at] ^= 1 << bit;
            }
        }
        assert_eq!(file, good);
    }
}

#[test]
fn a_file_that_was_cut_is_never_read() {
    for (name, good) in files() {
        for len in 0..good.len() {
            let read = Checkpoint::from_bytes(&good[..len]);
            assert!(read.is_err(), "{name}, cut to {len} of {} bytes", good.len());
        }
        for more in [1, 63, 64, 128, 4096] {
            let longer = [good.clone(), vec![0; more]].concat();
            assert!(Checkpoint::from_bytes(&longer).is_err(), "{name}, {more} bytes longer");
        }
    }
}

#[test]
fn a_cut_file_is_called_cut_and_another_one_foreign() {
    let error = |bytes: &[u8]| Checkpoint::from_bytes(bytes).unwrap_err();
    let good = small().to_bytes_v1().unwrap();
    for len in [0, 5, 8, 63] {
        let found = error(&good[..len]);
        assert!(
            matches!(found, CheckpointError::Truncated { found, .. } if found == len as u64),
            "{len}: {found}"
        );
    }
    let found = error(&good[..good.len() - 1]);
    assert!(matches!(found, CheckpointError::Truncated { .. }), "{found}");
    for foreign in [
        &b"PNG"[..],
        &[0; 4096],
        &b"RKCKPT01, but the other way round, which nobody writes. So it is none."[..],
    ] {
        let found = error(foreign);
        assert!(matches!(found, CheckpointError::NotACheckpoint { .. }), "{found}");
    }
    let mut newer = small().to_bytes();
    newer[8] = 3;
    let found = error(&newer);
    assert!(
        matches!(found, CheckpointError::UnsupportedVersion { offset: 8, newest: 2, found: 3 }),
        "{found}"
    );
}

/// What is wrong in one chunk does not keep the others from being read, and is said with its place.
#[test]
fn damage_in_one_segment_costs_that_segment_only() {
    let mut checkpoint = small();
    checkpoint.add_device_memory("large", noise((3 << 20) + 5, 4));
    let mut file = checkpoint.to_bytes();
    let at = CheckpointReader::open(&file).unwrap().chunks()[4].offset;
    file[usize::try_from(at).unwrap() + (1 << 20) + 77] ^= 0x10;

    let reader = CheckpointReader::open(&file).unwrap();
    for (index, chunk) in checkpoint.chunks.iter().enumerate().take(4) {
        assert_eq!(reader.read_chunk(index).unwrap(), chunk.data);
    }
    let mut page = [0; 100];
    reader.read_range(4, 10, &mut page).unwrap();
    reader.read_range(4, (2 << 20) + 10, &mut page).unwrap();
    for found in [
        reader.read_range(4, 1 << 20, &mut page),
        reader.read_chunk(4).map(drop),
        reader.copy_chunk(4, &mut std::io::sink()),
        reader.verify(),
        reader.read_all().map(drop),
    ] {
        let found = found.unwrap_err();
        assert!(
            matches!(found, CheckpointError::Damaged { offset, .. } if offset == at + (1 << 20)),
            "{found}"
        );
        assert!(found.to_string().contains("segment 1 of chunk 4"), "{found}");
    }
}

/// An index that promises much, behind right digests: refused before anything is allocated for it.
#[test]
fn a_bomb_is_refused_by_what_it_promises() {
    let options = WriteOptions::new().alignment(64).compression(Compression::zstd());
    let bomb = grafos_kernel::checkpoint::CheckpointBuilder::new("k", "t")
        .device_memory("a", vec![0; 64 << 20])
        .device_memory("b", vec![0; 64 << 20])
        .build()
        .encode(&options)
        .unwrap();
    assert!(bomb.len() < 32 << 10, "{}", bomb.len());
    match CheckpointReader::open_with(&bomb, &Limits { state_bytes: 100 << 20 }) {
        Err(CheckpointError::TooLarge { what: "state", limit, found, .. }) => {
            assert_eq!((limit, found), (100 << 20, 128 << 20));
        }
        other => panic!("{:?}", other.map(drop)),
    }
}
