//! Arithmetic of integers: sums, products, quotients, extremes, packed halves and dot products.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "what the instructions do; lanes are numbers"
)]

use super::form::{Form, Part};
use super::lane::{int_op, op};
use super::{Reason, Selected};

/// Both halves of a word by a function of 16-bit values.
#[inline(always)]
fn halves(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
    u32::from(f(a as u16, b as u16)) | u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}

pub(super) fn add(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "s32" if form.take("sat") => op!(Binary32(a: i32, b: i32) -> i32 { a.saturating_add(b) }),
        "u16x2" | "s16x2" => {
            op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, u16::wrapping_add) }).of_bits()
        }
        ty => int_op!(ty; Binary32, Binary64; (a, b) => T { a.wrapping_add(b) }),
    })
}

pub(super) fn sub(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "s32" if form.take("sat") => op!(Binary32(a: i32, b: i32) -> i32 { a.saturating_sub(b) }),
        ty => int_op!(ty; Binary32, Binary64; (a, b) => T { a.wrapping_sub(b) }),
    })
}

pub(super) fn mul(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    Ok(match form.part()? {
        Part::Low => int_op!(ty; Binary32, Binary64; (a, b) => T { a.wrapping_mul(b) }),
        Part::High => {
            int_op!(ty; Binary32, Binary64; (a, b) => T { ((W::from(a) * W::from(b)) >> T::BITS) as T })
        }
        Part::Wide => match ty {
            "u16" => op!(Binary32(a: u16, b: u16) -> u32 { u32::from(a) * u32::from(b) }),
            "s16" => op!(Binary32(a: i16, b: i16) -> i32 { i32::from(a) * i32::from(b) }),
            "u32" => op!(BinaryWide(a: u32, b: u32) -> u64 { u64::from(a) * u64::from(b) }),
            "s32" => op!(BinaryWide(a: i32, b: i32) -> i64 { i64::from(a) * i64::from(b) }),
            _ => return Form::wrong_type(),
        },
    })
}

pub(super) fn mad(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    Ok(match form.part()? {
        Part::Low => {
            int_op!(ty; Ternary32, Ternary64; (a, b, c) => T { a.wrapping_mul(b).wrapping_add(c) })
        }
        Part::High if ty == "s32" && form.take("sat") => op!(Ternary32(a: i32, b: i32, c: i32) -> i32 {
            (((i64::from(a) * i64::from(b)) >> 32) as i32).saturating_add(c)
        }),
        Part::High => int_op!(ty; Ternary32, Ternary64; (a, b, c) => T {
            (((W::from(a) * W::from(b)) >> T::BITS) as T).wrapping_add(c)
        }),
        Part::Wide => match ty {
            "u16" => {
                op!(Ternary32(a: u16, b: u16, c: u32) -> u32 { (u32::from(a) * u32::from(b)).wrapping_add(c) })
            }
            "s16" => {
                op!(Ternary32(a: i16, b: i16, c: i32) -> i32 { (i32::from(a) * i32::from(b)).wrapping_add(c) })
            }
            "u32" => {
                op!(TernaryWide(a: u32, b: u32, c: u64) -> u64 { (u64::from(a) * u64::from(b)).wrapping_add(c) })
            }
            "s32" => {
                op!(TernaryWide(a: i32, b: i32, c: i64) -> i64 { (i64::from(a) * i64::from(b)).wrapping_add(c) })
            }
            _ => return Form::wrong_type(),
        },
    })
}

/// The 48-bit product of the low 24 bits.
#[inline(always)]
fn product24_u(a: u32, b: u32) -> u64 {
    u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)
}

#[inline(always)]
fn product24_s(a: i32, b: i32) -> i64 {
    i64::from(a << 8 >> 8) * i64::from(b << 8 >> 8)
}

/// `.lo`: bits 31 to 0 of the product, `.hi`: bits 47 to 16.
pub(super) fn mul24(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match (form.one_type()?, form.low_or_high()?) {
        ("u32", Part::Low) => op!(Binary32(a: u32, b: u32) -> u32 { product24_u(a, b) as u32 }),
        ("u32", _) => op!(Binary32(a: u32, b: u32) -> u32 { (product24_u(a, b) >> 16) as u32 }),
        ("s32", Part::Low) => op!(Binary32(a: i32, b: i32) -> i32 { product24_s(a, b) as i32 }),
        ("s32", _) => op!(Binary32(a: i32, b: i32) -> i32 { (product24_s(a, b) >> 16) as i32 }),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn mad24(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match (form.one_type()?, form.low_or_high()?) {
        ("u32", Part::Low) => {
            op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { (product24_u(a, b) as u32).wrapping_add(c) })
        }
        ("u32", _) => {
            op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { ((product24_u(a, b) >> 16) as u32).wrapping_add(c) })
        }
        ("s32", Part::Low) => {
            op!(Ternary32(a: i32, b: i32, c: i32) -> i32 { (product24_s(a, b) as i32).wrapping_add(c) })
        }
        ("s32", _) if form.take("sat") => {
            op!(Ternary32(a: i32, b: i32, c: i32) -> i32 { ((product24_s(a, b) >> 16) as i32).saturating_add(c) })
        }
        ("s32", _) => {
            op!(Ternary32(a: i32, b: i32, c: i32) -> i32 { ((product24_s(a, b) >> 16) as i32).wrapping_add(c) })
        }
        _ => return Form::wrong_type(),
    })
}

