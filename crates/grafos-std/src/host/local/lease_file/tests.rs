//! Slots that were torn, words that were damaged, locks that are looked at.

use std::sync::atomic::{AtomicBool, Ordering};

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::state::LeaseStatus;
use tempfile::TempDir;

use super::*;

const SLOT_BYTES: u64 = PAGE_BYTES as u64;

fn open(dir: &TempDir) -> LeaseFile {
    let path = dir.path().join("lease");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    LeaseFile::new(file, path)
}

fn volume() -> VolumeName {
    VolumeName::new("v").unwrap()
}

fn record(counter: u64) -> LeaseRecord {
    LeaseRecord {
        counter,
        epoch: FenceEpoch(counter),
        status: LeaseStatus::Active,
        lease_id: LeaseId(u128::MAX / 3),
        blocks: 8,
        ..LeaseRecord::first(volume())
    }
}

fn newest_of(lease: &LeaseFile) -> (u64, bool) {
    match lease.read_records().unwrap() {
        Records::Newest { record, other_is_damaged } => (record.counter, other_is_damaged),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_take_turns_and_the_newest_wins() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    assert!(matches!(lease.read_records().unwrap(), Records::Empty));
    lease.write_first(&volume()).unwrap();
    assert_eq!(newest_of(&lease), (0, false), "the first record stands alone");
    for counter in 1..10 {
        lease.write_record(&record(counter)).unwrap();
        assert_eq!(newest_of(&lease), (counter, false));
    }
    assert_eq!(lease.file().metadata().unwrap().len(), 4 * SLOT_BYTES, "the file never grows");
}

#[test]
fn a_record_torn_at_any_byte_leaves_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    lease.write_first(&volume()).unwrap();
    for counter in 1..=4 {
        lease.write_record(&record(counter)).unwrap();
    }
    // Record 5 goes over record 3, in slot 1, while record 4 stays in slot 0.
    let (old, new) = (record(3).to_sector().0, record(5).to_sector().0);
    let differs_from = (0..512).find(|at| old[*at] != new[*at]).unwrap();
    let differs_to = (0..512).rfind(|at| old[*at] != new[*at]).unwrap();
    for cut in 0..=512 {
        let mut torn = old;
        torn[..cut].copy_from_slice(&new[..cut]);
        lease.file().write_all_at(&torn, SLOT_BYTES).unwrap();
        let expected = if cut <= differs_from {
            (4, false)
        } else if cut <= differs_to {
            (4, true)
        } else {
            (5, false)
        };
        assert_eq!(newest_of(&lease), expected, "cut at byte {cut}");
    }
}

#[test]
fn the_loss_of_either_slot_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    lease.write_first(&volume()).unwrap();
    lease.write_record(&record(1)).unwrap();
    lease.write_record(&record(2)).unwrap();
    for lost in [[0; 512], [0xff; 512]] {
        lease.file().write_all_at(&lost, 0).unwrap();
        assert_eq!(newest_of(&lease), (1, true), "the newest is lost");
        lease.write_record(&record(2)).unwrap();
        lease.file().write_all_at(&lost, SLOT_BYTES).unwrap();
        assert_eq!(newest_of(&lease), (2, true), "the older one is lost");
        lease.write_record(&record(1)).unwrap();
    }
    lease.file().write_all_at(&[0xff; 512], 0).unwrap();
    lease.file().write_all_at(&[0xff; 512], SLOT_BYTES).unwrap();
    assert!(matches!(lease.read_records().unwrap(), Records::Damaged));
}

#[test]
fn a_record_of_a_newer_format_is_never_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    lease.write_first(&volume()).unwrap();
    let mut newer = record(1).to_sector();
    newer.put_u32(8, 2);
    lease.file().write_all_at(&newer.seal().0, SLOT_BYTES).unwrap();
    assert!(matches!(lease.read_records(), Err(FabricError::Unsupported { .. })));
}

