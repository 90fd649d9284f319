//! The way back to a lease whose holder died, and when there is none.

use std::time::Duration;

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{HOUR_SECS, TestedBlockHost, block_of, fills};
use crate::block::BlockBuilder;
use crate::error::{FabricError, Result};

pub(super) fn an_attached_lease_is_the_same_with_a_higher_epoch(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 3)?;
    let (lease, volume, blocks) = (grant.lease, grant.volume.clone(), grant.blocks.num_blocks());
    grant.blocks.write(2, &block_of(1))?;
    grant.blocks.flush()?;
    drop(grant);
    tested.pass(10);
    let attached = tested.host.attach(lease.lease_id)?;
    ensure_eq!(attached.lease.lease_id, lease.lease_id, "lease id");
    ensure_eq!(attached.volume, volume, "volume");
    ensure_eq!(attached.blocks.num_blocks(), blocks, "size in blocks");
    ensure!(
        attached.lease.epoch > lease.epoch,
        "epoch did not rise: before={}, attached={}",
        lease.epoch,
        attached.lease.epoch
    );
    attached.blocks.write(0, &block_of(2))?;
    attached.blocks.flush()?;
    ensure_eq!(fills(attached.blocks.as_ref())?[..3], [2, 0, 1], "blocks");
    Ok(())
}

pub(super) fn attaching_does_not_extend_a_lease(tested: &TestedBlockHost) -> Checked {
    let lease_id = dead_lease(tested)?;
    for passed in [1000, 2000] {
        tested.pass(1000);
        let left = Duration::from_secs(HOUR_SECS - passed);
        let granted = tested.host.attach(lease_id)?.lease.granted;
        ensure!(
            granted <= left && granted > Duration::ZERO,
            "{left:?} are left of it, {granted:?} were granted"
        );
    }
    let attached = BlockBuilder::attach_on(&tested.front()?, lease_id)?;
    ensure_eq!(attached.status(), LeaseStatus::Active, "status before the old deadline");
    tested.pass(HOUR_SECS - 2000);
    ensure_eq!(attached.status(), LeaseStatus::Expired, "status at the old deadline");
    Ok(())
}

pub(super) fn leases_can_be_attached_after_a_restart(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 2)?;
    let lease = grant.lease;
    grant.blocks.write(0, &block_of(3))?;
    grant.blocks.flush()?;
    drop(grant);
    let attached = (tested.reopen)().attach(lease.lease_id)?;
    ensure_eq!(attached.lease.lease_id, lease.lease_id, "lease id");
    ensure!(attached.lease.epoch > lease.epoch, "epoch did not rise with a restart");
    ensure_eq!(fills(attached.blocks.as_ref())?[..2], [3, 0], "blocks");
    Ok(())
}

pub(super) fn a_lease_with_a_living_holder_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let grant = tested.grant("v", 1)?;
    for host in [&tested.host, &(tested.reopen)()] {
        let refused = host.attach(grant.lease.lease_id);
        ensure_error!(refused, FabricError::Held { .. }, "attach while the holder lives");
    }
    grant.blocks.write(0, &block_of(1))?;
    Ok(())
}

pub(super) fn an_unknown_lease_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let _some_lease = dead_lease(tested)?;
    let unknown = LeaseId(0x00dd_1e5e_0000_0000_0000_0000_0000_0001);
    let refused = tested.host.attach(unknown);
    ensure_error!(
        refused,
        FabricError::LeaseNotFound { lease_id } if *lease_id == unknown,
        "attach to a lease that never was"
    );
    Ok(())
}

pub(super) fn a_released_lease_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    let released = lease.lease_id();
    lease.release()?;
    ensure_error!(
        tested.host.attach(released),
        FabricError::Released { lease_id } if *lease_id == released,
        "attach to a released lease"
    );
    Ok(())
}

pub(super) fn a_revoked_lease_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let revoked = dead_lease(tested)?;
    tested.host.revoke(revoked)?;
    ensure_error!(
        tested.host.attach(revoked),
        FabricError::Revoked { lease_id } if *lease_id == revoked,
        "attach to a revoked lease"
    );
    Ok(())
}

pub(super) fn an_expired_lease_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let expired = dead_lease(tested)?;
    tested.pass(HOUR_SECS + 1);
    for host in [&tested.host, &(tested.reopen)()] {
        ensure_error!(
            host.attach(expired),
            FabricError::LeaseExpired { lease_id, .. } if *lease_id == expired,
            "attach to a lease after its deadline"
        );
    }
    Ok(())
}

pub(super) fn an_older_lease_of_a_volume_cannot_be_attached(tested: &TestedBlockHost) -> Checked {
    let older = dead_lease(tested)?;
    let newer = dead_lease(tested)?;
    ensure_error!(
        tested.host.attach(older),
        FabricError::LeaseNotFound { .. }
            | FabricError::Released { .. }
            | FabricError::Revoked { .. }
            | FabricError::Fenced { .. },
        "attach to a lease whose volume has a newer one"
    );
    ensure_eq!(tested.host.attach(newer)?.lease.lease_id, newer, "lease id of the newer one");
    Ok(())
}

/// An active lease of volume `v` whose holder died.
fn dead_lease(tested: &TestedBlockHost) -> Result<LeaseId> {
    Ok(tested.grant("v", 1)?.lease.lease_id)
}
