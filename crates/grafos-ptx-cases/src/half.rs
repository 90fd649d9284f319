//! binary16 and bfloat16 as bits, for references: to `f64` without loss, and back rounded to nearest, ties to even.
//!
//! A sum, product or fused multiply-add of such numbers is computed in `f64`, where it is exact (for the ranges that
//! the cases use), and rounded once.

/// A format by its bits: 1 sign, `EXPONENT` bits, `FRACTION` bits.
struct Format {
    exponent_bits: u32,
    fraction_bits: u32,
}

const HALF: Format = Format { exponent_bits: 5, fraction_bits: 10 };
const BFLOAT: Format = Format { exponent_bits: 8, fraction_bits: 7 };

impl Format {
    fn bias(&self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    fn decode(&self, bits: u16) -> f64 {
        let fraction = f64::from(bits & ((1 << self.fraction_bits) - 1));
        let exponent = i32::from(bits >> self.fraction_bits) & ((1 << self.exponent_bits) - 1);
        let scale = -self.fraction_bits.cast_signed();
        let size = if exponent == (1 << self.exponent_bits) - 1 {
            if fraction == 0.0 { f64::INFINITY } else { f64::NAN }
        } else if exponent == 0 {
            fraction * 2_f64.powi(1 - self.bias() + scale)
        } else {
            (fraction + f64::from(1_u32 << self.fraction_bits)) * 2_f64.powi(exponent - self.bias() + scale)
        };
        if bits >> 15 == 0 { size } else { -size }
    }

    /// NaN becomes 0x7fff, as the instructions of the device give it.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 16 bits by construction"
    )]
    fn encode(&self, value: f64) -> u16 {
        if value.is_nan() {
            return 0x7fff;
        }
        let sign = u16::from(value.is_sign_negative()) << 15;
        let size = value.abs();
        let infinity = ((1_u16 << self.exponent_bits) - 1) << self.fraction_bits;
        if size.is_infinite() {
            return sign | infinity;
        }
        // The exponent of the last place: that of the value, but not below that of subnormals.
        let exponent = ((size.to_bits() >> 52) as i32 - 1023).max(1 - self.bias());
        let steps = (size * 2_f64.powi(self.fraction_bits.cast_signed() - exponent)).round_ties_even() as u32;
        // Adding carries a fraction that rounds up into the exponent, and the largest one into infinity.
        let bits = ((exponent + self.bias() - 1) as u32) * (1 << self.fraction_bits) + steps;
        sign | bits.min(u32::from(infinity)) as u16
    }
}

pub(crate) fn from_half(bits: u16) -> f64 {
    HALF.decode(bits)
}

pub(crate) fn to_half(value: f64) -> u16 {
    HALF.encode(value)
}

pub(crate) fn from_bfloat(bits: u16) -> f64 {
    BFLOAT.decode(bits)
}

pub(crate) fn to_bfloat(value: f64) -> u16 {
    BFLOAT.encode(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_and_bfloat_comes_back() {
        for bits in 0..=u16::MAX {
            if !from_half(bits).is_nan() {
                assert_eq!(to_half(from_half(bits)), bits);
            }
            if !from_bfloat(bits).is_nan() {
                assert_eq!(to_bfloat(from_bfloat(bits)), bits);
                assert_eq!(from_bfloat(bits), f64::from(f32::from_bits(u32::from(bits) << 16)));
            }
        }
    }

    #[test]
    fn known_numbers_have_their_bits() {
        for (value, bits) in [
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65519.9, 0x7bff),
            (65520.0, 0x7c00),
            (1e9, 0x7c00),
            (5.960_464_477_539_063e-8, 1),
            (2.980_232_238_769_531_4e-8, 0),
            (2.980_232_238_769_532e-8, 1),
            (1.0 / 3.0, 0x3555),
            (1.000_488_281_25, 0x3c00),
            (1.001_464_843_75, 0x3c02),
        ] {
            assert_eq!(to_half(value), bits, "{value}");
        }
        assert_eq!(to_bfloat(1.0 / 3.0), 0x3eab);
        assert_eq!(to_half(f64::NAN), 0x7fff);
    }
}
