//! Comparisons, by the truth table of the specification.

use std::cmp::Ordering;

use super::super::form::Form;
use super::float::Layout;
use super::{Oracle, Want, bits_of, mask, value};

/// None if either is NaN.
fn order(ty: &str, ftz: bool, a: u64, b: u64) -> Option<Ordering> {
    if !ty.contains('f') {
        return Some(value(ty, a).cmp(&value(ty, b)));
    }
    let layout = Layout::of(ty);
    let [a, b] = [a, b].map(|bits| if ftz { layout.flushed(bits & mask(ty)) } else { bits & mask(ty) });
    if layout.is_nan(a) || layout.is_nan(b) {
        return None;
    }
    let key = |bits: u64| {
        let magnitude = i128::from(layout.magnitude(bits));
        if layout.is_negative(bits) { -magnitude } else { magnitude }
    };
    Some(key(a).cmp(&key(b)))
}

fn holds(relation: &str, order: Option<Ordering>) -> bool {
    let Some(order) = order else {
        return matches!(relation, "equ" | "neu" | "ltu" | "leu" | "gtu" | "geu" | "nan");
    };
    match relation {
        "eq" | "equ" => order.is_eq(),
        "ne" | "neu" => order.is_ne(),
        "lt" | "ltu" | "lo" => order.is_lt(),
        "le" | "leu" | "ls" => order.is_le(),
        "gt" | "gtu" | "hi" => order.is_gt(),
        "ge" | "geu" | "hs" => order.is_ge(),
        "num" => true,
        _ => false,
    }
}

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    match form.opcode.as_str() {
        "setp" => setp(form),
        "set" => set(form),
        "slct" => slct(form),
        "testp" => testp(form),
        _ => None,
    }
}

fn setp(form: &Form) -> Option<Oracle> {
    let ty = form.ty().to_owned();
    let half = ty.trim_end_matches("x2").to_owned();
    let (is_packed, relation, ftz) = (ty.ends_with("x2"), form.words[0].clone(), form.has("ftz"));
    Oracle::new("pred", &[&ty, &ty], move |x| {
        let test = |shift: u32| u64::from(holds(&relation, order(&half, ftz, x[0] >> shift, x[1] >> shift)));
        if is_packed { Want::Two(test(0), test(16)) } else { Want::Bits(test(0)) }
    })
}

fn set(form: &Form) -> Option<Oracle> {
    let [dest, source] = [0, 1].map(|i| form.types[i].clone());
    let (relation, ftz) = (form.words[0].clone(), form.has("ftz"));
    let is_packed = source.ends_with("x2");
    let truth = match dest.trim_end_matches("x2") {
        float if float.contains('f') => Layout::of(float).one(),
        _ if is_packed => 0xffff,
        integer => mask(integer),
    };
    let half = source.trim_end_matches("x2").to_owned();
    Oracle::new(&dest, &[&source, &source], move |x| {
        let test = |shift: u32| {
            if holds(&relation, order(&half, ftz, x[0] >> shift, x[1] >> shift)) { truth } else { 0 }
        };
        Want::Bits(if is_packed { test(16) << 16 | test(0) } else { test(0) })
    })
}

fn slct(form: &Form) -> Option<Oracle> {
    let [ty, by] = [0, 1].map(|i| form.types[i].clone());
    let ftz = form.has("ftz");
    let sources = [ty.clone(), ty.clone(), by.clone()];
    Oracle::new(&ty, &sources, move |x| {
        let is_chosen = order(&by, ftz, x[2], 0).is_some_and(Ordering::is_ge);
        Want::Bits(if is_chosen { x[0] } else { x[1] })
    })
}

fn testp(form: &Form) -> Option<Oracle> {
    let (ty, class) = (form.ty().to_owned(), form.words[0].clone());
    let layout = Layout::of(&ty);
    debug_assert_eq!(layout.bits, bits_of(&ty));
    Oracle::new("pred", &[&ty], move |x| {
        let magnitude = layout.magnitude(x[0]);
        let least_normal = 1 << layout.fraction;
        Want::Bits(u64::from(match class.as_str() {
            "finite" => magnitude < layout.infinity(),
            "infinite" => magnitude == layout.infinity(),
            "number" => magnitude <= layout.infinity(),
            "notanumber" => magnitude > layout.infinity(),
            "normal" => (least_normal..layout.infinity()).contains(&magnitude),
            _ => (1..least_normal).contains(&magnitude),
        }))
    })
}
