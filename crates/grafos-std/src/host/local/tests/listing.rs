//! Which volumes there are, and how they go.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::state::LeaseStatus;

use super::*;
use crate::host::local::VolumeState;
use crate::host::local::lease_file::Records;

fn states(home: &Fixture) -> Vec<(String, VolumeState)> {
    let volumes = home.host().volumes().unwrap();
    volumes.into_iter().map(|listing| (listing.name.to_string(), listing.state.unwrap())).collect()
}

fn status_of(home: &Fixture, volume: &str) -> LeaseStatus {
    states(home).into_iter().find(|(name, _)| name == volume).unwrap().1.status
}

#[test]
fn volumes_are_listed_by_name_with_what_their_record_says() {
    let home = Fixture::new();
    assert!(states(&home).is_empty());
    let held = home.acquire("b", 3).unwrap();
    let released = home.acquire("a", 2).unwrap();
    released.blocks.release().unwrap();
    drop(released);
    let states = states(&home);
    assert_eq!(states.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let (a, b) = (&states[0].1, &states[1].1);
    assert_eq!((a.blocks, a.status, a.is_held, a.holder_pid), (2, LeaseStatus::Released, false, None));
    assert_eq!((b.blocks, b.status, b.is_held), (3, LeaseStatus::Active, true));
    assert_eq!(b.holder_pid, Some(std::process::id()));
    assert_eq!((b.lease_id, b.epoch), (held.lease.lease_id, held.lease.epoch));
    assert_eq!(b.expires_at_unix_secs, ManualClock::START_UNIX_MS / 1000 + HOUR_SECS);
}

#[test]
fn the_status_that_is_listed_is_the_one_of_now() {
    let home = Fixture::new();
    let revoked = home.acquire("revoked", 1).unwrap();
    drop(home.acquire("expired", 1).unwrap());
    home.host().revoke(revoked.lease.lease_id).unwrap();
    assert_eq!(status_of(&home, "revoked"), LeaseStatus::Revoked);
    assert_eq!(status_of(&home, "expired"), LeaseStatus::Active, "nobody holds it, and it can be attached");
    home.pass(HOUR_SECS);
    assert_eq!(status_of(&home, "expired"), LeaseStatus::Expired);
}

#[test]
fn what_is_wrong_with_one_volume_is_told_beside_the_others() {
    let home = Fixture::new();
    drop(home.acquire("good", 1).unwrap());
    drop(home.acquire("bad", 1).unwrap());
    fs::write(home.path("bad", "lease"), [0xff; 16384]).unwrap();
    fs::write(home.dir.path().join("volumes/.notes"), "not a volume").unwrap();
    let volumes = home.host().volumes().unwrap();
    assert_eq!(volumes.len(), 2);
    assert!(matches!(volumes[0].state, Err(FabricError::DamagedRecord { .. })));
    assert!(volumes[1].state.is_ok());
}

#[test]
fn listing_all_the_time_keeps_nobody_from_a_volume() {
    let home = Fixture::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let listed = home.host().volumes().unwrap();
                assert!(listed.iter().all(|listing| listing.state.is_ok()), "{listed:?}");
            }
        });
        let results: Vec<_> = (0..100).map(|_| home.acquire("v", 1).map(drop)).collect();
        done.store(true, Ordering::SeqCst);
        for result in results {
            result.unwrap();
        }
    });
}

#[test]
fn a_removed_volume_is_gone_and_its_name_is_free() {
    let home = Fixture::new();
    let grant = home.acquire("v", 4).unwrap();
    grant.blocks.write(0, &[1; BLOCK_SIZE]).unwrap();
    let error = home.host().remove_volume(&name("v")).unwrap_err();
    assert!(matches!(error, FabricError::Held { .. }), "{error}");
    let lease_id = grant.lease.lease_id;
    drop(grant);
    home.host().remove_volume(&name("v")).unwrap();
    assert_eq!(home.names(), [""; 0]);
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::LeaseNotFound { .. })));
    let error = home.host().remove_volume(&name("v")).unwrap_err();
    assert!(matches!(error, FabricError::InvalidRequest { .. }), "{error}");
    let anew = home.acquire("v", 2).unwrap();
    assert_eq!((anew.lease.epoch, fills(&anew)), (FenceEpoch(1), vec![0, 0]));
}

