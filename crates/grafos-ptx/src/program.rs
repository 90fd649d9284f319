//! [`Program`]: a module as the machine runs it. Names are numbers, types are register files, every instruction is
//! one that the machine can execute.
//!
//! Invariants, which `lower` establishes and `exec` relies on: every slot is below the count of its file, every
//! branch target is the index of an instruction, every function index exists, the last instruction of a function does
//! not fall through.

mod instruction;

pub(crate) use instruction::{
    Access, Address, Atomic, AtomicOp, AtomicType, Barrier, BarrierReduce, BarrierReduceOp, Base, Call,
    Element, Extend, FrameBytes, Guard, Instruction, Op, Pack, PredicateOp, ReduceOp, SetPredicate, Shuffle,
    ShuffleMode, Space, Unpack, VoteKind,
};

/// A register of the file that the instruction implies, counted from the start of the frame.
pub(crate) type Slot = u16;
/// The index of an instruction in its function.
pub(crate) type Target = u32;

/// A whole module.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) functions: Vec<Function>,
    /// Variables of the module in global and constant memory.
    pub(crate) variables: Vec<Variable>,
}

/// One `.entry` or `.func`.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// `.entry`: can be launched.
    pub(crate) is_kernel: bool,
    /// Parameters in order. Those of a kernel lie in its parameter space at these offsets; those of a `.func` lie in
    /// the local memory of its frame.
    pub(crate) params: Vec<Param>,
    /// What a `.func` returns, in the local memory of its frame.
    pub(crate) results: Vec<Param>,
    pub(crate) code: Vec<Instruction>,
    /// The line of the source for each instruction.
    pub(crate) lines: Vec<u32>,
    /// How many registers each file has, preset ones included.
    pub(crate) num_regs_32: u16,
    pub(crate) num_regs_64: u16,
    pub(crate) num_preds: u16,
    /// Registers that hold a value before the first instruction. No instruction writes to them.
    pub(crate) presets: Vec<(Slot, Preset)>,
    /// Local memory of one lane and frame: `.local` variables, `.param` variables of calls, parameters of a `.func`.
    pub(crate) local_bytes: u32,
    /// Shared memory that a launch of this kernel needs without what the caller adds: all variables that it can
    /// reach.
    pub(crate) shared_bytes: u32,
    /// `.maxntid`, `.reqntid`.
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) required_threads: Option<[u32; 3]>,
    /// Targets of `brx.idx`.
    pub(crate) branch_tables: Vec<Vec<Target>>,
}

/// A parameter: its place in the parameter space (of a kernel) or in the frame's local memory (of a `.func`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    pub(crate) align: u32,
}

/// A variable in global or constant memory.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) is_const: bool,
    pub(crate) align: u32,
    pub(crate) size: u64,
    /// The first bytes; the others are zero.
    pub(crate) initial: Vec<u8>,
    /// Places in it that hold addresses: `(offset, address)`.
    pub(crate) relocations: Vec<(u64, AddressOf)>,
}

/// An address that is known only when the module is loaded into a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressOf {
    pub(crate) of: Symbol,
    pub(crate) addend: i64,
    /// The address is a generic one; else it counts within its own space.
    pub(crate) generic: bool,
}

/// What an address can be taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Symbol {
    /// Of a variable of the module: an index into [`Program::variables`].
    Variable(u32),
    /// Of a place in static shared memory.
    Shared(u32),
    /// Of the dynamic shared memory, which begins behind the kernel's static one (16-byte aligned).
    DynamicShared,
    /// Of a place in the local memory of the frame.
    Local(u32),
    /// Of a place in the kernel's parameter space.
    Param(u32),
    /// Of a function: an index into [`Program::functions`], as a number that only an indirect call understands.
    Function(u32),
}

/// What a register holds before the first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Preset {
    Bits32(u32),
    Bits64(u64),
    Address32(AddressOf),
    Address64(AddressOf),
    /// A special register of 32 bits.
    Special32(Special),
    /// A special register of 64 bits, or a wide read of a narrow one.
    Special64(Special),
}

/// Special registers that don't change while a warp runs. Axis 0 is x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NumWarps,
    SmId,
    NumSms,
    GridId,
    LaneMaskEq,
    LaneMaskLe,
    LaneMaskLt,
    LaneMaskGe,
    LaneMaskGt,
    DynamicSharedSize,
    TotalSharedSize,
    /// Always zero here: `%envreg`, `%pm` and the like.
    Zero,
}

/// Special registers that change: read when the instruction runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Instructions that this warp has executed: monotone, as the documentation promises, and deterministic.
    Clock,
    /// The same in place of a clock in nanoseconds, since the machine has no clock.
    GlobalTimer,
}
