//! [`LoadedImage`]: a module of a context; [`Function`]: one of its kernels; and which code a mistake of a kernel gets.

use std::sync::Arc;

use grafos_ptx::{Fault, FaultKind, Interrupt, Launch, LaunchError, Limits, LoadedModule, MemoryError};

use crate::code::{
    ASSERT, Answer, Code, HARDWARE_STACK_ERROR, ILLEGAL_ADDRESS, INVALID_VALUE, LAUNCH_FAILED,
    LAUNCH_TIMEOUT, MISALIGNED_ADDRESS, NOT_FOUND, OUT_OF_MEMORY,
};
use crate::config::Config;
use crate::context::ContextId;
use crate::inject;

/// A module.
pub(crate) struct LoadedImage {
    pub(crate) context: ContextId,
    pub(crate) code: Arc<LoadedModule>,
}

/// A kernel of a module.
pub(crate) struct Function {
    pub(crate) context: ContextId,
    pub(crate) module: usize,
    pub(crate) name: String,
    pub(crate) code: Arc<LoadedModule>,
}

impl Function {
    /// Offset and size of each parameter.
    pub(crate) fn params(&self) -> Vec<(usize, usize)> {
        let kernel = self.code.module().kernel(&self.name);
        let params = kernel.map(|kernel| {
            kernel.params().iter().map(|param| (param.offset as usize, param.size as usize)).collect()
        });
        params.unwrap_or_default()
    }

    /// How many bytes all parameters take together.
    pub(crate) fn params_bytes(&self) -> usize {
        self.params().last().map_or(0, |(offset, size)| offset + size)
    }
}

/// Runs a kernel to its end, on the thread of a stream.
pub(crate) fn run(
    function: &Function,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    params: &[u8],
) -> Answer {
    if let Some(code) = inject::called(inject::KERNEL) {
        return Err(code);
    }
    let mut limits = Limits::default();
    limits.instructions = Config::read().instructions;
    let launch = Launch { grid, block, shared_bytes, params };
    let report = function.code.launch(&function.name, &launch, &limits, &Interrupt::new());
    print!("{}", String::from_utf8_lossy(&report.printed));
    report.outcome.map_err(|error| launch_code(&error))
}

/// Which code a launch comes to.
fn launch_code(error: &LaunchError) -> Code {
    match error {
        LaunchError::UnknownKernel { .. } => NOT_FOUND,
        LaunchError::InvalidLaunch { .. } => INVALID_VALUE,
        LaunchError::Fault(fault) => fault_code(fault),
        LaunchError::InstructionLimit { .. } => LAUNCH_TIMEOUT,
        _ => LAUNCH_FAILED,
    }
}

fn fault_code(fault: &Fault) -> Code {
    match fault.kind {
        FaultKind::OutOfBounds { .. } | FaultKind::ReadOnly { .. } => ILLEGAL_ADDRESS,
        FaultKind::Misaligned { .. } => MISALIGNED_ADDRESS,
        FaultKind::Assert { .. } => ASSERT,
        FaultKind::StackOverflow { .. } => HARDWARE_STACK_ERROR,
        _ => LAUNCH_FAILED,
    }
}

/// Which code a mistake with memory comes to.
pub(crate) fn memory_code(error: &MemoryError) -> Code {
    match error {
        MemoryError::OutOfMemory { .. } => OUT_OF_MEMORY,
        _ => INVALID_VALUE,
    }
}
