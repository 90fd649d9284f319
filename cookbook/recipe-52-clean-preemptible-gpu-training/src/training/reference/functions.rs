//! The exponential and the logarithm of `kernels/digits.cu`, operation by operation. Not those of the system, whose last
//! bits differ from one to the next.

#![allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "the constants of the kernel, digit by digit"
)]

const LOG2_E: f32 = 1.442_695_04;
/// ln 2 in two parts: the first has few bits, so that a small multiple of it is exact.
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = -2.121_944_40e-4;
const LN_2: f32 = 0.693_147_181;

/// e to the power of x, for x up to 0.
pub(super) fn exponential(x: f32) -> f32 {
    if x < -87.0 {
        return 0.0;
    }
    // At most 126 in size: towards zero after half was taken off is to the nearest.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "saturates, and what is no number becomes 0, as in the kernel"
    )]
    let power = (x * LOG2_E - 0.5) as i32;
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let whole = -(power as f32);
    let rest = whole.mul_add(LN_2_LOW, whole.mul_add(LN_2_HIGH, x));
    let terms = [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0_f32];
    let sum = terms.iter().fold(1.0 / 5040.0, |sum: f32, term| sum.mul_add(rest, 1.0 / term));
    sum * f32::from_bits((power + 127).cast_unsigned() << 23)
}

/// The natural logarithm of x, a normal number from 1 on.
pub(super) fn logarithm(x: f32) -> f32 {
    let bits = x.to_bits();
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let mut power = (bits >> 23).wrapping_sub(127) as f32;
    let mut mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    if mantissa > 1.414_213_56 {
        mantissa *= 0.5;
        power += 1.0;
    }
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let terms = [7.0, 5.0, 3.0, 1.0_f32];
    let sum = terms.iter().fold(2.0 / 9.0, |sum: f32, term| sum.mul_add(square, 2.0 / term));
    power.mul_add(LN_2, ratio * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units_of_the_true_one() {
        for i in 0..=870_000_u32 {
            let x = -1e-4 * i as f32;
            let (found, exact) = (f64::from(exponential(x)), f64::from(x).exp());
            assert!((found / exact - 1.0).abs() < 2.4e-7, "{x}: {found} is not {exact}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!([exponential(-87.1), exponential(-1e30), exponential(f32::NEG_INFINITY)], [0.0; 3]);
        assert!(exponential(f32::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_is_near_the_true_one() {
        for i in 0..=100_000_u32 {
            let x = 1.0 + 1e-4 * i as f32;
            let (found, exact) = (f64::from(logarithm(x)), f64::from(x).ln());
            assert!((found - exact).abs() < 2.4e-7, "{x}: {found} is not {exact}");
        }
        assert_eq!(logarithm(1.0), 0.0);
    }
}
