//! Logic, shifts, and counting, finding and moving bits within one word.
//!
//! A shift by the width or more gives what the bits shifted in say: zeros, or the sign.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "what the instructions do; lanes are numbers"
)]

use super::form::Form;
use super::lane::op;
use super::{Reason, Selected};

/// An operation on plain bits of each width.
macro_rules! bit_op {
    ($form:expr; $narrow:ident, $wide:ident; ($($x:ident),+) $body:tt) => {
        Ok(match $form.one_type()? {
            "b16" => op!($narrow($($x: u16),+) -> u16 $body),
            "b32" => op!($narrow($($x: u32),+) -> u32 $body),
            "b64" => op!($wide($($x: u64),+) -> u64 $body),
            _ => return Form::wrong_type(),
        }
        .of_bits())
    };
}

pub(super) fn and(form: &mut Form<'_>) -> Result<Selected, Reason> {
    bit_op!(form; Binary32, Binary64; (a, b) { a & b })
}

pub(super) fn or(form: &mut Form<'_>) -> Result<Selected, Reason> {
    bit_op!(form; Binary32, Binary64; (a, b) { a | b })
}

pub(super) fn xor(form: &mut Form<'_>) -> Result<Selected, Reason> {
    bit_op!(form; Binary32, Binary64; (a, b) { a ^ b })
}

pub(super) fn not(form: &mut Form<'_>) -> Result<Selected, Reason> {
    bit_op!(form; Unary32, Unary64; (a) { !a })
}

/// 1 for zero, else 0.
pub(super) fn cnot(form: &mut Form<'_>) -> Result<Selected, Reason> {
    bit_op!(form; Unary32, Unary64; (a) { (a == 0).into() })
}

pub(super) fn shl(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let selected = match form.one_type()? {
        "b16" => op!(Binary32(a: u16, by: u32) -> u16 { if by < 16 { a << by } else { 0 } }),
        "b32" => op!(Binary32(a: u32, by: u32) -> u32 { if by < 32 { a << (by & 31) } else { 0 } }),
        "b64" => op!(Shift64(a: u64, by: u32) -> u64 { if by < 64 { a << (by & 63) } else { 0 } }),
        _ => return Form::wrong_type(),
    };
    Ok(counted(selected.of_bits()))
}

pub(super) fn shr(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let selected = match form.one_type()? {
        "b16" => shr_u16().of_bits(),
        "b32" => shr_u32().of_bits(),
        "b64" => shr_u64().of_bits(),
        "u16" => shr_u16(),
        "u32" => shr_u32(),
        "u64" => shr_u64(),
        "s16" => op!(Binary32(a: i16, by: u32) -> i16 { a >> by.min(15) }),
        "s32" => op!(Binary32(a: i32, by: u32) -> i32 { a >> by.min(31) }),
        "s64" => op!(Shift64(a: i64, by: u32) -> i64 { a >> by.min(63) }),
        _ => return Form::wrong_type(),
    };
    Ok(counted(selected))
}

fn shr_u16() -> Selected {
    op!(Binary32(a: u16, by: u32) -> u16 { if by < 16 { a >> by } else { 0 } })
}

fn shr_u32() -> Selected {
    op!(Binary32(a: u32, by: u32) -> u32 { if by < 32 { a >> (by & 31) } else { 0 } })
}

fn shr_u64() -> Selected {
    op!(Shift64(a: u64, by: u32) -> u64 { if by < 64 { a >> (by & 63) } else { 0 } })
}

/// The last operand is a count, whatever the others are.
fn counted(mut selected: Selected) -> Selected {
    if let Some(last) = selected.sources.last_mut() {
        *last = crate::types::Type::U32;
    }
    selected
}

