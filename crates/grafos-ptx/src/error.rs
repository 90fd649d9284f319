//! What can go wrong: [`LoadError`] for a module that can't be run, [`LaunchError`] for a launch that makes no sense or
//! was stopped, [`Fault`] for a kernel that did something wrong, [`MemoryError`] for the memory of a device.

use std::fmt;

/// Why a module was refused. Nothing of it was loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct LoadError {
    /// Where, counted from 1; 0 if no line is to blame.
    pub line: u32,
    /// What.
    pub kind: LoadErrorKind,
}

/// What is wrong with a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// Not a text of this language.
    #[error("expected {expected}, found={found}")]
    Syntax {
        /// What could stand there.
        expected: &'static str,
        /// What stands there, cut to a few characters.
        found: String,
    },
    /// An instruction, or a form of it, that this machine does not run.
    #[error("instruction not supported: opcode={opcode}, {reason}")]
    UnsupportedInstruction {
        /// As it stands in the source, with its modifiers.
        opcode: String,
        /// What about it.
        reason: &'static str,
    },
    /// A directive or a property of the module that this machine does not know.
    #[error("not supported: {what}, found={found}")]
    Unsupported {
        /// What kind of thing.
        what: &'static str,
        /// What stands there.
        found: String,
    },
    /// A name that nothing has.
    #[error("unknown {what}: name={name}")]
    UnknownName {
        /// What kind of thing was looked for.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that two things have.
    #[error("declared twice: name={name}, first_line={first_line}")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it was declared first.
        first_line: u32,
    },
    /// An operand that does not fit its instruction.
    #[error("operand {index} of {opcode}: expected {expected}, found={found}")]
    Operand {
        /// The instruction.
        opcode: String,
        /// Which operand, counted from 1; 0 for the number of operands, or for the guard.
        index: usize,
        /// What could stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// Larger than this machine, or the caller, allows.
    #[error("too much: {what}, limit={limit}, found={found}")]
    Limit {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
        /// How much there is, as far as it was counted.
        found: u64,
    },
    /// The device's memory can't hold the variables of the module.
    #[error("no memory for the variables of the module: {0}")]
    Memory(MemoryError),
}

/// Why a launch did not run to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The module has no such kernel.
    #[error("no such kernel in the module: name={name}")]
    UnknownKernel {
        /// The name that was asked for.
        name: String,
    },
    /// The launch does not fit the kernel or the machine; nothing ran.
    #[error("{what}: expected {expected}, found={found}")]
    InvalidLaunch {
        /// Which part of the launch.
        what: &'static str,
        /// What would have been right.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The kernel did something wrong. What it has written until then stays written.
    #[error(transparent)]
    Fault(Box<Fault>),
    /// It was told to stop. What it has written until then stays written.
    #[error("the kernel was stopped before its end: kernel={kernel}")]
    Cancelled {
        /// The kernel.
        kernel: String,
    },
    /// It ran longer than allowed. What it has written until then stays written.
    #[error("the kernel ran into its limit of instructions: kernel={kernel}, limit={limit}")]
    InstructionLimit {
        /// The kernel.
        kernel: String,
        /// The limit, in instructions of single threads.
        limit: u64,
    },
}

/// Something that a kernel did wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kernel that was launched.
    pub kernel: String,
    /// The line of the source of the instruction, counted from 1.
    pub line: u32,
    /// The block.
    pub block: [u32; 3],
    /// The first thread of the block that did it.
    pub thread: [u32; 3],
    /// What it did.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, line, block: [bx, by, bz], thread: [tx, ty, tz], kind } = self;
        write!(f, "{kind}: kernel={kernel}, line={line}, block=({bx},{by},{bz}), thread=({tx},{ty},{tz})")
    }
}

impl std::error::Error for Fault {}

/// What a kernel did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access outside of everything that is allocated.
    #[error("{access} out of bounds: space={space}, address={address:#x}, bytes={bytes}")]
    OutOfBounds {
        /// Read, write or atomic.
        access: AccessKind,
        /// Where.
        space: MemorySpace,
        /// The address, counted in its space.
        address: u64,
        /// How many bytes.
        bytes: u32,
    },
    /// An access at an address that is not a multiple of its size.
    #[error("misaligned {access}: space={space}, address={address:#x}, bytes={bytes}")]
    Misaligned {
        /// Read, write or atomic.
        access: AccessKind,
        /// Where.
        space: MemorySpace,
        /// The address, counted in its space.
        address: u64,
        /// How many bytes.
        bytes: u32,
    },
    /// A write to memory that can only be read.
    #[error("{access} to read-only memory: space={space}, address={address:#x}, bytes={bytes}")]
    ReadOnly {
        /// Write or atomic.
        access: AccessKind,
        /// Where.
        space: MemorySpace,
        /// The address, counted in its space.
        address: u64,
        /// How many bytes.
        bytes: u32,
    },
    /// Threads that can never meet: a barrier that some threads of a warp or of the block do not reach, or a
    /// warp-wide instruction whose members are not all there.
    #[error("divergent {at}: expected={expected}, arrived={arrived}")]
    Divergence {
        /// The kind of meeting point.
        at: &'static str,
        /// How many threads, or which lanes as a mask, should have come.
        expected: u32,
        /// How many, or which, came.
        arrived: u32,
    },
    /// A barrier number or thread count that there is not.
    #[error("barrier misused, {problem}: found={found}")]
    BarrierMisuse {
        /// What about it.
        problem: &'static str,
        /// The number.
        found: u32,
    },
    /// Calls nested deeper than the stack allows.
    #[error("stack overflow: bytes={bytes}, limit={limit}")]
    StackOverflow {
        /// How much the call would need, of registers or of local memory.
        bytes: u64,
        /// How much there is.
        limit: u64,
    },
    /// An indirect branch or call to nowhere.
    #[error("jump to nowhere: index={index}")]
    BadTarget {
        /// What was in the register.
        index: u64,
    },
    /// `trap`.
    #[error("the kernel trapped")]
    Trap,
    /// `assert` in the source of the kernel.
    #[error("assertion failed: {message}, at {file}:{line}, function={function}")]
    Assert {
        /// The condition.
        message: String,
        /// The file, as the compiler wrote it.
        file: String,
        /// The line of that file.
        line: u32,
        /// The function.
        function: String,
    },
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// A read-modify-write.
    Atomic,
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Atomic => "atomic",
        })
    }
}

/// A state space, as faults name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemorySpace {
    /// Device memory.
    Global,
    /// Memory of the block.
    Shared,
    /// Memory of the thread.
    Local,
    /// Constants.
    Const,
    /// Parameters of the kernel.
    Param,
    /// A generic address in no window.
    Generic,
}

impl fmt::Display for MemorySpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Const => "const",
            Self::Param => "param",
            Self::Generic => "generic",
        })
    }
}

/// Why device memory could not be had or reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// More than there is.
    #[error("out of memory: requested_bytes={requested}, available_bytes={available}")]
    OutOfMemory {
        /// How much was asked for.
        requested: u64,
        /// How much is left.
        available: u64,
    },
    /// A range that is not inside one allocation.
    #[error("no allocation holds the range: address={address:#x}, bytes={bytes}")]
    OutOfBounds {
        /// Where it starts.
        address: u64,
        /// How long it is.
        bytes: u64,
    },
    /// Not the start of an allocation.
    #[error("not the start of an allocation: address={address:#x}")]
    NotAllocated {
        /// The address.
        address: u64,
    },
}
