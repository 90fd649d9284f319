//! The data file: size, growth, ends, and a device that is full.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::host::local::tests::skip_aloud;

const BLOCK: u64 = BLOCK_SIZE as u64;

fn secure_dir() -> (TempDir, SecureDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = SecureDir::adopt(&temp.path().canonicalize().unwrap()).unwrap();
    (temp, dir)
}

fn len_of(temp: &TempDir) -> u64 {
    fs::metadata(temp.path().join(DATA)).unwrap().len()
}

#[test]
fn the_file_is_at_full_size_before_anything_is_written() {
    for (blocks, bytes) in [(1, 4096), (8, 4096), (9, 8192), (2048, 1 << 20)] {
        let (temp, dir) = secure_dir();
        assert_eq!(create(&dir, blocks).unwrap(), blocks);
        assert_eq!(len_of(&temp), bytes);
        let allocated =
            std::os::unix::fs::MetadataExt::blocks(&fs::metadata(temp.path().join(DATA)).unwrap());
        assert!(allocated * 512 >= bytes, "{allocated} of 512 bytes are allocated for {bytes}");
    }
}

#[test]
fn both_ways_write_and_read_the_same_bytes() {
    let (_temp, dir) = secure_dir();
    create(&dir, 20).unwrap();
    let content: Vec<u8> = (0..5 * BLOCK_SIZE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    for (writes, reads) in [(IoMode::Auto, IoMode::Buffered), (IoMode::Buffered, IoMode::Auto)] {
        for first_block in [0, 3, 15] {
            let writer = DataFile::open(&dir, 20, writes).unwrap();
            writer.write(first_block, &content).unwrap();
            writer.flush().unwrap();
            let mut found = vec![0; content.len()];
            DataFile::open(&dir, 20, reads).unwrap().read(first_block, &mut found).unwrap();
            assert!(found == content, "{writes:?} to {reads:?} at {first_block}");
        }
    }
}

#[test]
fn nothing_outside_the_volume_is_written_even_inside_the_file() {
    for mode in [IoMode::Auto, IoMode::Buffered] {
        let (temp, dir) = secure_dir();
        create(&dir, 3).unwrap();
        let data = DataFile::open(&dir, 3, mode).unwrap();
        for (first_block, len) in
            [(3, 512), (2, 1024), (0, 2048), (0, 100), (u64::MAX, 512), (u64::MAX / 512, 512)]
        {
            let error = data.write(first_block, &vec![1; len]).unwrap_err();
            assert!(matches!(error, FabricError::CapacityExceeded { available: 3, .. }), "{error}");
            let error = data.read(first_block, &mut vec![1; len]).unwrap_err();
            assert!(matches!(error, FabricError::CapacityExceeded { available: 3, .. }), "{error}");
        }
        assert_eq!(len_of(&temp), 4096);
        assert!(fs::read(temp.path().join(DATA)).unwrap().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_file_that_is_cut_short_in_use_is_an_error_and_does_not_grow_back() {
    for mode in [IoMode::Auto, IoMode::Buffered] {
        let (temp, dir) = secure_dir();
        create(&dir, 16).unwrap();
        let data = DataFile::open(&dir, 16, mode).unwrap();
        File::options().write(true).open(temp.path().join(DATA)).unwrap().set_len(4096).unwrap();
        assert!(matches!(data.read(12, &mut [0; BLOCK_SIZE]), Err(FabricError::IoError { .. })));
        assert!(matches!(data.write(12, &[1; BLOCK_SIZE]), Err(FabricError::DamagedRecord { .. })));
        assert_eq!(len_of(&temp), 4096);
        data.write(7, &[1; BLOCK_SIZE]).unwrap();
    }
}

#[test]
fn growth_keeps_what_is_there_and_adds_zeros_over_old_remains() {
    let (temp, dir) = secure_dir();
    create(&dir, 3).unwrap();
    DataFile::open(&dir, 3, IoMode::Buffered).unwrap().write(0, &[7; 3 * BLOCK_SIZE]).unwrap();
    // A growth that was cut off before its record, and something that was left in it.
    let file = File::options().write(true).open(temp.path().join(DATA)).unwrap();
    file.write_all_at(&[9; 8192], 3 * BLOCK).unwrap();
    assert_eq!(grow(&dir, 3, 30).unwrap(), 30);
    assert_eq!(len_of(&temp), 16384);
    let mut all = vec![1; 30 * BLOCK_SIZE];
    DataFile::open(&dir, 30, IoMode::Auto).unwrap().read(0, &mut all).unwrap();
    assert!(all[..3 * BLOCK_SIZE].iter().all(|byte| *byte == 7));
    assert!(all[3 * BLOCK_SIZE..].iter().all(|byte| *byte == 0));
    assert_eq!(grow(&dir, 30, 30).unwrap(), 30);
}

#[test]
fn a_growth_that_was_cut_off_after_its_first_step_is_taken_up() {
    let (temp, dir) = secure_dir();
    create(&dir, 3).unwrap();
    let file = File::options().write(true).open(temp.path().join(DATA)).unwrap();
    file.set_len(3 * BLOCK).unwrap();
    assert_eq!(grow(&dir, 3, 3).unwrap(), 3);
    assert_eq!(len_of(&temp), 4096, "whole units again");
}

#[test]
fn missing_or_short_data_is_damage() {
    let (temp, dir) = secure_dir();
    let problem = |result: Result<u64>| match result.unwrap_err() {
        FabricError::DamagedRecord { problem, .. } => problem,
        other => panic!("{other}"),
    };
    assert!(problem(grow(&dir, 3, 3)).contains("missing"));
    assert!(!temp.path().join(DATA).exists(), "and none is made");
    create(&dir, 3).unwrap();
    let file = File::options().write(true).open(temp.path().join(DATA)).unwrap();
    file.set_len(3 * BLOCK - 1).unwrap();
    assert!(problem(grow(&dir, 3, 100)).contains("shorter"));
    assert!(problem(grow(&dir, u64::MAX, u64::MAX)).contains("shorter"));
}

#[test]
fn more_than_the_file_system_has_is_refused_with_both_numbers() {
    let (temp, dir) = secure_dir();
    create(&dir, 3).unwrap();
    for blocks in [1 << 50, u64::MAX / 512, u64::MAX] {
        let error = grow(&dir, 3, blocks).unwrap_err();
        let FabricError::CapacityExceeded { requested, available, .. } = error else { panic!("{error}") };
        assert_eq!(requested, blocks);
        assert!((4..blocks).contains(&available), "{available} of {blocks}");
    }
    assert_eq!(len_of(&temp), 4096, "the file is as it was");
}

/// A file system of 1 MiB; `None`, said aloud, for those who may not mount one.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let temp = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"])
            .arg(temp.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            skip_aloud("a small tmpfs could not be mounted (that takes root)", "GRAFOS_REQUIRE_MOUNT");
            return None;
        }
        Some(Self(temp))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_full_disk_is_not_enough_room_and_leaves_the_file_as_it_was() {
    let Some(disk) = TinyDisk::mount() else { return };
    let dir = SecureDir::adopt(disk.0.path()).unwrap();
    create(&dir, 8).unwrap();
    DataFile::open(&dir, 8, IoMode::Auto).unwrap().write(0, &[7; 8 * BLOCK_SIZE]).unwrap();
    let file = dir.open_file(DATA, Access::ReadWrite).unwrap().unwrap();
    // Past the look at the free space, as if another program had been faster.
    assert!(is_full(&reserve(&file, 4096, 4 << 20).unwrap_err()));
    file.set_len(4096).unwrap();
    assert!(is_full(&write_zeros(&file, 4096, 4 << 20).unwrap_err()));
    file.set_len(4096).unwrap();
    let FabricError::CapacityExceeded { requested, available, .. } = grow(&dir, 8, 4096).unwrap_err() else {
        panic!("a growth to more than the disk has")
    };
    assert_eq!(requested, 4096);
    assert!((8..4096).contains(&available), "{available}");
    assert_eq!(grow(&dir, 8, available).unwrap(), available, "what is available can be had");
    let mut all = [0; 8 * BLOCK_SIZE];
    DataFile::open(&dir, 8, IoMode::Auto).unwrap().read(0, &mut all).unwrap();
    assert!(all.iter().all(|byte| *byte == 7));
}

#[test]
fn a_write_that_finds_no_room_says_so_and_is_no_fault_of_the_device() {
    let Some(disk) = TinyDisk::mount() else { return };
    let dir = SecureDir::adopt(disk.0.path()).unwrap();
    create(&dir, 8).unwrap();
    // A copy of a volume may have holes where the original had room.
    dir.open_file(DATA, Access::ReadWrite).unwrap().unwrap().set_len(8192).unwrap();
    let filler = dir.open_file("filler", Access::Create).unwrap().unwrap();
    let free = free_bytes(&filler, disk.0.path()).unwrap();
    reserve(&filler, 0, free).unwrap();
    for mode in [IoMode::Auto, IoMode::Buffered] {
        let data = DataFile::open(&dir, 16, mode).unwrap();
        data.write(0, &[1; 8 * BLOCK_SIZE]).unwrap();
        let error = data.write(8, &[1; BLOCK_SIZE]).unwrap_err();
        assert!(
            matches!(error, FabricError::CapacityExceeded { requested: 512, available: 0, .. }),
            "{error}"
        );
    }
}
