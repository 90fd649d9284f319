//! The reader of write logs, on bytes made by hand.

use std::io::Cursor;

use super::*;

const DISK: u64 = 1 << 20;

/// `entries`: sector, sectors, flags, data_len.
pub(crate) fn log_of(entries: &[[u64; 4]]) -> Vec<u8> {
    let data_bytes = |entry: &[u64; 4]| if entry[2] & (DISCARD | MARK) == 0 { entry[1] * 512 } else { 0 };
    let mut bytes = vec![0; 512];
    let head = [MAGIC, VERSION, entries.len() as u64].map(u64::to_le_bytes).concat();
    bytes[..24].copy_from_slice(&head);
    bytes[24..28].copy_from_slice(&512_u32.to_le_bytes());
    for entry in entries {
        let mut sector = vec![0; 512];
        sector[..32].copy_from_slice(&entry.map(u64::to_le_bytes).concat());
        bytes.extend(sector);
        bytes.extend((0..data_bytes(entry)).map(|_| 0xda));
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<WriteLog, LogError> {
    WriteLog::read(Cursor::new(bytes), DISK)
}

fn entry(logged_at: u64, is_flush: bool, is_fua: bool, effect: Effect) -> Entry {
    Entry { logged_at, is_flush, is_fua, effect }
}

#[test]
fn each_kind_of_entry_is_understood() {
    let log = log_of(&[
        [8, 2, 0, 0],
        [0, 0, FLUSH, 0],
        [16, 4, DISCARD, 0],
        [0, 0, MARK, 5],
        [3, 1, FUA | FLUSH, 0],
    ]);
    let entries = read(&log).unwrap().entries;
    let expected = [
        entry(512, false, false, Effect::Write { at: 4096, len: 1024, data_at: 1024 }),
        entry(2048, true, false, Effect::None),
        entry(2560, false, false, Effect::Discard { at: 8192, len: 2048 }),
        entry(3072, false, false, Effect::None),
        entry(3584, true, true, Effect::Write { at: 1536, len: 512, data_at: 4096 }),
    ];
    assert_eq!(entries, expected);
    assert_eq!(log.len(), 4096 + 512);
}

#[test]
fn a_length_of_the_log_counts_the_entries_that_had_begun() {
    let log = read(&log_of(&[[8, 2, 0, 0], [0, 0, FLUSH, 0]])).unwrap();
    let counts = [0, 512, 513, 2048, 2049, u64::MAX].map(|bytes| log.entries_within(bytes));
    assert_eq!(counts, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_log_that_ends_early_is_an_error_at_every_length() {
    let log = log_of(&[[8, 2, 0, 0], [0, 0, FLUSH, 0]]);
    for len in 0..log.len() {
        let error = read(&log[..len]).unwrap_err();
        assert!(matches!(error, LogError::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn a_super_block_of_something_else_is_an_error() {
    let with = |at: usize, value: u64| {
        let mut log = log_of(&[]);
        log[at..at + 8].copy_from_slice(&value.to_le_bytes());
        read(&log).unwrap_err()
    };
    assert!(matches!(with(0, 1), LogError::Magic { found: 1 }));
    assert!(matches!(with(8, 2), LogError::Version { found: 2 }));
    assert!(matches!(with(16, MAX_ENTRIES + 1), LogError::TooManyEntries { .. }));
    for sector_bytes in [0, 256, 513, 1 << 17] {
        assert!(matches!(with(24, sector_bytes), LogError::SectorSize { .. }));
    }
}

#[test]
fn an_entry_that_makes_no_sense_is_an_error() {
    let of = |entry| read(&log_of(&[[0, 0, FLUSH, 0], entry])).unwrap_err();
    assert!(matches!(of([0, 0, 16, 0]), LogError::Flags { index: 1, flags: 16 }));
    assert!(matches!(of([0, 0, MARK, 481]), LogError::LongMark { index: 1, bytes: 481 }));
    for (sector, sectors) in [(2048, 1), (u64::MAX, 1), (1 << 60, 1 << 10)] {
        assert!(matches!(of([sector, sectors, DISCARD, 0]), LogError::OutsideDisk { index: 1, .. }));
    }
    // A length that the file can't hold is found before anything of that size is touched.
    let mut log = log_of(&[[0, 1, 0, 0]]);
    log[512 + 8..512 + 16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(read(&log).unwrap_err(), LogError::OutsideDisk { .. }));
}