pub(super) fn popc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "b32" => op!(Unary32(a: u32) -> u32 { a.count_ones() }),
        "b64" => op!(Narrow(a: u64) -> u32 { a.count_ones() }),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn clz(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "b32" => op!(Unary32(a: u32) -> u32 { a.leading_zeros() }),
        "b64" => op!(Narrow(a: u64) -> u32 { a.leading_zeros() }),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn brev(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "b32" => op!(Unary32(a: u32) -> u32 { a.reverse_bits() }),
        "b64" => op!(Unary64(a: u64) -> u64 { a.reverse_bits() }),
        _ => return Form::wrong_type(),
    }
    .of_bits())
}

/// The place of the most significant bit that is not the sign; all ones if there is none. `.shiftamt`: how far to
/// shift left to bring it to the top.
#[inline(always)]
fn find<const SHIFT: bool>(a: u64, bits: u32) -> u32 {
    if a == 0 {
        u32::MAX
    } else {
        let place = 63 - a.leading_zeros();
        if SHIFT { bits - 1 - place } else { place }
    }
}

fn bfind_of<const SHIFT: bool>(ty: &str) -> Result<Selected, Reason> {
    Ok(match ty {
        "u32" => op!(Unary32(a: u32) -> u32 { find::<SHIFT>(u64::from(a), 32) }),
        "s32" => op!(Unary32(a: i32) -> u32 { find::<SHIFT>(u64::from((a ^ (a >> 31)) as u32), 32) }),
        "u64" => op!(Narrow(a: u64) -> u32 { find::<SHIFT>(a, 64) }),
        "s64" => op!(Narrow(a: i64) -> u32 { find::<SHIFT>((a ^ (a >> 63)) as u64, 64) }),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn bfind(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("shiftamt") {
        bfind_of::<true>(form.one_type()?)
    } else {
        bfind_of::<false>(form.one_type()?)
    }
}

/// `length` bits of `a` from `start` on. Bits above the top are the sign; of both counts, the low 8 bits matter.
#[inline(always)]
fn extract<const SIGNED: bool>(a: u64, bits: u32, start: u32, length: u32) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    let top = bits - 1;
    let sign = if SIGNED && length > 0 { a >> (start + length - 1).min(top) & 1 } else { 0 };
    let field = if start < bits { a >> start } else { 0 };
    let present = length.min(bits.saturating_sub(start));
    let mask = if present == 0 { 0 } else { u64::MAX >> (64 - present) };
    let extended = if sign == 1 { !mask } else { 0 };
    field & mask | extended
}

pub(super) fn bfe(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "u32" => op!(Ternary32(a: u32, start: u32, length: u32) -> u32 {
            extract::<false>(u64::from(a), 32, start, length) as u32
        }),
        "s32" => op!(Ternary32(a: i32, start: u32, length: u32) -> i32 {
            extract::<true>(u64::from(a as u32), 32, start, length) as i32
        }),
        "u64" => {
            op!(Extract64(a: u64, start: u32, length: u32) -> u64 { extract::<false>(a, 64, start, length) })
        }
        "s64" => {
            op!(Extract64(a: i64, start: u32, length: u32) -> i64 { extract::<true>(a as u64, 64, start, length) as i64 })
        }
        _ => return Form::wrong_type(),
    })
}

/// `length` low bits of `a` put into `b` from `start` on; of both counts, the low 8 bits matter.
#[inline(always)]
fn insert(a: u64, b: u64, start: u32, length: u32) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    let low = if length >= 64 { u64::MAX } else { (1 << length) - 1 };
    let mask = low.checked_shl(start).unwrap_or(0);
    a.checked_shl(start).unwrap_or(0) & mask | b & !mask
}

pub(super) fn bfi(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "b32" => op!(Quaternary32(a: u32, b: u32, start: u32, length: u32) -> u32 {
            insert(u64::from(a), u64::from(b), start, length) as u32
        }),
        "b64" => {
            op!(Insert64(a: u64, b: u64, start: u32, length: u32) -> u64 { insert(a, b, start, length) })
        }
        _ => return Form::wrong_type(),
    }
    .of_bits())
}
