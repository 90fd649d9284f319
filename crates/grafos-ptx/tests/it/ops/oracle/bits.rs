//! Bits, one at a time, as the specification's own pseudocode has it.

use super::super::form::Form;
use super::{Oracle, Want, bits_of, mask};

/// Bit `i`; none beyond the word.
fn bit(word: u64, i: u32) -> u64 {
    if i < 64 { word >> i & 1 } else { 0 }
}

/// A word from its bits.
fn word(bits: u32, f: impl Fn(u32) -> u64) -> u64 {
    (0..bits).fold(0, |word, i| word | f(i) << i)
}

pub(super) fn oracle(form: &Form) -> Option<Oracle> {
    let ty = form.types.first()?.clone();
    let n = bits_of(&ty);
    let one = [ty.as_str()];
    let two = [ty.as_str(); 2];
    match form.opcode.as_str() {
        "and" => Oracle::new(&ty, &two, move |x| Want::Bits(word(n, |i| bit(x[0], i) * bit(x[1], i)))),
        "or" => Oracle::new(&ty, &two, move |x| Want::Bits(word(n, |i| bit(x[0], i).max(bit(x[1], i))))),
        "xor" => {
            Oracle::new(&ty, &two, move |x| Want::Bits(word(n, |i| u64::from(bit(x[0], i) != bit(x[1], i)))))
        }
        "not" => Oracle::new(&ty, &one, move |x| Want::Bits(word(n, |i| 1 - bit(x[0], i)))),
        "cnot" => {
            Oracle::new(&ty.clone(), &one, move |x| Want::Bits(u64::from((0..n).all(|i| bit(x[0], i) == 0))))
        }
        "shl" => Oracle::new(&ty, &[ty.as_str(), "u32"], move |x| {
            Want::Bits(word(n, |i| if u64::from(i) >= x[1] { bit(x[0], i - x[1] as u32) } else { 0 }))
        }),
        "shr" => {
            let fill = ty.starts_with('s');
            Oracle::new(&ty, &[ty.as_str(), "u32"], move |x| {
                let sign = if fill { bit(x[0], n - 1) } else { 0 };
                Want::Bits(word(n, |i| {
                    let from = u64::from(i) + x[1];
                    if from < u64::from(n) { bit(x[0], from as u32) } else { sign }
                }))
            })
        }
        "popc" => Oracle::new("u32", &one, move |x| Want::Bits((0..n).map(|i| bit(x[0], i)).sum())),
        "clz" => Oracle::new("u32", &one, move |x| {
            Want::Bits((0..n).rev().take_while(|&i| bit(x[0], i) == 0).count() as u64)
        }),
        "brev" => Oracle::new(&ty, &one, move |x| Want::Bits(word(n, |i| bit(x[0], n - 1 - i)))),
        "bfind" => bfind(form, &ty),
        "bfe" => bfe(&ty),
        "bfi" => bfi(&ty),
        "bmsk" => bmsk(form),
        "szext" => szext(form),
        "fns" => fns(),
        "shf" => shf(form),
        "prmt" => prmt(form),
        "lop3" => Oracle::new("b32", &["b32", "b32", "b32", "table"], |x| {
            Want::Bits(word(32, |i| bit(x[3], (bit(x[0], i) * 4 + bit(x[1], i) * 2 + bit(x[2], i)) as u32)))
        }),
        _ => None,
    }
}

fn bfind(form: &Form, ty: &str) -> Option<Oracle> {
    let (n, is_signed, shift) = (bits_of(ty), ty.starts_with('s'), form.has("shiftamt"));
    Oracle::new("u32", &[ty], move |x| {
        let sign = if is_signed { bit(x[0], n - 1) } else { 0 };
        let place = (0..n).rev().find(|&i| bit(x[0], i) != sign);
        Want::Bits(place.map_or(0xffff_ffff, |place| u64::from(if shift { n - 1 - place } else { place })))
    })
}

fn bfe(ty: &str) -> Option<Oracle> {
    let (n, is_signed) = (bits_of(ty), ty.starts_with('s'));
    Oracle::new(ty, &[ty, "u32", "u32"], move |x| {
        let (start, length) = ((x[1] & 0xff) as u32, (x[2] & 0xff) as u32);
        let sign = if !is_signed || length == 0 { 0 } else { bit(x[0], (start + length - 1).min(n - 1)) };
        Want::Bits(word(n, |i| if i < length && start + i < n { bit(x[0], start + i) } else { sign }))
    })
}

