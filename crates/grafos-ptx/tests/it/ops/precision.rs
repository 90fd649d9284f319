//! Fused sums against the processor's own, where a rounding twice would show; and approximations over whole ranges.

use super::cases::Random;
use super::form::Form;
use super::kernel;
use super::oracle::Oracle;
use super::{check, run};
use proptest::prelude::*;

/// Runs a form over operands that were chosen to be hard.
fn results(text: &str, cases: &[Vec<u64>]) -> Vec<u64> {
    let form = Form::new(text);
    let oracle = Oracle::of(&form).unwrap();
    run(&kernel(&form, &oracle, 0), cases).into_iter().map(|[result, _]| result).collect()
}

/// `a * b + c` within a few steps of half way between two `f32`: `c` is the negative of the product's rounding, moved.
fn hard_fma(random: &mut Random) -> [f32; 3] {
    let exponent = |bits: u64| (127 - 40 + (bits % 80)) << 23;
    let float = |bits: u64, exponent: u64| f32::from_bits((bits & 0x807f_ffff | exponent) as u32);
    let (x, y, z) = (random.next(), random.next(), random.next());
    let (a, b) = (float(x, exponent(x >> 40)), float(y, exponent(y >> 40)));
    let product = f64::from(a) * f64::from(b);
    let c = match z % 4 {
        0 => float(z >> 8, exponent(z >> 40)),
        1 => -(product as f32) * (1.0 + (z >> 60) as f32 * f32::EPSILON),
        // Far below or above: only the sign of the smaller one decides.
        2 => (product as f32) * 2.0_f32.powi(24 + (z >> 8) as i32 % 3) * if z & 4 == 0 { 1.0 } else { -1.0 },
        _ => (product as f32) * 2.0_f32.powi(-25 - (z >> 8) as i32 % 3) * if z & 4 == 0 { 1.0 } else { -1.0 },
    };
    [a, b, c]
}

#[test]
fn fused_sums_of_singles_are_those_of_the_processor() {
    let mut random = Random(1);
    let cases: Vec<[f32; 3]> = (0..300_000).map(|_| hard_fma(&mut random)).collect();
    let operands: Vec<_> = cases.iter().map(|case| case.map(|x| u64::from(x.to_bits())).to_vec()).collect();
    for (case, got) in cases.iter().zip(results("fma.rn.f32", &operands)) {
        let [a, b, c] = *case;
        let want = a.mul_add(b, c);
        let want = if want.is_nan() { 0x7fff_ffff } else { want.to_bits() };
        assert_eq!(got, u64::from(want), "{a:e} * {b:e} + {c:e}");
    }
}

#[test]
fn tiny_fused_sums_are_rounded_once() {
    let mut random = Random(2);
    let cases: Vec<[f32; 3]> = (0..100_000)
        .map(|_| {
            let [a, b, _] = hard_fma(&mut random);
            let down = 2.0_f32.powi(-126) / (a * b).abs().max(f32::MIN_POSITIVE);
            let c = f32::from_bits(random.next() as u32 & 0x80ff_ffff);
            [a * down * 2.0_f32.powi((random.next() % 4) as i32 - 24), b, c]
        })
        .collect();
    let operands: Vec<_> = cases.iter().map(|case| case.map(|x| u64::from(x.to_bits())).to_vec()).collect();
    for (case, got) in cases.iter().zip(results("fma.rn.f32", &operands)) {
        let [a, b, c] = *case;
        let want = a.mul_add(b, c);
        let want = if want.is_nan() { 0x7fff_ffff } else { want.to_bits() };
        assert_eq!(got, u64::from(want), "{a:e} * {b:e} + {c:e}");
    }
}

