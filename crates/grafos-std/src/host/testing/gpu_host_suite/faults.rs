//! Rules about failure: what fails a session, and what does not.

use fabricbios_core::state::LeaseStatus;

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{KERNELS, Loaded, TestedGpuHost};
use crate::error::{FabricError, Result};
use crate::gpu::{GpuFault, GpuLease, GpuSession, KernelArgs};

/// A session whose kernel has written where nothing is; what `sync` says of it.
fn faulty(lease: &GpuLease) -> Result<(Loaded, Result<()>)> {
    let loaded = Loaded::new(lease)?;
    loaded.launch("store_at", 1, KernelArgs::new().push_u64(64))?;
    let said = loaded.session.sync();
    Ok((loaded, said))
}

pub(super) fn a_fault_fails_its_session_for_good(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let (mut loaded, said) = faulty(&lease)?;
    let Err(FabricError::GpuSessionFailed { code: 1, fault: first }) = said else {
        ensure!(false, "sync says {said:?} after a kernel has written to address 64");
        return Ok(());
    };
    ensure!(matches!(*first, GpuFault::Kernel(_)), "the fault is {first:?}");
    let before = tested.usage()?.launches;
    let later = [
        loaded.session.sync(),
        loaded.session.mem_alloc(8).map(drop),
        loaded.session.module_load(KERNELS).map(drop),
        loaded.launch("small_blocks", 1, KernelArgs::new()),
        loaded.session.stream_create().map(drop),
        loaded.session.sync(),
    ];
    for (number, result) in later.into_iter().enumerate() {
        ensure_error!(
            result,
            FabricError::GpuSessionFailed { code: 1, fault } if *fault == first,
            "operation number {number} of the failed session"
        );
    }
    ensure_eq!(tested.usage()?.launches, before, "launches");
    ensure_eq!(lease.status(), LeaseStatus::Active, "status of the lease");
    Ok(())
}

pub(super) fn a_fault_leaves_other_sessions_alone(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut bystander = Loaded::new(&lease)?;
    let data = bystander.session.mem_alloc(4)?;
    bystander.affine(&data, 1, 5)?;
    let (failed, said) = faulty(&lease)?;
    ensure_error!(said, FabricError::GpuSessionFailed { .. }, "sync after a fault");
    bystander.affine(&data, 10, 1)?;
    ensure_eq!(bystander.word(&data)?, 51, "what another session computes");
    let mut next = Loaded::new(&lease)?;
    let memory = next.session.mem_alloc(4)?;
    next.affine(&memory, 1, 7)?;
    ensure_eq!(next.word(&memory)?, 7, "what a new session computes");
    drop(failed);
    ensure_eq!(bystander.word(&data)?, 51, "what another session has after the failed one is gone");
    Ok(())
}

pub(super) fn a_failed_session_frees_everything(tested: &TestedGpuHost) -> Checked {
    for close in [true, false] {
        let lease = tested.lease()?;
        let (loaded, said) = faulty(&lease)?;
        ensure_error!(said, FabricError::GpuSessionFailed { .. }, "sync after a fault");
        if close {
            loaded.session.close()?;
        } else {
            drop(loaded);
        }
        let usage = tested.usage()?;
        ensure_eq!((usage.sessions, usage.modules, usage.bytes), (0, 0, 0), "sessions, modules, bytes");
        // And one whose fault nobody has seen.
        let unseen = Loaded::new(&lease)?;
        unseen.launch("store_at", 1, KernelArgs::new().push_u64(64))?;
        drop(lease);
        ensure!(tested.usage()?.is_idle(), "something is left of a lease with a failed session");
    }
    Ok(())
}

pub(super) fn mistakes_of_the_caller_fail_nothing(tested: &TestedGpuHost) -> Checked {
    let lease = tested.lease()?;
    let mut loaded = Loaded::new(&lease)?;
    let data = loaded.session.mem_alloc(4)?;
    let mistakes = [
        loaded.session.mem_write(&data, 1, &[0; 4]),
        loaded.session.mem_alloc(u64::MAX).map(drop),
        loaded.session.module_load(b"no module").map(drop),
        loaded.launch("no such kernel", 1, KernelArgs::new()),
        loaded.launch("affine", 1, KernelArgs::new()),
        loaded.launch("small_blocks", 0, KernelArgs::new()),
        GpuSession::new(&lease).mem_free(data.clone()),
    ];
    for (number, mistake) in mistakes.into_iter().enumerate() {
        ensure!(mistake.is_err(), "mistake number {number} was not noticed");
        loaded.affine(&data, 1, 1)?;
        ensure_eq!(
            loaded.word(&data)?,
            u32::try_from(number)? + 1,
            "what the session computes after mistake {number}"
        );
    }
    ensure!(loaded.session.fault().is_none(), "the session has failed");
    Ok(())
}
