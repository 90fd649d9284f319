//! Bookkeeping that is missing or rotten: never an empty volume, never an epoch twice.

use std::os::unix::fs::FileExt;

use fabricbios_core::lease::{FenceEpoch, LeaseId};
use fabricbios_core::state::LeaseStatus;
use proptest::prelude::*;

use super::*;
use crate::error::FenceReason;
use crate::host::local::lease_file::Records;
use crate::host::local::lease_record::LeaseRecord;

/// A volume of 8 blocks of sevens that nobody holds.
fn volume(home: &Fixture) {
    let grant = home.acquire("v", 8).unwrap();
    grant.blocks.write(0, &[7; 8 * BLOCK_SIZE]).unwrap();
}

fn rot(home: &Fixture, slot: u64) {
    home.lease_file("v").file().write_all_at(&[0xff; 40], slot * 4096 + 20).unwrap();
}

fn newest(home: &Fixture) -> LeaseRecord {
    match home.lease_file("v").read_records().unwrap() {
        Records::Newest { record, .. } => record,
        other => panic!("{other:?}"),
    }
}

fn damaged_file(error: FabricError) -> String {
    match error {
        FabricError::DamagedRecord { path, .. } => path.file_name().unwrap().to_str().unwrap().to_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn missing_pieces_are_damage_and_stay_missing() {
    for missing in ["lease", "data"] {
        let home = Fixture::new();
        volume(&home);
        fs::remove_file(home.path("v", missing)).unwrap();
        for _ in 0..2 {
            assert_eq!(damaged_file(home.acquire("v", 8).unwrap_err()), missing);
            assert!(!home.path("v", missing).exists(), "{missing}");
        }
    }
}

#[test]
fn data_that_is_too_short_is_damage() {
    let home = Fixture::new();
    volume(&home);
    fs::File::options().write(true).open(home.path("v", "data")).unwrap().set_len(4095).unwrap();
    assert_eq!(damaged_file(home.acquire("v", 8).unwrap_err()), "data");
    assert_eq!(damaged_file(home.acquire("v", 80).unwrap_err()), "data");
}

#[test]
fn a_record_of_which_nothing_is_left_is_damage_with_data_or_without() {
    let home = Fixture::new();
    volume(&home);
    let lease_id = newest(&home).lease_id;
    rot(&home, 0);
    rot(&home, 1);
    assert_eq!(damaged_file(home.acquire("v", 8).unwrap_err()), "lease");
    assert_eq!(damaged_file(home.host().attach(lease_id).unwrap_err()), "lease");
    assert_eq!(damaged_file(home.host().revoke(lease_id).unwrap_err()), "lease");
    assert_eq!(damaged_file(home.host().remove_volume(&name("v")).unwrap_err()), "lease");
    fs::remove_file(home.path("v", "data")).unwrap();
    assert_eq!(damaged_file(home.acquire("v", 8).unwrap_err()), "lease");
}

#[test]
fn data_beside_a_record_that_was_never_written_is_damage() {
    for record in [&[][..], &[0; 16384]] {
        let home = Fixture::new();
        volume(&home);
        fs::write(home.path("v", "lease"), record).unwrap();
        assert_eq!(damaged_file(home.acquire("v", 8).unwrap_err()), "lease");
        assert_eq!(home.host().volumes().unwrap().len(), 1, "and it does not hide");
    }
}

#[test]
fn a_damaged_volume_does_not_hide_the_leases_of_others() {
    let home = Fixture::new();
    volume(&home);
    rot(&home, 0);
    rot(&home, 1);
    let lease_id = home.acquire("w", 1).unwrap().lease.lease_id;
    assert_eq!(home.host().attach(lease_id).unwrap().lease.lease_id, lease_id);
}

#[test]
fn a_record_of_a_newer_format_is_left_alone() {
    let home = Fixture::new();
    volume(&home);
    let mut newer = newest(&home).to_sector();
    newer.put_u32(8, 2);
    let (newer, slot) = (newer.seal(), newest(&home).counter % 2);
    home.lease_file("v").file().write_all_at(&newer.0, slot * 4096).unwrap();
    let before = fs::read(home.path("v", "lease")).unwrap();
    assert!(matches!(home.acquire("v", 8), Err(FabricError::Unsupported { .. })));
    assert_eq!(fs::read(home.path("v", "lease")).unwrap(), before);
}

#[test]
fn no_epoch_is_left_after_the_last_one() {
    let home = Fixture::new();
    volume(&home);
    let mut record = newest(&home);
    record.counter += 1;
    record.epoch = FenceEpoch(u64::MAX - 1);
    home.lease_file("v").write_record(&record).unwrap();
    assert_eq!(home.acquire("v", 8).unwrap().lease.epoch, FenceEpoch(u64::MAX));
    let error = home.acquire("v", 8).unwrap_err();
    let reason = FenceReason::EpochsExhausted;
    assert!(matches!(error, FabricError::Fenced { reason: found, .. } if found == reason), "{error}");
}

#[test]
fn a_fenced_volume_waits_for_an_operator() {
    let home = Fixture::new();
    volume(&home);
    let mut record = newest(&home);
    record.counter += 1;
    record.status = LeaseStatus::Fenced;
    home.lease_file("v").write_record(&record).unwrap();
    for result in [home.acquire("v", 8), home.host().attach(record.lease_id)] {
        let error = result.unwrap_err();
        let reason = FenceReason::NeedsOperator;
        assert!(matches!(error, FabricError::Fenced { reason: found, .. } if found == reason), "{error}");
    }
}

#[test]
fn a_revocation_that_can_not_be_read_closes_the_lease_and_not_the_volume() {
    let home = Fixture::new();
    let grant = home.acquire("v", 8).unwrap();
    home.lease_file("v").file().write_all_at(&[0xff; 7], 2 * 4096 + 9).unwrap();
    assert_eq!(grant.blocks.host_status(), LeaseStatus::Fenced);
    assert!(matches!(grant.blocks.renew(60), Err(FabricError::Fenced { .. })));
    let lease_id = grant.lease.lease_id;
    drop(grant);
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::Fenced { .. })));
    let next = home.acquire("v", 8).unwrap();
    assert_eq!(next.blocks.host_status(), LeaseStatus::Active);
}