fn bfi(ty: &str) -> Option<Oracle> {
    let n = bits_of(ty);
    Oracle::new(ty, &[ty, ty, "u32", "u32"], move |x| {
        let (start, length) = ((x[2] & 0xff) as u32, (x[3] & 0xff) as u32);
        Want::Bits(word(n, |i| {
            if i >= start && i - start < length { bit(x[0], i - start) } else { bit(x[1], i) }
        }))
    })
}

fn bmsk(form: &Form) -> Option<Oracle> {
    let clamp = form.has("clamp");
    Oracle::new("b32", &["b32", "b32"], move |x| {
        let (start, width) = if clamp { (x[0], x[1]) } else { (x[0] & 31, x[1] & 31) };
        Want::Bits(word(32, |i| u64::from(u64::from(i) >= start && u64::from(i) - start < width)))
    })
}

fn szext(form: &Form) -> Option<Oracle> {
    let (clamp, is_signed) = (form.has("clamp"), form.ty() == "s32");
    Oracle::new(form.ty(), &[form.ty(), "u32"], move |x| {
        let width = if clamp { x[1].min(32) } else { x[1] & 31 } as u32;
        let sign = if is_signed && width > 0 { bit(x[0], width - 1) } else { 0 };
        Want::Bits(word(32, |i| if i < width { bit(x[0], i) } else { sign }))
    })
}

fn fns() -> Option<Oracle> {
    Oracle::new("b32", &["b32", "b32", "s32"], |x| {
        let offset = i64::from(x[2] as u32 as i32);
        let mut place = i64::from(x[1] as u32 as i32);
        if !(0..=31).contains(&place) {
            return Want::Bits(0xffff_ffff);
        }
        if offset == 0 {
            return Want::Bits(if bit(x[0], place as u32) == 1 { x[1] } else { 0xffff_ffff });
        }
        let mut left = offset.abs() - 1;
        while (0..32).contains(&place) {
            if bit(x[0], place as u32) == 1 {
                if left == 0 {
                    return Want::Bits(place as u64);
                }
                left -= 1;
            }
            place += offset.signum();
        }
        Want::Bits(0xffff_ffff)
    })
}

fn shf(form: &Form) -> Option<Oracle> {
    let (left, clamp) = (form.has("l"), form.has("clamp"));
    Oracle::new("b32", &["b32", "b32", "u32"], move |x| {
        let n = if clamp { x[2].min(32) } else { x[2] & 31 } as u32;
        let both = x[1] << 32 | x[0];
        let first = if left { 32 - n } else { n };
        Want::Bits(word(32, |i| bit(both, first + i)))
    })
}

fn prmt(form: &Form) -> Option<Oracle> {
    let mode = form.words.first().cloned();
    // The bytes of the result from the lowest, for each value of the control, as the specification's table has them.
    let table: Option<[[u64; 4]; 4]> = match mode.as_deref() {
        None => None,
        Some("f4e") => Some([[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]]),
        Some("b4e") => Some([[0, 7, 6, 5], [1, 0, 7, 6], [2, 1, 0, 7], [3, 2, 1, 0]]),
        Some("rc8") => Some([[0; 4], [1; 4], [2; 4], [3; 4]]),
        Some("ecl") => Some([[0, 1, 2, 3], [1, 1, 2, 3], [2, 2, 2, 3], [3, 3, 3, 3]]),
        Some("ecr") => Some([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3]]),
        Some(_) => Some([[0, 1, 0, 1], [2, 3, 2, 3], [0, 1, 0, 1], [2, 3, 2, 3]]),
    };
    Oracle::new("b32", &["b32", "b32", "b32"], move |x| {
        let bytes = x[1] << 32 | x[0];
        let byte = |i: u64| bytes >> (8 * i) & 0xff;
        let result = (0..4).fold(0, |result, i| {
            let picked = match table {
                Some(table) => byte(table[(x[2] & 3) as usize][i]),
                None => {
                    let selector = x[2] >> (4 * i) & 0xf;
                    let byte = byte(selector & 7);
                    if selector & 8 == 0 {
                        byte
                    } else if byte & 0x80 == 0 {
                        0
                    } else {
                        0xff
                    }
                }
            };
            result | picked << (8 * i)
        });
        Want::Bits(result & mask("b32"))
    })
}
