//! The approximate functions: their exact values where the specification names them, and near the standard library's
//! `f64` functions elsewhere, within the specification's own bounds or tighter ones.

use super::super::form::Form;
use super::float::Layout;
use super::{Oracle, Want, mask};

const INF: f64 = f64::INFINITY;

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    let ty = form.types.first()?.clone();
    let (function, relative, absolute): (fn(f64) -> f64, f64, f64) = match (form.opcode.as_str(), ty.as_str())
    {
        ("ex2", "f32") => (f64::exp2, two_to(-23), 0.0),
        ("lg2", "f32") => (f64::log2, two_to(-23), 0.0),
        ("sin", "f32") => (f64::sin, two_to(-23), two_to(-36)),
        ("cos", "f32") => (f64::cos, two_to(-23), two_to(-36)),
        ("tanh", "f32") => (f64::tanh, two_to(-23), 0.0),
        ("rsqrt", "f32") => (|x| 1.0 / x.sqrt(), two_to(-23), 0.0),
        ("ex2", "f16") => (f64::exp2, two_to(-11), two_to(-25)),
        ("ex2", "bf16") => (f64::exp2, two_to(-8), two_to(-134)),
        ("tanh", "f16") => (f64::tanh, two_to(-10), two_to(-25)),
        ("tanh", "bf16") => (f64::tanh, two_to(-7), two_to(-134)),
        ("ex2" | "tanh", _) if ty.ends_with("x2") => return packed(form),
        ("rsqrt", "f64") => return rsqrt_f64(form),
        ("rcp", "f64") if form.has("approx") => return coarse(|x| 1.0 / x),
        ("div", "f32") if form.has("approx") => return div_approx(form),
        _ => return None,
    };
    let ftz = form.has("ftz");
    Oracle::new(&ty.clone(), &[&ty.clone()], move |x| {
        let layout = Layout::of(&ty);
        let bits = x[0] & mask(&ty);
        let bits = if ftz { layout.flushed(bits) } else { bits };
        near(&ty, ftz, function(as_f64(&ty, bits)), relative, absolute)
    })
}

fn two_to(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

pub(crate) fn as_f64(ty: &str, bits: u64) -> f64 {
    let bits = bits & mask(ty);
    match ty {
        "f64" => f64::from_bits(bits),
        "f32" => f64::from(f32::from_bits(bits as u32)),
        "bf16" => f64::from(f32::from_bits((bits as u32) << 16)),
        _ => {
            let magnitude = match (bits >> 10 & 31, bits & 0x3ff) {
                (31, 0) => INF,
                (31, _) => f64::NAN,
                (0, fraction) => fraction as f64 * two_to(-24),
                (exponent, fraction) => (1024 + fraction) as f64 * two_to(exponent as i32 - 25),
            };
            if bits & 0x8000 == 0 { magnitude } else { -magnitude }
        }
    }
}

/// What is exactly zero, infinite or NaN has to be so bit by bit.
fn near(ty: &str, ftz: bool, value: f64, relative: f64, absolute: f64) -> Want {
    let layout = Layout::of(ty);
    let sign = if value.is_sign_negative() { layout.sign() } else { 0 };
    let (largest, least) = match ty {
        "f16" => (65520.0, two_to(-25)),
        "bf16" => (two_to(128) - two_to(119), if ftz { two_to(-126) } else { two_to(-134) }),
        _ => (two_to(128) - two_to(103), if ftz { two_to(-126) } else { two_to(-150) }),
    };
    if value.is_nan() {
        Want::Bits(layout.nan(&[]))
    } else if value.abs() >= largest {
        Want::Bits(layout.infinity() | sign)
    } else if value == 0.0 || value.abs() < least * (1.0 - two_to(-7)) && absolute < value.abs() {
        Want::Bits(sign)
    } else {
        // Half the distance of subnormals, where that is more; what is about to be flushed may be.
        let flushed = if ftz && value.abs() < two_to(-125) { two_to(-126) } else { two_to(-150) };
        Want::Near { value, relative, absolute: absolute.max(if ty == "f32" { flushed } else { absolute }) }
    }
}

fn packed(form: &Form) -> Option<Oracle> {
    let half = form.ty().trim_end_matches("x2").to_owned();
    let scalar = oracle(&Form { types: vec![half.clone()], ..form.clone() })?;
    // Both halves hold the same operand, so that the nearness of one is that of both.
    Oracle::new(form.ty(), &[format!("{half}x2same")], move |x| match (scalar.want)(&[x[0] & 0xffff]) {
        Want::Bits(bits) => Want::Bits(bits << 16 | bits),
        near => near,
    })
}

fn div_approx(form: &Form) -> Option<Oracle> {
    let ftz = form.has("ftz");
    Oracle::new("f32", &["f32", "f32"], move |x| {
        let layout = Layout::of("f32");
        let [a, b] = [0, 1].map(|i| as_f64("f32", if ftz { layout.flushed(x[i]) } else { x[i] }));
        // "For 2^126 < |b| < 2^128, if a is infinity, NaN, otherwise 0."
        let quotient = if b.abs() > two_to(126) && b.abs() < INF {
            if a.is_infinite() { f64::NAN } else { a * 0.0_f64.copysign(b) }
        } else {
            a / b
        };
        near("f32", ftz, quotient, two_to(-23), 0.0)
    })
}

fn rsqrt_f64(form: &Form) -> Option<Oracle> {
    if form.has("ftz") {
        return coarse(|x| 1.0 / x.sqrt());
    }
    Oracle::new("f64", &["f64"], |x| near_f64(x[0], 1.0 / f64::from_bits(x[0]).sqrt(), two_to(-51)))
}

fn near_f64(operand: u64, value: f64, relative: f64) -> Want {
    if value.is_nan() {
        Want::Bits(Layout::of("f64").nan(&[operand]))
    } else if value == 0.0 || value.is_infinite() {
        Want::Bits(value.to_bits())
    } else {
        Want::Near { value, relative, absolute: 0.0 }
    }
}

/// "The most significant 20 bits of the mantissa": of operand and result, the low 32 bits don't count.
fn coarse(function: fn(f64) -> f64) -> Option<Oracle> {
    Oracle::new("f64", &["f64"], move |x| {
        let layout = Layout::of("f64");
        let operand = x[0] >> 32 << 32;
        // What has its only fraction bits below is cut to an infinity.
        let value = function(f64::from_bits(layout.flushed(operand)));
        let is_tiny = value.abs() < f64::MIN_POSITIVE;
        match near_f64(operand, if is_tiny { 0.0_f64.copysign(value) } else { value }, two_to(-20)) {
            Want::Bits(bits) => Want::Bits(bits >> 32 << 32),
            near => near,
        }
    })
}
