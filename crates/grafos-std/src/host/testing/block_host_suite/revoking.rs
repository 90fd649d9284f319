//! Leases that are taken away.

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{HOUR_SECS, TestedBlockHost, block_of, lease_fills};
use crate::block::BlockLease;
use crate::error::FabricError;
use crate::host::RevokeOutcome;

pub(super) fn revocation_closes_every_handle(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    lease.block().write_block(0, &block_of(1))?;
    ensure_eq!(tested.host.revoke(lease.lease_id())?, RevokeOutcome::TornDown, "outcome");
    ensure_closed(&lease)?;
    ensure_eq!(lease.status(), LeaseStatus::Revoked, "status");
    tested.pass(2 * HOUR_SECS);
    ensure_eq!(lease.status(), LeaseStatus::Revoked, "status after the deadline, which came second");
    drop(lease);
    ensure_eq!(lease_fills(&tested.lease("v", 1)?)?[..1], [1], "blocks after refused writes");
    Ok(())
}

pub(super) fn revocation_reaches_a_holder_on_another_host(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    lease.block().write_block(0, &block_of(1))?;
    ensure_eq!((tested.reopen)().revoke(lease.lease_id())?, RevokeOutcome::TornDown, "outcome");
    ensure_closed(&lease)
}

fn ensure_closed(lease: &BlockLease) -> Checked {
    let (one, other) = (lease.block(), lease.block());
    let refused = [
        one.write_block(0, &block_of(9)),
        one.read_block(0, &mut block_of(0)),
        other.flush(),
        other.write_block(0, &block_of(9)),
        lease.renew(),
    ];
    for (number, result) in refused.iter().enumerate() {
        ensure_error!(
            result,
            FabricError::Revoked { lease_id } if *lease_id == lease.lease_id(),
            "operation {number} after revocation"
        );
    }
    Ok(())
}

pub(super) fn revocation_says_what_it_found(tested: &TestedBlockHost) -> Checked {
    let host = &tested.host;
    let unknown = LeaseId(0x00dd_1e5e_0000_0000_0000_0000_0000_0002);
    ensure_eq!(host.revoke(unknown)?, RevokeOutcome::NotFound, "of a lease that never was");

    let dead = tested.grant("dead", 1)?.lease.lease_id;
    ensure_eq!(host.revoke(dead)?, RevokeOutcome::TornDown, "of an active lease whose holder died");
    ensure_eq!(host.revoke(dead)?, RevokeOutcome::NotFound, "of a lease that was revoked before");

    let lease = tested.lease("released", 1)?;
    let released = lease.lease_id();
    lease.release()?;
    ensure_eq!(host.revoke(released)?, RevokeOutcome::NotFound, "of a released lease");

    let expired = tested.grant("expired", 1)?.lease.lease_id;
    tested.pass(2 * HOUR_SECS);
    ensure_eq!(host.revoke(expired)?, RevokeOutcome::NotFound, "of an expired lease");
    Ok(())
}

pub(super) fn a_revocation_outlives_a_restart(tested: &TestedBlockHost) -> Checked {
    let revoked = tested.grant("v", 1)?.lease.lease_id;
    tested.host.revoke(revoked)?;
    let reopened = (tested.reopen)();
    ensure_error!(reopened.attach(revoked), FabricError::Revoked { .. }, "attach after a restart");
    ensure_eq!(reopened.revoke(revoked)?, RevokeOutcome::NotFound, "a second revocation after a restart");
    Ok(())
}

pub(super) fn a_revoked_volume_can_be_leased_again(tested: &TestedBlockHost) -> Checked {
    let lease = tested.lease("v", 1)?;
    lease.block().write_block(0, &block_of(4))?;
    tested.host.revoke(lease.lease_id())?;
    ensure_eq!(lease.status(), LeaseStatus::Revoked, "status");
    // The holder has seen the end, so it holds nothing any more, though its lease has not been dropped.
    let again = tested.lease("v", 1)?;
    ensure!(again.epoch() > lease.epoch(), "epoch did not rise after revocation");
    ensure_eq!(again.status(), LeaseStatus::Active, "status of the new lease");
    again.block().write_block(0, &block_of(5))?;
    drop(lease);
    ensure_eq!(again.status(), LeaseStatus::Active, "status of the new lease after the old one was dropped");
    ensure_eq!(lease_fills(&again)?[..1], [5], "blocks of the new holder");
    Ok(())
}
