//! Any blocks from any memory, against a plain vector.

use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::host::local::data_file;
use crate::host::local::tests::skip_aloud;

const BLOCKS: usize = 48;
const BYTES: usize = BLOCKS * BLOCK_SIZE;

/// A file of `BYTES` zeros, open for direct I/O; `None`, said aloud, where the file system has none.
fn direct_file() -> Option<(TempDir, File, DirectIo)> {
    let temp = tempfile::tempdir().unwrap();
    let dir = SecureDir::adopt(&temp.path().canonicalize().unwrap()).unwrap();
    data_file::create(&dir, BLOCKS as u64).unwrap();
    let Some((file, direct)) = DirectIo::open(&dir, "data").unwrap() else {
        skip_aloud("the temporary directory has no direct I/O", "GRAFOS_REQUIRE_DIRECT_IO");
        return None;
    };
    assert_eq!(file.metadata().unwrap().size(), BYTES as u64);
    Some((temp, file, direct))
}

#[derive(Clone, Debug)]
struct Request {
    is_write: bool,
    first_block: usize,
    blocks: usize,
    /// How far the buffer lies off a page.
    skew: usize,
    fill: u8,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let skew = prop_oneof![Just(0), Just(512), 0..4096_usize];
    let request = (any::<bool>(), 0..BLOCKS, 1..=BLOCKS, skew, any::<u8>()).prop_map(
        |(is_write, first_block, blocks, skew, fill)| Request {
            is_write,
            first_block,
            blocks: blocks.min(BLOCKS - first_block),
            skew,
            fill,
        },
    );
    prop::collection::vec(request, 1..12)
}

fn behaves_as_a_vector(file: &File, direct: &DirectIo, requests: &[Request]) -> Result<(), TestCaseError> {
    let mut model = vec![0; BYTES];
    direct.write(file, 0, &model).unwrap();
    for request in requests {
        let at = request.first_block * BLOCK_SIZE;
        let len = request.blocks * BLOCK_SIZE;
        let mut memory = AlignedBuf::zeroed(len + request.skew);
        let buffer = &mut memory[request.skew..];
        if request.is_write {
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = request.fill ^ u8::try_from(index % 251).unwrap();
            }
            direct.write(file, at as u64, buffer).unwrap();
            model[at..at + len].copy_from_slice(buffer);
        } else {
            direct.read(file, at as u64, buffer).unwrap();
            prop_assert!(buffer == &model[at..at + len], "{request:?}");
        }
    }
    let mut whole = AlignedBuf::zeroed(BYTES);
    file.read_exact_at(&mut whole, 0).unwrap();
    prop_assert!(whole[..] == model[..], "the whole file");
    Ok(())
}

proptest! {
    #[test]
    fn direct_io_behaves_as_a_vector_of_bytes(requests in requests()) {
        if let Some((_temp, file, direct)) = direct_file() {
            behaves_as_a_vector(&file, &direct, &requests)?;
            // As on a disk with larger sectors, which takes every smaller one's requests too.
            for (unit, memory_unit) in [(1024, 512), (4096, 512), (4096, 4096)] {
                let coarse = DirectIo::with_units(unit.max(direct.unit), memory_unit.max(direct.memory_unit));
                behaves_as_a_vector(&file, &coarse, &requests)?;
            }
        }
    }
}

#[test]
fn writers_of_neighbouring_blocks_do_not_undo_each_other() {
    let Some((_temp, file, _)) = direct_file() else { return };
    let direct = DirectIo::with_units(4096, 4096);
    for round in 1..=20_u8 {
        std::thread::scope(|scope| {
            for block in 0..8_u8 {
                let (file, direct) = (&file, &direct);
                scope.spawn(move || {
                    let content = [round ^ (block << 5); BLOCK_SIZE];
                    direct.write(file, u64::from(block) * BLOCK_SIZE as u64, &content).unwrap();
                });
            }
            // A writer of the next whole unit and the block behind it.
            scope.spawn(|| direct.write(&file, 4096, &vec![round; 4096 + BLOCK_SIZE]).unwrap());
        });
        let mut all = vec![0; 4096 + 4096 + BLOCK_SIZE];
        direct.read(&file, 0, &mut all).unwrap();
        for block in 0..8_u8 {
            let at = usize::from(block) * BLOCK_SIZE;
            assert!(
                all[at..at + BLOCK_SIZE].iter().all(|byte| *byte == round ^ (block << 5)),
                "block {block}"
            );
        }
        assert!(all[4096..].iter().all(|byte| *byte == round));
    }
}

#[test]
fn a_read_past_the_end_is_an_error_and_not_zeros() {
    let Some((_temp, file, direct)) = direct_file() else { return };
    let mut block = [0xaa; BLOCK_SIZE];
    assert!(direct.read(&file, BYTES as u64, &mut block).is_err());
    let mut many = vec![0; 8192];
    assert!(direct.read(&file, BYTES as u64 - 4096, &mut many).is_err());
}
