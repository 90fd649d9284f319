//! Leases that are given back or run out.

use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{HOUR_SECS, TestedBlockHost, block_of, lease_fills};
use crate::block::BLOCK_SIZE;
use crate::error::FabricError;

pub(super) fn a_released_volume_can_be_leased_again(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    let (stale, epoch) = (lease.block(), lease.epoch());
    stale.write_block(0, &block_of(1))?;
    lease.release()?;
    let again = tested.lease("v", 1)?;
    ensure!(again.epoch() > epoch, "epoch did not rise: before={epoch}, then={}", again.epoch());
    let refused = [stale.write_block(0, &block_of(9)), stale.read_block(0, &mut block_of(0)), stale.flush()];
    for result in refused {
        ensure_error!(result, FabricError::Released { .. }, "an operation after release");
    }
    ensure_eq!(lease_fills(&again)?[..1], [1], "blocks of the new holder");
    let by_drop = again.lease_id();
    drop(again);
    ensure_error!(
        tested.host.attach(by_drop),
        FabricError::Released { .. },
        "attach after the lease was dropped"
    );
    Ok(())
}

pub(super) fn a_lease_ends_at_its_deadline(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    let (handle, ends) = (lease.block(), lease.expires_at_unix_secs());
    handle.write_block(0, &block_of(1))?;
    let now = tested.clock.unix_ms() / 1000;
    ensure!(ends <= now + HOUR_SECS, "leased for an hour at {now}, ends at {ends}");
    tested.pass((ends - now).saturating_sub(1));
    ensure_eq!(lease.status(), LeaseStatus::Active, "status a second before the deadline");
    handle.write_block(0, &block_of(2))?;
    tested.pass(2);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the deadline");
    let mut untouched = block_of(7);
    let refused = [
        handle.write_block(0, &block_of(9)),
        handle.read_block(0, &mut untouched),
        handle.flush(),
        lease.renew(),
    ];
    for result in refused {
        ensure_error!(
            result,
            FabricError::LeaseExpired { lease_id, .. } if *lease_id == lease.lease_id(),
            "an operation after the deadline"
        );
    }
    ensure!(untouched == [7; BLOCK_SIZE], "a refused read changed the buffer");
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after a renewal was refused");
    drop((lease, handle));
    ensure_eq!(lease_fills(&tested.lease("v", 1)?)?[..1], [2], "blocks after refused writes");
    Ok(())
}

pub(super) fn an_expired_volume_can_be_leased_again(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 1)?;
    let (epoch, lease_id) = (grant.lease.epoch, grant.lease.lease_id);
    grant.blocks.write(0, &block_of(3))?;
    grant.blocks.flush()?;
    drop(grant);
    tested.pass(2 * HOUR_SECS);
    let again = tested.lease("v", 1)?;
    ensure!(
        again.epoch() > epoch && again.lease_id() != lease_id,
        "a new lease needs a new id and a higher epoch"
    );
    ensure_eq!(again.status(), LeaseStatus::Active, "status of the new lease");
    ensure_eq!(lease_fills(&again)?[..1], [3], "blocks after expiry");
    Ok(())
}

pub(super) fn renewal_moves_the_deadline(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    let first_end = lease.expires_at_unix_secs();
    for _ in 0..3 {
        tested.pass(HOUR_SECS - 600);
        lease.renew()?;
        ensure_eq!(lease.status(), LeaseStatus::Active, "status after renewal");
        lease.block().write_block(0, &block_of(1))?;
    }
    ensure!(lease.expires_at_unix_secs() > first_end, "three renewals did not move the deadline");
    tested.pass(HOUR_SECS + 1);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the last deadline");
    Ok(())
}

pub(super) fn the_host_remembers_a_renewal(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 1)?;
    let lease_id = grant.lease.lease_id;
    tested.pass(3000);
    let renewed = grant.blocks.renew(HOUR_SECS)?;
    ensure!(
        renewed > Duration::ZERO && renewed <= Duration::from_secs(HOUR_SECS),
        "{renewed:?} granted for an hour"
    );
    drop(grant);
    tested.pass(3000);
    let left = Duration::from_secs(HOUR_SECS - 3000);
    for host in [&tested.host, &(tested.reopen)()] {
        let granted = host.attach(lease_id)?.lease.granted;
        ensure!(
            granted > Duration::ZERO && granted <= left,
            "{left:?} are left of it, {granted:?} were granted"
        );
    }
    Ok(())
}
