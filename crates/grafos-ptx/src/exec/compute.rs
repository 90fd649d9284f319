//! Computing instructions: from registers to registers.

use crate::compute::{Compute, LANES, Mask};
use crate::program::{Pack, PredicateOp, SetPredicate, Slot, Unpack};

use super::core::Core;
use super::registers::{keep_mask, keep32, keep64};

/// A register of a file.
macro_rules! at {
    ($file:expr, $slot:expr) => {
        $file[usize::from($slot)]
    };
}

impl Core<'_> {
    pub(super) fn compute(&mut self, compute: Compute, dest: Slot, [a, b, c, d]: [Slot; 4], active: Mask) {
        let kept = self.kept(active);
        let (r32, r64) = (&mut *self.r32, &mut *self.r64);
        let scratch = &mut self.outside.scratch;
        /// Calls the function with the registers that its shape names, and keeps what comes out.
        macro_rules! to32 {
            ($f:ident $(, $file:ident $slot:ident)*) => {{
                $f(&mut scratch.r32 $(, &at!($file, $slot))*);
                keep32(&mut at!(r32, dest), &scratch.r32, kept);
            }};
        }
        macro_rules! to64 {
            ($f:ident $(, $file:ident $slot:ident)*) => {{
                $f(&mut scratch.r64 $(, &at!($file, $slot))*);
                keep64(&mut at!(r64, dest), &scratch.r64, kept);
            }};
        }
        match compute {
            Compute::Unary32(f) => to32!(f, r32 a),
            Compute::Unary64(f) => to64!(f, r64 a),
            Compute::Widen(f) => to64!(f, r32 a),
            Compute::Narrow(f) => to32!(f, r64 a),
            Compute::Binary32(f) => to32!(f, r32 a, r32 b),
            Compute::Binary64(f) => to64!(f, r64 a, r64 b),
            Compute::BinaryWide(f) => to64!(f, r32 a, r32 b),
            Compute::Shift64(f) => to64!(f, r64 a, r32 b),
            Compute::BinaryNarrow(f) => to32!(f, r64 a, r64 b),
            Compute::Ternary32(f) => to32!(f, r32 a, r32 b, r32 c),
            Compute::Ternary64(f) => to64!(f, r64 a, r64 b, r64 c),
            Compute::TernaryWide(f) => to64!(f, r32 a, r32 b, r64 c),
            Compute::Extract64(f) => to64!(f, r64 a, r32 b, r32 c),
            Compute::Choose64(f) => to64!(f, r64 a, r64 b, r32 c),
            Compute::Quaternary32(f) => to32!(f, r32 a, r32 b, r32 c, r32 d),
            Compute::Insert64(f) => to64!(f, r64 a, r64 b, r32 c, r32 d),
            Compute::Carry32(f) => {
                let carry = f(&mut scratch.r32, &at!(r32, a), &at!(r32, b), *self.carry);
                keep_mask(self.carry, carry, active);
                keep32(&mut at!(r32, dest), &scratch.r32, kept);
            }
            Compute::Carry64(f) => {
                let carry = f(&mut scratch.r64, &at!(r64, a), &at!(r64, b), *self.carry);
                keep_mask(self.carry, carry, active);
                keep64(&mut at!(r64, dest), &scratch.r64, kept);
            }
            Compute::CarryMad32(f) => {
                let carry = f(&mut scratch.r32, &at!(r32, a), &at!(r32, b), &at!(r32, c), *self.carry);
                keep_mask(self.carry, carry, active);
                keep32(&mut at!(r32, dest), &scratch.r32, kept);
            }
            Compute::CarryMad64(f) => {
                let carry = f(&mut scratch.r64, &at!(r64, a), &at!(r64, b), &at!(r64, c), *self.carry);
                keep_mask(self.carry, carry, active);
                keep64(&mut at!(r64, dest), &scratch.r64, kept);
            }
            Compute::Test32(_)
            | Compute::Test64(_)
            | Compute::Compare32(_)
            | Compute::Compare64(_)
            | Compute::ComparePacked(_) => {
                let [holds, _] = self.compare(compute, a, b);
                keep_mask(&mut at!(self.preds, dest), holds, active);
            }
        }
    }

    /// What a test or comparison says, and its opposite (of packed operands: what it says of the second half).
    fn compare(&self, compare: Compute, a: Slot, b: Slot) -> [Mask; 2] {
        let holds = match compare {
            Compute::Test32(f) => f(&at!(self.r32, a)),
            Compute::Test64(f) => f(&at!(self.r64, a)),
            Compute::Compare32(f) => f(&at!(self.r32, a), &at!(self.r32, b)),
            Compute::Compare64(f) => f(&at!(self.r64, a), &at!(self.r64, b)),
            Compute::ComparePacked(f) => return f(&at!(self.r32, a), &at!(self.r32, b)),
            // `lower` puts nothing else there.
            _ => 0,
        };
        [holds, !holds]
    }

    pub(super) fn set_predicate(&mut self, set: &SetPredicate, active: Mask) {
        let mut values = self.compare(set.compare, set.a, set.b);
        if let Some((op, guard)) = set.combine {
            let with = self.holds(guard, Mask::MAX);
            values = values.map(|value| combine(op, value, with));
        }
        for (slot, value) in [set.p, set.q].into_iter().zip(values) {
            if let Some(slot) = slot {
                keep_mask(&mut at!(self.preds, slot), value, active);
            }
        }
    }

    pub(super) fn pack(&mut self, pack: &Pack, active: Mask) {
        let mut value = [0_u64; LANES];
        let bits = u32::from(pack.element_bits);
        for (i, source) in (0..).zip(&pack.sources) {
            for (lane, value) in value.iter_mut().enumerate() {
                let element = if bits == 64 {
                    at!(self.r64, *source)[lane]
                } else {
                    at!(self.r32, *source)[lane].into()
                };
                *value |= (element & low_bits(bits)).wrapping_shl(i * bits);
            }
        }
        if pack.dest_is_64 {
            keep64(&mut at!(self.r64, pack.dest), &value, active);
        } else {
            keep32(&mut at!(self.r32, pack.dest), &value.map(super::low32), active);
        }
    }

    pub(super) fn unpack(&mut self, unpack: &Unpack, active: Mask) {
        let value = if unpack.source_is_64 {
            at!(self.r64, unpack.source)
        } else {
            at!(self.r32, unpack.source).map(u64::from)
        };
        let bits = u32::from(unpack.element_bits);
        for (i, dest) in (0..).zip(&unpack.dests) {
            let Some(dest) = *dest else { continue };
            let element = value.map(|value| value.wrapping_shr(i * bits) & low_bits(bits));
            if bits == 64 {
                keep64(&mut at!(self.r64, dest), &element, active);
            } else {
                keep32(&mut at!(self.r32, dest), &element.map(super::low32), active);
            }
        }
    }
}

/// A mask of the lowest bits.
fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

pub(super) fn combine(op: PredicateOp, a: Mask, b: Mask) -> Mask {
    match op {
        PredicateOp::Move => a,
        PredicateOp::Not => !a,
        PredicateOp::And => a & b,
        PredicateOp::Or => a | b,
        PredicateOp::Xor => a ^ b,
    }
}
