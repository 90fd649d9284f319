//! Comparisons (`setp`, `set`) and choices by sign (`slct`).

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    clippy::nonminimal_bool,
    clippy::double_comparisons,
    reason = "floats can be unordered: then these are not what they seem to be"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "masks are built of bytes; lanes are numbers"
)]

use super::float::flush;
use super::form::Form;
use super::half::{Bf16, F16, Half};
use super::lane::{Lane, op};
use super::{Reason, Selected};
use crate::compute::{Compute, LANES, Lanes32, Lanes64, Mask};
use crate::types::Type;

/// A relation of two values of an ordered type, in which floats may be unordered.
trait Relation {
    fn holds<T: PartialOrd>(a: T, b: T) -> bool;
}

macro_rules! relations {
    ($($name:ident: |$a:ident, $b:ident| $holds:expr;)+) => {$(
        struct $name;

        impl Relation for $name {
            #[inline(always)]
            fn holds<T: PartialOrd>($a: T, $b: T) -> bool {
                $holds
            }
        }
    )+};
}

// A value that does not equal itself is NaN. The negations are what "or unordered" means.
relations! {
    Equal: |a, b| a == b;
    NotEqual: |a, b| a < b || a > b;
    Less: |a, b| a < b;
    LessOrEqual: |a, b| a <= b;
    Greater: |a, b| a > b;
    GreaterOrEqual: |a, b| a >= b;
    EqualOrNan: |a, b| !(a < b || a > b);
    NotEqualOrNan: |a, b| a != b;
    LessOrNan: |a, b| !(a >= b);
    LessOrEqualOrNan: |a, b| !(a > b);
    GreaterOrNan: |a, b| !(a <= b);
    GreaterOrEqualOrNan: |a, b| !(a < b);
    Ordered: |a, b| is_number(&a) && is_number(&b);
    Unordered: |a, b| !(is_number(&a) && is_number(&b));
}

#[inline(always)]
#[allow(clippy::eq_op, reason = "NaN does not equal itself")]
fn is_number<T: PartialOrd>(x: &T) -> bool {
    x == x
}

/// `f::<Relation, …>()` for the relation that is named. Returns from the function for any other.
macro_rules! by_relation {
    (bits $name:expr; $f:ident, $($arg:tt)*) => {
        match $name {
            "eq" => $f::<Equal, $($arg)*>(),
            "ne" => $f::<NotEqualOrNan, $($arg)*>(),
            _ => return Err(NO_RELATION),
        }
    };
    (signed $name:expr; $f:ident, $($arg:tt)*) => {
        match $name {
            "lt" => $f::<Less, $($arg)*>(),
            "le" => $f::<LessOrEqual, $($arg)*>(),
            "gt" => $f::<Greater, $($arg)*>(),
            "ge" => $f::<GreaterOrEqual, $($arg)*>(),
            name => by_relation!(bits name; $f, $($arg)*),
        }
    };
    (unsigned $name:expr; $f:ident, $($arg:tt)*) => {
        match $name {
            "lo" => $f::<Less, $($arg)*>(),
            "ls" => $f::<LessOrEqual, $($arg)*>(),
            "hi" => $f::<Greater, $($arg)*>(),
            "hs" => $f::<GreaterOrEqual, $($arg)*>(),
            name => by_relation!(signed name; $f, $($arg)*),
        }
    };
    (float $name:expr; $f:ident, $($arg:tt)*) => {
        match $name {
            "eq" => $f::<Equal, $($arg)*>(),
            "ne" => $f::<NotEqual, $($arg)*>(),
            "lt" => $f::<Less, $($arg)*>(),
            "le" => $f::<LessOrEqual, $($arg)*>(),
            "gt" => $f::<Greater, $($arg)*>(),
            "ge" => $f::<GreaterOrEqual, $($arg)*>(),
            "equ" => $f::<EqualOrNan, $($arg)*>(),
            "neu" => $f::<NotEqualOrNan, $($arg)*>(),
            "ltu" => $f::<LessOrNan, $($arg)*>(),
            "leu" => $f::<LessOrEqualOrNan, $($arg)*>(),
            "gtu" => $f::<GreaterOrNan, $($arg)*>(),
            "geu" => $f::<GreaterOrEqualOrNan, $($arg)*>(),
            "num" => $f::<Ordered, $($arg)*>(),
            "nan" => $f::<Unordered, $($arg)*>(),
            _ => return Err(NO_RELATION),
        }
    };
}

