//! Operands: the values at which instructions go wrong, in all combinations, and random ones.

use super::oracle::{bits_of, mask};

/// A generator of bits: splitmix64, by Sebastiano Vigna.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

const INTEGERS: [u64; 36] = [
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    32,
    33,
    63,
    64,
    65,
    100,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0xff_ffff,
    0x80_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x5555_5555_5555_5555,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

const DOUBLES: [f64; 40] = [
    0.0,
    1.0,
    0.5,
    1.5,
    2.5,
    3.0,
    0.25,
    0.75,
    1.0 / 3.0,
    std::f64::consts::PI,
    10.0,
    100.0,
    0.499_999_97,
    0.999_999_94,
    1.000_000_1,
    8_388_607.5,
    8_388_608.0,
    16_777_217.0,
    2_147_483_647.5,
    2_147_483_648.0,
    4_294_967_295.5,
    4_294_967_296.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
    127.5,
    255.5,
    32_767.5,
    65_504.0,
    65_519.996,
    65_520.0,
    4_503_599_627_370_495.5,
    9_007_199_254_740_993.0,
    5.960_464_477_539_063e-8,
    2.980_232_238_769_531_3e-8,
    6.103_515_625e-5,
    1.401298464324817e-45,
    1.175_494_350_822_287_5e-38,
    3.402_823_466_385_288_6e38,
    1.0e300,
    1.0e-300,
];

/// Bits of `f64` that lie between two narrower floats or at the ends of the type.
const DOUBLE_BITS: [u64; 16] = [
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ff8_0000_dead_beef,
    0x3ff0_0000_1000_0000,
    0x3ff0_0000_1000_0001,
    0x3ff0_0000_0fff_ffff,
    0x3ff0_0000_0000_0001,
    0x47ef_ffff_efff_ffff,
    0x47ef_ffff_f000_0000,
    0x3680_0000_0000_0000,
    0x3690_0000_0000_0001,
];

const SINGLE_BITS: [u64; 14] = [
    1,
    2,
    0x7f_ffff,
    0x80_0000,
    0x80_0001,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7fc0_0000,
    0x7f80_0001,
    0x7fc1_2345,
    0x3f80_1000,
    0x3f80_3000,
    0x7e80_0001,
    0x4f00_0000,
];

const HALF_BITS: [u64; 12] =
    [1, 2, 0x3ff, 0x400, 0x401, 0x7bff, 0x7c00, 0x7e00, 0x7c01, 0x7e55, 0x3c01, 0x0200];
const BFLOAT_BITS: [u64; 12] =
    [1, 2, 0x7f, 0x80, 0x81, 0x7f7f, 0x7f80, 0x7fc0, 0x7f81, 0x7fd5, 0x3f81, 0x0040];

/// The edge values of a type, both signs of floats.
fn edges(ty: &str) -> Vec<u64> {
    let mut edges: Vec<u64> = match ty {
        "f64" => DOUBLES.iter().map(|x| x.to_bits()).chain(DOUBLE_BITS).collect(),
        "f32" => DOUBLES.iter().map(|&x| u64::from((x as f32).to_bits())).chain(SINGLE_BITS).collect(),
        "bf16" => DOUBLES.iter().map(|&x| u64::from((x as f32).to_bits() >> 16)).chain(BFLOAT_BITS).collect(),
        "f16" => (0..32)
            .map(|exponent| exponent << 10 | 1)
            .chain((0..32).map(|e| e << 10))
            .chain(HALF_BITS)
            .collect(),
        _ if ty.contains("f16x2") => {
            let halves = edges(&ty[..ty.find("x2").unwrap()]);
            let other = |i: usize| halves[(7 * i + 3) % halves.len()];
            return halves.iter().enumerate().map(|(i, half)| half | other(i) << 16).collect();
        }
        "carry" => return vec![0, 1],
        "table" => return vec![0x96],
        _ => INTEGERS.to_vec(),
    };
    if ty.contains('f') {
        let sign = 1 << (bits_of(ty) - 1);
        edges.extend(edges.clone().iter().map(|bits| bits | sign));
    }
    for bits in &mut edges {
        *bits &= mask(ty);
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn random(ty: &str, random: &mut Random) -> u64 {
    let bits = random.next();
    match ty {
        "carry" => return bits & 1,
        "table" => return 0x96,
        _ if ty.ends_with("same") => {
            let half = bits & 0xffff;
            return half << 16 | half;
        }
        _ => {}
    }
    let bits = match ty {
        // Exponents near each other, and often few bits, so that sums cancel and results are ties.
        "f64" if bits & 3 != 0 => {
            let exponent = 1023 - 30 + (bits >> 2) % 60;
            bits & 1 << 63 | exponent << 52 | (bits >> 11 & ((1 << 52) - 1)) & mask_of_few(bits, 52)
        }
        "f32" if bits & 3 != 0 => {
            let exponent = 127 - 15 + (bits >> 2) % 30;
            (bits >> 63) << 31 | exponent << 23 | (bits >> 11 & 0x7f_ffff) & mask_of_few(bits, 23)
        }
        // Small numbers as often as any.
        _ if !ty.contains('f') && bits & 3 == 0 => bits >> (2 + (bits >> 2) % 60),
        _ => bits,
    };
    bits & mask(ty)
}

/// All bits of a fraction, or a number of its upper ones.
fn mask_of_few(bits: u64, fraction: u32) -> u64 {
    let all = (1 << fraction) - 1;
    if bits & 4 == 0 { all } else { all & !(all >> (1 + (bits >> 3) % u64::from(fraction))) }
}

/// Operands for one form: every edge value with every other as far as that is not too much, and random ones.
pub(crate) fn operands(sources: &[String], seed: u64) -> Vec<Vec<u64>> {
    let mut generator = Random(seed);
    let edges: Vec<Vec<u64>> = sources
        .iter()
        .map(|ty| {
            let edges = edges(ty);
            let same = |half: &u64| (half & 0xffff) << 16 | half & 0xffff;
            if ty.ends_with("same") { edges.iter().map(same).collect() } else { edges }
        })
        .collect();
    let mut cases: Vec<Vec<u64>> = Vec::new();
    match &edges[..] {
        [a] => cases.extend(a.iter().map(|&a| vec![a])),
        [a, b] => cases.extend(a.iter().flat_map(|&a| b.iter().map(move |&b| vec![a, b]))),
        _ => {}
    }
    for _ in 0..1500 {
        let by_chance = |(ty, edges): (&String, &Vec<u64>)| {
            if generator.next() % 5 < 3 {
                edges[generator.below(edges.len())]
            } else {
                random(ty, &mut generator)
            }
        };
        cases.push(sources.iter().zip(&edges).map(by_chance).collect());
    }
    for _ in 0..500 {
        cases.push(sources.iter().map(|ty| random(ty, &mut generator)).collect());
    }
    cases
}
