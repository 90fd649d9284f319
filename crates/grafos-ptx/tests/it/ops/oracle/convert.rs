//! Conversions: integers by `i128`, floats by `rustc_apfloat`.

use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use super::super::form::Form;
use super::float::{Layout, rounding};
use super::{Oracle, Want, bits_of, cut, mask, range, value};

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    if form.opcode != "cvt" {
        return None;
    }
    if form.has("pack") {
        return pack(form);
    }
    let [dest, source] = [0, 1].map(|i| form.types[i].clone());
    if dest.ends_with("x2") {
        return packed(form);
    }
    let form = form.clone();
    let target = dest.clone();
    Oracle::new(&target, &[&source.clone()], move |x| {
        let bits = x[0] & mask(&source);
        Want::Bits(match (dest.contains('f'), source.contains('f')) {
            (false, false) => between_integers(&form, &dest, value(&source, bits)),
            (false, true) => to_integer(&form, &dest, &source, bits),
            (true, false) => of_integer(&form, &dest, value(&source, bits)),
            (true, true) if dest == "tf32" => tf32(&form, bits),
            (true, true) => between(&form, &dest, &source, bits),
        })
    })
}

fn between_integers(form: &Form, dest: &str, value: i128) -> u64 {
    let (low, high) = range(dest);
    cut(dest, if form.has("sat") { value.clamp(low, high) } else { value })
}

/// Any float as an `f64`, exactly.
fn double(ty: &str, bits: u64) -> Double {
    let bits = u128::from(bits);
    let mut loses = false;
    match ty {
        "f64" => Double::from_bits(bits),
        "f32" => Single::from_bits(bits).convert(&mut loses).value,
        "f16" => Half::from_bits(bits).convert(&mut loses).value,
        _ => BFloat::from_bits(bits).convert(&mut loses).value,
    }
}

/// An `f64` as any float; for NaN, some NaN.
fn narrowed(ty: &str, x: Double, round: Round) -> u64 {
    let mut loses = false;
    (match ty {
        "f64" => x.to_bits(),
        "f32" => FloatConvert::<Single>::convert_r(x, round, &mut loses).value.to_bits(),
        "f16" => FloatConvert::<Half>::convert_r(x, round, &mut loses).value.to_bits(),
        _ => FloatConvert::<BFloat>::convert_r(x, round, &mut loses).value.to_bits(),
    }) as u64
}

fn flushed(form: &Form, ty: &str, bits: u64) -> u64 {
    if form.has("ftz") && ty == "f32" { Layout::of(ty).flushed(bits) } else { bits }
}

fn to_integer(form: &Form, dest: &str, source: &str, bits: u64) -> u64 {
    let x = double(source, flushed(form, source, bits));
    if x.is_nan() {
        let is_wide = source == "f64" || bits_of(dest) == 64;
        return if is_wide { 1 << (bits_of(dest) - 1) } else { 0 };
    }
    let (low, high) = range(dest);
    // Everything beyond 100 bits is clamped alike.
    let mut is_exact = false;
    let whole = x.to_i128_r(100, rounding(form), &mut is_exact).value;
    cut(dest, whole.clamp(low, high))
}

fn of_integer(form: &Form, dest: &str, value: i128) -> u64 {
    let round = rounding(form);
    let bits = (match dest {
        "f64" => Double::from_i128_r(value, round).value.to_bits(),
        "f32" => Single::from_i128_r(value, round).value.to_bits(),
        "f16" => Half::from_i128_r(value, round).value.to_bits(),
        _ => BFloat::from_i128_r(value, round).value.to_bits(),
    }) as u64;
    if form.has("sat") { Layout::of(dest).saturated(bits) } else { bits }
}

fn between(form: &Form, dest: &str, source: &str, bits: u64) -> u64 {
    let layout = Layout::of(dest);
    let bits = flushed(form, source, bits);
    let wide = double(source, bits);
    let is_whole = form.words.iter().any(|word| matches!(word.as_str(), "rni" | "rzi" | "rmi" | "rpi"));
    let wide = if is_whole { wide.round_to_integral(rounding(form)).value } else { wide };
    let result = if wide.is_nan() {
        nan(dest, source, bits)
    } else {
        flushed(form, dest, narrowed(dest, wide, rounding(form)))
    };
    let result = if form.has("sat") { layout.saturated(result) } else { result };
    finish(form, layout, layout.sign() | (layout.infinity() - 1), result)
}

/// To `f64`, a NaN keeps sign and payload and becomes quiet; those of halves and to anything else are the one NaN.
fn nan(dest: &str, source: &str, bits: u64) -> u64 {
    match (dest, source) {
        ("f64", "f64") => bits | 1 << 51,
        ("f64", "f32") => (bits >> 31) << 63 | 0x7ff8 << 48 | (bits & 0x7f_ffff) << 29,
        ("f64", _) => 0x7fff_ffff_e000_0000,
        _ => Layout::of(dest).nan(&[]),
    }
}

/// `.relu` and `.satfinite`, given the negative number of the largest magnitude.
fn finish(form: &Form, layout: Layout, lowest: u64, bits: u64) -> u64 {
    let is_infinite = layout.magnitude(bits) == layout.infinity();
    let bits =
        if form.has("satfinite") && is_infinite { lowest & (bits | (layout.sign() - 1)) } else { bits };
    if form.has("relu") { layout.rectified(bits) } else { bits }
}

fn packed(form: &Form) -> Option<Oracle> {
    let form = form.clone();
    let half = form.ty().trim_end_matches("x2").to_owned();
    Oracle::new(form.clone().ty(), &["f32", "f32"], move |x| {
        Want::Bits(between(&form, &half, "f32", x[0]) << 16 | between(&form, &half, "f32", x[1]))
    })
}

/// By exact arithmetic in `f64`, in which a fraction of 10 bits is reached by scaling.
fn tf32(form: &Form, bits: u64) -> u64 {
    let layout = Layout::of("f32");
    if layout.is_nan(bits) {
        return layout.nan(&[]);
    }
    let round = if form.has("rna") { Round::NearestTiesToAway } else { rounding(form) };
    let x = double("f32", bits);
    let result = if x.is_finite_non_zero() {
        let unit = (x.ilogb().max(-126)) - 10;
        let whole = x.scalbn(-unit).round_to_integral(round).value.scalbn(unit);
        narrowed("f32", whole, Round::NearestTiesToEven)
    } else {
        bits
    };
    finish(form, layout, 0xff7f_e000, result)
}

fn pack(form: &Form) -> Option<Oracle> {
    let ty = form.ty().to_owned();
    let n = bits_of(&ty);
    let sources: &[&str] = if form.types.len() == 3 { &["s32", "s32", "b32"] } else { &["s32", "s32"] };
    Oracle::new("b32", sources, move |x| {
        let (low, high) = range(&ty);
        let field = |bits: u64| cut(&ty, value("s32", bits).clamp(low, high));
        let above = x.get(2).map_or(0, |c| c << (2 * n));
        Want::Bits((above | field(x[0]) << n | field(x[1])) & mask("b32"))
    })
}
