//! The bytes of a lease record, good and bad.

use proptest::prelude::*;

use super::*;
use crate::host::local::sector::SECTOR_BYTES;
use fabricbios_core::clock::BootTime;

fn sample() -> LeaseRecord {
    LeaseRecord {
        counter: 7,
        lease_id: LeaseId(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100),
        epoch: FenceEpoch(5),
        status: LeaseStatus::Active,
        pid: 4711,
        lease_secs: 3600,
        expires_unix_ms: 1_767_229_200_000,
        deadline_boot_ms: 3_600_123,
        boot_id: BootId([0xb0; 16]),
        blocks: 64,
        volume: VolumeName::new("sim-state").unwrap(),
    }
}

/// Written out by hand from the table in the module's documentation.
fn sample_bytes() -> [u8; SECTOR_BYTES] {
    let mut bytes = [0; SECTOR_BYTES];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, b"GRFLEASE");
    put(8, &[1, 0, 0, 0]);
    put(12, &[0]);
    put(13, &[9]);
    put(16, &[7, 0, 0, 0, 0, 0, 0, 0]);
    put(24, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    put(40, &[5, 0, 0, 0, 0, 0, 0, 0]);
    put(48, &[0x67, 0x12, 0, 0]);
    put(56, &[0x10, 0x0e, 0, 0, 0, 0, 0, 0]);
    put(64, &[0x80, 0x96, 0x11, 0x77, 0x9b, 0x01, 0, 0]);
    put(72, &[0xfb, 0xee, 0x36, 0, 0, 0, 0, 0]);
    put(80, &[0xb0; 16]);
    put(96, &[64, 0, 0, 0, 0, 0, 0, 0]);
    put(104, b"sim-state");
    put(480, &SAMPLE_DIGEST);
    bytes
}

/// BLAKE3 of the 480 bytes before it, from another implementation.
const SAMPLE_DIGEST: [u8; 32] = [
    0x54, 0xdf, 0xdc, 0xee, 0x56, 0xf1, 0xfe, 0x74, 0xb4, 0x79, 0xd0, 0x5d, 0xad, 0xd8, 0xac, 0x9b, 0xbe,
    0xb0, 0xc4, 0x20, 0x99, 0xcf, 0x6d, 0x36, 0x06, 0x06, 0xce, 0x4a, 0xd7, 0x77, 0x4f, 0xfb,
];

fn verify(bytes: [u8; SECTOR_BYTES], slot: u64) -> Result<Option<LeaseRecord>, RecordFault> {
    UnverifiedRecord(Sector(bytes)).verify(slot)
}

/// The sample with `change` made to it, sealed again.
fn resealed(change: impl FnOnce(&mut Sector)) -> Result<Option<LeaseRecord>, RecordFault> {
    let mut sector = sample().to_sector();
    change(&mut sector);
    UnverifiedRecord(sector.seal()).verify(1)
}

#[test]
fn the_bytes_of_version_1_are_pinned() {
    assert_eq!(sample().to_sector().0, sample_bytes());
    assert_eq!(verify(sample_bytes(), 1), Ok(Some(sample())));
}

#[test]
fn every_flipped_bit_is_noticed() {
    for bit in 0..SECTOR_BYTES * 8 {
        let mut bytes = sample_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(bytes, 1), Err(RecordFault::NotSealed), "bit {bit}");
    }
}

#[test]
fn a_slot_that_was_never_written_is_no_record_and_no_damage() {
    assert_eq!(verify([0; SECTOR_BYTES], 0), Ok(None));
}

#[test]
fn sealed_bytes_of_another_meaning_are_refused_by_name() {
    assert_eq!(resealed(|sector| sector.put(0, *b"GRFREVOK")), Err(RecordFault::OtherMagic));
    assert_eq!(resealed(|sector| sector.put_u32(8, 2)), Err(RecordFault::NewerVersion(2)));
    assert_eq!(resealed(|sector| sector.put_u32(8, 0)), Err(RecordFault::BadField("version")));
    assert_eq!(resealed(|sector| sector.put(12, [5])), Err(RecordFault::BadField("status")));
    assert_eq!(resealed(|sector| sector.put(13, [0])), Err(RecordFault::BadField("name")));
    assert_eq!(resealed(|sector| sector.put(13, [65])), Err(RecordFault::BadField("name")));
    assert_eq!(resealed(|sector| sector.put(104, *b"../")), Err(RecordFault::BadField("name")));
    assert_eq!(verify(sample_bytes(), 0), Err(RecordFault::BadField("counter")), "in the other slot");
}

