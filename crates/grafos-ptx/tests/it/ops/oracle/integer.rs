//! Integers: exact in `i128`, cut at the end.

use super::super::form::Form;
use super::{Oracle, Want, by_halves, cut, mask, range, value};

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    let carries = matches!(form.opcode.as_str(), "addc" | "subc" | "madc") || form.has("cc");
    if carries {
        return with_carry(form);
    }
    match form.opcode.as_str() {
        "dp4a" | "dp2a" => return dot(form),
        _ if form.types.is_empty() || form.is_float() => return None,
        _ => {}
    }
    if form.ty().ends_with("x2") {
        return packed(form);
    }
    let ty = form.ty().to_owned();
    let count = match form.opcode.as_str() {
        "abs" | "neg" => 1,
        "add" | "sub" | "mul" | "mul24" | "div" | "rem" | "min" | "max" => 2,
        "mad" | "mad24" | "sad" => 3,
        _ => return None,
    };
    let wide = form.has("wide").then(|| format!("{}{}", &ty[..1], 2 * super::bits_of(&ty)));
    let dest = wide.clone().unwrap_or_else(|| ty.clone());
    let mut sources = vec![ty.clone(); count];
    if count == 3 {
        sources[2] = dest.clone();
    }
    let (form, source, target) = (form.clone(), ty, dest.clone());
    Oracle::new(&dest, &sources, move |args| {
        let values: Vec<i128> = args
            .iter()
            .enumerate()
            .map(|(i, &bits)| value(if i == 2 { &target } else { &source }, bits))
            .collect();
        let exact = exact(&form, &source, &values);
        Want::Bits(cut(
            &target,
            if form.has("sat") { exact.clamp(range(&target).0, range(&target).1) } else { exact },
        ))
    })
}

/// Before it is cut or clamped.
fn exact(form: &Form, ty: &str, values: &[i128]) -> i128 {
    let (a, b) = (values[0], *values.get(1).unwrap_or(&0));
    let c = *values.get(2).unwrap_or(&0);
    let floor = if form.has("relu") { 0 } else { i128::MIN };
    match form.opcode.as_str() {
        "abs" => a.abs(),
        "neg" => -a,
        "add" => a + b,
        "sub" => a - b,
        "mul" => product(form, ty, a, b),
        "mad" => product(form, ty, a, b) + c,
        "mul24" => product24(form, ty, a, b),
        "mad24" => product24(form, ty, a, b) + c,
        "sad" => c + (a - b).abs(),
        "div" if b == 0 => -1,
        "div" => a / b,
        "rem" if b == 0 => a,
        "rem" => a % b,
        "min" => a.min(b).max(floor),
        _ => a.max(b).max(floor),
    }
}

fn product(form: &Form, ty: &str, a: i128, b: i128) -> i128 {
    if form.has("hi") {
        if ty == "u64" { ((a as u128 * b as u128) >> 64) as i128 } else { (a * b) >> super::bits_of(ty) }
    } else {
        a.wrapping_mul(b)
    }
}

fn product24(form: &Form, ty: &str, a: i128, b: i128) -> i128 {
    let low = |x: i128| {
        let x = x & 0xff_ffff;
        if ty == "s32" && x >= 0x80_0000 { x - 0x100_0000 } else { x }
    };
    let product = low(a) * low(b);
    let part = if form.has("hi") { product >> 16 } else { product };
    value(ty, part as u64)
}

fn packed(form: &Form) -> Option<Oracle> {
    if !matches!(form.opcode.as_str(), "add" | "min" | "max") {
        return None;
    }
    let half = form.ty().trim_end_matches("x2").to_owned();
    let form = form.clone();
    Oracle::new("b32", &["b32", "b32"], move |args| {
        Want::Bits(by_halves(args, |halves| {
            let values: Vec<i128> = halves.iter().map(|&bits| value(&half, bits)).collect();
            cut(&half, exact(&form, &half, &values))
        }))
    })
}

/// The carry that goes in is the last operand.
fn with_carry(form: &Form) -> Option<Oracle> {
    let ty = form.ty().to_owned();
    let is_mad = form.opcode.starts_with("mad");
    let mut sources = vec![ty.clone(); if is_mad { 3 } else { 2 }];
    sources.push("carry".to_owned());
    let reads = form.opcode.ends_with('c');
    let form = form.clone();
    Oracle::new(&ty.clone(), &sources, move |args| {
        let carry_in = i128::from(args[args.len() - 1]);
        let carry = if reads { carry_in } else { 0 };
        let unsigned = |bits: u64| i128::from(bits & mask(&ty));
        let exact = if is_mad {
            let product = product(&form, &ty, value(&ty, args[0]), value(&ty, args[1]));
            unsigned(product as u64) + unsigned(args[2]) + carry
        } else if form.opcode.starts_with("sub") {
            unsigned(args[0]) - unsigned(args[1]) - carry
        } else {
            unsigned(args[0]) + unsigned(args[1]) + carry
        };
        let overflows = exact < 0 || exact > i128::from(mask(&ty));
        let carry_out = if form.has("cc") { u64::from(overflows) } else { carry_in as u64 };
        Want::Two(cut(&ty, exact), carry_out)
    })
}

fn dot(form: &Form) -> Option<Oracle> {
    let [a_type, b_type] = [0, 1].map(|i| form.types[i].clone());
    let four = form.opcode == "dp4a";
    let first = if form.has("hi") { 2 } else { 0 };
    Oracle::new("b32", &["b32", "b32", "b32"], move |args| {
        let byte = |ty: &str, word: u64, i: usize| value(&format!("{}8", &ty[..1]), word >> (8 * i));
        let half = |ty: &str, word: u64, i: usize| value(&format!("{}16", &ty[..1]), word >> (16 * i));
        let sum: i128 = if four {
            (0..4).map(|i| byte(&a_type, args[0], i) * byte(&b_type, args[1], i)).sum()
        } else {
            (0..2).map(|i| half(&a_type, args[0], i) * byte(&b_type, args[1], first + i)).sum()
        };
        Want::Bits(cut("b32", sum + i128::from(args[2])))
    })
}
