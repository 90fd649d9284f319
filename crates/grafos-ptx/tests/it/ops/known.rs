//! Results that stand in the specification or can be seen by eye: so that oracle and machine are not wrong alike.

use super::form::Form;
use super::oracle::{Oracle, bits_of};
use super::{kernel, run};

/// One execution.
fn once(text: &str, operands: &[u64]) -> u64 {
    let form = Form::new(text);
    let oracle = Oracle::of(&form).unwrap();
    let mut operands = operands.to_vec();
    let table = if text.starts_with("lop3") { operands[3] } else { 0 };
    operands.resize(oracle.sources.len(), 0);
    let [result, _] = run(&kernel(&form, &oracle, table), &[operands])[0];
    if bits_of(&oracle.dest) == 8 { result & 0xffff_ffff } else { result }
}

fn single(x: f32) -> u64 {
    u64::from(x.to_bits())
}

#[test]
fn integers() {
    assert_eq!(once("add.sat.s32", &[0x7fff_ffff, 1]), 0x7fff_ffff);
    assert_eq!(once("mul.hi.u32", &[0xffff_ffff, 0xffff_ffff]), 0xffff_fffe);
    assert_eq!(once("mul.wide.s16", &[0xffff, 2]), 0xffff_fffe);
    assert_eq!(once("div.s32", &[0x8000_0000, 0xffff_ffff]), 0x8000_0000);
    assert_eq!(once("div.u32", &[7, 0]), 0xffff_ffff);
    assert_eq!(once("rem.s32", &[0xffff_fff9, 3]), 0xffff_ffff);
    assert_eq!(once("sad.s32", &[0xffff_ffff, 3, 10]), 14);
    assert_eq!(once("dp4a.s32.u32", &[0xff01_ff01, 0x0102_0304, 0]), 4 + 2 - 3 - 1);
    assert_eq!(once("min.relu.s32", &[0xffff_ffff, 5]), 0);
}

#[test]
fn bits() {
    assert_eq!(once("shl.b32", &[1, 32]), 0);
    assert_eq!(once("shr.s32", &[0x8000_0000, 99]), 0xffff_ffff);
    assert_eq!(once("shf.l.wrap.b32", &[0x8000_0000, 1, 1]), 3);
    assert_eq!(once("prmt.b32", &[0x3322_1100, 0x7766_5544, 0x0145]), 0x0011_4455);
    assert_eq!(once("prmt.b32", &[0x0000_0080, 0, 0x0008]), 0x8080_80ff);
    // The examples of the specification: `a & b & ~c`, `(a & b | c) ^ a`.
    assert_eq!(once("lop3.b32", &[0xff00, 0xf0f0, 0xcccc, 0x40]), 0xff00 & 0xf0f0 & !0xcccc);
    assert_eq!(once("lop3.b32", &[0xff00, 0xf0f0, 0xcccc, 0x1a]), (0xff00 & 0xf0f0 | 0xcccc) ^ 0xff00);
    assert_eq!(once("bmsk.wrap.b32", &[1, 2]), 6);
    assert_eq!(once("szext.wrap.u32", &[0xffff_ffff, 0]), 0);
    assert_eq!(once("fns.b32", &[0xaaaa_aaaa, 2, 1]), 3);
    assert_eq!(once("fns.b32", &[0xaaaa_aaaa, 2, 0xffff_ffff]), 1);
    assert_eq!(once("bfind.s32", &[0xffff_ffff]), 0xffff_ffff);
    assert_eq!(once("bfe.s32", &[0x0000_0f00, 8, 4]), 0xffff_ffff);
    assert_eq!(once("bfi.b32", &[0xf, 0, 4, 4]), 0xf0);
}

