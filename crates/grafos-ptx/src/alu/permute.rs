//! Moving bits and bytes between words, and logic by table: `shf`, `prmt`, `lop3`, `bmsk`, `szext`, `fns`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "what the instructions do; lanes are numbers"
)]

use super::form::Form;
use super::lane::op;
use super::{Reason, Selected};
use crate::compute::{Compute, LANES, Lanes32};
use crate::types::Type;

fn only_b32(form: &Form<'_>) -> Result<(), Reason> {
    if form.one_type()? == "b32" { Ok(()) } else { Form::wrong_type() }
}

/// The 64 bits of `b` above `a`.
#[inline(always)]
fn funnel(a: u32, b: u32) -> u64 {
    u64::from(b) << 32 | u64::from(a)
}

pub(super) fn shf(form: &mut Form<'_>) -> Result<Selected, Reason> {
    only_b32(form)?;
    let is_left = form.take_one(&[("l", true), ("r", false)]).ok_or("needs .l or .r")?;
    let selected = match (is_left, form.clamp_or_wrap()?) {
        (true, true) => {
            op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { (funnel(a, b) << c.min(32) >> 32) as u32 })
        }
        (true, false) => {
            op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { (funnel(a, b) << (c & 31) >> 32) as u32 })
        }
        (false, true) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { (funnel(a, b) >> c.min(32)) as u32 }),
        (false, false) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { (funnel(a, b) >> (c & 31)) as u32 }),
    };
    Ok(Selected { sources: vec![Type::B32, Type::B32, Type::U32], dest: Type::B32, ..selected })
}

/// The four bytes of `b` above `a` that `places` names, one for each byte of the result.
#[inline(always)]
fn gather(a: u32, b: u32, places: impl Fn(u32) -> u32) -> u32 {
    let bytes = funnel(a, b);
    (0..4).fold(0, |word, i| word | ((bytes >> (8 * (places(i) & 7))) as u32 & 0xff) << (8 * i))
}

/// Four selectors of 4 bits; the top one of each asks for the sign of the byte instead.
#[inline(always)]
fn permute(a: u32, b: u32, selectors: u32) -> u32 {
    let bytes = gather(a, b, |i| selectors >> (4 * i));
    // The lowest bit of each byte whose sign is wanted, then that byte full of it.
    let wants_sign = (0..4).fold(0, |word, i| word | (selectors >> (4 * i + 3) & 1) << (8 * i));
    let mask = wants_sign * 0xff;
    let signs = (bytes >> 7 & 0x0101_0101) * 0xff;
    bytes & !mask | signs & mask
}

/// Looks at all lanes, which is faster than to stop early.
#[inline(always)]
fn all_equal(lanes: &Lanes32) -> bool {
    lanes.iter().fold(0, |differences, &lane| differences | (lane ^ lanes[0])) == 0
}

/// With the same selectors in all lanes, as compilers write it, no lane needs a shift of its own.
fn permute_lanes(dest: &mut Lanes32, a: &Lanes32, b: &Lanes32, selectors: &Lanes32) {
    let first = selectors[0];
    if first & 0x8888 != 0 || !all_equal(selectors) {
        for lane in 0..LANES {
            dest[lane] = permute(a[lane], b[lane], selectors[lane]);
        }
        return;
    }
    dest.fill(0);
    for i in 0..4 {
        let place = first >> (4 * i);
        let source = if place & 4 == 0 { a } else { b };
        let shift = 8 * (place & 3);
        for lane in 0..LANES {
            dest[lane] |= (source[lane] >> shift & 0xff) << (8 * i);
        }
    }
}

pub(super) fn prmt(form: &mut Form<'_>) -> Result<Selected, Reason> {
    only_b32(form)?;
    let selected =
        match form.take_one(&[("f4e", 0), ("b4e", 1), ("rc8", 2), ("ecl", 3), ("ecr", 4), ("rc16", 5)]) {
            None => Selected {
                compute: Compute::Ternary32(permute_lanes),
                dest: Type::B32,
                sources: vec![Type::B32; 3],
            },
            Some(0) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |i| (c & 3) + i) }),
            Some(1) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |i| (c & 3) + 8 - i) }),
            Some(2) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |_| c & 3) }),
            Some(3) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |i| i.max(c & 3)) }),
            Some(4) => op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |i| i.min(c & 3)) }),
            Some(_) => {
                op!(Ternary32(a: u32, b: u32, c: u32) -> u32 { gather(a, b, |i| 2 * (c & 1) + (i & 1)) })
            }
        };
    Ok(selected.of_bits())
}

/// Any function of three bits: bit `4a + 2b + c` of the table is its value.
fn lop3_lanes(dest: &mut Lanes32, a: &Lanes32, b: &Lanes32, c: &Lanes32, table: &Lanes32) {
    let first = table[0];
    if all_equal(table) {
        let entries = entries(first);
        for lane in 0..LANES {
            dest[lane] = look_up(a[lane], b[lane], c[lane], &entries);
        }
    } else {
        for lane in 0..LANES {
            dest[lane] = look_up(a[lane], b[lane], c[lane], &entries(table[lane]));
        }
    }
}

