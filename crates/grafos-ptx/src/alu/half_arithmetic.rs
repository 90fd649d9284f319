//! Arithmetic of `f16` and `bf16`, alone and in pairs.
//!
//! Rounded to nearest, the only mode there is. NaNs are `0x7fff`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "pairs are cut in halves; lanes are numbers"
)]

use super::extreme::extreme;
use super::form::Form;
use super::half::{Bf16, F16, Half};
use super::lane::{Lane, op};
use super::round::{narrow_odd, sum_odd_f32, sum_odd_f64};
use super::{Reason, Selected};

/// What a result goes through: nothing, `.sat`, or `.relu`.
const PLAIN: u8 = 0;
const SAT: u8 = 1;
const RELU: u8 = 2;

/// A half that computes.
trait Number: Half + Lane<Register = u32> {
    fn fma(a: Self, b: Self, c: Self) -> Self;
    fn flushed(self) -> Self;
}

impl Number for F16 {
    /// The product is exact in `f32`.
    #[inline(always)]
    fn fma(a: Self, b: Self, c: Self) -> Self {
        Self::nearest(sum_odd_f32(a.wide() * b.wide(), c.wide()))
    }

    #[inline(always)]
    fn flushed(self) -> Self {
        Self::of_bits(if self.bits() & 0x7c00 == 0 { self.bits() & 0x8000 } else { self.bits() })
    }
}

impl Number for Bf16 {
    #[inline(always)]
    fn fma(a: Self, b: Self, c: Self) -> Self {
        let [a, b, c] = [a, b, c].map(|x| f64::from(x.wide()));
        Self::nearest(narrow_odd(sum_odd_f64(a * b, c)))
    }

    /// No operation on `bf16` flushes.
    #[inline(always)]
    fn flushed(self) -> Self {
        self
    }
}

trait Binary {
    fn apply<H: Number>(a: H, b: H) -> H;
}

struct Sum;
struct Difference;
struct Product;
struct Extreme<const MAX: bool, const NAN: bool, const XORSIGN: bool>;

impl Binary for Sum {
    #[inline(always)]
    fn apply<H: Number>(a: H, b: H) -> H {
        H::nearest(a.wide() + b.wide())
    }
}

impl Binary for Difference {
    #[inline(always)]
    fn apply<H: Number>(a: H, b: H) -> H {
        H::nearest(a.wide() - b.wide())
    }
}

impl Binary for Product {
    /// Exact in `f32`, but for products below everything that `bf16` can hold.
    #[inline(always)]
    fn apply<H: Number>(a: H, b: H) -> H {
        H::nearest(a.wide() * b.wide())
    }
}

impl<const MAX: bool, const NAN: bool, const XORSIGN: bool> Binary for Extreme<MAX, NAN, XORSIGN> {
    #[inline(always)]
    fn apply<H: Number>(a: H, b: H) -> H {
        H::nearest(extreme::<MAX, NAN, XORSIGN>(a.wide(), b.wide()))
    }
}

#[inline(always)]
fn flush<H: Number, const FTZ: bool>(x: H) -> H {
    if FTZ { x.flushed() } else { x }
}

#[inline(always)]
fn finish<H: Number, const FTZ: bool, const END: u8>(x: H) -> H {
    let x = flush::<H, FTZ>(x);
    let value = x.wide();
    if END == SAT && (value.is_nan() || value <= 0.0) {
        H::of_bits(0)
    } else if END == SAT && value > 1.0 {
        H::of_bits(H::ONE)
    } else if END == RELU && value.is_sign_negative() && !value.is_nan() {
        H::of_bits(0)
    } else {
        x
    }
}

#[inline(always)]
fn binary_of<O: Binary, H: Number, const FTZ: bool, const END: u8>(a: H, b: H) -> H {
    finish::<H, FTZ, END>(O::apply(flush::<H, FTZ>(a), flush::<H, FTZ>(b)))
}

#[inline(always)]
fn fma_of<H: Number, const FTZ: bool, const END: u8>(a: H, b: H, c: H) -> H {
    finish::<H, FTZ, END>(H::fma(flush::<H, FTZ>(a), flush::<H, FTZ>(b), flush::<H, FTZ>(c)))
}

