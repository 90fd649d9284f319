//! `sqrt`, `rcp` and `rsqrt`: rounded in each mode, and the approximate forms.
//!
//! The approximate forms of `f32` are the exact ones, or rounded from `f64`. Those of `f64` with `.ftz` are coarse, as
//! on a device: they see and give the upper 32 bits alone.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "rounding is what the casts are for; lanes are numbers"
)]

use super::approx::approximate;
use super::exact;
use super::float::{Binary, Quotient, flush, nan1, specialise, step};
use super::form::{Form, Rounding};
use super::lane::op;
use super::round::{NEAREST, by_rounding};
use super::{Reason, Selected};

#[inline(never)]
fn sqrt_directed<const R: u8>(a: f32) -> f32 {
    let near = a.sqrt();
    if !a.is_finite() || a <= 0.0 {
        return near;
    }
    let square = f64::from(near) * f64::from(near);
    step::<R>(near, square.total_cmp(&f64::from(a)))
}

fn sqrt_f32<const R: u8, const FTZ: bool, const SAT: bool>() -> Selected {
    op!(Unary32(a: f32) -> f32 {{
        let a = flush::<FTZ>(a);
        flush::<FTZ>(if R == NEAREST { a.sqrt() } else { sqrt_directed::<R>(a) })
    }})
}

fn sqrt_f64<const R: u8>() -> Selected {
    op!(Unary64(a: f64) -> f64 {
        nan1(if R == NEAREST { a.sqrt() } else { exact::sqrt(a, Rounding::of_code(R)) }, a)
    })
}

/// The approximate form is the exact one.
pub(super) fn sqrt(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let is_f32 = form.one_type()? == "f32";
    let rounding = if is_f32 && form.take("approx") { Rounding::Nearest } else { form.needs_rounding()? };
    Ok(match form.one_type()? {
        "f32" => specialise!(rounding, form.take("ftz"); sqrt_f32),
        "f64" => by_rounding!(rounding; sqrt_f64),
        _ => return Form::wrong_type(),
    })
}

fn rcp_f32<const R: u8, const FTZ: bool, const SAT: bool>() -> Selected {
    op!(Unary32(a: f32) -> f32 { flush::<FTZ>(Quotient::narrow::<R>(1.0, flush::<FTZ>(a))) })
}

fn rcp_f64<const R: u8>() -> Selected {
    op!(Unary64(a: f64) -> f64 { nan1(Quotient::wide::<R>(1.0, a), a) })
}

/// The approximate form is the exact one, but for the coarse one of `f64`.
pub(super) fn rcp(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let is_approx = form.take("approx");
    let rounding = if is_approx { Rounding::Nearest } else { form.needs_rounding()? };
    Ok(match form.one_type()? {
        "f32" => specialise!(rounding, form.take("ftz"); rcp_f32),
        "f64" if is_approx && form.take("ftz") => rcp_coarse(),
        "f64" if is_approx => return Err("needs .ftz"),
        "f64" => by_rounding!(rounding; rcp_f64),
        _ => return Form::wrong_type(),
    })
}

#[inline(always)]
fn rsqrt_of(x: f32) -> f32 {
    (1.0 / f64::from(x).sqrt()) as f32
}

/// Of the upper 32 bits alone, which are also all that the result has; subnormals are zeros of their sign.
#[inline(always)]
fn coarse(a: f64, f: impl Fn(f64) -> f64) -> f64 {
    const UPPER: u64 = !0xffff_ffff;
    let flush = |x: f64| {
        let is_subnormal = x.abs() < f64::MIN_POSITIVE;
        f64::from_bits(x.to_bits() & if is_subnormal { 1 << 63 } else { UPPER })
    };
    let a = flush(a);
    flush(nan1(f(a), a))
}

pub(super) fn rsqrt(form: &mut Form<'_>) -> Result<Selected, Reason> {
    Ok(match form.one_type()? {
        "f32" => approximate!(form, rsqrt_of),
        "f64" => {
            form.needs_approx()?;
            if form.take("ftz") {
                op!(Unary64(a: f64) -> f64 { coarse(a, |a| 1.0 / a.sqrt()) })
            } else {
                op!(Unary64(a: f64) -> f64 { nan1(1.0 / a.sqrt(), a) })
            }
        }
        _ => return Form::wrong_type(),
    })
}

/// `rcp.approx.ftz.f64`
fn rcp_coarse() -> Selected {
    op!(Unary64(a: f64) -> f64 { coarse(a, |a| 1.0 / a) })
}
