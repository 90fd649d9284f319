//! Arithmetic of `f32` and `f64`.
//!
//! `.ftz` makes subnormal operands and results zeros of their sign; `.sat` puts results between 0 and 1, NaN at 0. A
//! NaN of `f32` is always `0x7fffffff`. A NaN of `f64` is that of the first operand that is one, made quiet, or else
//! `0xfff8000000000000`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "rounding is what the casts are for; lanes are numbers"
)]

use super::exact;
use super::form::{Form, Rounding};
use super::lane::{Lane, op};
use super::round::{self, NEAREST, by_rounding};
use super::{Reason, Selected};
use crate::compute::{Compute, LANES, Lanes32};
use crate::types::Type;

/// What an invalid operation on `f64` gives.
const NAN_F64: u64 = 0xfff8_0000_0000_0000;

/// `.ftz`
#[inline(always)]
pub(super) fn flush<const FTZ: bool>(x: f32) -> f32 {
    if FTZ && x.abs() < f32::MIN_POSITIVE { f32::from_bits(x.to_bits() & 1 << 31) } else { x }
}

/// `.ftz` and `.sat` of a result.
#[inline(always)]
pub(super) fn finish<const FTZ: bool, const SAT: bool>(x: f32) -> f32 {
    let x = flush::<FTZ>(x);
    if !SAT {
        x
    } else if x > 0.0 {
        if x < 1.0 { x } else { 1.0 }
    } else {
        0.0
    }
}

#[inline(always)]
pub(super) fn quiet(x: f64) -> f64 {
    f64::from_bits(x.to_bits() | 1 << 51)
}

/// A result with the NaN that devices give.
#[inline(always)]
pub(super) fn nan1(result: f64, a: f64) -> f64 {
    nan3(result, a, 0.0, 0.0)
}

#[inline(always)]
fn nan2(result: f64, a: f64, b: f64) -> f64 {
    nan3(result, a, b, 0.0)
}

#[inline(always)]
fn nan3(result: f64, a: f64, b: f64, c: f64) -> f64 {
    if !result.is_nan() {
        result
    } else if a.is_nan() {
        quiet(a)
    } else if b.is_nan() {
        quiet(b)
    } else if c.is_nan() {
        quiet(c)
    } else {
        f64::from_bits(NAN_F64)
    }
}

/// An operation that rounds.
pub(super) trait Binary {
    fn narrow<const R: u8>(a: f32, b: f32) -> f32;
    fn wide<const R: u8>(a: f64, b: f64) -> f64;
}

struct Sum;
struct Product;
pub(super) struct Quotient;

impl Binary for Sum {
    #[inline(always)]
    fn narrow<const R: u8>(a: f32, b: f32) -> f32 {
        if R == NEAREST { a + b } else { sum_directed::<R>(f64::from(a), f64::from(b)) }
    }

    #[inline(always)]
    fn wide<const R: u8>(a: f64, b: f64) -> f64 {
        if R == NEAREST { a + b } else { exact::add(a, b, Rounding::of_code(R)) }
    }
}

impl Binary for Product {
    #[inline(always)]
    fn narrow<const R: u8>(a: f32, b: f32) -> f32 {
        // The product of two `f32` is exact in `f64`.
        if R == NEAREST { a * b } else { round::narrow::<R>(f64::from(a) * f64::from(b)) }
    }

    #[inline(always)]
    fn wide<const R: u8>(a: f64, b: f64) -> f64 {
        if R == NEAREST { a * b } else { exact::mul(a, b, Rounding::of_code(R)) }
    }
}

impl Binary for Quotient {
    #[inline(always)]
    fn narrow<const R: u8>(a: f32, b: f32) -> f32 {
        if R == NEAREST { a / b } else { div_directed::<R>(a, b) }
    }

    #[inline(always)]
    fn wide<const R: u8>(a: f64, b: f64) -> f64 {
        if R == NEAREST { a / b } else { exact::div(a, b, Rounding::of_code(R)) }
    }
}

/// `a + b`, where both are sums or products of `f32`: of so few bits that rounding to odd loses nothing.
#[inline(always)]
fn sum_directed<const R: u8>(a: f64, b: f64) -> f32 {
    let sum = round::sum_odd_f64(a, b);
    let is_down = Rounding::of_code(R) == Rounding::Down;
    // Rounding down, a sum of zero is negative unless it is one of two positive zeros.
    if is_down && sum == 0.0 && !(a.is_sign_positive() && b.is_sign_positive() && a == 0.0) {
        return -0.0;
    }
    round::narrow::<R>(sum)
}

