//! The approximate functions `sin`, `cos`, `lg2`, `ex2` and `tanh`.
//!
//! Computed in `f64` by short series of additions and multiplications, so that every machine gives the same bits and
//! loops over lanes stay wide. The results are far closer than the specification asks: within one unit in the last
//! place of `f32`, but for sine and cosine near their zeros, where the error is below 2^-36 absolutely. No attempt is
//! made to give the very bits of a device.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "narrowing is meant; lanes are numbers"
)]

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, LN_2, LOG2_E};

use super::float::flush;
use super::form::Form;
use super::half::{Bf16, F16, Half};
use super::lane::{Lane, op};
use super::round::narrow_odd;
use super::{Reason, Selected};
use crate::compute::{Compute, LANES, Lanes32};
use crate::types::Type;

/// `c[0] + c[1] x + c[2] x² + …`
#[inline(always)]
fn polynomial<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    c.iter().rev().fold(0.0, |sum, &coefficient| sum * x + coefficient)
}

/// Coefficients of the Taylor series of 2^x.
const EX2: [f64; 11] = {
    let mut c = [1.0; 11];
    let mut i = 1;
    while i < 11 {
        c[i] = c[i - 1] * LN_2 / i as f64;
        i += 1;
    }
    c
};

/// 1.5 * 2^52: adding it leaves a whole number in the low bits.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// 2^x, to a relative error of 2^-36. Zero and infinite where `f32` is, too.
#[inline(always)]
fn exp2(x: f64) -> f64 {
    // Beyond these, everything a float can hold is left; NaN passes.
    let x = if x > 1000.0 { 1000.0 } else { x };
    let x = if x < -1000.0 { -1000.0 } else { x };
    let shifted = x + WHOLE;
    let scale = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    polynomial(x - (shifted - WHOLE), EX2) * scale
}

/// Coefficients of 2 atanh(t) / (t ln 2) in t².
const LG2: [f64; 9] = {
    let mut c = [0.0; 9];
    let mut i = 0;
    while i < 9 {
        c[i] = 2.0 * LOG2_E / (2 * i + 1) as f64;
        i += 1;
    }
    c
};

/// The binary logarithm of a positive normal number, to a relative error of 2^-36.
#[inline(always)]
fn log2(x: f64) -> f64 {
    // x = 2^exponent * m, with m between sqrt(1/2) and sqrt(2).
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_sub(ROOT).wrapping_add(1023 << 52);
    // The biased exponent as an integer in the low bits of 2^52, which makes it a float without a conversion.
    let exponent = f64::from_bits(bits >> 52 | 0x433 << 52) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((bits & ((1 << 52) - 1)).wrapping_add(ROOT));
    let t = (m - 1.0) / (m + 1.0);
    exponent + t * polynomial(t * t, LG2)
}

#[inline(always)]
fn lg2_of(x: f32) -> f32 {
    let log = log2(f64::from(x)) as f32;
    let log = if x == f32::INFINITY { x } else { log };
    let log = if x == 0.0 { f32::NEG_INFINITY } else { log };
    if x >= 0.0 { log } else { f32::NAN }
}

/// 1/3!, 1/5!, …, with their signs.
const SIN: [f64; 8] = factorials(1);
/// 1/2!, 1/4!, …
const COS: [f64; 8] = factorials(0);

/// `(-1)^i / (2i + first)!`
const fn factorials(first: usize) -> [f64; 8] {
    let mut c = [1.0; 8];
    let mut i = 1;
    while i < 8 {
        let n = 2 * i + first;
        c[i] = -c[i - 1] / (n * (n - 1)) as f64;
        i += 1;
    }
    c
}

/// π/2 in two parts: the first has so few bits that its multiples up to 2^20 are exact.
const FRAC_PI_2_HIGH: f64 = f64::from_bits(FRAC_PI_2.to_bits() & !0x3ff_ffff);
const FRAC_PI_2_LOW: f64 = (FRAC_PI_2 - FRAC_PI_2_HIGH) + 6.123_233_995_736_766e-17;

