//! Conversions between integers and floats.
//!
//! To an integer: clamped to its range; NaN gives zero, but the bit pattern with only the top bit set where either the
//! source or the result has 64 bits.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "conversions cut; lanes are numbers"
)]

use super::super::exact::Exact;
use super::super::float::flush;
use super::super::form::{Form, Rounding};
use super::super::half::{Bf16, F16, Half};
use super::super::lane::{Lane, op};
use super::super::round::{self, NEAREST, by_rounding, whole};
use super::super::{Reason, Selected};

pub(super) fn integer_rounding(form: &mut Form<'_>) -> Option<Rounding> {
    form.take_one(&[
        ("rni", Rounding::Nearest),
        ("rzi", Rounding::Zero),
        ("rmi", Rounding::Down),
        ("rpi", Rounding::Up),
    ])
}

/// An integer type as the result of a conversion.
trait Integer: Lane {
    const BITS: u32;
    const ONLY_TOP_BIT: Self;
    fn of_f32(x: f32) -> Self;
    fn of_f64(x: f64) -> Self;
    /// Its value in `f64`, rounded to odd.
    fn odd(self) -> f64;
    fn nearest_f32(self) -> f32;
    fn nearest_f64(self) -> f64;
    fn exact(self) -> Exact;
    /// `.sat`: no integer lies between 0 and 1.
    fn saturated(self) -> f32;
}

macro_rules! impl_integer {
    ($($int:ident)+) => {$(
        impl Integer for $int {
            const BITS: u32 = $int::BITS;
            const ONLY_TOP_BIT: Self = 1 << ($int::BITS - 1);

            #[inline(always)]
            fn of_f32(x: f32) -> Self {
                x as $int
            }

            #[inline(always)]
            fn of_f64(x: f64) -> Self {
                x as $int
            }

            #[inline(always)]
            fn odd(self) -> f64 {
                if $int::BITS < 64 { self as f64 } else { odd_of(self as i128) }
            }

            #[inline(always)]
            fn nearest_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn nearest_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn saturated(self) -> f32 {
                if self > 0 { 1.0 } else { 0.0 }
            }

            fn exact(self) -> Exact {
                Exact::of_integer((self as i128) < 0, (self as i128).unsigned_abs() as u64)
            }
        }
    )+};
}

impl_integer!(u8 i8 u16 i16 u32 i32 u64 i64);

/// An integer of at most 64 bits and a sign, rounded to odd.
fn odd_of(x: i128) -> f64 {
    let magnitude = x.unsigned_abs() as u64;
    let surplus = 11_u32.saturating_sub(magnitude.leading_zeros());
    let kept = magnitude >> surplus;
    let odd = (kept | u64::from(kept << surplus != magnitude)) << surplus;
    (odd as f64).copysign(if x < 0 { -1.0 } else { 1.0 })
}

const ZERO: u8 = Rounding::Zero.code();

/// The cast itself rounds to zero.
#[inline(always)]
fn integer_of_f32<T: Integer, const R: u8>(x: f32) -> T {
    let whole = if R == ZERO { x } else { whole::<f32, R>(x) };
    if T::BITS == 64 && x.is_nan() { T::ONLY_TOP_BIT } else { T::of_f32(whole) }
}

#[inline(always)]
fn integer_of_f64<T: Integer, const R: u8>(x: f64) -> T {
    let whole = if R == ZERO { x } else { whole::<f64, R>(x) };
    if x.is_nan() { T::ONLY_TOP_BIT } else { T::of_f64(whole) }
}

fn narrow_of_f32<T: Integer<Register = u32>, const R: u8>() -> Selected {
    op!(Unary32(a: f32) -> T { integer_of_f32::<T, R>(a) })
}

fn narrow_of_f32_ftz<T: Integer<Register = u32>, const R: u8>() -> Selected {
    op!(Unary32(a: f32) -> T { integer_of_f32::<T, R>(flush::<true>(a)) })
}

fn narrow_of_half<T: Integer<Register = u32>, H: Half + Lane<Register = u32>, const R: u8>() -> Selected {
    op!(Unary32(a: H) -> T { integer_of_f32::<T, R>(a.wide()) })
}