/// Steps from the nearest value to its neighbour, if the mode says so: the remainder shows on which side it lies.
#[inline(never)]
fn div_directed<const R: u8>(a: f32, b: f32) -> f32 {
    let near = a / b;
    if !a.is_finite() || !b.is_finite() || b == 0.0 || a == 0.0 {
        return near;
    }
    // A quotient that overflows or vanishes, exactly: its sign and whether it is too large.
    let product = f64::from(near) * f64::from(b);
    let (magnitude, wanted) = (product.abs(), f64::from(a).abs());
    step::<R>(near, magnitude.total_cmp(&wanted))
}

/// `near`, or the value next to it; `error` says how its magnitude compares with the exact one.
pub(super) fn step<const R: u8>(near: f32, error: std::cmp::Ordering) -> f32 {
    let is_negative = near.is_sign_negative();
    let toward_zero = match Rounding::of_code(R) {
        Rounding::Nearest => return near,
        Rounding::Zero => true,
        Rounding::Down => !is_negative,
        Rounding::Up => is_negative,
    };
    match error {
        std::cmp::Ordering::Greater if toward_zero => f32::from_bits(near.to_bits() - 1),
        std::cmp::Ordering::Less if !toward_zero => f32::from_bits(near.to_bits() + 1),
        _ => near,
    }
}

/// The function for a rounding and `.ftz`, and for `.sat` where that exists:
/// `specialise!(rounding, ftz, sat; f, A)` is `f::<A, R, FTZ, SAT>()`.
macro_rules! specialise {
    ($rounding:expr, $($flag:expr),+; $f:ident $(, $op:ty)?) => {
        match $rounding {
            Rounding::Nearest => specialise!(@ 0, $($flag),+; $f $(, $op)?),
            Rounding::Zero => specialise!(@ 1, $($flag),+; $f $(, $op)?),
            Rounding::Down => specialise!(@ 2, $($flag),+; $f $(, $op)?),
            Rounding::Up => specialise!(@ 3, $($flag),+; $f $(, $op)?),
        }
    };
    (@ $code:literal, $ftz:expr; $f:ident $(, $op:ty)?) => {
        if $ftz { $f::<$($op,)? $code, true, false>() } else { $f::<$($op,)? $code, false, false>() }
    };
    (@ $code:literal, $ftz:expr, $sat:expr; $f:ident $(, $op:ty)?) => {
        match ($ftz, $sat) {
            (false, false) => $f::<$($op,)? $code, false, false>(),
            (false, true) => $f::<$($op,)? $code, false, true>(),
            (true, false) => $f::<$($op,)? $code, true, false>(),
            (true, true) => $f::<$($op,)? $code, true, true>(),
        }
    };
}

fn binary_f32<O: Binary, const R: u8, const FTZ: bool, const SAT: bool>() -> Selected {
    op!(Binary32(a: f32, b: f32) -> f32 {
        finish::<FTZ, SAT>(O::narrow::<R>(flush::<FTZ>(a), flush::<FTZ>(b)))
    })
}

/// NaNs are rare: they are chosen in a second pass.
fn binary_f64<O: Binary, const R: u8>() -> Selected {
    Selected {
        compute: Compute::Binary64(|dest, a, b| {
            let mut nans = 0;
            for lane in 0..LANES {
                let result = O::wide::<R>(f64::of(a[lane]), f64::of(b[lane]));
                dest[lane] = result.register();
                nans |= u64::from(result.is_nan());
            }
            if nans != 0 {
                for lane in 0..LANES {
                    dest[lane] = nan2(f64::of(dest[lane]), f64::of(a[lane]), f64::of(b[lane])).register();
                }
            }
        }),
        dest: Type::F64,
        sources: vec![Type::F64; 2],
    }
}

fn binary<O: Binary>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let rounding = form.rounding().unwrap_or(Rounding::Nearest);
    Ok(match form.one_type()? {
        "f32" => {
            let (ftz, sat) = (form.take("ftz"), form.take("sat"));
            specialise!(rounding, ftz, sat; binary_f32, O)
        }
        _ => by_rounding!(rounding; binary_f64, O),
    })
}

pub(super) fn add(form: &mut Form<'_>) -> Result<Selected, Reason> {
    binary::<Sum>(form)
}

