//! Rules about the ends of sessions and leases: nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{FOREVER, HOUR_SECS, Loaded, MIB, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::{GpuEvent, GpuExclusivityClass, GpuLease, GpuMemHandle, GpuSession, GpuStream};

/// A session with something of everything in it.
struct Full {
    loaded: Loaded,
    handles: (GpuMemHandle, GpuStream, GpuEvent),
}

impl Full {
    fn new(lease: &GpuLease) -> crate::Result<Self> {
        let mut loaded = Loaded::new(lease)?;
        let memory = loaded.session.mem_alloc(MIB)?;
        loaded.affine(&memory, 3, 1)?;
        let stream = loaded.session.stream_create()?;
        let event = loaded.session.event_record(&stream)?;
        Ok(Self { loaded, handles: (memory, stream, event) })
    }
}

fn check_full(tested: &TestedGpuHost) -> Checked {
    let usage = tested.usage()?;
    let counts = (usage.sessions, usage.modules, usage.allocations, usage.streams, usage.events);
    ensure_eq!(counts, (1, 1, 1, 1, 1), "sessions, modules, allocations, streams, events");
    // Not every driver says how much the variables of a module take.
    ensure!(usage.bytes >= MIB, "1 MiB and a module take {} bytes", usage.bytes);
    Ok(())
}

pub(super) fn every_end_of_a_session_frees_everything(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    for end in ["drop", "close", "panic", "handles first", "handles later"] {
        let Full { loaded, handles } = Full::new(&lease)?;
        check_full(tested)?;
        match end {
            "drop" => drop((loaded, handles)),
            "close" => loaded.session.close()?,
            "panic" => {
                // Not `panic!`: whoever runs the suite needs no report of this one.
                let unwound = catch_unwind(AssertUnwindSafe(move || {
                    let _moved = (loaded, handles);
                    std::panic::resume_unwind(Box::new("on purpose"));
                }));
                ensure!(unwound.is_err(), "a panic was swallowed");
            }
            "handles first" => {
                drop(handles);
                drop(loaded);
            }
            _ => {
                drop(loaded);
                ensure_eq!(tested.usage()?.sessions, 0, "sessions before the last handle is dropped");
                drop(handles);
            }
        }
        let usage = tested.usage()?;
        ensure!(
            crate::host::GpuUsage { leases: 0, ..usage }.is_idle() && usage.leases == 1,
            "after a session has ended by {end}: {usage:?}"
        );
    }
    Ok(())
}

pub(super) fn every_end_of_a_lease_frees_everything(tested: &TestedGpuHost) -> Checked {
    for end in ["drop", "release", "revocation", "expiry that is noticed", "expiry that nobody notices"] {
        let lease = tested.lease()?;
        let full = Full::new(&lease)?;
        check_full(tested)?;
        match end {
            "drop" => drop(lease),
            "release" => lease.release()?,
            "revocation" => drop(tested.host.revoke(lease.lease_id())?),
            "expiry that is noticed" => {
                tested.pass(HOUR_SECS + 1);
                ensure_error!(
                    full.loaded.session.sync(),
                    FabricError::LeaseExpired { .. },
                    "sync after the deadline"
                );
            }
            _ => {
                tested.pass(HOUR_SECS + 1);
                let usage = tested.usage()?;
                ensure!(usage.is_idle(), "though nobody has asked: {usage:?}");
                drop(lease);
            }
        }
        let usage = tested.usage()?;
        ensure!(usage.is_idle(), "with session and handles still there, after {end} of the lease: {usage:?}");
        drop(full);
        ensure!(tested.usage()?.is_idle(), "handles that were dropped after the {end} changed something");
    }
    Ok(())
}

pub(super) fn an_ended_lease_is_nobodys(tested: &TestedGpuHost) -> Checked {
    use GpuExclusivityClass::DeviceExclusive;
    for end in ["drop", "release", "revocation", "expiry"] {
        let lease = tested.lease_of(DeviceExclusive)?;
        let mut session = GpuSession::new(&lease);
        session.mem_alloc(MIB)?;
        let mut kept = None;
        match end {
            "drop" => drop(lease),
            "release" => lease.release()?,
            "revocation" => {
                tested.host.revoke(lease.lease_id())?;
                kept = Some(lease);
            }
            _ => {
                tested.pass(HOUR_SECS + 1);
                kept = Some(lease);
            }
        }
        match tested.lease_of(DeviceExclusive) {
            Ok(next) => drop(GpuSession::new(&next).mem_alloc(MIB)?),
            Err(error) => ensure!(false, "after {end} the device can't be leased: {error}"),
        }
        drop(kept);
    }
    Ok(())
}

/// Only where the host says that it can stop a kernel: elsewhere the kernel would run on for ever.
pub(super) fn expiry_stops_a_kernel_that_runs(tested: &TestedGpuHost) -> Checked {
    if !tested.stops_running_kernels()? {
        return Ok(());
    }
    // First without waiting: on a host that fails here, a wait would never end.
    for waits in [false, true] {
        let lease = tested.lease()?;
        let mut loaded = Loaded::new(&lease)?;
        let (flag, out) = loaded.alloc_flag_and_out()?;
        loaded.wait_for(&flag, &out, FOREVER)?;
        tested.pass(HOUR_SECS + 1);
        if waits {
            ensure_error!(loaded.session.sync(), FabricError::LeaseExpired { .. }, "sync after the deadline");
        }
        ensure!(tested.usage()?.is_idle(), "something is left of an expired lease whose kernel ran");
    }
    Ok(())
}
