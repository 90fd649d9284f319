//! Leases of volumes: who holds, for how long, and how it ends.

use fabricbios_core::lease::FenceEpoch;
use fabricbios_core::state::LeaseStatus;

use super::*;
use crate::host::RevokeOutcome;

#[test]
fn epochs_only_grow_whoever_holds_the_volume_and_however_it_ends() {
    let home = Fixture::new();
    let mut last = FenceEpoch(0);
    for round in 0..100 {
        let grant = home.acquire("v", 1).unwrap();
        assert_eq!(grant.lease.epoch, last.next().unwrap());
        last = grant.lease.epoch;
        if round % 3 == 0 {
            grant.blocks.release().unwrap();
        }
    }
}

#[test]
fn a_second_handle_in_the_same_process_learns_who_has_the_volume() {
    let home = Fixture::new();
    let _first = home.acquire("v", 1).unwrap();
    let error = home.acquire("v", 1).unwrap_err();
    let FabricError::Held { resource, holder_pid } = error else { panic!("{error}") };
    assert_eq!((resource.name.as_str(), holder_pid), ("v", Some(std::process::id())));
}

#[test]
fn a_lease_that_was_dropped_without_release_can_be_attached_until_its_deadline() {
    let home = Fixture::new();
    let grant = home.acquire("v", 4).unwrap();
    grant.blocks.write(1, &[9; BLOCK_SIZE]).unwrap();
    let first = grant.lease;
    drop(grant);
    home.pass(1000);
    let again = home.host().attach(first.lease_id).unwrap();
    assert_eq!(again.lease.lease_id, first.lease_id);
    assert!(again.lease.epoch > first.epoch);
    assert_eq!(again.lease.granted, Duration::from_secs(HOUR_SECS - 1000));
    assert_eq!(fills(&again), [0, 9, 0, 0]);
    drop(again);
    home.pass(HOUR_SECS - 1001);
    assert_eq!(home.host().attach(first.lease_id).unwrap().lease.granted, Duration::from_secs(1));
    home.pass(1);
    let error = home.host().attach(first.lease_id).unwrap_err();
    let expected = (ManualClock::START_UNIX_MS / 1000) + HOUR_SECS;
    assert!(
        matches!(error, FabricError::LeaseExpired { expires_at_unix_secs, .. } if expires_at_unix_secs == expected),
        "{error}"
    );
}

#[test]
fn an_expired_holder_that_lives_keeps_the_volume_but_can_not_renew() {
    let home = Fixture::new();
    let grant = home.acquire("v", 1).unwrap();
    home.pass(HOUR_SECS);
    assert!(matches!(home.acquire("v", 1), Err(FabricError::Held { .. })));
    assert!(matches!(grant.blocks.renew(HOUR_SECS), Err(FabricError::LeaseExpired { .. })));
    drop(grant);
    home.acquire("v", 1).unwrap();
}

#[test]
fn a_renewal_is_remembered_by_those_who_come_later() {
    let home = Fixture::new();
    let grant = home.acquire("v", 1).unwrap();
    home.pass(HOUR_SECS - 1);
    assert_eq!(grant.blocks.renew(10).unwrap(), Duration::from_secs(10));
    let lease_id = grant.lease.lease_id;
    drop(grant);
    home.pass(9);
    assert_eq!(home.host().attach(lease_id).unwrap().lease.granted, Duration::from_secs(1));
}

#[test]
fn a_released_lease_is_over_for_good() {
    let home = Fixture::new();
    let grant = home.acquire("v", 1).unwrap();
    grant.blocks.release().unwrap();
    grant.blocks.release().unwrap();
    assert_eq!(grant.blocks.host_status(), LeaseStatus::Released);
    assert!(matches!(grant.blocks.renew(10), Err(FabricError::Released { .. })));
    let lease_id = grant.lease.lease_id;
    assert!(
        matches!(home.host().attach(lease_id), Err(FabricError::Released { .. })),
        "even while it is held"
    );
    drop(grant);
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::Released { .. })));
    assert_eq!(home.host().revoke(lease_id).unwrap(), RevokeOutcome::NotFound);
}

#[test]
fn a_revocation_is_seen_by_the_holder_and_by_all_who_come_later() {
    let home = Fixture::new();
    let grant = home.acquire("v", 1).unwrap();
    let lease_id = grant.lease.lease_id;
    assert_eq!(grant.blocks.host_status(), LeaseStatus::Active);
    assert_eq!(home.host().revoke(lease_id).unwrap(), RevokeOutcome::TornDown);
    assert_eq!(grant.blocks.host_status(), LeaseStatus::Revoked);
    assert!(matches!(grant.blocks.renew(10), Err(FabricError::Revoked { .. })));
    assert_eq!(home.host().revoke(lease_id).unwrap(), RevokeOutcome::NotFound, "only once");
    drop(grant);
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::Revoked { .. })));

    let next = home.acquire("v", 1).unwrap();
    assert_eq!(next.blocks.host_status(), LeaseStatus::Active, "the word names another lease");
    assert!(matches!(home.host().attach(lease_id), Err(FabricError::LeaseNotFound { .. })));
    let next_id = next.lease.lease_id;
    drop(next);
    assert_eq!(home.host().revoke(next_id).unwrap(), RevokeOutcome::TornDown, "without a holder too");
    assert!(matches!(home.host().attach(next_id), Err(FabricError::Revoked { .. })));
}

#[test]
fn an_expired_lease_is_not_there_to_be_revoked() {
    let home = Fixture::new();
    let lease_id = home.acquire("v", 1).unwrap().lease.lease_id;
    home.pass(HOUR_SECS);
    assert_eq!(home.host().revoke(lease_id).unwrap(), RevokeOutcome::NotFound);
}

#[test]
fn a_volume_without_a_name_is_called_after_its_lease() {
    let home = Fixture::new();
    let request = BlockRequest { volume: None, min_blocks: 1, lease_secs: 1 };
    let grant = home.host().acquire(&request).unwrap();
    assert_eq!(grant.volume.as_str(), format!("v-{}", grant.lease.lease_id));
    assert_ne!(home.host().acquire(&request).unwrap().volume, grant.volume);
}

#[test]
fn a_lease_so_long_that_no_clock_reaches_its_end_is_no_trouble() {
    let home = Fixture::new();
    let forever = BlockRequest { volume: Some(name("v")), min_blocks: 1, lease_secs: u64::MAX };
    let grant = home.host().acquire(&forever).unwrap();
    grant.blocks.renew(u64::MAX).unwrap();
    let lease_id = grant.lease.lease_id;
    drop(grant);
    home.host().attach(lease_id).unwrap();
}

#[test]
fn a_volume_grows_with_its_holder_and_never_shrinks() {
    let home = Fixture::new();
    home.acquire("v", 3).unwrap().blocks.write(0, &[5; 3 * BLOCK_SIZE]).unwrap();
    for (asked, expected) in [(20, 20), (1, 20), (21, 21)] {
        let grant = home.acquire("v", asked).unwrap();
        assert_eq!(grant.blocks.num_blocks(), expected);
        assert_eq!(fills(&grant)[..4], [5, 5, 5, 0]);
    }
}

#[test]
fn a_volume_whose_files_are_taken_away_closes_its_lease() {
    let home = Fixture::new();
    let grant = home.acquire("v", 1).unwrap();
    fs::remove_dir_all(home.volume_path("v")).unwrap();
    assert_eq!(grant.blocks.host_status(), LeaseStatus::Fenced);
}