/// From here on, multiples of π/2 in two parts are not exact enough.
const LARGE: f32 = 1_048_576.0;

/// The quadrant of an angle below [`LARGE`] in the low bits, and how far it is from the middle of it (−π/4 to π/4).
#[inline(always)]
fn quadrant(x: f32) -> (u64, f64) {
    let x = f64::from(x);
    let shifted = x * FRAC_2_PI + WHOLE;
    let turns = shifted - WHOLE;
    let angle = (x - turns * FRAC_PI_2_HIGH) - turns * FRAC_PI_2_LOW;
    // A negative zero stays one: what is taken from it is a positive zero.
    (shifted.to_bits(), angle)
}

/// The bits of 2/π behind the point.
const TWO_OVER_PI: [u32; 8] =
    [0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab, 0xdebb_c561];

/// By the method of Payne and Hanek (1983): of the product with 2/π, only the bits around the point are computed.
#[inline(never)]
fn quadrant_of_large(x: f32) -> (u64, f64) {
    if !x.is_finite() {
        return (0, f64::NAN);
    }
    let bits = x.to_bits() & 0x7fff_ffff;
    let significand = u128::from(bits & 0x7f_ffff | 0x80_0000);
    // x = significand * 2^exponent. Whole multiples of four quadrants are left out: bits of 2/π above weight
    // 2^(1-exponent), after which 96 are taken.
    let exponent = (bits >> 23) as i32 - 150;
    let first = (exponent - 2).max(0);
    let (word, bit) = (first as usize / 32, first % 32);
    let window = TWO_OVER_PI[word..word + 4].iter().fold(0_u128, |all, &word| all << 32 | u128::from(word));
    let window = window << bit >> 32;
    // The product in units of 2^(exponent - first - 96): two bits of quadrant above 94 or fewer of fraction.
    let fraction_bits = 96 - (exponent - first);
    let product = (significand * window) & ((4 << fraction_bits) - 1);
    let whole = (product >> fraction_bits) as u64;
    let part = (product & ((1 << fraction_bits) - 1)) as f64 / (1_u128 << fraction_bits) as f64;
    let (whole, part) = if part > 0.5 { (whole + 1, part - 1.0) } else { (whole, part) };
    let angle = part * FRAC_PI_2;
    if x.is_sign_negative() { (whole.wrapping_neg(), -angle) } else { (whole, angle) }
}

/// The sine of an angle `AHEAD` quadrants further.
#[inline(always)]
fn sine<const AHEAD: u64>((quadrant, angle): (u64, f64)) -> f32 {
    let quadrant = quadrant.wrapping_add(AHEAD);
    let square = angle * angle;
    let (odd, even) = (angle * polynomial(square, SIN), polynomial(square, COS));
    let magnitude = if quadrant & 1 == 0 { odd } else { even };
    f64::from_bits(magnitude.to_bits() ^ (quadrant & 2) << 62) as f32
}

/// Or not a number at all.
#[inline(always)]
fn is_large(x: f32) -> bool {
    x.is_nan() || x.abs() >= LARGE
}

/// Large angles are rare: they are computed in a second pass.
fn sine_lanes<const AHEAD: u64, const FTZ: bool>(dest: &mut Lanes32, a: &Lanes32) {
    let mut large = 0;
    for lane in 0..LANES {
        let x = flush::<FTZ>(f32::of(a[lane]));
        large |= u32::from(is_large(x));
        dest[lane] = flush::<FTZ>(sine::<AHEAD>(quadrant(x))).register();
    }
    if large != 0 {
        for lane in 0..LANES {
            let x = f32::of(a[lane]);
            if is_large(x) {
                dest[lane] = sine::<AHEAD>(quadrant_of_large(x)).register();
            }
        }
    }
}

fn sine_of<const AHEAD: u64>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    form.needs_approx()?;
    if form.one_type()? != "f32" {
        return Form::wrong_type();
    }
    let compute = if form.take("ftz") { sine_lanes::<AHEAD, true> } else { sine_lanes::<AHEAD, false> };
    Ok(Selected { compute: Compute::Unary32(compute), dest: Type::F32, sources: vec![Type::F32] })
}