#[test]
fn only_what_an_interrupted_creation_can_leave_counts_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    assert!(lease.is_unfinished(&volume()).unwrap(), "an empty file");
    let first = LeaseRecord::first(volume()).to_sector().0;
    for cut in 0..=512 {
        let mut torn = [0; 512];
        torn[..cut].copy_from_slice(&first[..cut]);
        lease.file().write_all_at(&torn, 0).unwrap();
        assert!(lease.is_unfinished(&volume()).unwrap(), "cut at byte {cut}");
    }
    lease.write_holder(Some(1)).unwrap();
    assert!(lease.is_unfinished(&volume()).unwrap(), "the holder word is anybody's");
    lease.file().write_all_at(&[1], SLOT_BYTES).unwrap();
    assert!(!lease.is_unfinished(&volume()).unwrap(), "a second record has been begun");
    lease.file().write_all_at(&[0], SLOT_BYTES).unwrap();
    lease.file().write_all_at(&[first[0] ^ 0xff], 0).unwrap();
    assert!(!lease.is_unfinished(&volume()).unwrap(), "other bytes");
}

#[test]
fn a_revocation_is_read_as_written_and_damage_as_damage() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    lease.write_first(&volume()).unwrap();
    assert_eq!(lease.read_revocation().unwrap(), Revocation::None);
    lease.write_revocation(LeaseId(7)).unwrap();
    assert_eq!(open(&dir).read_revocation().unwrap(), Revocation::Of(LeaseId(7)));
    let at = REVOCATION_PAGE * SLOT_BYTES;
    lease.file().write_all_at(&[0xff], at + 100).unwrap();
    assert_eq!(lease.read_revocation().unwrap(), Revocation::Damaged);
    lease.file().write_all_at(&record(2).to_sector().0, at).unwrap();
    assert_eq!(lease.read_revocation().unwrap(), Revocation::Damaged, "sealed, and something else");
    lease.clear_revocation().unwrap();
    assert_eq!(lease.read_revocation().unwrap(), Revocation::None);
}

#[test]
fn a_holder_that_is_dead_or_unreadable_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let lease = open(&dir);
    assert_eq!(lease.read_holder(), None, "an empty file");
    lease.write_holder(Some(std::process::id())).unwrap();
    assert_eq!(open(&dir).read_holder(), Some(std::process::id()));
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    lease.write_holder(Some(dead.id())).unwrap();
    assert_eq!(lease.read_holder(), None);
    for no_process in [0, u32::MAX] {
        lease.write_holder(Some(no_process)).unwrap();
        assert_eq!(lease.read_holder(), None);
    }
    lease.write_holder(None).unwrap();
    assert_eq!(lease.read_holder(), None);
}

#[test]
fn one_handle_holds_the_lock_until_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (open(&dir), open(&dir));
    assert!(!first.is_held().unwrap());
    assert!(first.try_lock().unwrap());
    assert!(second.is_held().unwrap());
    assert!(!second.try_lock().unwrap());
    drop(first);
    assert!(!second.is_held().unwrap());
    assert!(second.try_lock().unwrap());
}

#[test]
fn a_lock_ends_with_its_handle_even_if_a_child_has_the_file_open() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (open(&dir), open(&dir));
    assert!(first.try_lock().unwrap());
    // What a child process has between its start and its own program.
    let inherited = first.file().try_clone().unwrap();
    drop(first);
    assert!(second.try_lock().unwrap());
    drop(inherited);
    assert!(open(&dir).is_held().unwrap(), "and the child's end unlocks nobody else");
}

#[test]
fn looking_at_a_lock_keeps_nobody_from_taking_it() {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    open(&dir).is_held().unwrap();
                }
            });
        }
        let taken = (0..500).filter(|_| open(&dir).try_lock().unwrap()).count();
        done.store(true, Ordering::SeqCst);
        assert_eq!(taken, 500);
    });
}