/// `c + |a - b|`
pub(super) fn sad(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(int_op!(form.one_type()?; Ternary32, Ternary64; (a, b, c) => T { c.wrapping_add(a.abs_diff(b) as T) }))
}

/// Division by zero is left open by the specification: all ones here, for every type.
pub(super) fn div(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(
        int_op!(form.one_type()?; Binary32, Binary64; (a, b) => T { if b == 0 { !0 } else { a.wrapping_div(b) } }),
    )
}

/// The remainder of a division by zero is left open by the specification: the dividend here.
pub(super) fn rem(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(
        int_op!(form.one_type()?; Binary32, Binary64; (a, b) => T { if b == 0 { a } else { a.wrapping_rem(b) } }),
    )
}

pub(super) fn abs(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "s16" => op!(Unary32(a: i16) -> i16 { a.wrapping_abs() }),
        "s32" => op!(Unary32(a: i32) -> i32 { a.wrapping_abs() }),
        "s64" => op!(Unary64(a: i64) -> i64 { a.wrapping_abs() }),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn neg(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "s16" => op!(Unary32(a: i16) -> i16 { a.wrapping_neg() }),
        "s32" => op!(Unary32(a: i32) -> i32 { a.wrapping_neg() }),
        "s64" => op!(Unary64(a: i64) -> i64 { a.wrapping_neg() }),
        _ => return Form::wrong_type(),
    })
}

#[inline(always)]
fn signed(a: u16, b: u16, f: impl Fn(i16, i16) -> i16) -> u16 {
    f(a as i16, b as i16) as u16
}

pub(super) fn min(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    let relu = matches!(ty, "s32" | "s16x2") && form.take("relu");
    Ok(match (ty, relu) {
        ("s32", true) => op!(Binary32(a: i32, b: i32) -> i32 { a.min(b).max(0) }),
        ("s16x2", true) => {
            op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, |a, b| signed(a, b, |a, b| a.min(b).max(0))) })
                .of_bits()
        }
        ("s16x2", false) => {
            op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, |a, b| signed(a, b, Ord::min)) }).of_bits()
        }
        ("u16x2", _) => op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, Ord::min) }).of_bits(),
        _ => int_op!(ty; Binary32, Binary64; (a, b) => T { a.min(b) }),
    })
}

pub(super) fn max(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    let relu = matches!(ty, "s32" | "s16x2") && form.take("relu");
    Ok(match (ty, relu) {
        ("s32", true) => op!(Binary32(a: i32, b: i32) -> i32 { a.max(b).max(0) }),
        ("s16x2", true) => {
            op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, |a, b| signed(a, b, |a, b| a.max(b).max(0))) })
                .of_bits()
        }
        ("s16x2", false) => {
            op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, |a, b| signed(a, b, Ord::max)) }).of_bits()
        }
        ("u16x2", _) => op!(Binary32(a: u32, b: u32) -> u32 { halves(a, b, Ord::max) }).of_bits(),
        _ => int_op!(ty; Binary32, Binary64; (a, b) => T { a.max(b) }),
    })
}

/// Byte `index` of `word`, extended as its type says.
#[inline(always)]
fn byte<const SIGNED: bool>(word: u32, index: u32) -> u32 {
    let byte = (word >> (8 * index)) as u8;
    if SIGNED { byte as i8 as u32 } else { u32::from(byte) }
}

#[inline(always)]
fn half<const SIGNED: bool>(word: u32, index: u32) -> u32 {
    let half = (word >> (16 * index)) as u16;
    if SIGNED { half as i16 as u32 } else { u32::from(half) }
}

fn dot4<const A: bool, const B: bool>() -> Selected {
    op!(Ternary32(a: u32, b: u32, c: u32) -> u32 {
        (0..4).fold(c, |sum, i| sum.wrapping_add(byte::<A>(a, i).wrapping_mul(byte::<B>(b, i))))
    })
}

/// Two 16-bit values of `a` with two bytes of `b`, from byte `FIRST` on.
fn dot2<const A: bool, const B: bool, const FIRST: u32>() -> Selected {
    op!(Ternary32(a: u32, b: u32, c: u32) -> u32 {
        (0..2).fold(c, |sum, i| sum.wrapping_add(half::<A>(a, i).wrapping_mul(byte::<B>(b, FIRST + i))))
    })
}

/// The sum is signed if either operand is; its bits are the same.
pub(super) fn dp4a(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.two_types()? {
        ("u32", "u32") => dot4::<false, false>(),
        ("u32", "s32") => dot4::<false, true>(),
        ("s32", "u32") => dot4::<true, false>(),
        ("s32", "s32") => dot4::<true, true>(),
        _ => return Form::wrong_type(),
    }
    .of_bits())
}

pub(super) fn dp2a(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let is_low = form.low_or_high()? == Part::Low;
    Ok(match (form.two_types()?, is_low) {
        (("u32", "u32"), true) => dot2::<false, false, 0>(),
        (("u32", "s32"), true) => dot2::<false, true, 0>(),
        (("s32", "u32"), true) => dot2::<true, false, 0>(),
        (("s32", "s32"), true) => dot2::<true, true, 0>(),
        (("u32", "u32"), false) => dot2::<false, false, 2>(),
        (("u32", "s32"), false) => dot2::<false, true, 2>(),
        (("s32", "u32"), false) => dot2::<true, false, 2>(),
        (("s32", "s32"), false) => dot2::<true, true, 2>(),
        _ => return Form::wrong_type(),
    }
    .of_bits())
}
