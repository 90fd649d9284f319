//! [`Instruction`]: what the machine can do, one variant of [`Op`] for each kind of thing.

use super::{Counter, Slot, Target};
use crate::compute::Compute;

/// One instruction, with the predicate that guards it.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub(crate) guard: Option<Guard>,
    pub(crate) op: Op,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) pred: Slot,
    pub(crate) negated: bool,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Registers to a register. `sources` beyond the arity of `compute` are 0. `dest` is a predicate for tests and
    /// comparisons.
    Compute {
        compute: Compute,
        dest: Slot,
        sources: [Slot; 4],
    },
    /// A comparison with more than one result, or combined with a predicate: `setp.lt.and p|q, a, b, !c`.
    /// `q` gets the combination of the opposite (of the second half, for packed operands).
    SetPredicate(Box<SetPredicate>),
    /// `mov` of one register to another of the same width.
    Move32 {
        dest: Slot,
        source: Slot,
    },
    Move64 {
        dest: Slot,
        source: Slot,
    },
    /// `selp`: `source_true` where the predicate holds.
    Select32 {
        dest: Slot,
        if_true: Slot,
        if_false: Slot,
        pred: Slot,
    },
    Select64 {
        dest: Slot,
        if_true: Slot,
        if_false: Slot,
        pred: Slot,
    },
    /// Several narrow registers into one: `mov.b64 d, {a, b}`. Element `i` goes to bits `i * element_bits`. The
    /// width of each operand is 64 where its bits are, else 32.
    Pack(Box<Pack>),
    /// One register into several; an element without a slot is dropped.
    Unpack(Box<Unpack>),
    /// Logic of predicates.
    Predicate {
        op: PredicateOp,
        dest: Slot,
        a: Slot,
        b: Slot,
    },
    /// `set`/`cvt`-like reads of a predicate: 1 or all ones into a register are lowered to `Select32`.
    ReadCounter {
        counter: Counter,
        dest: Slot,
        is_64: bool,
    },
    ActiveMask {
        dest: Slot,
    },

    Load(Box<Access>),
    Store(Box<Access>),
    Atomic(Box<Atomic>),
    /// `membar`, `fence`.
    Fence,
    /// `cvta`: between generic addresses and those of a space, for 64-bit registers.
    ToGeneric {
        space: Space,
        dest: Slot,
        source: Slot,
    },
    FromGeneric {
        space: Space,
        dest: Slot,
        source: Slot,
    },
    /// `isspacep`: whether a generic address lies in the window of `space`.
    IsSpace {
        space: Space,
        dest: Slot,
        source: Slot,
    },

    /// Unguarded or guarded; divergent where the guard differs between lanes.
    Branch {
        target: Target,
    },
    /// `brx.idx`: a table and the register that chooses in it. An index past the end is a fault.
    BranchIndexed {
        table: u16,
        index: Slot,
    },
    Call(Box<Call>),
    /// `call.indirect` of the function whose number (see [`Symbol::Function`]) the 64-bit register holds.
    CallIndirect(Box<Call>, Slot),
    Return,
    Exit,
    Trap,
    /// `nanosleep`, `prefetch`, `discard`, `pragma`: nothing to do.
    Nop,

    Barrier(Box<Barrier>),
    /// `bar.warp.sync`
    WarpSync {
        members: Slot,
    },
    Shuffle(Box<Shuffle>),
    Vote {
        kind: VoteKind,
        dest: Slot,
        source: Guard,
        members: Option<Slot>,
    },
    Match {
        all: bool,
        is_64: bool,
        dest: Slot,
        pred: Option<Slot>,
        source: Slot,
        members: Slot,
    },
    /// `redux.sync`
    WarpReduce {
        op: ReduceOp,
        dest: Slot,
        source: Slot,
        members: Slot,
    },
    /// `elect.sync d|p, mask`
    Elect {
        dest: Option<Slot>,
        pred: Slot,
        members: Slot,
    },

    /// `vprintf(format, arguments)`: both generic addresses, given as frame-local places of the call's parameters.
    Print {
        format: u32,
        arguments: u32,
        result: Option<u32>,
    },
    /// `__assertfail(message, file, line, function, char_size)`: frame-local places of the parameters.
    AssertFail {
        params: [u32; 5],
    },
}

