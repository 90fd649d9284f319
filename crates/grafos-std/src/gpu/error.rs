//! [`GpuError`]: what a program got wrong about a GPU, or what the machine lacks; [`GpuFault`]: what ended a session.
//!
//! Split by who acts: a [`GpuError`] leaves the session as it was, a [`GpuFault`] fails it for good.

use fabricbios_core::recovery::Recovery;

use crate::error::FabricError;

/// Why a GPU did not do what was asked. Nothing was done, and the session goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The loader refused a module: not a module, not for this device, or with something in it that it does not run.
    #[error("the module was refused: {log}")]
    ModuleRefused {
        /// The line of the text that is to blame, counted from 1, where the loader says.
        line: Option<u32>,
        /// What the loader says, cut to [`MAX_LOG_BYTES`](GpuError::MAX_LOG_BYTES).
        log: String,
    },
    /// The module has no such kernel.
    #[error("no such kernel in the module: name={name}")]
    UnknownKernel {
        /// The name that was asked for.
        name: String,
    },
    /// More or fewer arguments than the kernel has parameters.
    #[error("wrong number of arguments: kernel={kernel}, expected={expected}, found={found}")]
    ArgumentCount {
        /// The kernel.
        kernel: String,
        /// How many parameters it has.
        expected: usize,
        /// How many arguments were given.
        found: usize,
    },
    /// An argument that does not have the size of its parameter.
    #[error(
        "argument of the wrong size: kernel={kernel}, index={index}, expected_bytes={expected}, found_bytes={found}"
    )]
    ArgumentSize {
        /// The kernel.
        kernel: String,
        /// Which argument, counted from 0.
        index: usize,
        /// The size of the parameter, in bytes.
        expected: u64,
        /// The size of the argument, in bytes.
        found: u64,
    },
    /// A launch that does not fit the kernel or the device.
    #[error("a launch out of range: {what}, kernel={kernel}, limit={limit}, found={found}")]
    LaunchOutOfRange {
        /// The kernel.
        kernel: String,
        /// Which number, with its unit. It must be at least 1, and at most `limit`.
        what: &'static str,
        /// The largest that is possible.
        limit: u64,
        /// What was given.
        found: u64,
    },
    /// A launch that the device refused, for a reason that only it can see.
    #[error("the device refused the launch: kernel={kernel}, {message}")]
    LaunchRefused {
        /// The kernel.
        kernel: String,
        /// What the device says.
        message: String,
    },
    /// A handle of another session.
    #[error("a handle of another session: {what}")]
    ForeignHandle {
        /// What it is a handle of.
        what: &'static str,
    },
    /// A handle of something that was freed, unloaded or destroyed before.
    #[error("a handle of something that is gone: {what}")]
    FreedHandle {
        /// What it was a handle of.
        what: &'static str,
    },
    /// The session was closed.
    #[error("the session is closed; open a new one")]
    SessionClosed,
    /// There is no GPU to be had here, whatever the request.
    #[error("no GPU, {reason}: {message}")]
    Unavailable {
        /// What is missing.
        reason: UnavailableReason,
        /// What the machine says, and what to do.
        message: String,
    },
}

/// What a machine lacks to offer a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// The driver is not installed, or can't be loaded.
    #[error("there is no driver")]
    NoDriver,
    /// The driver is too old, lacks a function, or does not fit the kernel of the operating system.
    #[error("the driver does not fit")]
    DriverMismatch,
    /// The driver has no device, or none of that number.
    #[error("there is no such device")]
    NoDevice,
    /// There is a device, and it is broken.
    #[error("the device is broken")]
    DeviceBroken,
    /// The program was built without the backend that was asked for.
    #[error("the program has no such backend")]
    NoBackend,
}

impl GpuError {
    /// How much of what a loader says is kept, in bytes.
    pub const MAX_LOG_BYTES: usize = 16 << 10;

    /// The loader refused a module and said this; what is too long of it is cut off.
    #[must_use]
    pub fn module_refused(line: Option<u32>, log: impl Into<String>) -> Self {
        let mut log: String = log.into();
        if log.len() > Self::MAX_LOG_BYTES {
            log.truncate(log.floor_char_boundary(Self::MAX_LOG_BYTES));
            log.push('…');
        }
        Self::ModuleRefused { line, log }
    }

    /// What the caller can do.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::SessionClosed => Recovery::Reopen,
            Self::Unavailable { reason: UnavailableReason::DeviceBroken, .. } => Recovery::RestoreElsewhere,
            Self::ModuleRefused { .. }
            | Self::UnknownKernel { .. }
            | Self::ArgumentCount { .. }
            | Self::ArgumentSize { .. }
            | Self::LaunchOutOfRange { .. }
            | Self::LaunchRefused { .. }
            | Self::ForeignHandle { .. }
            | Self::FreedHandle { .. }
            | Self::Unavailable { .. } => Recovery::FixCaller,
        }
    }
}

