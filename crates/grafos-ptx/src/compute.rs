//! [`Compute`]: what an instruction computes from registers alone, for all lanes of a warp at once.
//!
//! An operation is a pure function over lanes: no memory, no control flow, no fault. It is computed for inactive lanes
//! too (whatever their registers hold), and the machine keeps only the results of active ones.

/// How many lanes a warp has.
pub(crate) const LANES: usize = 32;
/// A register of 32 bits or less, in each lane. Narrower values are zero-extended.
pub(crate) type Lanes32 = [u32; LANES];
/// A register of 64 bits, in each lane.
pub(crate) type Lanes64 = [u64; LANES];
/// One bit per lane.
pub(crate) type Mask = u32;

/// The register file that an operand lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 8, 16 or 32 bits.
    W32,
    /// 64 bits.
    W64,
}

/// An operation by the widths of what it takes and gives: `BinaryWide` takes two registers of 32 bits and gives one of
/// 64. The first argument of each function is where the result goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compute {
    /// 32 → 32
    Unary32(fn(&mut Lanes32, &Lanes32)),
    /// 64 → 64
    Unary64(fn(&mut Lanes64, &Lanes64)),
    /// 32 → 64
    Widen(fn(&mut Lanes64, &Lanes32)),
    /// 64 → 32
    Narrow(fn(&mut Lanes32, &Lanes64)),
    /// 32, 32 → 32
    Binary32(fn(&mut Lanes32, &Lanes32, &Lanes32)),
    /// 64, 64 → 64
    Binary64(fn(&mut Lanes64, &Lanes64, &Lanes64)),
    /// 32, 32 → 64
    BinaryWide(fn(&mut Lanes64, &Lanes32, &Lanes32)),
    /// 64, 32 → 64: shifts of 64 bits
    Shift64(fn(&mut Lanes64, &Lanes64, &Lanes32)),
    /// 64, 64 → 32: `set` of 64-bit operands, two `f64` into one packed register
    BinaryNarrow(fn(&mut Lanes32, &Lanes64, &Lanes64)),
    /// 32, 32, 32 → 32
    Ternary32(fn(&mut Lanes32, &Lanes32, &Lanes32, &Lanes32)),
    /// 64, 64, 64 → 64
    Ternary64(fn(&mut Lanes64, &Lanes64, &Lanes64, &Lanes64)),
    /// 32, 32, 64 → 64: `mad.wide`
    TernaryWide(fn(&mut Lanes64, &Lanes32, &Lanes32, &Lanes64)),
    /// 64, 32, 32 → 64: `bfe` of 64 bits
    Extract64(fn(&mut Lanes64, &Lanes64, &Lanes32, &Lanes32)),
    /// 64, 64, 32 → 64: `slct` of 64 bits
    Choose64(fn(&mut Lanes64, &Lanes64, &Lanes64, &Lanes32)),
    /// 32, 32, 32, 32 → 32: `bfi`
    Quaternary32(fn(&mut Lanes32, &Lanes32, &Lanes32, &Lanes32, &Lanes32)),
    /// 64, 64, 32, 32 → 64: `bfi` of 64 bits
    Insert64(fn(&mut Lanes64, &Lanes64, &Lanes64, &Lanes32, &Lanes32)),
    /// 32 → predicate: `testp`
    Test32(fn(&Lanes32) -> Mask),
    /// 64 → predicate
    Test64(fn(&Lanes64) -> Mask),
    /// 32, 32 → predicate: `setp`
    Compare32(fn(&Lanes32, &Lanes32) -> Mask),
    /// 64, 64 → predicate
    Compare64(fn(&Lanes64, &Lanes64) -> Mask),
    /// 32, 32 → two predicates: `setp` of packed halves
    ComparePacked(fn(&Lanes32, &Lanes32) -> [Mask; 2]),
    /// 32, 32 and the carries → 32 and the new carries: `add.cc`, `addc`, `sub.cc`, `subc`
    Carry32(fn(&mut Lanes32, &Lanes32, &Lanes32, Mask) -> Mask),
    /// 64, 64 and the carries → 64 and the new carries
    Carry64(fn(&mut Lanes64, &Lanes64, &Lanes64, Mask) -> Mask),
    /// 32, 32, 32 and the carries → 32 and the new carries: `mad.cc`, `madc`
    CarryMad32(fn(&mut Lanes32, &Lanes32, &Lanes32, &Lanes32, Mask) -> Mask),
    /// 64, 64, 64 and the carries → 64 and the new carries
    CarryMad64(fn(&mut Lanes64, &Lanes64, &Lanes64, &Lanes64, Mask) -> Mask),
}