/// tanh near zero: x - x³/3 + 2x⁵/15 - …
const TANH: [f64; 7] =
    [1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0, -1382.0 / 155_925.0, 21844.0 / 6_081_075.0];

#[inline(always)]
fn tanh_of(x: f32) -> f32 {
    let x = f64::from(x);
    // tanh |x| = 1 - 2 / (e^(2|x|) + 1), but near zero that would cancel.
    let far = 1.0 - 2.0 / (exp2(2.0 * LOG2_E * x.abs()) + 1.0);
    let near = x * polynomial(x * x, TANH);
    (if x.abs() < 0.25 { near } else { far.copysign(x) }) as f32
}

/// `.approx`, and `.ftz` if it is there.
macro_rules! approximate {
    ($form:expr, $f:expr) => {{
        $form.needs_approx()?;
        if $form.take("ftz") {
            op!(Unary32(a: f32) -> f32 { flush::<true>($f(flush::<true>(a))) })
        } else {
            op!(Unary32(a: f32) -> f32 { $f(a) })
        }
    }};
}

pub(super) fn sin(form: &mut Form<'_>) -> Result<Selected, Reason> {
    sine_of::<0>(form)
}

pub(super) fn cos(form: &mut Form<'_>) -> Result<Selected, Reason> {
    sine_of::<1>(form)
}

pub(super) fn lg2(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.one_type()? != "f32" {
        return Form::wrong_type();
    }
    Ok(approximate!(form, lg2_of))
}

#[inline(always)]
fn ex2_of(x: f32) -> f32 {
    exp2(f64::from(x)) as f32
}

/// Of a half, rounded once.
#[inline(always)]
fn ex2_half<H: Half>(x: H) -> H {
    H::nearest(narrow_odd(exp2(f64::from(x.wide()))))
}

#[inline(always)]
fn tanh_half<H: Half>(x: H) -> H {
    H::nearest(tanh_of(x.wide()))
}

#[inline(always)]
fn pair<H: Half + Lane<Register = u32>>(word: u32, f: impl Fn(H) -> H) -> u32 {
    f(H::of(word)).register() | f(H::of(word >> 16)).register() << 16
}

/// For `bf16` with `.ftz`, which it must have.
#[inline(always)]
fn ex2_bf16(x: Bf16) -> Bf16 {
    let flushed = |x: Bf16| Bf16::nearest(flush::<true>(x.wide()));
    flushed(ex2_half(flushed(x)))
}

pub(super) fn ex2(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    if ty == "f32" {
        return Ok(approximate!(form, ex2_of));
    }
    form.needs_approx()?;
    if matches!(ty, "bf16" | "bf16x2") && !form.take("ftz") {
        return Err("needs .ftz");
    }
    Ok(match ty {
        "f16" => op!(Unary32(a: F16) -> F16 { ex2_half(a) }),
        "f16x2" => op!(Unary32(a: u32) -> u32 { pair::<F16>(a, ex2_half) }).of_type(F16::PACKED),
        "bf16" => op!(Unary32(a: Bf16) -> Bf16 { ex2_bf16(a) }),
        "bf16x2" => op!(Unary32(a: u32) -> u32 { pair(a, ex2_bf16) }).of_type(Bf16::PACKED),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn tanh(form: &mut Form<'_>) -> Result<Selected, Reason> {
    form.needs_approx()?;
    Ok(match form.one_type()? {
        "f32" => op!(Unary32(a: f32) -> f32 { tanh_of(a) }),
        "f16" => op!(Unary32(a: F16) -> F16 { tanh_half(a) }),
        "f16x2" => op!(Unary32(a: u32) -> u32 { pair::<F16>(a, tanh_half) }).of_type(F16::PACKED),
        "bf16" => op!(Unary32(a: Bf16) -> Bf16 { tanh_half(a) }),
        "bf16x2" => op!(Unary32(a: u32) -> u32 { pair::<Bf16>(a, tanh_half) }).of_type(Bf16::PACKED),
        _ => return Form::wrong_type(),
    })
}

pub(super) use approximate;
