//! Conversions between floats: wider, narrower, whole, packed.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "conversions cut; lanes are numbers"
)]

use super::super::float::{finish, flush, nan1};
use super::super::form::{Form, Rounding};
use super::super::half::{Bf16, F16, Half};
use super::super::lane::{Lane, NAN_F32, op};
use super::super::round::{self, by_rounding, whole};
use super::super::{Reason, Selected};
use super::integers::integer_rounding;
use crate::types::Type;

/// What happens to a result at last.
trait Finish {
    const FTZ: bool;
    fn f32(x: f32) -> f32;
    fn f64(x: f64) -> f64;
    fn half<H: Half>(x: H) -> H;
}

/// `.ftz` and `.sat`
struct Plain<const FTZ: bool, const SAT: bool>;

impl<const FTZ: bool, const SAT: bool> Finish for Plain<FTZ, SAT> {
    const FTZ: bool = FTZ;

    #[inline(always)]
    fn f32(x: f32) -> f32 {
        finish::<FTZ, SAT>(x)
    }

    #[inline(always)]
    fn f64(x: f64) -> f64 {
        if !SAT {
            x
        } else if x > 0.0 {
            if x < 1.0 { x } else { 1.0 }
        } else {
            0.0
        }
    }

    #[inline(always)]
    fn half<H: Half>(x: H) -> H {
        if !SAT {
            x
        } else if x.wide() > 0.0 {
            if x.wide() < 1.0 { x } else { H::of_bits(H::ONE) }
        } else {
            H::of_bits(0)
        }
    }
}

/// `.relu` and `.satfinite`, of narrow results only.
struct Bounded<const RELU: bool, const FINITE: bool>;

impl<const RELU: bool, const FINITE: bool> Finish for Bounded<RELU, FINITE> {
    const FTZ: bool = false;

    fn f32(x: f32) -> f32 {
        x
    }

