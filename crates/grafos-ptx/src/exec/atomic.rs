//! Read-modify-write operations on memory. Lanes go one after the other, lowest first.
//!
//! Integers are exact in any order. Floats are rounded at each step, so sums of several threads depend on the order
//! in which they come, as on a device.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::alu;
use crate::compute::{Compute, LANES, Lanes32, Mask};
use crate::error::AccessKind;
use crate::memory::WideLock;
use crate::program::{Atomic, AtomicOp, AtomicType};

use super::access::{Memory, Place, Want};
use super::core::Core;
use super::load::wide;
use super::low32;
use super::registers::lanes;
use super::store::replace;
use super::trap::Trapped;

impl Core<'_> {
    pub(super) fn atomic(&mut self, atomic: &Atomic, active: Mask) -> Trapped<()> {
        self.addresses(atomic.space, atomic.address);
        let bytes = bytes(atomic.ty);
        let want = Want { space: atomic.space, kind: AccessKind::Atomic, bytes, align: bytes };
        let mut rest = active;
        while rest != 0 {
            let (place, part) = self.locate(want, rest)?;
            for lane in lanes(part) {
                self.atomic_lane(atomic, place, lane);
            }
            rest &= !part;
        }
        Ok(())
    }

    fn atomic_lane(&mut self, atomic: &Atomic, place: Place, lane: usize) {
        let offset = place.offset(self.outside.scratch.addresses[lane]);
        if bytes(atomic.ty) == 8 {
            let operand = self.r64[usize::from(atomic.operand)][lane];
            let new = atomic.new.map_or(0, |slot| self.r64[usize::from(slot)][lane]);
            let old = self.change_pair(place, lane, offset / 4, |old| changed64(atomic, old, operand, new));
            if let Some(dest) = atomic.dest {
                self.r64[usize::from(dest)][lane] = old;
            }
        } else {
            let operand = self.r32[usize::from(atomic.operand)][lane];
            let new = atomic.new.map_or(0, |slot| self.r32[usize::from(slot)][lane]);
            let old = self.change_word(atomic, place, lane, offset, operand, new);
            if let Some(dest) = atomic.dest {
                self.r32[usize::from(dest)][lane] = old;
            }
        }
    }

    /// Changes a word or half a word; gives its old value.
    fn change_word(
        &mut self,
        atomic: &Atomic,
        place: Place,
        lane: usize,
        offset: usize,
        operand: u32,
        new: u32,
    ) -> u32 {
        let is_global = matches!(place.memory, Memory::Global(_));
        let index = offset / 4;
        let half = bytes(atomic.ty) == 2;
        let shift = offset % 4 * 8;
        let change = |word: u32| {
            if half {
                let mut after = word;
                let value =
                    changed32(atomic, (word >> shift) & 0xffff, operand & 0xffff, new & 0xffff, is_global);
                replace(&mut after, 0xffff << shift, value << shift);
                after
            } else {
                changed32(atomic, word, operand, new, is_global)
            }
        };
        let old = match place.memory {
            Memory::Global(allocation) => {
                let word = &self.grid.allocations[allocation].words()[index];
                native(atomic, word, operand).unwrap_or_else(|| by_compare_exchange(word, change))
            }
            Memory::Shared => update(&mut self.outside.shared[index], change),
            Memory::Local => update(&mut self.local[index][lane], change),
            // `locate` refuses to write there.
            Memory::Param => 0,
        };
        if half { (old >> shift) & 0xffff } else { old }
    }

    /// Changes two words as one; gives their old value.
    fn change_pair(&mut self, place: Place, lane: usize, index: usize, change: impl Fn(u64) -> u64) -> u64 {
        match place.memory {
            Memory::Global(allocation) => {
                let words = self.grid.allocations[allocation].words();
                let _lock = WideLock::of(index as u64 / 2 * 8);
                let old =
                    wide(words[index].load(Ordering::Acquire), words[index + 1].load(Ordering::Acquire));
                let new = change(old);
                words[index].store(low32(new), Ordering::Release);
                words[index + 1].store(low32(new >> 32), Ordering::Release);
                old
            }
            Memory::Shared => {
                let words = &mut self.outside.shared[index..index + 2];
                let old = wide(words[0], words[1]);
                let new = change(old);
                words.copy_from_slice(&[low32(new), low32(new >> 32)]);
                old
            }
            Memory::Local => {
                let old = wide(self.local[index][lane], self.local[index + 1][lane]);
                let new = change(old);
                self.local[index][lane] = low32(new);
                self.local[index + 1][lane] = low32(new >> 32);
                old
            }
            Memory::Param => 0,
        }
    }
}

fn update(word: &mut u32, change: impl Fn(u32) -> u32) -> u32 {
    let old = *word;
    *word = change(old);
    old
}

/// What the processor can do in one instruction.
fn native(atomic: &Atomic, word: &AtomicU32, operand: u32) -> Option<u32> {
    let order = Ordering::AcqRel;
    if !matches!(atomic.ty, AtomicType::U32 | AtomicType::S32 | AtomicType::B32) {
        return None;
    }
    Some(match atomic.op {
        AtomicOp::Add => word.fetch_add(operand, order),
        AtomicOp::And => word.fetch_and(operand, order),
        AtomicOp::Or => word.fetch_or(operand, order),
        AtomicOp::Xor => word.fetch_xor(operand, order),
        AtomicOp::Exchange => word.swap(operand, order),
        _ => return None,
    })
}