#[test]
fn floats() {
    let tiny = f32::from_bits(1);
    assert_eq!(once("add.rn.f32", &[single(1.0), single(f32::EPSILON / 2.0)]), single(1.0));
    assert_eq!(once("add.rp.f32", &[single(1.0), single(tiny)]), single(1.0_f32.next_up()));
    assert_eq!(once("add.rz.f32", &[single(1.0), single(-tiny)]), single(1.0_f32.next_down()));
    assert_eq!(once("add.rm.f32", &[single(1.0), single(-1.0)]), single(-0.0));
    assert_eq!(once("add.ftz.f32", &[single(tiny), single(tiny)]), 0);
    assert_eq!(once("add.sat.f32", &[single(1.0), single(1.0)]), single(1.0));
    assert_eq!(once("add.f32", &[0xff80_0000, 0x7f80_0000]), 0x7fff_ffff);
    assert_eq!(once("add.f64", &[0x7ff0_0000_0000_0001, 0]), 0x7ff8_0000_0000_0001);
    assert_eq!(once("min.f32", &[0x7fc0_0000, single(3.0)]), single(3.0));
    assert_eq!(once("min.NaN.f32", &[0x7fc0_0000, single(3.0)]), 0x7fff_ffff);
    assert_eq!(once("max.f32", &[single(-0.0), 0]), 0);
    assert_eq!(once("copysign.f32", &[single(-2.0), single(3.0)]), single(-3.0));
    assert_eq!(once("div.approx.f32", &[single(1.0), single(2.0e38)]), 0);
    // Not what a product and a sum would give: (1 + e)² − (1 + 2e) is e².
    let e = f32::EPSILON;
    assert_eq!(
        once("fma.rn.f32", &[single(1.0 + e), single(1.0 + e), single(-1.0 - 2.0 * e)]),
        single(e * e)
    );
    assert_eq!(once("add.f16", &[0x7bff, 0x7bff]), 0x7c00);
    assert_eq!(once("mul.bf16", &[0x4000, 0x4040]), 0x40c0);
    assert_eq!(once("rcp.approx.ftz.f32", &[single(tiny)]), single(f32::INFINITY));
    assert_eq!(once("sin.approx.f32", &[single(-0.0)]), single(-0.0));
    assert_eq!(once("lg2.approx.f32", &[single(8.0)]), single(3.0));
}

#[test]
fn conversions() {
    assert_eq!(once("cvt.rni.s32.f32", &[single(2.5)]), 2);
    assert_eq!(once("cvt.rpi.s32.f32", &[single(tiny())]), 1);
    assert_eq!(once("cvt.rpi.ftz.s32.f32", &[single(tiny())]), 0);
    assert_eq!(once("cvt.rzi.u32.f32", &[single(-3.0)]), 0);
    assert_eq!(once("cvt.rzi.s32.f32", &[0x7fc0_0000]), 0);
    assert_eq!(once("cvt.rzi.s64.f32", &[0x7fc0_0000]), 1 << 63);
    assert_eq!(once("cvt.rzi.s32.f64", &[f64::NAN.to_bits()]), 0x8000_0000);
    assert_eq!(once("cvt.sat.u8.s32", &[300]), 255);
    assert_eq!(once("cvt.s8.s32", &[0x80]), 0xffff_ff80);
    assert_eq!(once("cvt.u8.s32", &[0x180]), 0x80);
    assert_eq!(once("cvt.rn.f16.f32", &[single(65_520.0)]), 0x7c00);
    assert_eq!(once("cvt.rz.f16.f32", &[single(1.0e9)]), 0x7bff);
    assert_eq!(once("cvt.rn.satfinite.f16.f32", &[single(1.0e9)]), 0x7bff);
    assert_eq!(once("cvt.rn.relu.bf16.f32", &[single(-1.0)]), 0);
    assert_eq!(once("cvt.rn.f16x2.f32", &[single(1.0), single(2.0)]), 0x3c00_4000);
    assert_eq!(once("cvt.rna.tf32.f32", &[0x3f80_1000]), 0x3f80_2000);
    assert_eq!(once("cvt.rn.tf32.f32", &[0x3f80_1000]), 0x3f80_0000);
    assert_eq!(once("cvt.rn.f32.u64", &[u64::MAX]), single(18_446_744_073_709_551_616.0));
    assert_eq!(once("cvt.rz.f64.s64", &[(1 << 53) + 1]), 9_007_199_254_740_992.0_f64.to_bits());
    assert_eq!(once("cvt.pack.sat.u8.s32.b32", &[300, 0xffff_ffff, 0x1234]), 0x1234_ff00);
}

fn tiny() -> f32 {
    f32::from_bits(1)
}