fn narrow_of_f64<T: Integer<Register = u32>, const R: u8>() -> Selected {
    op!(Narrow(a: f64) -> T { integer_of_f64::<T, R>(a) })
}

fn wide_of_f32<T: Integer<Register = u64>, const R: u8>() -> Selected {
    op!(Widen(a: f32) -> T { integer_of_f32::<T, R>(a) })
}

fn wide_of_f32_ftz<T: Integer<Register = u64>, const R: u8>() -> Selected {
    op!(Widen(a: f32) -> T { integer_of_f32::<T, R>(flush::<true>(a)) })
}

fn wide_of_half<T: Integer<Register = u64>, H: Half + Lane<Register = u32>, const R: u8>() -> Selected {
    op!(Widen(a: H) -> T { integer_of_f32::<T, R>(a.wide()) })
}

fn wide_of_f64<T: Integer<Register = u64>, const R: u8>() -> Selected {
    op!(Unary64(a: f64) -> T { integer_of_f64::<T, R>(a) })
}

fn to_narrow<T: Integer<Register = u32>>(
    rounding: Rounding,
    source: &str,
    ftz: bool,
) -> Result<Selected, Reason> {
    Ok(match (source, ftz) {
        ("f32", false) => by_rounding!(rounding; narrow_of_f32, T),
        ("f32", true) => by_rounding!(rounding; narrow_of_f32_ftz, T),
        ("f64", _) => by_rounding!(rounding; narrow_of_f64, T),
        ("f16", _) => by_rounding!(rounding; narrow_of_half, T, F16),
        ("bf16", _) => by_rounding!(rounding; narrow_of_half, T, Bf16),
        _ => return Form::wrong_type(),
    })
}

fn to_wide<T: Integer<Register = u64>>(
    rounding: Rounding,
    source: &str,
    ftz: bool,
) -> Result<Selected, Reason> {
    Ok(match (source, ftz) {
        ("f32", false) => by_rounding!(rounding; wide_of_f32, T),
        ("f32", true) => by_rounding!(rounding; wide_of_f32_ftz, T),
        ("f64", _) => by_rounding!(rounding; wide_of_f64, T),
        ("f16", _) => by_rounding!(rounding; wide_of_half, T, F16),
        ("bf16", _) => by_rounding!(rounding; wide_of_half, T, Bf16),
        _ => return Form::wrong_type(),
    })
}

/// `.sat` says nothing new here.
pub(super) fn to_integer(form: &mut Form<'_>, dest: &str, source: &str) -> Result<Selected, Reason> {
    let rounding = integer_rounding(form).ok_or("needs a rounding: .rni, .rzi, .rmi or .rpi")?;
    if source == "bf16" && matches!(dest, "u8" | "s8") {
        return Form::wrong_type();
    }
    if source != "bf16" {
        form.take("sat");
    }
    let ftz = source == "f32" && form.take("ftz");
    match dest {
        "u8" => to_narrow::<u8>(rounding, source, ftz),
        "s8" => to_narrow::<i8>(rounding, source, ftz),
        "u16" => to_narrow::<u16>(rounding, source, ftz),
        "s16" => to_narrow::<i16>(rounding, source, ftz),
        "u32" => to_narrow::<u32>(rounding, source, ftz),
        "s32" => to_narrow::<i32>(rounding, source, ftz),
        "u64" => to_wide::<u64>(rounding, source, ftz),
        "s64" => to_wide::<i64>(rounding, source, ftz),
        _ => Form::wrong_type(),
    }
}

#[inline(always)]
fn f32_of<T: Integer, const R: u8>(x: T) -> f32 {
    if R == NEAREST { x.nearest_f32() } else { round::narrow::<R>(x.odd()) }
}

#[inline(always)]
fn f64_of<T: Integer, const R: u8>(x: T) -> f64 {
    if R == NEAREST || T::BITS < 64 { x.nearest_f64() } else { x.exact().rounded(Rounding::of_code(R)) }
}

macro_rules! of_integer_kinds {
    ($($name:ident: $register:ty, $shape:ident, |$a:ident| -> $dest:ty { $body:expr };)+) => {$(
        fn $name<T: Integer<Register = $register>, const R: u8>() -> Selected {
            op!($shape($a: T) -> $dest { $body })
        }
    )+};
}

