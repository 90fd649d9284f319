//! Volumes that were only being made when their maker died, or that could not be made.

use std::os::unix::fs::FileExt;

use fabricbios_core::lease::FenceEpoch;

use super::*;
use crate::host::local::lease_record::LeaseRecord;

/// What is left on the disk, and how to make it.
type Step = (&'static str, fn(&Fixture));

/// What the maker of volume `v` had on the disk when it died, step by step.
const STEPS: &[Step] = &[
    ("nothing", |_| {}),
    ("a directory", directory),
    ("an empty lease file", |home| {
        directory(home);
        fs::write(home.path("v", "lease"), []).unwrap();
    }),
    ("a lease file without contents", |home| {
        directory(home);
        fs::write(home.path("v", "lease"), [0; 16384]).unwrap();
    }),
    ("half a first record", |home| {
        directory(home);
        let first = LeaseRecord::first(name("v")).to_sector();
        fs::write(home.path("v", "lease"), &first.0[..100]).unwrap();
    }),
    ("a first record", first_record),
    ("an empty data file", |home| data(home, 0)),
    ("half a data file", |home| data(home, 1500)),
    ("a data file", |home| data(home, 4096)),
    ("a data file of an earlier, larger try", |home| data(home, 1 << 20)),
    ("half a record with the size", |home| {
        data(home, 4096);
        let sector = record(1, 0, 8).to_sector();
        home.lease_file("v").file().write_all_at(&sector.0[..200], 4096).unwrap();
    }),
    ("a record with the size", sized),
    ("half a record of the grant", |home| {
        sized(home);
        let sector = record(2, 1, 8).to_sector();
        home.lease_file("v").file().write_all_at(&sector.0[..300], 0).unwrap();
    }),
    ("the record of a grant that nobody heard of", |home| {
        sized(home);
        home.lease_file("v").write_record(&record(2, 1, 8)).unwrap();
    }),
];

fn directory(home: &Fixture) {
    use std::os::unix::fs::DirBuilderExt;
    home.host();
    fs::DirBuilder::new().mode(0o700).create(home.volume_path("v")).unwrap();
}

fn first_record(home: &Fixture) {
    directory(home);
    fs::write(home.path("v", "lease"), []).unwrap();
    home.lease_file("v").write_first(&name("v")).unwrap();
}

/// Data that was never synced may hold anything.
fn data(home: &Fixture, len: usize) {
    first_record(home);
    fs::write(home.path("v", "data"), vec![0xdd; len]).unwrap();
}

fn sized(home: &Fixture) {
    first_record(home);
    fs::write(home.path("v", "data"), [0; 4096]).unwrap();
    home.lease_file("v").write_record(&record(1, 0, 8)).unwrap();
}

fn record(counter: u64, epoch: u64, blocks: u64) -> LeaseRecord {
    LeaseRecord { counter, epoch: FenceEpoch(epoch), blocks, ..LeaseRecord::first(name("v")) }
}

#[test]
fn a_creation_that_was_cut_off_anywhere_is_done_again() {
    for (left, make) in STEPS {
        let home = Fixture::new();
        make(&home);
        let grant = home.acquire("v", 8).unwrap_or_else(|error| panic!("{left}: {error}"));
        assert_eq!(fills(&grant), [0; 8], "{left}");
        assert!(grant.lease.epoch > FenceEpoch(0), "{left}");
        grant.blocks.write(3, &[3; BLOCK_SIZE]).unwrap();
        let epoch = grant.lease.epoch;
        drop(grant);
        let again = home.acquire("v", 8).unwrap();
        assert_eq!(fills(&again), [0, 0, 0, 3, 0, 0, 0, 0], "{left}");
        assert!(again.lease.epoch > epoch, "{left}");
    }
}

#[test]
fn a_creation_that_was_cut_off_is_no_volume_and_harms_no_other() {
    for (left, make) in STEPS {
        let home = Fixture::new();
        make(&home);
        let other = home.acquire("other", 1).unwrap();
        let lease_id = other.lease.lease_id;
        drop(other);
        let host = home.host();
        let listed = host.volumes().unwrap();
        assert!(listed.iter().all(|listing| listing.state.is_ok()), "{left}: {listed:?}");
        host.attach(lease_id).unwrap_or_else(|error| panic!("{left}: {error}"));
        let nobody = host.attach(fabricbios_core::lease::LeaseId(0));
        assert!(matches!(nobody, Err(FabricError::LeaseNotFound { .. })), "{left}");
    }
}

#[test]
fn a_volume_that_can_not_be_made_leaves_nothing() {
    let home = Fixture::new();
    for blocks in [1 << 50, u64::MAX] {
        let error = home.acquire("v", blocks).unwrap_err();
        assert!(matches!(error, FabricError::CapacityExceeded { .. }), "{error}");
        assert_eq!(home.names(), [""; 0]);
    }
    let error = home.host().acquire(&request("v", 0)).unwrap_err();
    assert!(matches!(error, FabricError::InvalidRequest { .. }), "{error}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn a_volume_that_can_not_grow_stays_as_it_was() {
    let home = Fixture::new();
    let grant = home.acquire("v", 2).unwrap();
    grant.blocks.write(0, &[7; 2 * BLOCK_SIZE]).unwrap();
    drop(grant);
    let error = home.acquire("v", 1 << 50).unwrap_err();
    assert!(matches!(error, FabricError::CapacityExceeded { .. }), "{error}");
    assert_eq!(fills(&home.acquire("v", 1).unwrap()), [7, 7]);
}

#[test]
fn many_who_make_the_same_volume_at_once_make_one() {
    for _ in 0..20 {
        let home = Fixture::new();
        home.host();
        let results: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| home.acquire("v", 8))).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        let granted = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(granted, 1);
        for result in results {
            assert!(matches!(result, Ok(_) | Err(FabricError::Held { .. })), "{result:?}");
        }
    }
}