/// Both halves of words.
#[inline(always)]
fn pair<H: Number, const N: usize>(words: [u32; N], f: impl Fn([H; N]) -> H) -> u32 {
    f(words.map(H::of)).register() | f(words.map(|word| H::of(word >> 16))).register() << 16
}

fn binary<O: Binary, H: Number, const PACKED: bool, const FTZ: bool, const END: u8>() -> Selected {
    if PACKED {
        op!(Binary32(a: u32, b: u32) -> u32 { pair([a, b], |[a, b]| binary_of::<O, H, FTZ, END>(a, b)) })
            .of_type(H::PACKED)
    } else {
        op!(Binary32(a: H, b: H) -> H { binary_of::<O, H, FTZ, END>(a, b) })
    }
}

fn fma_selected<H: Number, const PACKED: bool, const FTZ: bool, const END: u8>() -> Selected {
    if PACKED {
        op!(Ternary32(a: u32, b: u32, c: u32) -> u32 {
            pair([a, b, c], |[a, b, c]| fma_of::<H, FTZ, END>(a, b, c))
        })
        .of_type(H::PACKED)
    } else {
        op!(Ternary32(a: H, b: H, c: H) -> H { fma_of::<H, FTZ, END>(a, b, c) })
    }
}

/// `.sat` and `.ftz` exist for `f16` only.
fn arithmetic<O: Binary>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    form.take("rn");
    let ty = form.one_type()?;
    let is_f16 = matches!(ty, "f16" | "f16x2");
    let (ftz, sat) = (is_f16 && form.take("ftz"), is_f16 && form.take("sat"));
    Ok(match (ty, ftz, sat) {
        ("f16", false, false) => binary::<O, F16, false, false, PLAIN>(),
        ("f16", false, true) => binary::<O, F16, false, false, SAT>(),
        ("f16", true, false) => binary::<O, F16, false, true, PLAIN>(),
        ("f16", true, true) => binary::<O, F16, false, true, SAT>(),
        ("f16x2", false, false) => binary::<O, F16, true, false, PLAIN>(),
        ("f16x2", false, true) => binary::<O, F16, true, false, SAT>(),
        ("f16x2", true, false) => binary::<O, F16, true, true, PLAIN>(),
        ("f16x2", true, true) => binary::<O, F16, true, true, SAT>(),
        ("bf16", ..) => binary::<O, Bf16, false, false, PLAIN>(),
        _ => binary::<O, Bf16, true, false, PLAIN>(),
    })
}

pub(super) fn add(form: &mut Form<'_>) -> Result<Selected, Reason> {
    arithmetic::<Sum>(form)
}

pub(super) fn sub(form: &mut Form<'_>) -> Result<Selected, Reason> {
    arithmetic::<Difference>(form)
}

pub(super) fn mul(form: &mut Form<'_>) -> Result<Selected, Reason> {
    arithmetic::<Product>(form)
}

pub(super) fn fma(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("oob") {
        return Err("fma.oob");
    }
    if !form.take("rn") {
        return Err("needs .rn");
    }
    let ty = form.one_type()?;
    let is_f16 = matches!(ty, "f16" | "f16x2");
    let ftz = is_f16 && form.take("ftz");
    let end = if form.take("relu") {
        RELU
    } else if is_f16 && form.take("sat") {
        SAT
    } else {
        PLAIN
    };
    Ok(match (ty, ftz, end) {
        ("f16", false, PLAIN) => fma_selected::<F16, false, false, PLAIN>(),
        ("f16", false, SAT) => fma_selected::<F16, false, false, SAT>(),
        ("f16", false, _) => fma_selected::<F16, false, false, RELU>(),
        ("f16", true, PLAIN) => fma_selected::<F16, false, true, PLAIN>(),
        ("f16", true, SAT) => fma_selected::<F16, false, true, SAT>(),
        ("f16", true, _) => fma_selected::<F16, false, true, RELU>(),
        ("f16x2", false, PLAIN) => fma_selected::<F16, true, false, PLAIN>(),
        ("f16x2", false, SAT) => fma_selected::<F16, true, false, SAT>(),
        ("f16x2", false, _) => fma_selected::<F16, true, false, RELU>(),
        ("f16x2", true, PLAIN) => fma_selected::<F16, true, true, PLAIN>(),
        ("f16x2", true, SAT) => fma_selected::<F16, true, true, SAT>(),
        ("f16x2", true, _) => fma_selected::<F16, true, true, RELU>(),
        ("bf16", _, RELU) => fma_selected::<Bf16, false, false, RELU>(),
        ("bf16", ..) => fma_selected::<Bf16, false, false, PLAIN>(),
        (_, _, RELU) => fma_selected::<Bf16, true, false, RELU>(),
        _ => fma_selected::<Bf16, true, false, PLAIN>(),
    })
}

