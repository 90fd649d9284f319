//! [`Registers`]: the three register files of a warp; how results of active lanes are kept.

use std::ops::Range;

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::program::{Function, Preset};

/// All lanes.
pub(super) const FULL: Mask = Mask::MAX;

/// The register files of a warp, for all frames. A frame has its registers behind those of its caller.
#[derive(Debug, Default)]
pub(super) struct Registers {
    pub(super) r32: Vec<Lanes32>,
    pub(super) r64: Vec<Lanes64>,
    pub(super) preds: Vec<Mask>,
}

/// Where the registers of a frame start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bases {
    pub(super) r32: usize,
    pub(super) r64: usize,
    pub(super) preds: usize,
}

impl Bases {
    /// Behind the registers of a frame.
    pub(super) fn after(self, function: &Function) -> Self {
        Self {
            r32: self.r32 + usize::from(function.num_regs_32),
            r64: self.r64 + usize::from(function.num_regs_64),
            preds: self.preds + usize::from(function.num_preds),
        }
    }
}

impl Registers {
    /// Makes room up to `end`; false if the machine has none.
    pub(super) fn grow(&mut self, end: Bases) -> bool {
        grow(&mut self.r32, end.r32, [0; LANES])
            && grow(&mut self.r64, end.r64, [0; LANES])
            && grow(&mut self.preds, end.preds, 0)
    }

    /// Clears what was not set before the first instruction, and all frames of called functions, which start at `end`.
    pub(super) fn clear(&mut self, unset: &Unset, end: Bases) {
        for range in &unset.r32 {
            self.r32[range.clone()].fill([0; LANES]);
        }
        for range in &unset.r64 {
            self.r64[range.clone()].fill([0; LANES]);
        }
        self.r32[end.r32..].fill([0; LANES]);
        self.r64[end.r64..].fill([0; LANES]);
        self.preds.fill(0);
    }
}

/// The registers of a function that hold nothing before its first instruction.
#[derive(Debug, Default)]
pub(super) struct Unset {
    r32: Vec<Range<usize>>,
    r64: Vec<Range<usize>>,
}

impl Unset {
    pub(super) fn of(function: &Function) -> Self {
        let (mut r32, mut r64) =
            (vec![true; function.num_regs_32.into()], vec![true; function.num_regs_64.into()]);
        for (slot, preset) in &function.presets {
            match preset {
                Preset::Bits32(_) | Preset::Address32(_) | Preset::Special32(_) => {
                    r32[usize::from(*slot)] = false;
                }
                Preset::Bits64(_) | Preset::Address64(_) | Preset::Special64(_) => {
                    r64[usize::from(*slot)] = false;
                }
            }
        }
        Self { r32: runs(&r32), r64: runs(&r64) }
    }
}

/// The ranges of true values.
fn runs(values: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (i, _) in values.iter().enumerate().filter(|(_, value)| **value) {
        match runs.last_mut() {
            Some(run) if run.end == i => run.end += 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

/// Makes a vector at least `len` long; false if the machine has no room.
pub(super) fn grow<T: Clone>(vec: &mut Vec<T>, len: usize, value: T) -> bool {
    if vec.len() < len {
        if vec.try_reserve(len - vec.len()).is_err() {
            return false;
        }
        vec.resize(len, value);
    }
    true
}

/// Keeps the results of some lanes.
#[inline]
pub(super) fn keep32(to: &mut Lanes32, from: &Lanes32, lanes: Mask) {
    if lanes == FULL {
        *to = *from;
    } else {
        for lane in 0..LANES {
            if lanes & (1 << lane) != 0 {
                to[lane] = from[lane];
            }
        }
    }
}

/// As [`keep32`].
#[inline]
pub(super) fn keep64(to: &mut Lanes64, from: &Lanes64, lanes: Mask) {
    if lanes == FULL {
        // In halves, which are copied in place: the whole would be a call.
        let (low, high) = to.split_at_mut(LANES / 2);
        low.copy_from_slice(&from[..LANES / 2]);
        high.copy_from_slice(&from[LANES / 2..]);
    } else {
        for lane in 0..LANES {
            if lanes & (1 << lane) != 0 {
                to[lane] = from[lane];
            }
        }
    }
}

/// As [`keep32`].
#[inline]
pub(super) fn keep_mask(to: &mut Mask, from: Mask, lanes: Mask) {
    *to = (*to & !lanes) | (from & lanes);
}

/// The lanes of a mask, lowest first.
#[inline]
pub(super) fn lanes(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lane = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            lane
        })
    })
}

/// The lowest lane of a mask that is not empty.
#[inline]
pub(super) fn first(mask: Mask) -> usize {
    mask.trailing_zeros() as usize % LANES
}

/// Calls `f` for each lane of a mask; straight through when the mask is full.
#[inline(always)]
pub(super) fn each(mask: Mask, mut f: impl FnMut(usize)) {
    if mask == FULL {
        for lane in 0..LANES {
            f(lane);
        }
    } else {
        for lane in lanes(mask) {
            f(lane);
        }
    }
}
