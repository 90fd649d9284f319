//! Rounding: sums that keep what a rounding needs to know, and the way from a wide float to a narrow one in each mode.
//!
//! The method is *rounding to odd*: if a wide result is not exact, its last bit is made one. A value with at least two
//! more bits than the narrow type then rounds to it, in any mode, as the exact value would (Boldo and Melquiond,
//! "Emulation of FMA and correctly rounded sums", 2008).

#![allow(clippy::cast_possible_truncation, reason = "rounding is what the casts are for")]

use super::form::Rounding;

pub(super) const NEAREST: u8 = Rounding::Nearest.code();

/// `a + b`, rounded to odd. Exact where that is infinite or NaN.
#[inline(always)]
pub(super) fn sum_odd_f64(a: f64, b: f64) -> f64 {
    let sum = a + b;
    // Knuth's two-sum: `error` is exactly what the sum lacks.
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    let bits = sum.to_bits();
    let away = (error > 0.0) == (sum > 0.0);
    let odd = if away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    // An error that is not a number belongs to a sum that is not finite.
    let is_inexact = error.abs() > 0.0;
    f64::from_bits(if is_inexact && bits & 1 == 0 { odd } else { bits })
}

/// `a + b`, rounded to odd.
#[inline(always)]
pub(super) fn sum_odd_f32(a: f32, b: f32) -> f32 {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    let bits = sum.to_bits();
    let away = (error > 0.0) == (sum > 0.0);
    let odd = if away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    let is_inexact = error.abs() > 0.0;
    f32::from_bits(if is_inexact && bits & 1 == 0 { odd } else { bits })
}

/// To `f32`, rounded to odd; what is too large becomes the largest number, which is odd.
#[inline(always)]
pub(super) fn narrow_odd(x: f64) -> f32 {
    let near = x as f32;
    let bits = near.to_bits();
    let back = f64::from(near);
    let truncated = if back.abs() > x.abs() { bits.wrapping_sub(1) } else { bits };
    f32::from_bits(if back == x || x.is_nan() { bits } else { truncated | 1 })
}

/// To `f32` in a mode, from a value that is exact or rounded to odd.
#[inline(always)]
pub(super) fn narrow<const R: u8>(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    match Rounding::of_code(R) {
        Rounding::Nearest => near,
        Rounding::Zero if back.abs() > x.abs() => f32::from_bits(near.to_bits() - 1),
        Rounding::Down if back > x => near.next_down(),
        Rounding::Up if back < x => near.next_up(),
        _ => near,
    }
}

/// A float type whose values can be made whole.
pub(super) trait Whole: Copy {
    fn whole_nearest(self) -> Self;
    fn whole_zero(self) -> Self;
    fn whole_down(self) -> Self;
    fn whole_up(self) -> Self;
}

macro_rules! impl_whole {
    ($float:ty, $first_whole:expr) => {
        impl Whole for $float {
            /// Above `first_whole` all values are whole; adding and subtracting it rounds what is below.
            #[inline(always)]
            fn whole_nearest(self) -> Self {
                let near = ((self.abs() + $first_whole) - $first_whole).copysign(self);
                if self.abs() < $first_whole { near } else { self }
            }

            #[inline(always)]
            fn whole_zero(self) -> Self {
                self.abs().whole_down().copysign(self)
            }

            #[inline(always)]
            fn whole_down(self) -> Self {
                let near = self.whole_nearest();
                if near > self { near - 1.0 } else { near }
            }

            #[inline(always)]
            fn whole_up(self) -> Self {
                -((-self).whole_down())
            }
        }
    };
}

impl_whole!(f32, 8_388_608.0);
impl_whole!(f64, 4_503_599_627_370_496.0);

/// A value made whole; NaN, infinities and the sign of zero stay.
#[inline(always)]
pub(super) fn whole<F: Whole, const MODE: u8>(x: F) -> F {
    match Rounding::of_code(MODE) {
        Rounding::Nearest => x.whole_nearest(),
        Rounding::Zero => x.whole_zero(),
        Rounding::Down => x.whole_down(),
        Rounding::Up => x.whole_up(),
    }
}

/// The function for a rounding: `by_rounding!(rounding; f, A, B)` is `f::<A, B, R>()`.
macro_rules! by_rounding {
    ($rounding:expr; $f:ident $(, $arg:ty)*) => {
        match $rounding {
            Rounding::Nearest => $f::<$($arg,)* 0>(),
            Rounding::Zero => $f::<$($arg,)* 1>(),
            Rounding::Down => $f::<$($arg,)* 2>(),
            Rounding::Up => $f::<$($arg,)* 3>(),
        }
    };
}

pub(super) use by_rounding;