/// Every value of a half in one operand, and one value in the other.
#[test]
fn halves_are_right_at_every_value() {
    for ty in ["f16", "bf16"] {
        for opcode in ["add", "mul"] {
            let text = format!("{opcode}.{ty}");
            let oracle = Oracle::of(&Form::new(&text)).unwrap();
            for other in [0x0001, 0x0200, 0x3555, 0x3f81, 0x8401, 0xbc01] {
                let cases: Vec<_> = (0..0x1_0000).map(|bits| vec![bits, other]).collect();
                for (case, got) in cases.iter().zip(results(&text, &cases)) {
                    assert_eq!(super::Want::Bits(got), (oracle.want)(case), "{text} of {case:x?}");
                }
            }
        }
    }
}

#[test]
fn conversions_of_halves_are_right_at_every_value() {
    for text in [
        "cvt.f32.f16",
        "cvt.f64.bf16",
        "cvt.rni.s16.f16",
        "cvt.rp.f16.bf16",
        "cvt.rz.bf16.f16",
        "cvt.rn.f16.s16",
    ] {
        let oracle = Oracle::of(&Form::new(text)).unwrap();
        let cases: Vec<_> = (0..0x1_0000).map(|bits| vec![bits]).collect();
        for (case, got) in cases.iter().zip(results(text, &cases)) {
            assert_eq!(super::Want::Bits(got), (oracle.want)(case), "{text} of {case:x?}");
        }
    }
}

/// The largest error of an approximate function over operands, against its own exact function.
fn worst(text: &str, range: std::ops::Range<f64>, exact: fn(f64) -> f64, is_relative: bool) -> f64 {
    let mut random = Random(3);
    let step = (range.end - range.start) / u64::MAX as f64;
    let operands: Vec<f32> =
        (0..100_000).map(|_| (range.start + step * random.next() as f64) as f32).collect();
    let cases: Vec<_> = operands.iter().map(|x| vec![u64::from(x.to_bits())]).collect();
    let errors = operands.iter().zip(results(text, &cases)).map(|(&x, bits)| {
        let want = exact(f64::from(x));
        let error = (f64::from(f32::from_bits(bits as u32)) - want).abs();
        if is_relative { error / want.abs() } else { error }
    });
    errors.fold(0.0, f64::max)
}

/// Bounds in the specification: 2^-22 relative (`ex2`, `lg2` away from 1 and absolute near it), 2^-20 absolute (`sin`,
/// `cos` within 2π), 2^-11 relative (`tanh`), 2^-22.9 relative (`rsqrt`).
#[test]
fn approximations_are_closer_than_the_specification_asks() {
    let half_a_unit = 2.0_f64.powi(-24);
    let bound = half_a_unit * 1.001;
    assert!(worst("ex2.approx.f32", -120.0..120.0, f64::exp2, true) < bound);
    assert!(worst("lg2.approx.f32", 0.0..10.0, f64::log2, true) < bound);
    assert!(worst("lg2.approx.f32", 0.99..1.01, f64::log2, true) < bound);
    assert!(worst("rsqrt.approx.f32", 0.0..1.0e6, |x| 1.0 / x.sqrt(), true) < bound);
    assert!(worst("tanh.approx.f32", -10.0..10.0, f64::tanh, true) < bound);
    assert!(worst("tanh.approx.f32", -0.3..0.3, f64::tanh, true) < 1.1 * bound);
    assert!(worst("sin.approx.f32", -7.0..7.0, f64::sin, false) < bound);
    assert!(worst("cos.approx.f32", -7.0..7.0, f64::cos, false) < bound);
    // Far beyond what the specification promises.
    assert!(worst("sin.approx.f32", -2.0e6..2.0e6, f64::sin, false) < bound);
    assert!(worst("cos.approx.f32", 1.0e30..3.0e38, f64::cos, false) < bound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The same forms with operands that no other run has had.
    #[test]
    fn any_form_is_right_for_any_seed(index in 0_usize..100_000, seed in any::<u64>()) {
        let forms: Vec<&str> = super::FORMS.lines().filter(|text| !text.starts_with("lop3")).collect();
        let result = check(forms[index % forms.len()], seed);
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}