fn moment(boot_ms: u64, unix_ms: u64, boot: u8) -> Moment {
    Moment { boot: BootTime::from_millis(boot_ms), unix_ms, boot_id: BootId([boot; 16]) }
}

#[test]
fn within_a_boot_nobody_asks_the_wall_clock() {
    let record = sample();
    let left = |boot_ms| record.remaining(&moment(boot_ms, u64::MAX, 0xb0));
    assert_eq!(left(3_600_122), Duration::from_millis(1));
    assert_eq!(left(3_600_123), Duration::ZERO);
    assert_eq!(left(u64::MAX), Duration::ZERO);
}

#[test]
fn after_a_reboot_the_wall_clock_decides_and_can_add_no_time() {
    let record = sample();
    let left = |unix_ms| record.remaining(&moment(0, unix_ms, 0xb1));
    assert_eq!(left(1_767_229_199_000), Duration::from_secs(1));
    assert_eq!(left(1_767_229_200_000), Duration::ZERO);
    assert_eq!(left(0), Duration::from_secs(3600), "a clock that was set back to 1970");
}

#[test]
fn a_lease_is_extended_and_never_shortened() {
    let now = moment(1_000, 10_000, 0xb0);
    let mut record = sample();
    record.set_remaining(Duration::from_millis(2_500), &now);
    assert_eq!((record.lease_secs, record.deadline_boot_ms, record.expires_unix_ms), (3, 3_500, 12_500));
    record.extend(1, &now);
    assert_eq!((record.deadline_boot_ms, record.expires_unix_ms), (3_500, 12_500));
    record.extend(60, &now);
    assert_eq!((record.lease_secs, record.deadline_boot_ms, record.expires_unix_ms), (60, 61_000, 70_000));
    record.extend(u64::MAX, &now);
    assert_eq!((record.deadline_boot_ms, record.expires_unix_ms), (u64::MAX, u64::MAX));
}

#[test]
fn a_revocation_ends_the_lease_that_it_names_and_no_other() {
    let (record, now) = (sample(), moment(0, 0, 0xb0));
    assert_eq!(record.status_at(&now, Revocation::None), LeaseStatus::Active);
    assert_eq!(record.status_at(&now, Revocation::Of(LeaseId(9))), LeaseStatus::Active);
    assert_eq!(record.status_at(&now, Revocation::Of(record.lease_id)), LeaseStatus::Revoked);
    assert_eq!(record.status_at(&now, Revocation::Damaged), LeaseStatus::Fenced);
    let later = moment(u64::MAX, 0, 0xb0);
    assert_eq!(record.status_at(&later, Revocation::None), LeaseStatus::Expired);
    let released = LeaseRecord { status: LeaseStatus::Released, ..record };
    assert_eq!(released.status_at(&later, Revocation::Of(released.lease_id)), LeaseStatus::Released);
}

fn any_record() -> impl Strategy<Value = LeaseRecord> {
    let ids = (any::<u64>(), any::<u128>(), any::<u64>(), any::<[u8; 16]>());
    let numbers = (0..5_u8, any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    (ids, numbers, "[A-Za-z0-9][A-Za-z0-9._-]{0,63}").prop_map(|(ids, numbers, name)| LeaseRecord {
        counter: ids.0,
        lease_id: LeaseId(ids.1),
        epoch: FenceEpoch(ids.2),
        boot_id: BootId(ids.3),
        status: LeaseStatus::from_code(numbers.0).unwrap(),
        pid: numbers.1,
        lease_secs: numbers.2,
        expires_unix_ms: numbers.3,
        deadline_boot_ms: numbers.4,
        blocks: numbers.5,
        volume: VolumeName::new(name).unwrap(),
    })
}

proptest! {
    #[test]
    fn records_survive_their_bytes(record in any_record()) {
        let sector = record.to_sector();
        prop_assert_eq!(UnverifiedRecord(sector).verify(record.counter % 2), Ok(Some(record)));
    }

    #[test]
    fn sealed_nonsense_is_an_error_or_a_record_that_writes_the_same_fields(
        noise in prop::collection::vec(any::<u8>(), 160), magic in any::<bool>(),
    ) {
        let mut sector = Sector::ZERO;
        sector.0[8..168].copy_from_slice(&noise);
        if magic {
            sector.put(0, *b"GRFLEASE");
            sector.put_u32(8, 1);
        }
        let slot = sector.take_u64(16) % 2;
        if let Ok(Some(record)) = UnverifiedRecord(sector.seal()).verify(slot) {
            prop_assert_eq!(UnverifiedRecord(record.to_sector()).verify(slot), Ok(Some(record)));
        }
    }
}
