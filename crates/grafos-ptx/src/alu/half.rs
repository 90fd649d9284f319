//! [`F16`] and [`Bf16`]: floats of 16 bits, and the ways between them and `f32`.
//!
//! Arithmetic is done in `f32`, which has more than twice their bits, so that the second rounding changes nothing.

#![allow(clippy::cast_possible_truncation, reason = "narrowing is what this is about")]

use super::form::Rounding;
use super::lane::Lane;
use super::round::{self, NEAREST};
use crate::types::Type;

/// The one NaN that operations on either type give.
const NAN: u16 = 0x7fff;

/// A float of 16 bits.
pub(super) trait Half: Copy {
    const TYPE: Type;
    const PACKED: Type;
    const ONE: u16;
    /// The largest finite number.
    const MAX: u16;

    fn of_bits(bits: u16) -> Self;
    fn bits(self) -> u16;
    /// Exact.
    fn wide(self) -> f32;
    /// The nearest, ties to even.
    fn nearest(x: f32) -> Self;
    /// Cuts off what it can't hold; infinite only for infinities. Not for NaN.
    fn truncated(x: f32) -> Self;

    /// In a mode, from a value that is exact or rounded to odd.
    #[inline(always)]
    fn rounded<const R: u8>(x: f32) -> Self {
        if R == NEAREST {
            return Self::nearest(x);
        }
        if x.is_nan() {
            return Self::of_bits(NAN);
        }
        let low = Self::truncated(x);
        let is_exact = low.wide() == x;
        let away = match Rounding::of_code(R) {
            Rounding::Nearest | Rounding::Zero => false,
            Rounding::Down => x.is_sign_negative(),
            Rounding::Up => !x.is_sign_negative(),
        };
        // The next value away from zero has the next bits, and above the largest is infinity.
        if away && !is_exact { Self::of_bits(low.bits() + 1) } else { low }
    }

    /// The same from an `f64`.
    #[inline(always)]
    fn rounded_f64<const R: u8>(x: f64) -> Self {
        Self::rounded::<R>(round::narrow_odd(x))
    }
}

/// IEEE binary16: 5 bits of exponent, 10 of fraction.
#[derive(Clone, Copy)]
pub(super) struct F16(u16);

/// The upper half of an `f32`.
#[derive(Clone, Copy)]
pub(super) struct Bf16(u16);

/// 2^112, the difference of the biases of `f32` and `f16`, as a factor.
const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
/// 2^-14, below which `f16` is subnormal.
const MIN_NORMAL: u32 = (127 - 14) << 23;
/// 65520: rounds to infinity.
const OVERFLOW: u32 = 0x477f_f000;

impl Half for F16 {
    const TYPE: Type = Type::F16;
    const PACKED: Type = Type::F16x2;
    const ONE: u16 = 0x3c00;
    const MAX: u16 = 0x7bff;

    #[inline(always)]
    fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    #[inline(always)]
    fn bits(self) -> u16 {
        self.0
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        let magnitude = u32::from(self.0 & 0x7fff) << 13;
        let sign = u32::from(self.0 & 0x8000) << 16;
        let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
        let bits = if magnitude >= 0x1f << 23 { magnitude | 0xff << 23 } else { finite };
        f32::from_bits(bits | sign)
    }

    #[inline(always)]
    fn nearest(x: f32) -> Self {
        let magnitude = x.to_bits() & 0x7fff_ffff;
        let sign = x.to_bits() >> 16 & 0x8000;
        // The last bit of 0.5 is that of the subnormals: the sum is rounded as they are.
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
        let tie = magnitude >> 13 & 1;
        let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + tie) >> 13;
        let finite = if magnitude < MIN_NORMAL { subnormal } else { normal };
        let bits = if magnitude >= OVERFLOW { 0x7c00 } else { finite };
        Self(if x.is_nan() { NAN } else { (bits | sign) as u16 })
    }

    #[inline(always)]
    fn truncated(x: f32) -> Self {
        let magnitude = x.to_bits() & 0x7fff_ffff;
        let sign = x.to_bits() >> 16 & 0x8000;
        let bits = if magnitude == 0xff << 23 {
            0x7c00
        } else if magnitude >= 0x4780_0000 {
            u32::from(Self::MAX)
        } else if magnitude < MIN_NORMAL {
            // In units of 2^-24, the distance of the subnormals.
            (f32::from_bits(magnitude) * 16_777_216.0) as u32
        } else {
            (magnitude - (112 << 23)) >> 13
        };
        Self((bits | sign) as u16)
    }
}

impl Half for Bf16 {
    const TYPE: Type = Type::Bf16;
    const PACKED: Type = Type::Bf16x2;
    const ONE: u16 = 0x3f80;
    const MAX: u16 = 0x7f7f;

    #[inline(always)]
    fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    #[inline(always)]
    fn bits(self) -> u16 {
        self.0
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        let tie = bits >> 16 & 1;
        Self(if x.is_nan() { NAN } else { (bits.wrapping_add(0x7fff + tie) >> 16) as u16 })
    }

    #[inline(always)]
    fn truncated(x: f32) -> Self {
        Self((x.to_bits() >> 16) as u16)
    }
}

macro_rules! impl_lane {
    ($($half:ty)+) => {$(
        /// A NaN becomes the one that devices give.
        impl Lane for $half {
            type Register = u32;
            const TYPE: Type = <$half as Half>::TYPE;

            #[inline(always)]
            fn of(register: u32) -> Self {
                Self(register as u16)
            }

            #[inline(always)]
            fn register(self) -> u32 {
                u32::from(if self.wide().is_nan() { NAN } else { self.0 })
            }
        }
    )+};
}

impl_lane!(F16 Bf16);

impl PartialEq for F16 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.wide() == other.wide()
    }
}

impl PartialOrd for F16 {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.wide().partial_cmp(&other.wide())
    }
}

impl PartialEq for Bf16 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.wide() == other.wide()
    }
}

impl PartialOrd for Bf16 {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.wide().partial_cmp(&other.wide())
    }
}
