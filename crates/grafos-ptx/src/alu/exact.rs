//! Arithmetic of `f64` in the directed rounding modes, in integers: exact first, rounded once.
//!
//! Slow and rare: compilers ask for these modes only where a program names them.

#![allow(clippy::cast_possible_truncation, reason = "significands are cut where they are rounded")]

use super::form::Rounding;

/// A number: `significand * 2^exponent`. If some of it was cut off below, the last bit of the significand is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub(super) is_negative: bool,
    pub(super) significand: u128,
    pub(super) exponent: i32,
}

/// Where the leading bit is put before two numbers are added: room above for the carry.
const TOP: u32 = 125;

impl Exact {
    /// Of a finite number.
    fn of(x: f64) -> Self {
        let bits = x.to_bits();
        let biased = (bits >> 52 & 0x7ff) as i32;
        let fraction = u128::from(bits & ((1 << 52) - 1));
        let significand = if biased == 0 { fraction } else { fraction | 1 << 52 };
        Self { is_negative: x.is_sign_negative(), significand, exponent: biased.max(1) - 1075 }
    }

    /// Of an integer.
    pub(super) fn of_integer(is_negative: bool, magnitude: u64) -> Self {
        Self { is_negative, significand: u128::from(magnitude), exponent: 0 }
    }

    /// With the leading bit at [`TOP`]. Not for zero.
    fn normalised(self) -> Self {
        let shift = TOP as i32 - (127 - self.significand.leading_zeros() as i32);
        Self { significand: shifted(self.significand, shift), exponent: self.exponent - shift, ..self }
    }

    fn product(self, other: Self) -> Self {
        Self {
            is_negative: self.is_negative != other.is_negative,
            significand: self.significand * other.significand,
            exponent: self.exponent + other.exponent,
        }
    }

    /// The sum of two numbers that are not zero. Both have at most 106 bits, so what is cut off of the smaller one
    /// never reaches the bits that a rounding looks at, not even if the leading ones cancel.
    fn sum(self, other: Self, rounding: Rounding) -> Self {
        let (mut large, mut small) = (self.normalised(), other.normalised());
        if (small.exponent, small.significand) > (large.exponent, large.significand) {
            (large, small) = (small, large);
        }
        let addend = shifted(small.significand, small.exponent - large.exponent);
        let significand = if large.is_negative == small.is_negative {
            large.significand + addend
        } else {
            large.significand - addend
        };
        let is_negative = if significand == 0 { rounding == Rounding::Down } else { large.is_negative };
        Self { is_negative, significand, exponent: large.exponent }
    }

    /// The nearest number that the mode allows.
    pub(super) fn rounded(self, rounding: Rounding) -> f64 {
        let sign = u64::from(self.is_negative) << 63;
        if self.significand == 0 {
            return f64::from_bits(sign);
        }
        let leading = 127 - self.significand.leading_zeros() as i32;
        // The exponent of the last bit that the result keeps.
        let last = (self.exponent + leading - 52).max(-1074);
        // Two more bits than are kept: the half, and whether there is anything below it.
        let kept = shifted(self.significand, self.exponent - last + 2) as u64;
        let rest = kept & 3;
        let up = match rounding {
            Rounding::Nearest => rest > 2 || rest == 2 && kept & 4 != 0,
            Rounding::Zero => false,
            Rounding::Down => rest != 0 && self.is_negative,
            Rounding::Up => rest != 0 && !self.is_negative,
        };
        let fraction = (kept >> 2) + u64::from(up);
        // A carry out of the fraction, and the leading bit of a normal number, count up the exponent by themselves.
        let biased = (last + 1074) as u64;
        let magnitude = (biased << 52) + fraction;
        let infinity = f64::INFINITY.to_bits();
        if magnitude < infinity {
            return f64::from_bits(sign | magnitude);
        }
        let stays_finite = match rounding {
            Rounding::Nearest => false,
            Rounding::Zero => true,
            Rounding::Down => !self.is_negative,
            Rounding::Up => self.is_negative,
        };
        f64::from_bits(sign | if stays_finite { infinity - 1 } else { infinity })
    }
}

/// `significand * 2^by`; bits that fall off at the bottom are remembered in the last one.
fn shifted(significand: u128, by: i32) -> u128 {
    match u32::try_from(by) {
        Ok(left) => significand << left,
        Err(_) if by <= -128 => u128::from(significand != 0),
        Err(_) => {
            let right = by.unsigned_abs();
            let kept = significand >> right;
            kept | u128::from(kept << right != significand)
        }
    }
}

/// `a * b + c`, not for [`Rounding::Nearest`]'s sake but right for it too. For NaNs, some NaN.
#[inline(never)]
pub(super) fn fma(a: f64, b: f64, c: f64, rounding: Rounding) -> f64 {
    if !(a.is_finite() && b.is_finite() && c.is_finite()) {
        // Neither is rounded; a finite product must not overflow first.
        let product = if a.is_finite() && b.is_finite() { 0.0 } else { a * b };
        return product + c;
    }
    let product = Exact::of(a).product(Exact::of(b));
    let addend = Exact::of(c);
    match (product.significand, addend.significand) {
        (0, 0) if product.is_negative == addend.is_negative => c,
        (0, 0) => {
            if rounding == Rounding::Down {
                -0.0
            } else {
                0.0
            }
        }
        (0, _) => c,
        (_, 0) => product.rounded(rounding),
        _ => product.sum(addend, rounding).rounded(rounding),
    }
}

pub(super) fn add(a: f64, b: f64, rounding: Rounding) -> f64 {
    fma(a, 1.0, b, rounding)
}

#[inline(never)]
pub(super) fn mul(a: f64, b: f64, rounding: Rounding) -> f64 {
    if !(a.is_finite() && b.is_finite()) {
        return a * b;
    }
    Exact::of(a).product(Exact::of(b)).rounded(rounding)
}

#[inline(never)]
pub(super) fn div(a: f64, b: f64, rounding: Rounding) -> f64 {
    if !(a.is_finite() && b.is_finite()) || a == 0.0 || b == 0.0 {
        return a / b;
    }
    let (numerator, denominator) = (Exact::of(a).normalised(), Exact::of(b));
    let quotient = numerator.significand / denominator.significand;
    let is_exact = quotient * denominator.significand == numerator.significand;
    Exact {
        is_negative: numerator.is_negative != denominator.is_negative,
        significand: quotient | u128::from(!is_exact),
        exponent: numerator.exponent - denominator.exponent,
    }
    .rounded(rounding)
}

#[inline(never)]
pub(super) fn sqrt(a: f64, rounding: Rounding) -> f64 {
    if !(a.is_finite() && a > 0.0) {
        return a.sqrt();
    }
    let Exact { significand, exponent, .. } = Exact::of(a).normalised();
    // The exponent must be even.
    let (significand, exponent) =
        if exponent % 2 == 0 { (significand, exponent) } else { (significand << 1, exponent - 1) };
    let root = significand.isqrt();
    let is_exact = root * root == significand;
    // One bit lower, so that the mark of inexactness is below the root's own last bit.
    Exact { is_negative: false, significand: root << 1 | u128::from(!is_exact), exponent: exponent / 2 - 1 }
        .rounded(rounding)
}