fn by_compare_exchange(word: &AtomicU32, change: impl Fn(u32) -> u32) -> u32 {
    let mut old = word.load(Ordering::Acquire);
    while let Err(now) = word.compare_exchange_weak(old, change(old), Ordering::AcqRel, Ordering::Acquire) {
        old = now;
    }
    old
}

fn bytes(ty: AtomicType) -> u32 {
    match ty {
        AtomicType::B16 | AtomicType::F16 | AtomicType::Bf16 => 2,
        AtomicType::B32
        | AtomicType::U32
        | AtomicType::S32
        | AtomicType::F16x2
        | AtomicType::Bf16x2
        | AtomicType::F32 => 4,
        AtomicType::B64 | AtomicType::U64 | AtomicType::S64 | AtomicType::F64 => 8,
    }
}

/// The value that replaces `old`. In global memory sums of `f32` know no subnormals.
fn changed32(atomic: &Atomic, old: u32, operand: u32, new: u32, is_global: bool) -> u32 {
    let signed = atomic.ty == AtomicType::S32;
    match (atomic.op, atomic.ty) {
        (AtomicOp::Add, AtomicType::F32) => add_f32(old, operand, is_global),
        (op, AtomicType::F16 | AtomicType::F16x2 | AtomicType::Bf16 | AtomicType::Bf16x2)
            if matches!(op, AtomicOp::Add | AtomicOp::Min | AtomicOp::Max) =>
        {
            half(op, atomic.ty, old, operand)
        }
        (AtomicOp::Add, _) => old.wrapping_add(operand),
        (AtomicOp::Min, _) if signed => old.cast_signed().min(operand.cast_signed()).cast_unsigned(),
        (AtomicOp::Max, _) if signed => old.cast_signed().max(operand.cast_signed()).cast_unsigned(),
        (AtomicOp::Min, _) => old.min(operand),
        (AtomicOp::Max, _) => old.max(operand),
        (AtomicOp::Inc, _) => {
            if old >= operand {
                0
            } else {
                old + 1
            }
        }
        (AtomicOp::Dec, _) => {
            if old == 0 || old > operand {
                operand
            } else {
                old - 1
            }
        }
        (AtomicOp::And, _) => old & operand,
        (AtomicOp::Or, _) => old | operand,
        (AtomicOp::Xor, _) => old ^ operand,
        (AtomicOp::Exchange, _) => operand,
        (AtomicOp::CompareAndSwap, _) => {
            if old == operand {
                new
            } else {
                old
            }
        }
    }
}

/// As [`changed32`].
fn changed64(atomic: &Atomic, old: u64, operand: u64, new: u64) -> u64 {
    let signed = atomic.ty == AtomicType::S64;
    match atomic.op {
        AtomicOp::Add if atomic.ty == AtomicType::F64 => add_f64(old, operand),
        AtomicOp::Add => old.wrapping_add(operand),
        AtomicOp::Min if signed => old.cast_signed().min(operand.cast_signed()).cast_unsigned(),
        AtomicOp::Max if signed => old.cast_signed().max(operand.cast_signed()).cast_unsigned(),
        AtomicOp::Min => old.min(operand),
        AtomicOp::Max => old.max(operand),
        AtomicOp::Inc => {
            if old >= operand {
                0
            } else {
                old + 1
            }
        }
        AtomicOp::Dec => {
            if old == 0 || old > operand {
                operand
            } else {
                old - 1
            }
        }
        AtomicOp::And => old & operand,
        AtomicOp::Or => old | operand,
        AtomicOp::Xor => old ^ operand,
        AtomicOp::Exchange => operand,
        AtomicOp::CompareAndSwap => {
            if old == operand {
                new
            } else {
                old
            }
        }
    }
}

fn add_f32(a: u32, b: u32, flush: bool) -> u32 {
    let flushed = |x: f32| if flush && x.is_subnormal() { 0_f32.copysign(x) } else { x };
    let sum = flushed(flushed(f32::from_bits(a)) + flushed(f32::from_bits(b)));
    // The one NaN that devices make.
    if sum.is_nan() { 0x7fff_ffff } else { sum.to_bits() }
}

fn add_f64(a: u64, b: u64) -> u64 {
    let sum = f64::from_bits(a) + f64::from_bits(b);
    if sum.is_nan() { 0x7fff_ffff_ffff_ffff } else { sum.to_bits() }
}

type Binary32 = fn(&mut Lanes32, &Lanes32, &Lanes32);

/// The arithmetic of half floats is that of the instructions of the same name.
fn half(op: AtomicOp, ty: AtomicType, a: u32, b: u32) -> u32 {
    static FUNCTIONS: LazyLock<[[Option<Binary32>; 4]; 3]> = LazyLock::new(|| {
        ["add", "min", "max"].map(|op| {
            ["f16", "f16x2", "bf16", "bf16x2"].map(|ty| match alu::select(op, &[ty]).ok()?.compute {
                Compute::Binary32(f) => Some(f),
                _ => None,
            })
        })
    });
    let op = match op {
        AtomicOp::Min => 1,
        AtomicOp::Max => 2,
        _ => 0,
    };
    let ty = match ty {
        AtomicType::F16 => 0,
        AtomicType::F16x2 => 1,
        AtomicType::Bf16 => 2,
        _ => 3,
    };
    let mut to = [0; LANES];
    if let Some(f) = FUNCTIONS[op][ty] {
        f(&mut to, &[a; LANES], &[b; LANES]);
    }
    to[0]
}
