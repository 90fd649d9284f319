//! Arithmetic with carry: numbers wider than a register. There is one carry bit per lane; after a difference it is
//! the borrow.
//!
//! An instruction without `.cc` leaves the carry as it was.

#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "what the instructions do; lanes are numbers"
)]

use super::form::{Form, Part};
use super::lane::Lane;
use super::{Reason, Selected};
use crate::compute::{Compute, LANES, Mask};

/// An operation that carries.
macro_rules! carry_op {
    ($shape:ident($($x:ident),+; $in:ident) -> $int:ty { $body:expr }; keep: $keep:expr) => {
        Selected {
            compute: Compute::$shape(|dest, $($x),+, carries| {
                let mut new: Mask = 0;
                for lane in 0..LANES {
                    $(let $x = <$int as Lane>::of($x[lane]);)+
                    let $in = carries >> lane & 1 != 0;
                    let (result, carry): ($int, bool) = $body;
                    dest[lane] = result.register();
                    new |= u32::from(carry) << lane;
                }
                if $keep { carries } else { new }
            }),
            dest: <$int as Lane>::TYPE,
            sources: [$(stringify!($x)),+].map(|_| <$int as Lane>::TYPE).to_vec(),
        }
    };
}

/// Sums and differences don't know signs.
macro_rules! two_sources {
    ($form:expr; $op:ident, $keep:expr, $reads:expr) => {
        Ok(match $form.one_type()? {
            "u32" | "s32" => {
                carry_op!(Carry32(a, b; carry) -> u32 { a.$op(b, $reads && carry) }; keep: $keep)
            }
            "u64" | "s64" => {
                carry_op!(Carry64(a, b; carry) -> u64 { a.$op(b, $reads && carry) }; keep: $keep)
            }
            _ => return Form::wrong_type(),
        })
    };
}

/// The carry of a sum and the borrow of a difference.
trait Carrying: Sized {
    fn sum(self, other: Self, carry: bool) -> (Self, bool);
    fn difference(self, other: Self, borrow: bool) -> (Self, bool);
}

macro_rules! impl_carrying {
    ($($int:ty)+) => {$(
        impl Carrying for $int {
            #[inline(always)]
            fn sum(self, other: Self, carry: bool) -> (Self, bool) {
                let (sum, first) = self.overflowing_add(other);
                let (sum, second) = sum.overflowing_add(<$int>::from(carry));
                (sum, first | second)
            }

            #[inline(always)]
            fn difference(self, other: Self, borrow: bool) -> (Self, bool) {
                let (difference, first) = self.overflowing_sub(other);
                let (difference, second) = difference.overflowing_sub(<$int>::from(borrow));
                (difference, first | second)
            }
        }
    )+};
}

impl_carrying!(u32 u64);

pub(super) fn add_cc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    two_sources!(form; sum, false, false)
}

pub(super) fn sub_cc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    two_sources!(form; difference, false, false)
}

pub(super) fn addc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("cc") { two_sources!(form; sum, false, true) } else { two_sources!(form; sum, true, true) }
}

pub(super) fn subc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("cc") {
        two_sources!(form; difference, false, true)
    } else {
        two_sources!(form; difference, true, true)
    }
}

/// `a * b` or its upper half, plus `c` and the carry if `READS`; the carry comes from the sum.
fn mad<const READS: bool, const KEEP: bool>(form: &mut Form<'_>) -> Result<Selected, Reason> {
    let is_low = form.low_or_high()? == Part::Low;
    Ok(match (form.one_type()?, is_low) {
        ("u32" | "s32", true) => carry_op!(CarryMad32(a, b, c; carry) -> u32 {
            a.wrapping_mul(b).sum(c, READS && carry)
        }; keep: KEEP),
        ("u64" | "s64", true) => carry_op!(CarryMad64(a, b, c; carry) -> u64 {
            a.wrapping_mul(b).sum(c, READS && carry)
        }; keep: KEEP),
        ("u32", false) => carry_op!(CarryMad32(a, b, c; carry) -> u32 {
            (((u64::from(a) * u64::from(b)) >> 32) as u32).sum(c, READS && carry)
        }; keep: KEEP),
        ("s32", false) => carry_op!(CarryMad32(a, b, c; carry) -> u32 {
            (((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32).sum(c, READS && carry)
        }; keep: KEEP),
        ("u64", false) => carry_op!(CarryMad64(a, b, c; carry) -> u64 {
            (((u128::from(a) * u128::from(b)) >> 64) as u64).sum(c, READS && carry)
        }; keep: KEEP),
        ("s64", false) => carry_op!(CarryMad64(a, b, c; carry) -> u64 {
            (((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64).sum(c, READS && carry)
        }; keep: KEEP),
        _ => return Form::wrong_type(),
    })
}

pub(super) fn mad_cc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    mad::<false, false>(form)
}

pub(super) fn madc(form: &mut Form<'_>) -> Result<Selected, Reason> {
    if form.take("cc") { mad::<true, false>(form) } else { mad::<true, true>(form) }
}
