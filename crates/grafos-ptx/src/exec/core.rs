//! [`Core`]: executes the instructions of one group of lanes, until control leaves them.
//!
//! Everything that concerns one frame of one warp alone happens here. Splitting groups, calls, and waiting for others
//! are the warp's business ([`super::warp`]): the core stops in front of such an instruction and says why.

use std::sync::atomic::{Ordering, fence};

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::error::FaultKind;
use crate::program::{Counter, Function, Guard, Op, Slot, Target};

use super::block::Outside;
use super::grid::Grid;
use super::registers::{FULL, keep_mask, keep32, keep64};
use super::space;
use super::trap::{Trap, Trapped};

/// What the core works with. Registers and local memory are those of the current frame.
pub(super) struct Core<'a> {
    pub(super) grid: &'a Grid<'a>,
    pub(super) r32: &'a mut [Lanes32],
    pub(super) r64: &'a mut [Lanes64],
    pub(super) preds: &'a mut [Mask],
    /// The carry flags.
    pub(super) carry: &'a mut Mask,
    /// Local memory of the warp, one row for each word.
    pub(super) local: &'a mut [Lanes32],
    /// Where the frame's local memory starts, and where the stack ends.
    pub(super) frame_local: u32,
    pub(super) local_end: u32,
    pub(super) outside: &'a mut Outside,
    /// Lanes that have not exited.
    pub(super) alive: Mask,
    /// Instructions so far, of this warp.
    pub(super) clock: u64,
    pub(super) pc: Target,
    /// How many accesses may have been part of a wait for other threads.
    pub(super) waits: u32,
}

/// Intermediate results, kept from instruction to instruction so that nobody clears them.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) r32: Lanes32,
    pub(super) r64: Lanes64,
    pub(super) addresses: Lanes64,
    /// The allocation that an instruction has hit last, by its place in the code.
    pub(super) hits: [u32; HITS],
}

pub(super) const HITS: usize = 64;

impl Default for Scratch {
    fn default() -> Self {
        Self { r32: [0; LANES], r64: [0; LANES], addresses: [0; LANES], hits: [0; HITS] }
    }
}

/// Why the core stopped. `pc` is at the instruction that it names, which was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// At or past the place where another group waits.
    Limit,
    /// The slice is used up.
    Fuel,
    /// The launch was told to stop.
    Stopped,
    /// Some lanes jump, others don't.
    Diverge {
        target: Target,
        taken: Mask,
    },
    /// `brx.idx`.
    Indexed {
        table: u16,
        index: Slot,
        active: Mask,
    },
    Call(Mask),
    Return(Mask),
    Exit(Mask),
    Meet(Mask),
    Barrier(Mask),
}

/// How much of a slice an access costs that may belong to a wait for others.
const WAIT_FUEL: u64 = 8;