/// What ended a session: a kernel or the device did something that nothing in the session can be trusted after.
/// Process and lease go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuFault {
    /// A kernel did something wrong.
    #[error(transparent)]
    Kernel(Box<KernelFault>),
    /// A kernel used more than the host lets it.
    #[error("a kernel ran into a limit of the host: {what}, kernel={kernel}, limit={limit}")]
    Limit {
        /// The kernel.
        kernel: String,
        /// Of what, with its unit.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// The device has found an error in its memory that it can't correct.
    #[error("the memory of the device is damaged: {message}")]
    Ecc {
        /// What the driver says.
        message: String,
    },
    /// The device does not answer any more.
    #[error("the device is lost: {message}")]
    DeviceLost {
        /// What the driver says.
        message: String,
    },
    /// The driver failed in a way that says nothing about kernel or device.
    #[error("the driver failed: {message}, code={code}")]
    Driver {
        /// The driver's number for it.
        code: u32,
        /// What the driver says.
        message: String,
    },
}

impl GpuFault {
    /// The byte that stands for the kind of fault in [`FabricError::GpuSessionFailed`]: 1 kernel, 2 limit, 3 damaged
    /// memory, 4 device lost, 5 driver. Never changes; 0 is never used.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Kernel(_) => 1,
            Self::Limit { .. } => 2,
            Self::Ecc { .. } => 3,
            Self::DeviceLost { .. } => 4,
            Self::Driver { .. } => 5,
        }
    }

    /// What the caller can do: open a new session, or take a lease on another device.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Kernel(_) | Self::Driver { .. } => Recovery::Reopen,
            Self::Limit { .. } => Recovery::FixCaller,
            Self::Ecc { .. } | Self::DeviceLost { .. } => Recovery::Reacquire,
        }
    }
}

/// What a kernel did wrong, as far as the device tells. The local host tells everything, a CUDA device little more
/// than the kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KernelFault {
    /// What it did.
    pub kind: KernelFaultKind,
    /// The kernel that was launched.
    pub kernel: Option<String>,
    /// The line of the module's text, counted from 1.
    pub line: Option<u32>,
    /// The block.
    pub block: Option<[u32; 3]>,
    /// The first thread of the block that did it.
    pub thread: Option<[u32; 3]>,
    /// The state space of the access: `global`, `shared`, `local`, `const`, `param` or `generic`.
    pub space: Option<&'static str>,
    /// The address, counted in its space.
    pub address: Option<u64>,
    /// All of it, for people.
    pub message: String,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelFaultKind {
    /// An access outside of everything that is allocated, or a write where nothing may be written.
    IllegalAddress,
    /// An access at an address that is not a multiple of its size.
    MisalignedAddress,
    /// Threads that can never meet at a barrier, or a barrier that there is not.
    Barrier,
    /// Calls nested too deep.
    StackOverflow,
    /// An instruction or a jump that makes no sense.
    IllegalInstruction,
    /// `trap`.
    Trap,
    /// `assert` in the kernel's source.
    Assert,
    /// It ran longer than the device allows.
    Timeout,
    /// Something else.
    Other,
}

impl From<GpuFault> for FabricError {
    fn from(fault: GpuFault) -> Self {
        Self::GpuSessionFailed { code: fault.code(), fault: Box::new(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel_fault() -> GpuFault {
        GpuFault::Kernel(Box::new(KernelFault {
            kind: KernelFaultKind::Trap,
            kernel: Some("k".into()),
            line: Some(7),
            block: None,
            thread: None,
            space: None,
            address: None,
            message: "the kernel trapped: kernel=k, line=7".into(),
        }))
    }

    #[test]
    fn codes_of_faults_are_pinned_and_say_what_to_do() {
        let message = || "m".to_owned();
        let faults = [
            (kernel_fault(), 1, Recovery::Reopen),
            (GpuFault::Limit { kernel: "k".into(), what: "x", limit: 1 }, 2, Recovery::FixCaller),
            (GpuFault::Ecc { message: message() }, 3, Recovery::Reacquire),
            (GpuFault::DeviceLost { message: message() }, 4, Recovery::Reacquire),
            (GpuFault::Driver { code: 999, message: message() }, 5, Recovery::Reopen),
        ];
        for (fault, code, recovery) in faults {
            let error = FabricError::from(fault.clone());
            assert_eq!(error.recovery(), recovery, "{error}");
            assert!(matches!(&error, FabricError::GpuSessionFailed { code: found, .. } if *found == code));
            assert!(error.to_string().contains(&fault.to_string()), "{error}");
        }
    }

    #[test]
    fn a_loader_that_says_too_much_is_cut_off_at_a_character() {
        let log = "é".repeat(GpuError::MAX_LOG_BYTES);
        let GpuError::ModuleRefused { line: Some(3), log } = GpuError::module_refused(Some(3), log) else {
            panic!("another error");
        };
        assert!(log.len() <= GpuError::MAX_LOG_BYTES + '…'.len_utf8());
        assert!(log.ends_with("é…"));
    }
}