of_integer_kinds! {
    f32_of_narrow: u32, Unary32, |a| -> f32 { f32_of::<T, R>(a) };
    f32_of_wide: u64, Narrow, |a| -> f32 { f32_of::<T, R>(a) };
    f64_of_narrow: u32, Widen, |a| -> f64 { f64_of::<T, R>(a) };
    f64_of_wide: u64, Unary64, |a| -> f64 { f64_of::<T, R>(a) };
    f32_of_narrow_sat: u32, Unary32, |a| -> f32 { a.saturated() };
    f32_of_wide_sat: u64, Narrow, |a| -> f32 { a.saturated() };
    f64_of_narrow_sat: u32, Widen, |a| -> f64 { f64::from(a.saturated()) };
    f64_of_wide_sat: u64, Unary64, |a| -> f64 { f64::from(a.saturated()) };
    f16_of_narrow: u32, Unary32, |a| -> F16 { F16::rounded_f64::<R>(a.odd()) };
    f16_of_wide: u64, Narrow, |a| -> F16 { F16::rounded_f64::<R>(a.odd()) };
    bf16_of_narrow: u32, Unary32, |a| -> Bf16 { Bf16::rounded_f64::<R>(a.odd()) };
    bf16_of_wide: u64, Narrow, |a| -> Bf16 { Bf16::rounded_f64::<R>(a.odd()) };
    f16_of_narrow_sat: u32, Unary32, |a| -> F16 { F16::nearest(a.saturated()) };
    f16_of_wide_sat: u64, Narrow, |a| -> F16 { F16::nearest(a.saturated()) };
}

fn of_narrow<T: Integer<Register = u32>>(
    rounding: Rounding,
    dest: &str,
    sat: bool,
) -> Result<Selected, Reason> {
    Ok(match (dest, sat) {
        ("f32", false) => by_rounding!(rounding; f32_of_narrow, T),
        ("f32", true) => f32_of_narrow_sat::<T, NEAREST>(),
        ("f64", false) => by_rounding!(rounding; f64_of_narrow, T),
        ("f64", true) => f64_of_narrow_sat::<T, NEAREST>(),
        ("f16", false) => by_rounding!(rounding; f16_of_narrow, T),
        ("f16", true) => f16_of_narrow_sat::<T, NEAREST>(),
        ("bf16", false) => by_rounding!(rounding; bf16_of_narrow, T),
        _ => return Form::wrong_type(),
    })
}

fn of_wide<T: Integer<Register = u64>>(
    rounding: Rounding,
    dest: &str,
    sat: bool,
) -> Result<Selected, Reason> {
    Ok(match (dest, sat) {
        ("f32", false) => by_rounding!(rounding; f32_of_wide, T),
        ("f32", true) => f32_of_wide_sat::<T, NEAREST>(),
        ("f64", false) => by_rounding!(rounding; f64_of_wide, T),
        ("f64", true) => f64_of_wide_sat::<T, NEAREST>(),
        ("f16", false) => by_rounding!(rounding; f16_of_wide, T),
        ("f16", true) => f16_of_wide_sat::<T, NEAREST>(),
        ("bf16", false) => by_rounding!(rounding; bf16_of_wide, T),
        _ => return Form::wrong_type(),
    })
}

/// `.ftz` says nothing here: no integer becomes subnormal.
pub(super) fn of_integer(form: &mut Form<'_>, dest: &str, source: &str) -> Result<Selected, Reason> {
    if dest == "bf16" && matches!(source, "u8" | "s8") {
        return Form::wrong_type();
    }
    let rounding = form.needs_rounding()?;
    let sat = dest != "bf16" && form.take("sat");
    if dest == "f32" {
        form.take("ftz");
    }
    match source {
        "u8" => of_narrow::<u8>(rounding, dest, sat),
        "s8" => of_narrow::<i8>(rounding, dest, sat),
        "u16" => of_narrow::<u16>(rounding, dest, sat),
        "s16" => of_narrow::<i16>(rounding, dest, sat),
        "u32" => of_narrow::<u32>(rounding, dest, sat),
        "s32" => of_narrow::<i32>(rounding, dest, sat),
        "u64" => of_wide::<u64>(rounding, dest, sat),
        "s64" => of_wide::<i64>(rounding, dest, sat),
        _ => Form::wrong_type(),
    }
}