    fn f64(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn half<H: Half>(x: H) -> H {
        let value = x.wide();
        if value.is_nan() {
            x
        } else if RELU && value.is_sign_negative() {
            H::of_bits(0)
        } else if FINITE && value.is_infinite() {
            H::of_bits(H::MAX | x.bits() & 0x8000)
        } else {
            x
        }
    }
}

macro_rules! kinds {
    ($($name:ident<$($h:ident),*>: $shape:ident, |$a:ident: $source:ty| -> $dest:ty { $body:expr };)+) => {$(
        fn $name<F: Finish, $($h: Half + Lane<Register = u32>,)* const R: u8>() -> Selected {
            op!($shape($a: $source) -> $dest { $body })
        }
    )+};
}

kinds! {
    f32_of_f64<>: Narrow, |a: f64| -> f32 { F::f32(round::narrow::<R>(a)) };
    half_of_f64<H>: Narrow, |a: f64| -> H { F::half(H::rounded_f64::<R>(a)) };
    half_of_f32<H>: Unary32, |a: f32| -> H { F::half(H::rounded::<R>(flush_of::<F>(a))) };
    half_of_half<H, S>: Unary32, |a: S| -> H { F::half(H::rounded::<R>(a.wide())) };
    f32_of_half<S>: Unary32, |a: S| -> f32 { F::f32(a.wide()) };
    f64_of_half<S>: Widen, |a: S| -> f64 { F::f64(widened(f32::of(a.wide().register()))) };
    f64_of_f32<>: Widen, |a: f32| -> f64 { F::f64(widened(flush_of::<F>(a))) };
    whole_f32<>: Unary32, |a: f32| -> f32 { F::f32(whole::<f32, R>(flush_of::<F>(a))) };
    whole_f64<>: Unary64, |a: f64| -> f64 { F::f64(nan1(whole::<f64, R>(a), a)) };
    whole_half<H>: Unary32, |a: H| -> H { F::half(H::nearest(whole::<f32, R>(a.wide()))) };
    same_f32<>: Unary32, |a: f32| -> f32 { F::f32(flush_of::<F>(a)) };
    same_f64<>: Unary64, |a: f64| -> f64 { F::f64(nan1(a, a)) };
    same_half<H>: Unary32, |a: H| -> H { F::half(a) };
}

#[inline(always)]
fn flush_of<F: Finish>(x: f32) -> f32 {
    if F::FTZ { flush::<true>(x) } else { x }
}

/// Exact. A NaN keeps its sign and payload, and becomes quiet.
#[inline(always)]
fn widened(x: f32) -> f64 {
    let bits = u64::from(x.to_bits());
    let nan = (bits & 1 << 31) << 32 | 0x7ff8 << 48 | (bits & 0x7f_ffff) << 29;
    if x.is_nan() { f64::from_bits(nan) } else { f64::from(x) }
}

/// How a conversion goes, by its modifiers.
enum Way {
    /// By a rounding of the specified kind, or without one.
    Plain {
        ftz: bool,
        sat: bool,
    },
    Bounded {
        relu: bool,
        finite: bool,
    },
}

/// The selection for each way that a conversion can go: all of them, those with `.ftz` and `.sat`, or `.sat` alone.
macro_rules! by_way {
    (any $way:expr; |$finish:ident| $selected:expr) => {
        match $way {
            Way::Bounded { relu: true, finite: false } => {
                type $finish = Bounded<true, false>;
                $selected
            }
            Way::Bounded { relu: false, finite: true } => {
                type $finish = Bounded<false, true>;
                $selected
            }
            Way::Bounded { relu: true, finite: true } => {
                type $finish = Bounded<true, true>;
                $selected
            }
            way => by_way!(plain way; |$finish| $selected),
        }
    };
    (plain $way:expr; |$finish:ident| $selected:expr) => {
        match $way {
            Way::Plain { ftz: true, sat: false } => {
                type $finish = Plain<true, false>;
                $selected
            }
            Way::Plain { ftz: true, sat: true } => {
                type $finish = Plain<true, true>;
                $selected
            }
            way => by_way!(sat way; |$finish| $selected),
        }
    };
    (sat $way:expr; |$finish:ident| $selected:expr) => {
        match $way {
            Way::Plain { sat: true, .. } => {
                type $finish = Plain<false, true>;
                $selected
            }
            _ => {
                type $finish = Plain<false, false>;
                $selected
            }
        }
    };
}

fn plain(form: &mut Form<'_>, dest: &str, source: &str) -> Way {
    let ftz = (dest == "f32" || source == "f32") && form.take("ftz");
    Way::Plain { ftz, sat: dest != "bf16" && source != "bf16" && form.take("sat") }
}

/// The `.relu` and `.satfinite` of conversions that round to nearest or to zero.
fn bounds(form: &mut Form<'_>, rounding: Rounding) -> Option<Way> {
    if !matches!(rounding, Rounding::Nearest | Rounding::Zero) {
        return None;
    }
    let (relu, finite) = (form.take("relu"), form.take("satfinite"));
    (relu || finite).then_some(Way::Bounded { relu, finite })
}

pub(super) fn between(form: &mut Form<'_>, dest: &str, source: &str) -> Result<Selected, Reason> {
    match (dest, source) {
        ("f16x2", "f32") => packed::<F16>(form),
        ("bf16x2", "f32") => packed::<Bf16>(form),
        ("tf32", "f32") => tf32(form),
        ("f32", "f16" | "bf16") | ("f64", "f16" | "bf16" | "f32") => wider(form, dest, source),
        _ if dest == source => same(form, dest),
        _ => narrower(form, dest, source),
    }
}

fn wider(form: &mut Form<'_>, dest: &str, source: &str) -> Result<Selected, Reason> {
    let way = plain(form, dest, source);
    Ok(match (dest, source) {
        ("f32", "f16") => by_way!(plain way; |F| f32_of_half::<F, F16, 0>()),
        ("f32", _) => by_way!(plain way; |F| f32_of_half::<F, Bf16, 0>()),
        (_, "f16") => by_way!(sat way; |F| f64_of_half::<F, F16, 0>()),
        (_, "bf16") => by_way!(sat way; |F| f64_of_half::<F, Bf16, 0>()),
        _ => by_way!(plain way; |F| f64_of_f32::<F, 0>()),
    })
}

fn same(form: &mut Form<'_>, ty: &str) -> Result<Selected, Reason> {
    let rounding = integer_rounding(form);
    let way = plain(form, ty, ty);
    Ok(match (ty, rounding) {
        ("f32", Some(rounding)) => by_way!(plain way; |F| by_rounding!(rounding; whole_f32, F)),
        ("f64", Some(rounding)) => by_way!(sat way; |F| by_rounding!(rounding; whole_f64, F)),
        ("f16", Some(rounding)) => by_way!(sat way; |F| by_rounding!(rounding; whole_half, F, F16)),
        ("bf16", Some(rounding)) => by_way!(sat way; |F| by_rounding!(rounding; whole_half, F, Bf16)),
        ("f32", None) => by_way!(plain way; |F| same_f32::<F, 0>()),
        ("f64", None) => by_way!(sat way; |F| same_f64::<F, 0>()),
        ("f16", None) => by_way!(sat way; |F| same_half::<F, F16, 0>()),
        ("bf16", None) => by_way!(sat way; |F| same_half::<F, Bf16, 0>()),
        _ => return Form::wrong_type(),
    })
}

fn narrower(form: &mut Form<'_>, dest: &str, source: &str) -> Result<Selected, Reason> {
    let rounding = form.needs_rounding()?;
    let bounds = if source == "f32" { bounds(form, rounding) } else { None };
    let way = bounds.unwrap_or_else(|| plain(form, dest, source));
    Ok(match (dest, source) {
        ("f32", "f64") => by_way!(plain way; |F| by_rounding!(rounding; f32_of_f64, F)),
        ("f16", "f64") => by_way!(sat way; |F| by_rounding!(rounding; half_of_f64, F, F16)),
        ("bf16", "f64") => by_way!(sat way; |F| by_rounding!(rounding; half_of_f64, F, Bf16)),
        ("f16", "f32") => by_way!(any way; |F| by_rounding!(rounding; half_of_f32, F, F16)),
        ("bf16", "f32") => by_way!(any way; |F| by_rounding!(rounding; half_of_f32, F, Bf16)),
        ("f16", "bf16") => by_way!(sat way; |F| by_rounding!(rounding; half_of_half, F, F16, Bf16)),
        ("bf16", "f16") => by_way!(sat way; |F| by_rounding!(rounding; half_of_half, F, Bf16, F16)),
        _ => return Form::wrong_type(),
    })
}

fn packed_of<F: Finish, H: Half, const R: u8>() -> Selected {
    op!(Binary32(high: f32, low: f32) -> u32 {
        u32::from(F::half(H::rounded::<R>(low)).bits()) | u32::from(F::half(H::rounded::<R>(high)).bits()) << 16
    })
}

/// The first operand goes to the upper half.
fn packed<H: Half>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let rounding = form.needs_rounding()?;
    let way = bounds(form, rounding).unwrap_or(Way::Plain { ftz: false, sat: false });
    let selected = match rounding {
        Rounding::Nearest => by_way!(any way; |F| packed_of::<F, H, 0>()),
        Rounding::Zero => by_way!(any way; |F| packed_of::<F, H, 1>()),
        _ => return Err("only with .rn or .rz"),
    };
    Ok(Selected { dest: H::PACKED, ..selected })
}

