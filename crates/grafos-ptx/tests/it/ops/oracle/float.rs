//! Arithmetic of floats by `rustc_apfloat`, and what devices add to IEEE: which NaN, `.ftz`, `.sat`, `.relu`.

use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, Round};

use super::super::form::Form;
use super::{Oracle, Want, by_halves, mask};

/// How bits of a float type are made of.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) bits: u32,
    pub(super) fraction: u32,
}

impl Layout {
    pub(super) fn of(ty: &str) -> Self {
        match ty {
            "f64" => Self { bits: 64, fraction: 52 },
            "f32" => Self { bits: 32, fraction: 23 },
            "f16" | "f16x2" => Self { bits: 16, fraction: 10 },
            _ => Self { bits: 16, fraction: 7 },
        }
    }

    pub(super) fn sign(self) -> u64 {
        1 << (self.bits - 1)
    }

    pub(super) fn infinity(self) -> u64 {
        (self.sign() - 1) & !((1 << self.fraction) - 1)
    }

    pub(super) fn magnitude(self, bits: u64) -> u64 {
        bits & (self.sign() - 1)
    }

    pub(super) fn is_nan(self, bits: u64) -> bool {
        self.magnitude(bits) > self.infinity()
    }

    pub(super) fn is_negative(self, bits: u64) -> bool {
        bits & self.sign() != 0
    }

    fn is_subnormal(self, bits: u64) -> bool {
        self.magnitude(bits) < 1 << self.fraction
    }

    pub(super) fn flushed(self, bits: u64) -> u64 {
        if self.is_subnormal(bits) { bits & self.sign() } else { bits }
    }

    pub(super) fn one(self) -> u64 {
        (self.infinity() >> 1) & !((1 << self.fraction) - 1)
    }

    /// The NaN of an operation on these operands.
    pub(super) fn nan(self, operands: &[u64]) -> u64 {
        if self.bits < 64 {
            return self.sign() - 1;
        }
        let first = operands.iter().find(|&&bits| self.is_nan(bits));
        first.map_or(0xfff8 << 48, |bits| bits | 1 << 51)
    }

    /// `.sat`: between zero and one, NaN at zero.
    pub(super) fn saturated(self, bits: u64) -> u64 {
        if self.is_nan(bits) || self.is_negative(bits) { 0 } else { bits.min(self.one()) }
    }

    /// `.relu`
    pub(super) fn rectified(self, bits: u64) -> u64 {
        if !self.is_nan(bits) && self.is_negative(bits) { 0 } else { bits }
    }
}

pub(super) fn rounding(form: &Form) -> Round {
    match form.words.iter().find(|word| matches!(word.as_str(), "rz" | "rm" | "rp" | "rzi" | "rmi" | "rpi")) {
        Some(word) if word.starts_with("rz") => Round::TowardZero,
        Some(word) if word.starts_with("rm") => Round::TowardNegative,
        Some(_) => Round::TowardPositive,
        None => Round::NearestTiesToEven,
    }
}

/// The IEEE result, for any NaN some NaN.
fn ieee<F: Float>(opcode: &str, round: Round, args: &[u64]) -> u64 {
    let x: Vec<F> = args.iter().map(|&bits| F::from_bits(u128::from(bits))).collect();
    let result = match opcode {
        "add" => x[0].add_r(x[1], round),
        "sub" => x[0].sub_r(x[1], round),
        "mul" => x[0].mul_r(x[1], round),
        "div" => x[0].div_r(x[1], round),
        "rcp" => F::from_u128(1).value.div_r(x[0], round),
        _ => x[0].mul_add_r(x[1], x[2], round),
    };
    result.value.to_bits() as u64
}

/// By the name of the type.
fn ieee_of(ty: &str, opcode: &str, round: Round, args: &[u64]) -> u64 {
    match ty {
        "f64" if opcode == "sqrt" => sqrt::<Double>(f64::from_bits(args[0]).sqrt().to_bits(), round, args[0]),
        "f32" if opcode == "sqrt" => {
            sqrt::<Single>(u64::from(f32::from_bits(args[0] as u32).sqrt().to_bits()), round, args[0])
        }
        "f64" => ieee::<Double>(opcode, round, args),
        "f32" => ieee::<Single>(opcode, round, args),
        "f16" => ieee::<Half>(opcode, round, args),
        _ => ieee::<BFloat>(opcode, round, args),
    }
}