/// All ones where the table has a one.
#[inline(always)]
fn entries(table: u32) -> [u32; 8] {
    std::array::from_fn(|i| 0_u32.wrapping_sub(table >> i & 1))
}

#[inline(always)]
fn look_up(a: u32, b: u32, c: u32, entries: &[u32; 8]) -> u32 {
    let choose = |by: u32, if_one: u32, if_zero: u32| if_zero ^ by & (if_one ^ if_zero);
    let by_c = |i: usize| choose(c, entries[i + 1], entries[i]);
    choose(a, choose(b, by_c(6), by_c(4)), choose(b, by_c(2), by_c(0)))
}

pub(super) fn lop3(form: &mut Form<'_>) -> Result<Selected, Reason> {
    only_b32(form)?;
    if form.take("and") || form.take("or") {
        return Err("with a predicate as second result");
    }
    Ok(Selected {
        compute: Compute::Quaternary32(lop3_lanes),
        dest: Type::B32,
        sources: vec![Type::B32, Type::B32, Type::B32, Type::U32],
    })
}

/// `width` ones from `start` on, cut at the top; `.wrap` looks at the low 5 bits of both.
#[inline(always)]
fn bit_mask<const CLAMP: bool>(start: u32, width: u32) -> u32 {
    if CLAMP && start >= 32 {
        return 0;
    }
    let from_start = u32::MAX << (start & 31);
    let end = if CLAMP && width >= 32 { 32 } else { (start & 31) + (width & 31) };
    if end >= 32 { from_start } else { from_start & !(u32::MAX << end) }
}

pub(super) fn bmsk(form: &mut Form<'_>) -> Result<Selected, Reason> {
    only_b32(form)?;
    Ok(if form.clamp_or_wrap()? {
        op!(Binary32(a: u32, b: u32) -> u32 { bit_mask::<true>(a, b) })
    } else {
        op!(Binary32(a: u32, b: u32) -> u32 { bit_mask::<false>(a, b) })
    }
    .of_bits())
}

/// The low `width` bits, extended; none for no bits. `.wrap` looks at the low 5 bits of the width.
#[inline(always)]
fn extend<const CLAMP: bool, const SIGNED: bool>(a: u32, width: u32) -> u32 {
    if CLAMP && width >= 32 {
        return a;
    }
    let unused = 32 - (width & 31);
    if unused == 32 {
        0
    } else if SIGNED {
        ((a << unused) as i32 >> unused) as u32
    } else {
        a << unused >> unused
    }
}

pub(super) fn szext(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let clamp = form.clamp_or_wrap()?;
    let (selected, ty) = match (form.one_type()?, clamp) {
        ("u32", true) => (op!(Binary32(a: u32, b: u32) -> u32 { extend::<true, false>(a, b) }), Type::U32),
        ("u32", false) => (op!(Binary32(a: u32, b: u32) -> u32 { extend::<false, false>(a, b) }), Type::U32),
        ("s32", true) => (op!(Binary32(a: u32, b: u32) -> u32 { extend::<true, true>(a, b) }), Type::S32),
        ("s32", false) => (op!(Binary32(a: u32, b: u32) -> u32 { extend::<false, true>(a, b) }), Type::S32),
        _ => return Form::wrong_type(),
    };
    Ok(Selected { dest: ty, sources: vec![ty, Type::U32], ..selected })
}

/// The place of the `|offset|`-th one of `mask` from `base` on, upwards or downwards; all ones if there is none. A
/// `base` above 31 is left open by the specification: none here.
fn find_nth(mask: u32, base: u32, offset: i32) -> u32 {
    if base > 31 {
        return u32::MAX;
    }
    let mut left = if offset < 0 { mask << (31 - base) >> (31 - base) } else { mask >> base << base };
    if offset == 0 {
        return if mask >> base & 1 == 1 { base } else { u32::MAX };
    }
    let top = |left: u32| 31 - left.leading_zeros();
    for _ in 1..offset.unsigned_abs().min(33) {
        if left == 0 {
            break;
        }
        left &= if offset < 0 { !(1 << top(left)) } else { left - 1 };
    }
    match left {
        0 => u32::MAX,
        _ if offset < 0 => top(left),
        _ => left.trailing_zeros(),
    }
}

pub(super) fn fns(form: &mut Form<'_>) -> Result<Selected, Reason> {
    only_b32(form)?;
    let selected = op!(Ternary32(mask: u32, base: u32, offset: i32) -> u32 { find_nth(mask, base, offset) });
    Ok(Selected { dest: Type::B32, sources: vec![Type::B32, Type::B32, Type::S32], ..selected })
}