const NO_RELATION: Reason = "no such comparison for this type";

const RELATIONS: [&str; 18] = [
    "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu",
    "num", "nan",
];

fn relation<'a>(form: &mut Form<'a>) -> Result<&'static str, Reason> {
    RELATIONS.into_iter().find(|name| form.take(name)).ok_or("needs a comparison")
}

/// An `f32` whose subnormals are zero.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Flushed(f32);

impl Lane for Flushed {
    type Register = u32;
    const TYPE: Type = Type::F32;

    #[inline(always)]
    fn of(register: u32) -> Self {
        Self(flush::<true>(f32::of(register)))
    }

    #[inline(always)]
    fn register(self) -> u32 {
        self.0.register()
    }
}

/// An `f16` whose subnormals are zero.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct FlushedHalf(F16);

impl Lane for FlushedHalf {
    type Register = u32;
    const TYPE: Type = Type::F16;

    #[inline(always)]
    fn of(register: u32) -> Self {
        let is_subnormal = register & 0x7c00 == 0;
        Self(F16::of(if is_subnormal { register & 0x8000 } else { register }))
    }

    #[inline(always)]
    fn register(self) -> u32 {
        self.0.register()
    }
}

/// One bit per lane. Bytes first: that loop the compiler makes wide; then eight of them at a time by a product.
#[inline(always)]
pub(super) fn mask(test: impl Fn(usize) -> bool) -> Mask {
    let mut bytes = [0_u8; LANES];
    for lane in 0..LANES {
        bytes[lane] = u8::from(test(lane));
    }
    let mut mask = 0;
    for (index, chunk) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let bits = u64::from_le_bytes(*chunk).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= (bits as u32) << (8 * index);
    }
    mask
}

#[inline(never)]
fn test_narrow<R: Relation, T: Lane<Register = u32> + PartialOrd>(a: &Lanes32, b: &Lanes32) -> Mask {
    mask(|lane| R::holds(T::of(a[lane]), T::of(b[lane])))
}

#[inline(never)]
fn test_wide<R: Relation, T: Lane<Register = u64> + PartialOrd>(a: &Lanes64, b: &Lanes64) -> Mask {
    mask(|lane| R::holds(T::of(a[lane]), T::of(b[lane])))
}

/// The lower halves, then the upper ones.
#[inline(never)]
fn test_packed<R: Relation, T: Lane<Register = u32> + PartialOrd>(a: &Lanes32, b: &Lanes32) -> [Mask; 2] {
    [0, 16].map(|shift| mask(|lane| R::holds(T::of(a[lane] >> shift), T::of(b[lane] >> shift))))
}

fn setp_narrow<R: Relation, T: Lane<Register = u32> + PartialOrd>() -> Selected {
    Selected { compute: Compute::Compare32(test_narrow::<R, T>), dest: Type::Pred, sources: vec![T::TYPE; 2] }
}

fn setp_wide<R: Relation, T: Lane<Register = u64> + PartialOrd>() -> Selected {
    Selected { compute: Compute::Compare64(test_wide::<R, T>), dest: Type::Pred, sources: vec![T::TYPE; 2] }
}

fn setp_packed<R: Relation, T: Lane<Register = u32> + PartialOrd, H: Half>() -> Selected {
    let compute = Compute::ComparePacked(test_packed::<R, T>);
    Selected { compute, dest: Type::Pred, sources: vec![H::PACKED; 2] }
}

