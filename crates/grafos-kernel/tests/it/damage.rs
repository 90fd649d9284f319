//! Every bit of a small file flipped, and every length that it can be cut to: found, with the place.

use std::io;

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointError, CheckpointReader, Compression, DeltaOptions, Limits, ReadAt, WriteOptions,
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
        reader.copy_chunk(4, &mut io::sink()),
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
    match CheckpointReader::open_with(&bomb, &Limits { state_bytes: 100 << 20, ..Limits::default() }) {
        Err(CheckpointError::TooLarge { what: "state", limit, found, .. }) => {
            assert_eq!((limit, found), (100 << 20, 128 << 20));
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

/// A file with a hole: its first and last bytes are there, and zeros between them that nobody has stored.
struct Holes {
    header: Vec<u8>,
    footer: Vec<u8>,
    len: u64,
}

impl ReadAt for Holes {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        // A reader that believes the footer is not to fill the memory of whoever tests it.
        if into.len() > 4096 {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let footer_at = self.len - self.footer.len() as u64;
        for (at, to) in (offset..).zip(into) {
            let stored = match at.checked_sub(footer_at) {
                Some(at) => self.footer.get(usize::try_from(at).unwrap()),
                None => usize::try_from(at).ok().and_then(|at| self.header.get(at)),
            };
            *to = stored.copied().unwrap_or(0);
        }
        Ok(())
    }
}

/// Its footer claims an index as long as the file, which is as long as anybody likes and takes no room on a disk.
#[test]
fn an_index_that_is_larger_than_the_limits_is_refused_before_anything_is_allocated_for_it() {
    const TIB: u64 = 1 << 40;
    let good = small().to_bytes();
    let mut footer = good[good.len() - 128..].to_vec();
    let index_bytes = TIB - 4096 - 128;
    footer[16..24].copy_from_slice(&TIB.to_le_bytes());
    footer[24..32].copy_from_slice(&4096_u64.to_le_bytes());
    footer[32..40].copy_from_slice(&index_bytes.to_le_bytes());
    let digest = blake3::hash(&footer[..96]);
    footer[96..].copy_from_slice(digest.as_bytes());
    let file = Holes { header: good[..64].to_vec(), footer, len: TIB };
    match CheckpointReader::open(&file) {
        Err(CheckpointError::TooLarge { what: "index", offset, limit, found }) => {
            assert_eq!((offset, limit, found), (TIB - 128 + 32, 64 << 20, index_bytes));
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn the_limit_of_the_index_is_exact_in_both_versions() {
    let checkpoint = small();
    let good = checkpoint.to_bytes();
    let at = good.len() - 128 + 32;
    let in_version_2 = u64::from_le_bytes(good[at..at + 8].try_into().unwrap());
    let in_version_1 = (checkpoint.metadata.to_bytes().len() + 32 * checkpoint.chunks.len()) as u64;
    for (file, exact) in [(good, in_version_2), (checkpoint.to_bytes_v1().unwrap(), in_version_1)] {
        let open = |index_bytes| {
            CheckpointReader::open_with(&file, &Limits { index_bytes, ..Limits::default() }).map(drop)
        };
        assert!(open(exact).is_ok());
        match open(exact - 1) {
            Err(CheckpointError::TooLarge { what: "index", limit, found, .. }) => {
                assert_eq!((limit, found), (exact - 1, exact));
            }
            other => panic!("{other:?}"),
        }
    }
}