#[derive(Clone, Debug)]
pub(crate) struct SetPredicate {
    pub(crate) compare: Compute,
    pub(crate) a: Slot,
    pub(crate) b: Slot,
    pub(crate) combine: Option<(PredicateOp, Guard)>,
    pub(crate) p: Option<Slot>,
    pub(crate) q: Option<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PredicateOp {
    Move,
    Not,
    And,
    Or,
    Xor,
}

#[derive(Clone, Debug)]
pub(crate) struct Pack {
    pub(crate) element_bits: u8,
    pub(crate) dest_is_64: bool,
    pub(crate) dest: Slot,
    pub(crate) sources: Vec<Slot>,
}

#[derive(Clone, Debug)]
pub(crate) struct Unpack {
    pub(crate) element_bits: u8,
    pub(crate) source_is_64: bool,
    pub(crate) source: Slot,
    pub(crate) dests: Vec<Option<Slot>>,
}

/// State spaces. What the source calls `.param` is [`Param`](Self::Param) in a kernel and [`Local`](Self::Local)
/// elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Const,
    Param,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) base: Base,
    pub(crate) offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The offset alone (a parameter, a local or shared variable by name).
    Zero,
    /// Zero-extended.
    Reg32(Slot),
    Reg64(Slot),
}

/// A load or a store of one element or a vector. Element `i` lies at `address + i * element bytes`; the whole must be
/// aligned to its own size.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) space: Space,
    pub(crate) address: Address,
    pub(crate) element: Element,
    /// Registers; a load without a slot drops the element.
    pub(crate) slots: Vec<Option<Slot>>,
    /// `.volatile`, `.relaxed`, `.acquire`, `.release`: never torn, never cached.
    pub(crate) strong: bool,
}

/// The bytes of an element in memory, and how they become a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// 1, 2, 4 or 8.
    pub(crate) bytes: u8,
    pub(crate) extend: Extend,
    /// The register has 64 bits.
    pub(crate) is_64: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extend {
    Zero,
    Sign,
}

/// `atom` or `red` (no `dest`). 16- and 32-bit operands are in 32-bit registers.
#[derive(Clone, Debug)]
pub(crate) struct Atomic {
    pub(crate) space: Space,
    pub(crate) op: AtomicOp,
    pub(crate) ty: AtomicType,
    pub(crate) address: Address,
    pub(crate) dest: Option<Slot>,
    pub(crate) operand: Slot,
    /// The new value of `cas`, whose `operand` is the expected one.
    pub(crate) new: Option<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtomicOp {
    Add,
    Min,
    Max,
    Inc,
    Dec,
    And,
    Or,
    Xor,
    Exchange,
    CompareAndSwap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtomicType {
    B16,
    B32,
    B64,
    U32,
    S32,
    U64,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    F32,
    F64,
}

/// Arguments are copied, lane by lane, from places in the caller's frame-local memory to the callee's parameters, and
/// results back when it returns. In order of declaration.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Unused by an indirect call.
    pub(crate) function: u32,
    pub(crate) arguments: Vec<FrameBytes>,
    pub(crate) results: Vec<FrameBytes>,
}

/// A place in frame-local memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameBytes {
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

/// `bar` and `barrier`. Without a count, all threads of the block take part.
#[derive(Clone, Debug)]
pub(crate) struct Barrier {
    pub(crate) id: Slot,
    pub(crate) count: Option<Slot>,
    /// `.arrive`: does not wait.
    pub(crate) arrive: bool,
    /// `.red`: what comes out of the predicates of all threads.
    pub(crate) reduce: Option<BarrierReduce>,
    /// `.aligned`, as `bar` always is: all threads of a warp must arrive together.
    pub(crate) aligned: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct BarrierReduce {
    pub(crate) op: BarrierReduceOp,
    pub(crate) source: Guard,
    /// A 32-bit register for `Count`, else a predicate.
    pub(crate) dest: Slot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarrierReduceOp {
    Count,
    And,
    Or,
}

#[derive(Clone, Debug)]
pub(crate) struct Shuffle {
    pub(crate) mode: ShuffleMode,
    pub(crate) dest: Slot,
    pub(crate) pred: Option<Slot>,
    pub(crate) source: Slot,
    pub(crate) lane: Slot,
    pub(crate) clamp: Slot,
    /// None for the old form without `.sync`.
    pub(crate) members: Option<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShuffleMode {
    Up,
    Down,
    Bfly,
    Idx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteKind {
    /// `dest` is a predicate.
    All,
    Any,
    Uni,
    /// `dest` is a 32-bit register.
    Ballot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReduceOp {
    AddU32,
    MinU32,
    MinS32,
    MaxU32,
    MaxS32,
    And,
    Or,
    Xor,
}