impl Core<'_> {
    /// The lanes of `lanes` for which a guard holds.
    #[inline]
    pub(super) fn holds(&self, guard: Guard, lanes: Mask) -> Mask {
        let pred = self.preds[usize::from(guard.pred)];
        lanes & if guard.negated { !pred } else { pred }
    }

    /// Executes from `self.pc` on for the lanes of `mask`, while `pc` is below `limit` and the clock below `until`.
    pub(super) fn run(
        &mut self,
        function: &Function,
        mask: Mask,
        limit: Target,
        mut until: u64,
    ) -> Trapped<Leave> {
        let code = &function.code[..];
        loop {
            if self.pc >= limit {
                return Ok(Leave::Limit);
            }
            if self.clock >= until {
                return Ok(Leave::Fuel);
            }
            // Never happens: code does not fall off its end.
            let Some(instruction) = code.get(self.pc as usize) else { return Ok(Leave::Exit(mask)) };
            self.clock += 1;
            let active = match instruction.guard {
                None => mask,
                Some(guard) => {
                    let active = self.holds(guard, mask);
                    if active == 0 {
                        self.pc += 1;
                        continue;
                    }
                    active
                }
            };
            match &instruction.op {
                Op::Compute { compute, dest, sources } => self.compute(*compute, *dest, *sources, active),
                Op::Load(access) => {
                    self.load(access, active)?;
                    if access.strong {
                        fence(Ordering::Acquire);
                        self.waits += 1;
                        until = until.saturating_sub(WAIT_FUEL);
                    }
                }
                Op::Store(access) => self.store(access, active)?,
                Op::Branch { target } => {
                    if active != mask {
                        return Ok(Leave::Diverge { target: *target, taken: active });
                    }
                    if *target <= self.pc && self.grid.is_stopped() {
                        return Ok(Leave::Stopped);
                    }
                    self.pc = *target;
                    continue;
                }
                Op::Atomic(atomic) => {
                    self.atomic(atomic, active)?;
                    if atomic.dest.is_some() {
                        self.waits += 1;
                        until = until.saturating_sub(WAIT_FUEL);
                    }
                }
                Op::BranchIndexed { table, index } => {
                    return Ok(Leave::Indexed { table: *table, index: *index, active });
                }
                Op::Call(_) | Op::CallIndirect(..) => return Ok(Leave::Call(active)),
                Op::Return => return Ok(Leave::Return(active)),
                Op::Exit => return Ok(Leave::Exit(active)),
                Op::Trap => return Err(Trap::new(active, FaultKind::Trap)),
                Op::Barrier(_) => return Ok(Leave::Barrier(active)),
                Op::Print { .. } => self.print(&instruction.op, active)?,
                Op::AssertFail { params } => return Err(self.assertion(*params, active)),
                op => {
                    if let Some(members) = super::meet::members(op) {
                        if !self.all_here(members, active) {
                            return Ok(Leave::Meet(active));
                        }
                        self.meet_alone(op, active);
                    } else {
                        self.simple(op, active);
                    }
                }
            }
            self.pc += 1;
        }
    }

    /// Whether the members that each lane names are just the active lanes.
    fn all_here(&self, members: Slot, active: Mask) -> bool {
        let members = &self.r32[usize::from(members)];
        let mut wrong = 0;
        for (lane, members) in members.iter().enumerate() {
            if active & (1 << lane) != 0 {
                wrong |= (members & self.alive) ^ active;
            }
        }
        wrong == 0
    }

    /// Instructions without memory, control flow or meeting.
    fn simple(&mut self, op: &Op, active: Mask) {
        let kept = self.kept(active);
        match op {
            Op::Move32 { dest, source } => {
                // Of one register there is no pair, and nothing to do.
                if let Ok([to, from]) = self.r32.get_disjoint_mut([*dest, *source].map(usize::from)) {
                    keep32(to, from, kept);
                }
            }
            Op::Move64 { dest, source } => {
                if let Ok([to, from]) = self.r64.get_disjoint_mut([*dest, *source].map(usize::from)) {
                    keep64(to, from, kept);
                }
            }
            Op::Select32 { dest, if_true, if_false, pred } => {
                let mut value = self.r32[usize::from(*if_false)];
                keep32(&mut value, &self.r32[usize::from(*if_true)], self.preds[usize::from(*pred)]);
                keep32(&mut self.r32[usize::from(*dest)], &value, kept);
            }
            Op::Select64 { dest, if_true, if_false, pred } => {
                let mut value = self.r64[usize::from(*if_false)];
                keep64(&mut value, &self.r64[usize::from(*if_true)], self.preds[usize::from(*pred)]);
                keep64(&mut self.r64[usize::from(*dest)], &value, kept);
            }
            Op::SetPredicate(set) => self.set_predicate(set, active),
            Op::Predicate { op, dest, a, b } => {
                let value =
                    super::compute::combine(*op, self.preds[usize::from(*a)], self.preds[usize::from(*b)]);
                keep_mask(&mut self.preds[usize::from(*dest)], value, active);
            }
            Op::Pack(pack) => self.pack(pack, active),
            Op::Unpack(unpack) => self.unpack(unpack, active),
            Op::ReadCounter { counter: Counter::Clock | Counter::GlobalTimer, dest, is_64 } => {
                if *is_64 {
                    keep64(&mut self.r64[usize::from(*dest)], &[self.clock; LANES], active);
                } else {
                    let low = super::low32(self.clock);
                    keep32(&mut self.r32[usize::from(*dest)], &[low; LANES], active);
                }
            }
            Op::ActiveMask { dest } => keep32(&mut self.r32[usize::from(*dest)], &[active; LANES], active),
            Op::Fence => fence(Ordering::SeqCst),
            Op::ToGeneric { space, dest, source } => {
                let window = space::window(*space, self.grid.constants);
                self.move_address(*dest, *source, window, active);
            }
            Op::FromGeneric { space, dest, source } => {
                let window = space::window(*space, self.grid.constants);
                self.move_address(*dest, *source, window.wrapping_neg(), active);
            }
            Op::IsSpace { space, dest, source } => {
                let addresses = &self.r64[usize::from(*source)];
                let mut is = 0;
                for (lane, address) in addresses.iter().enumerate() {
                    is |= Mask::from(self.grid.is_in(*space, *address)) << lane;
                }
                keep_mask(&mut self.preds[usize::from(*dest)], is, active);
            }
            Op::Shuffle(_) | Op::Vote { .. } => self.meet_alone(op, active),
            // All others were handled before.
            _ => {}
        }
    }

    fn move_address(&mut self, dest: Slot, source: Slot, add: u64, active: Mask) {
        let mut value = self.r64[usize::from(source)];
        for address in &mut value {
            *address = address.wrapping_add(add);
        }
        let kept = self.kept(active);
        keep64(&mut self.r64[usize::from(dest)], &value, kept);
    }

    /// The lanes whose results may be written: also those that exist no longer, which nobody reads.
    #[inline]
    pub(super) fn kept(&self, active: Mask) -> Mask {
        if active == self.alive { FULL } else { active }
    }
}