struct Difference;

impl Binary for Difference {
    #[inline(always)]
    fn narrow<const R: u8>(a: f32, b: f32) -> f32 {
        Sum::narrow::<R>(a, -b)
    }

    #[inline(always)]
    fn wide<const R: u8>(a: f64, b: f64) -> f64 {
        Sum::wide::<R>(a, -b)
    }
}

pub(super) fn sub(form: &mut Form<'_>) -> Result<Selected, Reason> {
    binary::<Difference>(form)
}

pub(super) fn mul(form: &mut Form<'_>) -> Result<Selected, Reason> {
    binary::<Product>(form)
}

pub(super) fn div(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let is_f32 = form.one_type()? == "f32";
    if is_f32 && form.take("approx") {
        return Ok(if form.take("ftz") { div_approx::<true>() } else { div_approx::<false>() });
    }
    let rounding = if is_f32 && form.take("full") { Rounding::Nearest } else { form.needs_rounding()? };
    Ok(if is_f32 {
        specialise!(rounding, form.take("ftz"); binary_f32, Quotient)
    } else {
        by_rounding!(rounding; binary_f64, Quotient)
    })
}

/// `a * (1 / b)`: for divisors above 2^126 the reciprocal is zero, as the specification says.
fn div_approx<const FTZ: bool>() -> Selected {
    op!(Binary32(a: f32, b: f32) -> f32 {{
        let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
        let is_large = b.abs() > f32::from_bits(253 << 23) && b.is_finite();
        let quotient = if is_large { a * 0.0_f32.copysign(b) } else { a / b };
        flush::<FTZ>(quotient)
    }})
}

fn fma_f32<const R: u8, const FTZ: bool, const SAT: bool>() -> Selected {
    if R == NEAREST {
        return Selected {
            compute: Compute::Ternary32(fma_nearest::<FTZ, SAT>),
            dest: Type::F32,
            sources: vec![Type::F32; 3],
        };
    }
    op!(Ternary32(a: f32, b: f32, c: f32) -> f32 {
        finish::<FTZ, SAT>(fma_directed::<R>(flush::<FTZ>(a), flush::<FTZ>(b), flush::<FTZ>(c)))
    })
}

#[inline(never)]
fn fma_directed<const R: u8>(a: f32, b: f32, c: f32) -> f32 {
    sum_directed::<R>(f64::from(a) * f64::from(b), f64::from(c))
}

/// In `f64`, where the product is exact. The sum is rounded twice, which matters only where the first rounding ends
/// half way between two `f32`, or where the result has fewer bits: then all lanes are computed again, rounding the
/// sum to odd.
fn fma_nearest<const FTZ: bool, const SAT: bool>(dest: &mut Lanes32, a: &Lanes32, b: &Lanes32, c: &Lanes32) {
    let operand = |register: u32| f64::from(flush::<FTZ>(f32::of(register)));
    let mut doubts = 0;
    for lane in 0..LANES {
        let sum = operand(a[lane]) * operand(b[lane]) + operand(c[lane]);
        let near = sum as f32;
        let is_half = sum.to_bits() as u32 & 0x1fff_ffff == 0x1000_0000;
        let is_small = (near.to_bits() & 0x7fff_ffff).wrapping_sub(1) < 0x0080_0000;
        doubts |= u32::from(is_half | is_small);
        dest[lane] = finish::<FTZ, SAT>(near).register();
    }
    if doubts != 0 {
        for lane in 0..LANES {
            let sum = round::sum_odd_f64(operand(a[lane]) * operand(b[lane]), operand(c[lane]));
            dest[lane] = finish::<FTZ, SAT>(sum as f32).register();
        }
    }
}

fn fma_f64<const R: u8>() -> Selected {
    op!(Ternary64(a: f64, b: f64, c: f64) -> f64 {{
        let result = if R == NEAREST { a.mul_add(b, c) } else { exact::fma(a, b, c, Rounding::of_code(R)) };
        nan3(result, a, b, c)
    }})
}

pub(super) fn fma(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let rounding = form.needs_rounding()?;
    Ok(match form.one_type()? {
        "f32" => {
            let (ftz, sat) = (form.take("ftz"), form.take("sat"));
            specialise!(rounding, ftz, sat; fma_f32)
        }
        _ => by_rounding!(rounding; fma_f64),
    })
}

pub(super) use specialise;
