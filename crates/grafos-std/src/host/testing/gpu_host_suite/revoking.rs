//! Rules about revocation.

use std::thread;

use fabricbios_core::lease::LeaseId;
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Broken, Checked, ensure, ensure_eq, ensure_error};
use super::{FOREVER, HOUR_SECS, Loaded, PATIENCE, TestedGpuHost, affine_args};
use crate::error::FabricError;
use crate::gpu::GpuSession;
use crate::host::RevokeOutcome;

pub(super) fn revocation_closes_every_session(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let bystander = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let mut other = GpuSession::new(&lease);
    let memory = loaded.session.mem_alloc(8)?;
    let elsewhere = other.mem_alloc(8)?;
    let stream = loaded.session.stream_create()?;
    let event = loaded.session.event_record(&stream)?;
    let staging = loaded.session.staging_alloc(8)?;
    let pending = loaded.session.copy_to_staging(&stream, &memory, 0, staging, 8)?;
    let before = tested.usage()?.launches;
    ensure_eq!(tested.host.revoke(lease.lease_id())?, RevokeOutcome::TornDown, "outcome");
    let refused = [
        loaded.session.mem_write(&memory, 0, &[2]),
        loaded.session.mem_read(&memory, 0, 1).map(drop),
        loaded.session.mem_copy(&memory, 0, &memory, 4, 4),
        loaded.session.mem_zero(&memory, 0, 1),
        loaded.session.mem_alloc(1).map(drop),
        loaded.session.module_load(super::KERNELS).map(drop),
        loaded.session.launch_with_args(&loaded.module, "affine", [1; 3], [1; 3], affine_args(&memory, 1, 1)),
        loaded.session.sync(),
        loaded.session.stream_create().map(drop),
        loaded.session.stream_sync(&stream),
        loaded.session.event_record(&stream).map(drop),
        loaded.session.event_sync(&event),
        loaded.session.staging_alloc(1).map(drop),
        pending.wait().map(drop),
        loaded.session.mem_free(memory),
        other.mem_write(&elsewhere, 0, &[2]),
        GpuSession::new(&lease).mem_alloc(1).map(drop),
        lease.renew(),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        ensure_error!(
            result,
            FabricError::Revoked { lease_id } if *lease_id == lease.lease_id(),
            "operation number {number} after revocation"
        );
    }
    ensure_eq!(tested.usage()?.launches, before, "launches");
    tested.pass(HOUR_SECS / 2);
    ensure_eq!(lease.status(), LeaseStatus::Revoked, "status");
    ensure_eq!(bystander.status(), LeaseStatus::Active, "status of another lease");
    GpuSession::new(&bystander).mem_alloc(8)?;
    Ok(())
}

pub(super) fn revocation_says_what_it_found_of_gpus(tested: &TestedGpuHost) -> Checked {
    let unknown = LeaseId(0x00dd_1e5e_0000_0000_0000_0000_0000_0007);
    ensure_eq!(tested.host.revoke(unknown)?, RevokeOutcome::NotFound, "of a lease that never was");
    let lease = tested.lease()?;
    let id = lease.lease_id();
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::TornDown, "of an active lease");
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::NotFound, "of a lease that was revoked before");
    let lease = tested.lease()?;
    let id = lease.lease_id();
    lease.release()?;
    ensure_eq!(tested.host.revoke(id)?, RevokeOutcome::NotFound, "of a released lease");
    let lease = tested.lease()?;
    tested.pass(HOUR_SECS + 1);
    ensure_eq!(tested.host.revoke(lease.lease_id())?, RevokeOutcome::NotFound, "of an expired lease");
    Ok(())
}

/// Revokes while another thread waits in `sync` for a kernel of so much patience.
fn revoke_under_a_sync(tested: &TestedGpuHost, patience: u64) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let (flag, out) = loaded.alloc_flag_and_out()?;
    let stream = loaded.session.stream_create()?;
    let mut staging = loaded.session.staging_alloc(4)?;
    staging.copy_from_slice(&1_u32.to_le_bytes());
    loaded.wait_for(&flag, &out, patience)?;
    let session = &loaded.session;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| session.sync());
        // It may wait already, or begin to in a moment: the answer must be the same.
        let revoked = tested.host.revoke(lease.lease_id());
        let stopped = tested.usage().map(|usage| usage.is_idle());
        // Lets the kernel go if it has not been stopped. A host that is right refuses.
        let let_go = session.copy_from_staging(&stream, &flag, 0, staging, 4);
        let waited = waiting.join().map_err(|_| Broken("sync panicked".to_owned()))?;
        ensure_error!(waited, FabricError::Revoked { .. }, "a sync under which the lease was revoked");
        ensure_error!(let_go, FabricError::Revoked { .. }, "a copy after that");
        ensure_eq!(revoked?, RevokeOutcome::TornDown, "outcome");
        if tested.stops_running_kernels()? {
            ensure!(stopped?, "something is left of a revoked lease whose kernel ran");
        }
        Ok(())
    })
}

pub(super) fn a_sync_that_waits_hears_of_the_revocation(tested: &TestedGpuHost) -> Checked {
    (0..3).try_for_each(|_| revoke_under_a_sync(tested, PATIENCE))
}

/// Only where the host says that it can stop a kernel: elsewhere the kernel would run on for ever.
pub(super) fn revocation_stops_a_kernel_that_runs(tested: &TestedGpuHost) -> Checked {
    if !tested.stops_running_kernels()? {
        return Ok(());
    }
    (0..3).try_for_each(|_| revoke_under_a_sync(tested, FOREVER))
}