pub(super) fn setp(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let relation = relation(form)?;
    let ty = form.one_type()?;
    let ftz = matches!(ty, "f32" | "f16" | "f16x2") && form.take("ftz");
    Ok(match (ty, ftz) {
        ("b16", _) => by_relation!(bits relation; setp_narrow, u16).of_bits(),
        ("b32", _) => by_relation!(bits relation; setp_narrow, u32).of_bits(),
        ("b64", _) => by_relation!(bits relation; setp_wide, u64).of_bits(),
        ("u16", _) => by_relation!(unsigned relation; setp_narrow, u16),
        ("u32", _) => by_relation!(unsigned relation; setp_narrow, u32),
        ("u64", _) => by_relation!(unsigned relation; setp_wide, u64),
        ("s16", _) => by_relation!(signed relation; setp_narrow, i16),
        ("s32", _) => by_relation!(signed relation; setp_narrow, i32),
        ("s64", _) => by_relation!(signed relation; setp_wide, i64),
        ("f32", false) => by_relation!(float relation; setp_narrow, f32),
        ("f32", true) => by_relation!(float relation; setp_narrow, Flushed),
        ("f64", _) => by_relation!(float relation; setp_wide, f64),
        ("f16", false) => by_relation!(float relation; setp_narrow, F16),
        ("f16", true) => by_relation!(float relation; setp_narrow, FlushedHalf),
        ("bf16", _) => by_relation!(float relation; setp_narrow, Bf16),
        ("f16x2", false) => by_relation!(float relation; setp_packed, F16, F16),
        ("f16x2", true) => by_relation!(float relation; setp_packed, FlushedHalf, F16),
        ("bf16x2", _) => by_relation!(float relation; setp_packed, Bf16, Bf16),
        _ => return Form::wrong_type(),
    })
}

/// `value` where the mask has a one. `set` is rare: it takes the way over the mask that `setp` has anyway.
fn spread(dest: &mut Lanes32, mask: Mask, value: u32) {
    for lane in 0..LANES {
        dest[lane] = if mask >> lane & 1 == 1 { value } else { 0 };
    }
}

fn set_narrow<R: Relation, T: Lane<Register = u32> + PartialOrd, const TRUE: u32>() -> Selected {
    let compute = Compute::Binary32(|dest, a, b| spread(dest, test_narrow::<R, T>(a, b), TRUE));
    Selected { compute, dest: Type::U32, sources: vec![T::TYPE; 2] }
}

fn set_wide<R: Relation, T: Lane<Register = u64> + PartialOrd, const TRUE: u32>() -> Selected {
    let compute = Compute::BinaryNarrow(|dest, a, b| spread(dest, test_wide::<R, T>(a, b), TRUE));
    Selected { compute, dest: Type::U32, sources: vec![T::TYPE; 2] }
}

/// Both halves; `TRUE` is the value of one.
fn set_packed<R: Relation, T: Lane<Register = u32> + PartialOrd, H: Half, const TRUE: u32>() -> Selected {
    let compute = Compute::Binary32(|dest, a, b| {
        let [low, high] = test_packed::<R, T>(a, b);
        let mut upper = [0; LANES];
        spread(dest, low, TRUE);
        spread(&mut upper, high, TRUE << 16);
        for lane in 0..LANES {
            dest[lane] |= upper[lane];
        }
    });
    Selected { compute, dest: Type::U32, sources: vec![H::PACKED; 2] }
}

fn set_of<const TRUE: u32>(relation: &str, ty: &str, ftz: bool) -> Result<Selected, Reason> {
    Ok(match (ty, ftz) {
        ("b16", _) => by_relation!(bits relation; set_narrow, u16, TRUE),
        ("b32", _) => by_relation!(bits relation; set_narrow, u32, TRUE),
        ("b64", _) => by_relation!(bits relation; set_wide, u64, TRUE),
        ("u16", _) => by_relation!(unsigned relation; set_narrow, u16, TRUE),
        ("u32", _) => by_relation!(unsigned relation; set_narrow, u32, TRUE),
        ("u64", _) => by_relation!(unsigned relation; set_wide, u64, TRUE),
        ("s16", _) => by_relation!(signed relation; set_narrow, i16, TRUE),
        ("s32", _) => by_relation!(signed relation; set_narrow, i32, TRUE),
        ("s64", _) => by_relation!(signed relation; set_wide, i64, TRUE),
        ("f32", false) => by_relation!(float relation; set_narrow, f32, TRUE),
        ("f32", true) => by_relation!(float relation; set_narrow, Flushed, TRUE),
        ("f64", _) => by_relation!(float relation; set_wide, f64, TRUE),
        _ => return set_half::<TRUE>(relation, ty, ftz),
    })
}

