//! What is held, and that it is gone.

use super::*;

fn request(min_bytes: u64) -> MemRequest {
    MemRequest { min_bytes, lease_secs: 60 }
}

fn live(host: &LocalMemHost) -> (usize, u64) {
    (host.live_leases(), host.live_bytes())
}

#[test]
fn the_limit_counts_all_leases_together() {
    let host = LocalMemHost::with_limit_bytes(1000);
    let first = host.acquire(&request(600)).unwrap();
    let error = host.acquire(&request(401)).unwrap_err();
    assert!(matches!(error, FabricError::CapacityExceeded { requested: 401, available: 400, .. }), "{error}");
    let second = host.clone().acquire(&request(400)).unwrap();
    assert_eq!(live(&host), (2, 1000));
    drop(first);
    assert_eq!(live(&host), (1, 400));
    drop(second);
    assert_eq!(live(&host), (0, 0));
}

#[test]
fn memory_that_the_machine_does_not_have_is_refused_and_not_counted() {
    let host = LocalMemHost::with_limit_bytes(u64::MAX);
    for bytes in [u64::MAX, 1 << 62] {
        let error = host.acquire(&request(bytes)).unwrap_err();
        assert!(matches!(error, FabricError::CapacityExceeded { .. }), "{error}");
    }
    assert_eq!(live(&host), (0, 0));
}

#[test]
fn revoked_memory_is_gone_at_once_though_the_holder_still_holds_on() {
    let host = LocalMemHost::default();
    let grant = host.acquire(&request(100)).unwrap();
    grant.memory.write(0, b"secret").unwrap();
    assert_eq!(host.revoke(grant.lease.lease_id).unwrap(), RevokeOutcome::TornDown);
    assert_eq!(live(&host), (0, 0));
    assert_eq!(grant.memory.host_status(), LeaseStatus::Revoked);
    let mut into = [0; 6];
    assert!(matches!(grant.memory.read(0, &mut into), Err(FabricError::Revoked { .. })));
    assert!(matches!(grant.memory.write(0, &into), Err(FabricError::Revoked { .. })));
    assert!(matches!(grant.memory.renew(60), Err(FabricError::Revoked { .. })));
    assert_eq!(grant.memory.num_bytes(), 100);
    assert_eq!(host.revoke(grant.lease.lease_id).unwrap(), RevokeOutcome::NotFound);
    drop(grant);
    assert_eq!(live(&host), (0, 0), "not counted twice");
}

#[test]
fn a_range_that_is_not_there_is_refused_here_as_well() {
    let host = LocalMemHost::default();
    let grant = host.acquire(&request(100)).unwrap();
    for (offset, len) in [(100, 1), (0, 101), (u64::MAX, 1), (u64::MAX, 0)] {
        let error = grant.memory.read(offset, &mut vec![0; len]).unwrap_err();
        assert!(matches!(error, FabricError::CapacityExceeded { available: 100, .. }), "{error}");
        assert!(grant.memory.write(offset, &vec![0; len]).is_err());
    }
    grant.memory.read(100, &mut []).unwrap();
}

#[test]
fn revoking_and_dropping_at_the_same_time_frees_once() {
    for _ in 0..200 {
        let host = LocalMemHost::default();
        let grant = host.acquire(&request(64)).unwrap();
        let lease_id = grant.lease.lease_id;
        std::thread::scope(|scope| {
            scope.spawn(|| host.revoke(lease_id).unwrap());
            scope.spawn(move || drop(grant));
        });
        assert_eq!(live(&host), (0, 0));
    }
}