/// The nearest root is the processor's; the sign of `root * root - a`, by one fused operation, tells the others.
fn sqrt<F: Float>(near: u64, round: Round, a: u64) -> u64 {
    let (root, a) = (F::from_bits(u128::from(near)), F::from_bits(u128::from(a)));
    if round == Round::NearestTiesToEven || !a.is_finite_non_zero() || a.is_negative() {
        return near;
    }
    // Scaled by an even power of two, so that the difference does not vanish below the smallest number.
    let lowest = F::SMALLEST.ilogb() / 3;
    let scale = if a.ilogb() < lowest { 2 * -lowest } else { 0 };
    let (scaled_root, scaled) = (root.scalbn(scale / 2), a.scalbn(scale));
    let error = scaled_root.mul_add_r(scaled_root, -scaled, Round::NearestTiesToEven).value;
    match round {
        Round::TowardPositive if error.is_negative() && !error.is_zero() => near + 1,
        Round::TowardZero | Round::TowardNegative if !error.is_negative() && !error.is_zero() => near - 1,
        _ => near,
    }
}

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    let count = match form.opcode.as_str() {
        "sqrt" | "rcp" | "abs" | "neg" => 1,
        "add" | "sub" | "mul" | "div" | "min" | "max" | "copysign" => 2,
        "fma" | "mad" => 3,
        _ => return None,
    };
    if !form.is_float() {
        return None;
    }
    let ty = form.ty().to_owned();
    let (form, half) = (form.clone(), ty.trim_end_matches("x2").to_owned());
    let is_packed = ty.ends_with("x2");
    Oracle::new(&ty.clone(), &vec![ty; count], move |args| {
        let one = |args: &[u64]| of_scalars(&form, &half, args);
        Want::Bits(if is_packed { by_halves(args, one) } else { one(args) })
    })
}

fn of_scalars(form: &Form, ty: &str, args: &[u64]) -> u64 {
    let layout = Layout::of(ty);
    let flush = |bits: u64| if form.has("ftz") { layout.flushed(bits) } else { bits };
    let args: Vec<u64> = args.iter().map(|&bits| flush(bits & mask(ty))).collect();
    let result = match form.opcode.as_str() {
        // Bits alone, but that `.ftz` makes them arithmetic.
        "abs" => layout.magnitude(args[0]),
        "neg" => args[0] ^ layout.sign(),
        "copysign" => return args[0] & layout.sign() | layout.magnitude(args[1]),
        "min" | "max" => return flush(extreme(form, layout, args[0], args[1])),
        opcode => {
            let bits = ieee_of(ty, if opcode == "mad" { "fma" } else { opcode }, rounding(form), &args);
            if layout.is_nan(bits) { layout.nan(&args) } else { bits }
        }
    };
    if matches!(form.opcode.as_str(), "abs" | "neg") {
        return if form.has("ftz") && layout.is_nan(result) { layout.nan(&args) } else { result };
    }
    let result = flush(result);
    let result = if form.has("sat") { layout.saturated(result) } else { result };
    if form.has("relu") { layout.rectified(result) } else { result }
}

/// As the specification's pseudocode has it.
fn extreme(form: &Form, layout: Layout, a: u64, b: u64) -> u64 {
    let sign = (a ^ b) & layout.sign();
    let xorsign = form.has("xorsign");
    let (a, b) = if xorsign { (layout.magnitude(a), layout.magnitude(b)) } else { (a, b) };
    let nan = layout.nan(&[a, b]);
    let chosen = match (layout.is_nan(a), layout.is_nan(b)) {
        (true, true) => return nan,
        (true, false) | (false, true) if form.has("NaN") => return nan,
        (true, false) => b,
        (false, true) => a,
        (false, false) => {
            // Ordered as integers: by magnitude, from below for negative ones.
            let key = |bits: u64| {
                let magnitude = i128::from(layout.magnitude(bits));
                if layout.is_negative(bits) { -1 - magnitude } else { magnitude }
            };
            if (key(a) < key(b)) == (form.opcode == "min") { a } else { b }
        }
    };
    if xorsign { chosen | sign } else { chosen }
}