/// On bits, so that a NaN keeps its own, unless `.ftz` looks at the value.
pub(super) fn abs(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    let ftz = matches!(ty, "f16" | "f16x2") && form.take("ftz");
    Ok(match (ty, ftz) {
        ("f16", true) => op!(Unary32(a: F16) -> F16 { F16::of_bits(a.flushed().bits() & 0x7fff) }),
        ("f16x2", true) => {
            op!(Unary32(a: u32) -> u32 { pair([a], |[a]: [F16; 1]| F16::of_bits(a.flushed().bits() & 0x7fff)) })
                .of_type(F16::PACKED)
        }
        ("f16", false) => op!(Unary32(a: u16) -> u16 { a & 0x7fff }).of_type(<F16 as Half>::TYPE),
        ("f16x2", false) => op!(Unary32(a: u32) -> u32 { a & 0x7fff_7fff }).of_type(F16::PACKED),
        ("bf16", _) => op!(Unary32(a: u16) -> u16 { a & 0x7fff }).of_type(<Bf16 as Half>::TYPE),
        _ => op!(Unary32(a: u32) -> u32 { a & 0x7fff_7fff }).of_type(Bf16::PACKED),
    })
}

pub(super) fn neg(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    let ftz = matches!(ty, "f16" | "f16x2") && form.take("ftz");
    Ok(match (ty, ftz) {
        ("f16", true) => op!(Unary32(a: F16) -> F16 { F16::of_bits(a.flushed().bits() ^ 0x8000) }),
        ("f16x2", true) => {
            op!(Unary32(a: u32) -> u32 { pair([a], |[a]: [F16; 1]| F16::of_bits(a.flushed().bits() ^ 0x8000)) })
                .of_type(F16::PACKED)
        }
        ("f16", false) => op!(Unary32(a: u16) -> u16 { a ^ 0x8000 }).of_type(<F16 as Half>::TYPE),
        ("f16x2", false) => op!(Unary32(a: u32) -> u32 { a ^ 0x8000_8000 }).of_type(F16::PACKED),
        ("bf16", _) => op!(Unary32(a: u16) -> u16 { a ^ 0x8000 }).of_type(<Bf16 as Half>::TYPE),
        _ => op!(Unary32(a: u32) -> u32 { a ^ 0x8000_8000 }).of_type(Bf16::PACKED),
    })
}

fn extreme_by<O: Binary>(ty: &str, ftz: bool) -> Selected {
    match (ty, ftz) {
        ("f16", false) => binary::<O, F16, false, false, PLAIN>(),
        ("f16", true) => binary::<O, F16, false, true, PLAIN>(),
        ("f16x2", false) => binary::<O, F16, true, false, PLAIN>(),
        ("f16x2", true) => binary::<O, F16, true, true, PLAIN>(),
        ("bf16", _) => binary::<O, Bf16, false, false, PLAIN>(),
        _ => binary::<O, Bf16, true, false, PLAIN>(),
    }
}

fn extreme_of<const MAX: bool>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let ty = form.one_type()?;
    let ftz = matches!(ty, "f16" | "f16x2") && form.take("ftz");
    Ok(match (form.take("NaN"), form.take_xorsign()?) {
        (false, false) => extreme_by::<Extreme<MAX, false, false>>(ty, ftz),
        (false, true) => extreme_by::<Extreme<MAX, false, true>>(ty, ftz),
        (true, false) => extreme_by::<Extreme<MAX, true, false>>(ty, ftz),
        (true, true) => extreme_by::<Extreme<MAX, true, true>>(ty, ftz),
    })
}

pub(super) fn min(form: &mut Form<'_>) -> Result<Selected, Reason> {
    extreme_of::<false>(form)
}

pub(super) fn max(form: &mut Form<'_>) -> Result<Selected, Reason> {
    extreme_of::<true>(form)
}
