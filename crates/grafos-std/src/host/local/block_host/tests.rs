//! What happens between finding a lease and locking its volume.

use fabricbios_core::clock::ManualClock;
use tempfile::TempDir;

use super::*;

fn host() -> (TempDir, LocalBlockHost, VolumeName) {
    let dir = tempfile::tempdir().unwrap();
    let host = LocalBlockHost::open(dir.path(), IoMode::Auto, Arc::new(ManualClock::default())).unwrap();
    (dir, host, VolumeName::new("v").unwrap())
}

fn acquire(host: &LocalBlockHost, name: &VolumeName) -> BlockGrant {
    host.acquire(&BlockRequest { volume: Some(name.clone()), min_blocks: 1, lease_secs: 60 }).unwrap()
}

#[test]
fn a_lease_that_was_replaced_after_it_was_found_is_not_attached() {
    let (_dir, host, name) = host();
    let old = acquire(&host, &name).lease.lease_id;
    acquire(&host, &name);
    let error = host.attach_to(&name, old, &host.now()).unwrap_err();
    assert!(matches!(error, FabricError::LeaseNotFound { lease_id } if lease_id == old), "{error}");
    host.remove_volume(&name).unwrap();
    let error = host.attach_to(&name, old, &host.now()).unwrap_err();
    assert!(matches!(error, FabricError::LeaseNotFound { .. }), "{error}");
}

#[test]
fn a_lease_that_ended_after_it_was_found_is_not_attached() {
    let (_dir, host, name) = host();
    let lease_id = acquire(&host, &name).lease.lease_id;
    host.revoke(lease_id).unwrap();
    let error = host.attach_to(&name, lease_id, &host.now()).unwrap_err();
    assert!(matches!(error, FabricError::Revoked { .. }), "{error}");
}

#[test]
fn a_slow_revoker_leaves_the_next_lease_and_its_revocation_alone() {
    let (_dir, host, name) = host();
    let old = acquire(&host, &name).lease.lease_id;
    let next = acquire(&host, &name);
    assert_eq!(host.revoke_on(&name, old).unwrap(), RevokeOutcome::NotFound);
    assert_eq!(next.blocks.host_status(), LeaseStatus::Active);
    host.revoke(next.lease.lease_id).unwrap();
    assert_eq!(host.revoke_on(&name, old).unwrap(), RevokeOutcome::NotFound);
    assert_eq!(next.blocks.host_status(), LeaseStatus::Revoked);
}

#[test]
fn many_who_revoke_at_once_take_the_lease_once() {
    let (_dir, host, name) = host();
    for _ in 0..30 {
        let grant = acquire(&host, &name);
        let start = std::sync::Barrier::new(4);
        let revoke = || {
            start.wait();
            host.revoke_on(&name, grant.lease.lease_id).unwrap()
        };
        let outcomes = std::thread::scope(|scope| {
            let revokers = [(); 4].map(|()| scope.spawn(revoke));
            revokers.map(|revoker| revoker.join().unwrap())
        });
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == RevokeOutcome::TornDown).count(), 1);
    }
}