#[derive(Clone, Debug)]
enum Step {
    Acquire(u64),
    Attach,
    Release,
    RotNewest,
    RotOlder,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..20_u64).prop_map(Step::Acquire),
        1 => Just(Step::Attach),
        1 => Just(Step::Release),
        2 => Just(Step::RotNewest),
        1 => Just(Step::RotOlder),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One slot may rot between any two grants. It costs an epoch, and nothing else.
    #[test]
    fn the_loss_of_one_slot_at_a_time_repeats_no_epoch_and_loses_no_block(steps in steps()) {
        let home = Fixture::new();
        let (mut last, mut blocks, mut is_whole) = (FenceEpoch(0), 0, false);
        let mut lease_id = LeaseId(0);
        for step in steps {
            let grant = match step {
                Step::Acquire(min_blocks) => home.acquire("v", min_blocks),
                Step::Attach | Step::Release => home.host().attach(lease_id),
                Step::RotNewest | Step::RotOlder => {
                    if is_whole {
                        rot(&home, (newest(&home).counter + u64::from(matches!(step, Step::RotOlder))) % 2);
                        is_whole = false;
                    }
                    continue;
                }
            };
            // The rotten half may have held the lease, but a volume can always be leased anew.
            let Ok(grant) = grant else {
                prop_assert!(!matches!(step, Step::Acquire(_)), "{grant:?}");
                continue;
            };
            prop_assert!(grant.lease.epoch > last, "{} after {last}", grant.lease.epoch);
            let (now, written) = (grant.blocks.num_blocks(), blocks);
            prop_assert!(now >= written);
            let expected: Vec<u8> = (0..now).map(|block| if block < written { 7 } else { 0 }).collect();
            prop_assert_eq!(fills(&grant), expected);
            for block in 0..now {
                grant.blocks.write(block, &[7; BLOCK_SIZE]).unwrap();
            }
            if matches!(step, Step::Release) {
                grant.blocks.release().unwrap();
            }
            (last, blocks, is_whole, lease_id) = (grant.lease.epoch, now, true, grant.lease.lease_id);
        }
    }
}
