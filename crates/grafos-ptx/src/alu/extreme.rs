//! `min` and `max` of floats, and what touches the sign alone: `abs`, `neg`, `copysign`.

#![allow(clippy::needless_range_loop, reason = "lanes are numbers")]

use super::float::{flush, quiet};
use super::form::Form;
use super::lane::op;
use super::{Reason, Selected};
use crate::types::Type;

/// On bits, so that a NaN keeps its own.
pub(super) fn abs(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "f32" if form.take("ftz") => op!(Unary32(a: f32) -> f32 { flush::<true>(a.abs()) }),
        "f32" => op!(Unary32(a: u32) -> u32 { a & 0x7fff_ffff }).of_type(Type::F32),
        _ => op!(Unary64(a: u64) -> u64 { a & (u64::MAX >> 1) }).of_type(Type::F64),
    })
}

pub(super) fn neg(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "f32" if form.take("ftz") => op!(Unary32(a: f32) -> f32 { flush::<true>(-a) }),
        "f32" => op!(Unary32(a: u32) -> u32 { a ^ 1 << 31 }).of_type(Type::F32),
        _ => op!(Unary64(a: u64) -> u64 { a ^ 1 << 63 }).of_type(Type::F64),
    })
}

/// The magnitude of `b` with the sign of `a`.
pub(super) fn copysign(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "f32" => op!(Binary32(a: u32, b: u32) -> u32 { a & 1 << 31 | b & !(1 << 31) }).of_type(Type::F32),
        "f64" => op!(Binary64(a: u64, b: u64) -> u64 { a & 1 << 63 | b & !(1 << 63) }).of_type(Type::F64),
        _ => return Form::wrong_type(),
    })
}

/// What is smaller, where −0 is smaller than +0.
#[inline(always)]
pub(super) fn lesser(a: f32, b: f32) -> f32 {
    if a < b || (a == b && a.is_sign_negative()) { a } else { b }
}

/// The smaller or the larger of two, by the rules of `min` and `max`: the other one if one is NaN, unless `.NaN`
/// wants that.
#[inline(always)]
pub(super) fn extreme<const MAX: bool, const NAN: bool, const XORSIGN: bool>(a: f32, b: f32) -> f32 {
    let sign = (a.to_bits() ^ b.to_bits()) & 1 << 31;
    let (a, b) = if XORSIGN { (a.abs(), b.abs()) } else { (a, b) };
    let chosen = if MAX { -lesser(-a, -b) } else { lesser(a, b) };
    let chosen = if a.is_nan() {
        if NAN { a } else { b }
    } else if b.is_nan() {
        if NAN { b } else { a }
    } else {
        chosen
    };
    if XORSIGN && !chosen.is_nan() { f32::from_bits(chosen.to_bits() | sign) } else { chosen }
}

fn extreme_f32<const MAX: bool, const FTZ: bool, const NAN: bool, const XORSIGN: bool>() -> Selected {
    op!(Binary32(a: f32, b: f32) -> f32 { extreme::<MAX, NAN, XORSIGN>(flush::<FTZ>(a), flush::<FTZ>(b)) })
}

fn extreme_f64<const MAX: bool>() -> Selected {
    op!(Binary64(a: f64, b: f64) -> f64 {
        if a.is_nan() || b.is_nan() {
            if b.is_nan() { if a.is_nan() { quiet(a) } else { a } } else { b }
        } else if a == b {
            // Zeros of either sign differ in that bit alone.
            f64::from_bits(if MAX { a.to_bits() & b.to_bits() } else { a.to_bits() | b.to_bits() })
        } else if (a < b) == MAX {
            b
        } else {
            a
        }
    })
}

fn extreme_of<const MAX: bool>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.one_type()? == "f64" {
        return Ok(extreme_f64::<MAX>());
    }
    let (ftz, nan, xorsign) = (form.take("ftz"), form.take("NaN"), form.take_xorsign()?);
    Ok(match (ftz, nan, xorsign) {
        (false, false, false) => extreme_f32::<MAX, false, false, false>(),
        (false, false, true) => extreme_f32::<MAX, false, false, true>(),
        (false, true, false) => extreme_f32::<MAX, false, true, false>(),
        (false, true, true) => extreme_f32::<MAX, false, true, true>(),
        (true, false, false) => extreme_f32::<MAX, true, false, false>(),
        (true, false, true) => extreme_f32::<MAX, true, false, true>(),
        (true, true, false) => extreme_f32::<MAX, true, true, false>(),
        (true, true, true) => extreme_f32::<MAX, true, true, true>(),
    })
}

pub(super) fn min(form: &mut Form<'_>) -> Result<Selected, Reason> {
    extreme_of::<false>(form)
}

pub(super) fn max(form: &mut Form<'_>) -> Result<Selected, Reason> {
    extreme_of::<true>(form)
}
