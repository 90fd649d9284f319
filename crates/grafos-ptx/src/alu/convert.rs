//! `cvt`: which conversion is meant, and those between integers.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "conversions cut; lanes are numbers"
)]

mod floats;
mod integers;

use super::form::Form;
use super::lane::op;
use super::{Reason, Selected};
use crate::types::Type;

/// A conversion to an integer type from the integer type that is named, cut or clamped.
macro_rules! of_integer {
    ($source:expr, $sat:expr, $dest:ty; $narrow:ident, $wide:ident) => {
        match $source {
            "u8" => of_integer!(@ $sat, u8, $dest, $narrow),
            "u16" => of_integer!(@ $sat, u16, $dest, $narrow),
            "u32" => of_integer!(@ $sat, u32, $dest, $narrow),
            "u64" => of_integer!(@ $sat, u64, $dest, $wide),
            "s8" => of_integer!(@ $sat, i8, $dest, $narrow),
            "s16" => of_integer!(@ $sat, i16, $dest, $narrow),
            "s32" => of_integer!(@ $sat, i32, $dest, $narrow),
            "s64" => of_integer!(@ $sat, i64, $dest, $wide),
            _ => return Form::wrong_type(),
        }
    };
    (@ $sat:expr, $source:ty, $dest:ty, $shape:ident) => {
        if $sat {
            op!($shape(a: $source) -> $dest {
                i128::from(a).clamp(i128::from(<$dest>::MIN), i128::from(<$dest>::MAX)) as $dest
            })
        } else {
            op!($shape(a: $source) -> $dest { a as $dest })
        }
    };
}

fn between_integers(dest: &str, source: &str, sat: bool) -> Result<Selected, Reason> {
    Ok(match dest {
        "u8" => of_integer!(source, sat, u8; Unary32, Narrow),
        "u16" => of_integer!(source, sat, u16; Unary32, Narrow),
        "u32" => of_integer!(source, sat, u32; Unary32, Narrow),
        "u64" => of_integer!(source, sat, u64; Widen, Unary64),
        "s8" => of_integer!(source, sat, i8; Unary32, Narrow),
        "s16" => of_integer!(source, sat, i16; Unary32, Narrow),
        "s32" => of_integer!(source, sat, i32; Unary32, Narrow),
        "s64" => of_integer!(source, sat, i64; Widen, Unary64),
        _ => return Form::wrong_type(),
    })
}

/// The smallest and the largest value of an integer type.
fn range(ty: &str) -> Option<(i128, i128)> {
    let bits: u32 = ty.get(1..)?.parse().ok()?;
    Some(if ty.starts_with('s') { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) })
}

/// `.sat` stands only where there is something to clamp.
fn can_clamp(dest: &str, source: &str) -> bool {
    match (range(dest), range(source)) {
        (Some((low, high)), Some((source_low, source_high))) => source_low < low || source_high > high,
        _ => false,
    }
}

fn is_integer(ty: &str) -> bool {
    matches!(ty, "u8" | "u16" | "u32" | "u64" | "s8" | "s16" | "s32" | "s64")
}

pub(super) fn cvt(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("pack") {
        return pack(form);
    }
    let (dest, source) = form.two_types()?;
    match (is_integer(dest), is_integer(source)) {
        (true, true) => between_integers(dest, source, can_clamp(dest, source) && form.take("sat")),
        (true, false) => integers::to_integer(form, dest, source),
        (false, true) => integers::of_integer(form, dest, source),
        (false, false) => floats::between(form, dest, source),
    }
}

/// `a` clamped to `BITS` bits, as the lowest ones.
#[inline(always)]
fn clamped<const BITS: u32, const SIGNED: bool>(a: i32) -> u32 {
    let (low, high) =
        if SIGNED { (-(1 << (BITS - 1)), (1 << (BITS - 1)) - 1) } else { (0, ((1_u32 << BITS) - 1) as i32) };
    a.clamp(low, high) as u32 & ((1 << BITS) - 1)
}

/// `a` above `b`, both clamped, and above them the low bits of `c`.
fn pack_onto<const BITS: u32, const SIGNED: bool>() -> Selected {
    let selected = op!(Ternary32(a: i32, b: i32, c: u32) -> u32 {
        c << (2 * BITS) | clamped::<BITS, SIGNED>(a) << BITS | clamped::<BITS, SIGNED>(b)
    });
    Selected { dest: Type::B32, sources: vec![Type::S32, Type::S32, Type::B32], ..selected }
}

fn pack_two<const SIGNED: bool>() -> Selected {
    let selected =
        op!(Binary32(a: i32, b: i32) -> u32 { clamped::<16, SIGNED>(a) << 16 | clamped::<16, SIGNED>(b) });
    Selected { dest: Type::B32, ..selected }
}

/// `cvt.pack.sat`
fn pack(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if !form.take("sat") {
        return Err("needs .sat");
    }
    Ok(match form.types() {
        ["u16", "s32"] => pack_two::<false>(),
        ["s16", "s32"] => pack_two::<true>(),
        ["u8", "s32", "b32"] => pack_onto::<8, false>(),
        ["s8", "s32", "b32"] => pack_onto::<8, true>(),
        ["u4", "s32", "b32"] => pack_onto::<4, false>(),
        ["s4", "s32", "b32"] => pack_onto::<4, true>(),
        ["u2", "s32", "b32"] => pack_onto::<2, false>(),
        ["s2", "s32", "b32"] => pack_onto::<2, true>(),
        _ => return Form::wrong_type(),
    })
}
