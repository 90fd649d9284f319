//! What the virtual machine says, in the words of [`FabricError`]. The one place that knows both.

use grafos_ptx::{Fault, FaultKind, LaunchError, LoadError, LoadErrorKind, MemoryError, MemorySpace};

use crate::error::FabricError;
use crate::gpu::{GpuError, GpuFault, KernelFault, KernelFaultKind};

const DEVICE_MEMORY: &str = "bytes of device memory";

/// Device memory could not be had or reached.
pub(super) fn of_memory(error: MemoryError) -> FabricError {
    match error {
        MemoryError::OutOfMemory { requested, available } => {
            FabricError::CapacityExceeded { what: DEVICE_MEMORY, requested, available }
        }
        // The front has checked ranges and handles, so somebody has gone past it.
        _ => FabricError::InvalidRequest {
            what: "address on the device",
            expected: "one inside an allocation of this session",
            found: error.to_string(),
        },
    }
}

/// Not enough of the lease's memory is left.
pub(super) fn out_of_lease(requested: u64, available: u64) -> FabricError {
    FabricError::CapacityExceeded { what: DEVICE_MEMORY, requested, available }
}

/// A module was refused.
pub(super) fn of_load(error: &LoadError) -> FabricError {
    match &error.kind {
        LoadErrorKind::Memory(memory) => of_memory(*memory),
        _ => {
            let line = (error.line > 0).then_some(error.line);
            GpuError::module_refused(line, error.to_string()).into()
        }
    }
}

/// A launch failed while it ran; `None` if it was only told to stop.
pub(super) fn of_launch(error: &LaunchError) -> Option<GpuFault> {
    match error {
        LaunchError::Cancelled { .. } => None,
        LaunchError::Fault(fault) => Some(GpuFault::Kernel(Box::new(of_fault(fault)))),
        LaunchError::InstructionLimit { kernel, limit } => Some(GpuFault::Limit {
            kernel: kernel.clone(),
            what: "instructions of all threads",
            limit: *limit,
        }),
        // Everything that can be known before is checked before: see `DeviceSession::launch` of the local session.
        other => Some(GpuFault::Driver { code: 0, message: other.to_string() }),
    }
}

fn of_fault(fault: &Fault) -> KernelFault {
    let (kind, access) = match &fault.kind {
        FaultKind::OutOfBounds { space, address, .. } | FaultKind::ReadOnly { space, address, .. } => {
            (KernelFaultKind::IllegalAddress, Some((*space, *address)))
        }
        FaultKind::Misaligned { space, address, .. } => {
            (KernelFaultKind::MisalignedAddress, Some((*space, *address)))
        }
        FaultKind::Divergence { .. } | FaultKind::BarrierMisuse { .. } => (KernelFaultKind::Barrier, None),
        FaultKind::StackOverflow { .. } => (KernelFaultKind::StackOverflow, None),
        FaultKind::BadTarget { .. } => (KernelFaultKind::IllegalInstruction, None),
        FaultKind::Trap => (KernelFaultKind::Trap, None),
        FaultKind::Assert { .. } => (KernelFaultKind::Assert, None),
        _ => (KernelFaultKind::Other, None),
    };
    KernelFault {
        kind,
        kernel: Some(fault.kernel.clone()),
        line: Some(fault.line),
        block: Some(fault.block),
        thread: Some(fault.thread),
        space: access.and_then(|(space, _)| space_name(space)),
        address: access.map(|(_, address)| address),
        message: fault.to_string(),
    }
}

fn space_name(space: MemorySpace) -> Option<&'static str> {
    Some(match space {
        MemorySpace::Global => "global",
        MemorySpace::Shared => "shared",
        MemorySpace::Local => "local",
        MemorySpace::Const => "const",
        MemorySpace::Param => "param",
        MemorySpace::Generic => "generic",
        _ => return None,
    })
}