fn set_half<const TRUE: u32>(relation: &str, ty: &str, ftz: bool) -> Result<Selected, Reason> {
    Ok(match (ty, ftz) {
        ("f16", false) => by_relation!(float relation; set_narrow, F16, TRUE),
        ("f16", true) => by_relation!(float relation; set_narrow, FlushedHalf, TRUE),
        ("bf16", _) => by_relation!(float relation; set_narrow, Bf16, TRUE),
        _ => return Form::wrong_type(),
    })
}

fn set_halves<const TRUE: u32>(relation: &str, ty: &str, ftz: bool) -> Result<Selected, Reason> {
    Ok(match (ty, ftz) {
        ("f16x2", false) => by_relation!(float relation; set_packed, F16, F16, TRUE),
        ("f16x2", true) => by_relation!(float relation; set_packed, FlushedHalf, F16, TRUE),
        ("bf16x2", _) => by_relation!(float relation; set_packed, Bf16, Bf16, TRUE),
        _ => return Form::wrong_type(),
    })
}

const ALL_ONES: u32 = u32::MAX;
const ONE_F32: u32 = 0x3f80_0000;

/// True is all ones as an integer, and 1 as a float.
pub(super) fn set(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let relation = relation(form)?;
    let (dest, source) = form.two_types()?;
    let ftz = matches!(source, "f32" | "f16" | "f16x2") && dest != "bf16" && form.take("ftz");
    let is_half = matches!(source, "f16" | "bf16");
    let mut selected = match (dest, source) {
        ("u32" | "s32", "f16x2" | "bf16x2") => set_halves::<0xffff>(relation, source, ftz)?,
        ("u32" | "s32", _) => set_of::<ALL_ONES>(relation, source, ftz)?,
        ("u16" | "s16", _) if is_half => set_half::<0xffff>(relation, source, ftz)?,
        ("f32", _) if !is_half => set_of::<ONE_F32>(relation, source, ftz)?,
        ("f16", "bf16") => return Form::wrong_type(),
        ("f16", _) => set_of::<{ F16::ONE as u32 }>(relation, source, ftz)?,
        ("bf16", _) => set_of::<{ Bf16::ONE as u32 }>(relation, source, ftz)?,
        ("f16x2", "f16x2") => set_halves::<{ F16::ONE as u32 }>(relation, source, ftz)?,
        ("bf16x2", "bf16x2") => set_halves::<{ Bf16::ONE as u32 }>(relation, source, ftz)?,
        _ => return Form::wrong_type(),
    };
    selected.dest = Type::of_name(dest).ok_or(NO_RELATION)?;
    if let Some(ty) = Type::of_name(source) {
        selected.sources = vec![ty; 2];
    }
    Ok(selected)
}

/// `a` where `c` is zero or more, else `b`: NaN is not.
pub(super) fn slct(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let (dest, by) = form.two_types()?;
    let ty = Type::of_name(dest).ok_or("no such type")?;
    let is_wide = match dest {
        "b16" | "u16" | "s16" | "b32" | "u32" | "s32" | "f32" => false,
        "b64" | "u64" | "s64" | "f64" => true,
        _ => return Form::wrong_type(),
    };
    let selected = match (by, is_wide) {
        ("s32", false) => op!(Ternary32(a: u32, b: u32, c: i32) -> u32 { if c >= 0 { a } else { b } }),
        ("s32", true) => op!(Choose64(a: u64, b: u64, c: i32) -> u64 { if c >= 0 { a } else { b } }),
        ("f32", false) if form.take("ftz") => {
            op!(Ternary32(a: u32, b: u32, c: f32) -> u32 { if flush::<true>(c) >= 0.0 { a } else { b } })
        }
        ("f32", true) if form.take("ftz") => {
            op!(Choose64(a: u64, b: u64, c: f32) -> u64 { if flush::<true>(c) >= 0.0 { a } else { b } })
        }
        ("f32", false) => op!(Ternary32(a: u32, b: u32, c: f32) -> u32 { if c >= 0.0 { a } else { b } }),
        ("f32", true) => op!(Choose64(a: u64, b: u64, c: f32) -> u64 { if c >= 0.0 { a } else { b } }),
        _ => return Form::wrong_type(),
    };
    let by = if by == "s32" { Type::S32 } else { Type::F32 };
    Ok(Selected { dest: ty, sources: vec![ty, ty, by], ..selected })
}