#[test]
fn a_volume_with_other_files_beside_it_is_not_removed() {
    let home = Fixture::new();
    drop(home.acquire("v", 1).unwrap());
    fs::write(home.path("v", "notes.txt"), "mine").unwrap();
    let error = home.host().remove_volume(&name("v")).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    home.acquire("v", 1).unwrap();
}

#[test]
fn remains_of_a_removal_that_was_cut_off_are_swept_up() {
    for left in [&["lease", "data"][..], &["lease"], &[]] {
        let home = Fixture::new();
        drop(home.acquire("v", 1).unwrap());
        let grave = home.volume_path(".removed-00112233");
        fs::rename(home.volume_path("v"), &grave).unwrap();
        for file in ["lease", "data"].iter().filter(|file| !left.contains(file)) {
            fs::remove_file(grave.join(file)).unwrap();
        }
        assert!(states(&home).is_empty());
        assert_eq!(home.names(), [""; 0], "{left:?}");
    }
}

fn grant_is_in_slot_0(home: &Fixture) -> bool {
    match home.lease_file("new").read_records().unwrap() {
        Records::Newest { record, .. } => record.counter % 2 == 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_renamed_volume_keeps_contents_and_epoch_and_loses_its_lease() {
    let home = Fixture::new();
    let grant = home.acquire("old", 2).unwrap();
    grant.blocks.write(0, &[4; BLOCK_SIZE]).unwrap();
    let (lease_id, epoch) = (grant.lease.lease_id, grant.lease.epoch);
    drop(grant);
    fs::rename(home.volume_path("old"), home.volume_path("new")).unwrap();
    assert_eq!(status_of(&home, "new"), LeaseStatus::Released);
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::LeaseNotFound { .. })));
    assert!(home.acquire("new", 1 << 50).is_err(), "a request that fails brings the lease back for nobody");
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::LeaseNotFound { .. })));
    let moved = home.acquire("new", 3).unwrap();
    assert_eq!((fills(&moved), moved.lease.epoch), (vec![4, 0, 0], epoch.next().unwrap()));
    // The record before the grant, which a crash between the two would have left.
    let mut before = [0; 512];
    home.lease_file("new")
        .file()
        .read_exact_at(&mut before, 4096 * u64::from(grant_is_in_slot_0(&home)))
        .unwrap();
    assert_eq!(before[12], LeaseStatus::Released.code());
    let lease_id = moved.lease.lease_id;
    drop(moved);
    home.host().attach(lease_id).unwrap();
}

#[test]
fn a_copied_volume_does_not_share_the_lease_of_the_first() {
    let home = Fixture::new();
    let grant = home.acquire("v", 2).unwrap();
    grant.blocks.write(0, &[4; 2 * BLOCK_SIZE]).unwrap();
    let lease_id = grant.lease.lease_id;
    drop(grant);
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([home.volume_path("v"), home.volume_path("a-copy")])
        .status();
    assert!(copied.unwrap().success());
    assert_eq!(home.host().attach(lease_id).unwrap().volume, name("v"));
    assert_eq!(fills(&home.acquire("a-copy", 2).unwrap()), [4, 4]);
}

#[test]
fn making_and_removing_at_the_same_time_ends_in_whole_volumes_only() {
    let home = Fixture::new();
    home.host();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let host = home.host();
                for _ in 0..60 {
                    match host.acquire(&request("v", 2)) {
                        Ok(grant) => {
                            let fills = fills(&grant);
                            assert!(fills == [0, 0] || fills == [8, 8], "{fills:?}");
                            grant.blocks.write(0, &[8; 2 * BLOCK_SIZE]).unwrap();
                        }
                        Err(FabricError::Held { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            scope.spawn(|| {
                let host = home.host();
                for _ in 0..60 {
                    match host.remove_volume(&name("v")) {
                        Ok(()) | Err(FabricError::Held { .. } | FabricError::InvalidRequest { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let listed = states(&home);
    assert!(listed.len() <= 1, "{listed:?}");
    assert_eq!(home.names().len(), listed.len(), "{:?}", home.names());
}
