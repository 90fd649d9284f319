//! Rules about what is granted, and until when.

use std::collections::BTreeSet;
use std::time::Duration;

use fabricbios_core::clock::Clock;
use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{HOUR_SECS, MIB, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::{GpuError, GpuExclusivityClass, GpuSession};
use crate::host::GpuRequest;

pub(super) fn a_gpu_grant_is_what_was_asked_for(tested: &TestedGpuHost) -> Checked {
    let devices = tested.host.devices()?;
    for class in [GpuExclusivityClass::Shared, GpuExclusivityClass::DeviceExclusive] {
        let grant = tested.grant(Some(class))?;
        ensure_eq!(Some(&grant.device), devices.first(), "the device of a grant on device 0");
        let all = grant.device.vram_bytes;
        ensure!(
            (16 * MIB..=all).contains(&grant.vram_bytes),
            "16 MiB of {all} bytes asked for, {} bytes granted",
            grant.vram_bytes
        );
        let (granted, asked) = (grant.lease.granted, Duration::from_secs(HOUR_SECS));
        ensure!(granted > Duration::ZERO && granted <= asked, "{asked:?} asked for, {granted:?} granted");
        ensure_eq!(grant.gpu.host_status(), LeaseStatus::Active, "what the host says of a new lease");
        ensure_eq!(tested.usage()?.leases, 1, "leases");
    }
    let builder = tested.builder()?;
    for senseless in [builder.clone().min_vram(0), builder.clone().lease_secs(0)] {
        let what = format!("{senseless:?}");
        ensure_error!(senseless.acquire(), FabricError::InvalidRequest { .. }, "{what}");
    }
    Ok(())
}

pub(super) fn an_unknown_device_is_refused(tested: &TestedGpuHost) -> Checked {
    let count = u32::try_from(tested.host.devices()?.len())?;
    for unknown in [count, count + 1, u32::MAX] {
        ensure_error!(
            tested.builder()?.device(unknown).acquire(),
            FabricError::Gpu(GpuError::Unavailable { .. }),
            "device {unknown} of {count}"
        );
    }
    Ok(())
}

pub(super) fn epochs_of_a_device_only_rise(tested: &TestedGpuHost) -> Checked {
    let mut last = None;
    let mut kept = Vec::new();
    for turn in 0..12 {
        let lease = tested.lease()?;
        ensure!(Some(lease.epoch()) > last, "epoch {} came after {last:?}", lease.epoch());
        last = Some(lease.epoch());
        match turn % 4 {
            0 => lease.release()?,
            1 => drop(tested.host.revoke(lease.lease_id())?),
            2 if kept.is_empty() => kept.push(lease),
            _ => drop(lease),
        }
    }
    Ok(())
}

pub(super) fn gpu_lease_ids_are_never_used_again(tested: &TestedGpuHost) -> Checked {
    let mut ids = BTreeSet::new();
    for turn in 0..20 {
        let id = tested.lease()?.lease_id();
        ensure!(ids.insert(id), "a lease id came twice: lease={id}, turn={turn}");
    }
    Ok(())
}

pub(super) fn a_gpu_lease_ends_at_its_deadline(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(8)?;
    let (now, ends) = (tested.clock.unix_ms() / 1000, lease.expires_at_unix_secs());
    ensure!(ends <= now + HOUR_SECS, "leased for an hour at {now}, ends at {ends}");
    tested.pass((ends - now).saturating_sub(1));
    ensure_eq!(lease.status(), LeaseStatus::Active, "status a second before the deadline");
    session.mem_write(&memory, 0, &[1])?;
    tested.pass(2);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the deadline");
    let ended = [
        session.mem_write(&memory, 0, &[2]),
        session.mem_read(&memory, 0, 1).map(drop),
        session.mem_alloc(1).map(drop),
        session.sync(),
        lease.renew(),
        GpuSession::new(&lease).mem_alloc(1).map(drop),
    ];
    for result in ended {
        ensure_error!(result, FabricError::LeaseExpired { .. }, "an operation after the deadline");
    }
    Ok(())
}

pub(super) fn renewal_moves_the_deadline_of_a_gpu(tested: &TestedGpuHost) -> Checked {
    // The host's own deadline moves as well, as its answer shows when the front is left out.
    let request = GpuRequest {
        device: Some(0),
        min_vram_bytes: MIB,
        lease_secs: HOUR_SECS,
        exclusivity: Some(GpuExclusivityClass::Shared),
    };
    let grant = tested.host.acquire(&request)?;
    let lease = tested.lease()?;
    let mut session = GpuSession::new(&lease);
    let memory = session.mem_alloc(1)?;
    session.mem_write(&memory, 0, &[7])?;
    for _ in 0..3 {
        tested.pass(HOUR_SECS - 600);
        lease.renew()?;
        let granted = grant.gpu.renew(HOUR_SECS)?;
        ensure!(granted > Duration::from_secs(HOUR_SECS / 2), "renewed for {granted:?}");
        ensure_eq!(tested.usage()?.leases, 2, "leases after renewal");
        ensure_eq!(lease.status(), LeaseStatus::Active, "status after renewal");
        grant.gpu.open_session()?.close()?;
    }
    ensure_eq!(session.mem_read(&memory, 0, 1)?, [7], "contents after renewal");
    tested.pass(HOUR_SECS + 1);
    ensure_eq!(lease.status(), LeaseStatus::Expired, "status after the last deadline");
    Ok(())
}