/// An `f32` whose fraction has 10 bits: to nearest, ties to even (0), to zero (1), or to nearest, ties away (2).
fn tf32_of<const HOW: u8, const RELU: bool, const FINITE: bool>() -> Selected {
    const LARGEST: u32 = 0x7f7f_e000;
    let selected = op!(Unary32(a: f32) -> u32 {{
        let bits = a.to_bits();
        let up = match HOW {
            0 => 0xfff + (bits >> 13 & 1),
            1 => 0,
            _ => 0x1000,
        };
        let rounded = if a.is_infinite() { bits } else { bits.wrapping_add(up) & !0x1fff };
        let is_infinite = rounded & 0x7fff_ffff == 0x7f80_0000;
        let rounded = if FINITE && is_infinite { LARGEST | bits & 1 << 31 } else { rounded };
        let rounded = if RELU && a.is_sign_negative() { 0 } else { rounded };
        if a.is_nan() { NAN_F32 } else { rounded }
    }});
    Selected { dest: Type::B32, ..selected }
}

fn tf32(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let how = form.take_one(&[("rn", 0), ("rz", 1), ("rna", 2)]).ok_or("needs .rn, .rz or .rna")?;
    let (finite, relu) = (form.take("satfinite"), how != 2 && form.take("relu"));
    Ok(match (how, relu, finite) {
        (0, false, false) => tf32_of::<0, false, false>(),
        (0, false, true) => tf32_of::<0, false, true>(),
        (0, true, false) => tf32_of::<0, true, false>(),
        (0, true, true) => tf32_of::<0, true, true>(),
        (1, false, false) => tf32_of::<1, false, false>(),
        (1, false, true) => tf32_of::<1, false, true>(),
        (1, true, false) => tf32_of::<1, true, false>(),
        (1, true, true) => tf32_of::<1, true, true>(),
        (_, _, false) => tf32_of::<2, false, false>(),
        (_, _, true) => tf32_of::<2, false, true>(),
    })
}
