//! Calls and returns of groups. Arguments and results move between the local memories of the two frames.

use crate::compute::{Lanes32, Mask};
use crate::error::FaultKind;
use crate::program::{Call, FrameBytes, Function, Op, Param};

use super::block::Outside;
use super::frames::{ENTRY, Frame};
use super::grid::Grid;
use super::preset;
use super::registers::{FULL, grow, keep32, lanes};
use super::space::FUNCTION_WINDOW;
use super::trap::{Trap, Trapped};
use super::warp::Warp;

impl Warp {
    /// Some lanes of a group call.
    pub(super) fn call(&mut self, grid: &Grid<'_>, picked: usize, active: Mask) -> Trapped<()> {
        let picked = self.isolate_active(picked, active);
        let group = self.groups[picked];
        match self.op(grid, group) {
            Op::Call(call) => self.enter(grid, picked, call.function.into(), call),
            Op::CallIndirect(call, slot) => {
                let base = self.frames.at(group.frame).bases.r64;
                let functions = self.registers.r64[base + usize::from(*slot)];
                self.partition(
                    picked,
                    |lane| functions[lane],
                    |warp, part, function| {
                        let mask = warp.groups[part].mask;
                        let index = function.wrapping_sub(FUNCTION_WINDOW);
                        if !fits(grid, index, call) {
                            return Err(Trap::new(mask, FaultKind::BadTarget { index: function }));
                        }
                        warp.enter(grid, part, index, call)
                    },
                )
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, grid: &Grid<'_>, picked: usize, index: u64, call: &Call) -> Trapped<()> {
        let group = self.groups[picked];
        let functions = &grid.program.functions;
        let above = self.frames.at(group.frame);
        let caller = &functions[above.function as usize];
        let index = super::low32(index);
        let callee = &functions[index as usize];
        let overflow = |kind| Trap::new(group.mask, kind);
        let limit = grid.limits.stack_bytes;
        let (parent, target) = ((group.frame, caller), (index, callee));
        let frame = self.frames.callee(parent, target, group.pc + 1, limit).map_err(overflow)?;
        let rows = (u64::from(frame.local) + u64::from(callee.local_bytes)).div_ceil(4);
        if !self.registers.grow(frame.bases.after(callee))
            || !grow(&mut self.local, super::index(rows), Lanes32::default())
        {
            let (bytes, limit) = (rows * 4, limit.into());
            return Err(overflow(FaultKind::StackOverflow { bytes, limit }));
        }
        for (from, to) in call.arguments.iter().zip(&callee.params) {
            self.copy_local((above.local, *from), (frame.local, place(to)), group.mask);
        }
        self.set_presets(grid, frame, callee, group.mask);
        // Lanes that were here before may be in the very same call already.
        let same = self.groups.iter().find(|other| self.frames.at(other.frame) == frame);
        let number = match same.map(|other| other.frame) {
            Some(number) => {
                self.frames.share(number);
                self.frames.release(group.frame);
                number
            }
            None => self.frames.push(frame),
        };
        let group = &mut self.groups[picked];
        (group.frame, group.pc) = (number, 0);
        Ok(())
    }

    /// Sets the presets of a called function, unless they are there from an earlier call: nothing writes to them.
    fn set_presets(&mut self, grid: &Grid<'_>, frame: Frame, callee: &Function, mask: Mask) {
        // Where no other lanes can be in some other function at the same depth, nobody's registers are lost.
        let is_alone = self.groups.len() == 1;
        let (depth, key) = (frame.depth as usize - 1, (frame.function, frame.bases, frame.local));
        if is_alone && self.preset.get(depth) == Some(&key) {
            return;
        }
        let kept = if is_alone { FULL } else { mask };
        let registers = (&mut self.registers, kept);
        preset::fill(grid, self.position, callee, (frame.bases, frame.local), registers, |_| true);
        // The registers of deeper calls overlap those of this function.
        self.preset.truncate(depth);
        if is_alone && self.preset.len() == depth {
            self.preset.push(key);
        }
    }

    /// Some lanes of a group return.
    pub(super) fn leave_function(
        &mut self,
        grid: &Grid<'_>,
        outside: &mut Outside,
        picked: usize,
        active: Mask,
    ) -> Trapped<()> {
        if self.groups[picked].frame == ENTRY {
            self.exit(grid, outside, picked, active);
            return Ok(());
        }
        let picked = self.isolate_active(picked, active);
        let group = self.groups[picked];
        let frame = self.frames.at(group.frame);
        let above = self.frames.at(frame.parent);
        let functions = &grid.program.functions;
        let call = &functions[above.function as usize].code[frame.return_to as usize - 1].op;
        if let Op::Call(call) | Op::CallIndirect(call, _) = call {
            for (from, to) in functions[frame.function as usize].results.iter().zip(&call.results) {
                self.copy_local((frame.local, place(from)), (above.local, *to), group.mask);
            }
        }
        self.frames.pop(group.frame);
        let group = &mut self.groups[picked];
        (group.frame, group.pc) = (frame.parent, frame.return_to);
        Ok(())
    }

    /// Copies bytes of local memory from one frame to another.
    fn copy_local(&mut self, from: (u32, FrameBytes), to: (u32, FrameBytes), mask: Mask) {
        let bytes = from.1.size.min(to.1.size) as usize;
        let (from, to) = ((from.0 + from.1.offset) as usize, (to.0 + to.1.offset) as usize);
        if (from | to | bytes).is_multiple_of(4) {
            for row in 0..bytes / 4 {
                let value = self.local[from / 4 + row];
                keep32(&mut self.local[to / 4 + row], &value, mask);
            }
            return;
        }
        for byte in 0..bytes {
            let (from, to) = (from + byte, to + byte);
            for lane in lanes(mask) {
                let value = self.local[from / 4][lane] >> (from % 4 * 8);
                let shift = to % 4 * 8;
                super::store::replace(&mut self.local[to / 4][lane], 0xff << shift, value << shift);
            }
        }
    }
}

fn place(param: &Param) -> FrameBytes {
    FrameBytes { offset: param.offset, size: param.size }
}

/// Whether there is such a function and it can be called so.
fn fits(grid: &Grid<'_>, index: u64, call: &Call) -> bool {
    let Some(function) = grid.program.functions.get(super::index(index)) else { return false };
    let same = |places: &[FrameBytes], params: &[Param]| {
        places.iter().map(|place| place.size).eq(params.iter().map(|param| param.size))
    };
    let Function { is_kernel, params, results, .. } = function;
    !is_kernel && same(&call.arguments, params) && same(&call.results, results)
}
