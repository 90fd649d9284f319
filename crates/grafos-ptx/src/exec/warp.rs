//! [`Warp`]: 32 threads that execute together as long as they agree on the way.
//!
//! Lanes that are at the same place, in the same call, are a group. Of several groups the one that is deepest in
//! calls, and of these the one furthest behind, runs until it meets another: so lanes that parted come together
//! again as soon as they can. A group that may be waiting for another one of its warp does not run for ever: from
//! time to time the one that has waited longest gets a turn.

use std::cmp::Reverse;

use crate::compute::{LANES, Lanes32, Mask};
use crate::error::FaultKind;
use crate::program::{Op, Target};

use super::block::Outside;
use super::core::{Core, Leave};
use super::frames::{ENTRY, Frames};
use super::grid::{Grid, Stopped};
use super::preset::{self, Position};
use super::registers::{Bases, FULL, Registers, first, grow, lanes};
use super::trap::{Trap, Trapped};

/// After so many instructions the next warp gets a turn. Few, so that warps that walk through memory side by side
/// stay side by side: their lines of the cache are neighbours.
const TURN: u64 = 96;
/// How long a group runs before the others of its warp get a turn, when nothing looks as if it waits for them.
const PATIENCE: u64 = 1 << 16;
/// How often it may do something that looks so.
const WAITS: u32 = 32;

#[derive(Debug, Default)]
pub(super) struct Warp {
    pub(super) position: Position,
    pub(super) registers: Registers,
    pub(super) carry: Mask,
    pub(super) local: Vec<Lanes32>,
    pub(super) groups: Vec<Group>,
    pub(super) frames: Frames,
    /// Lanes that have not exited.
    pub(super) alive: Mask,
    /// Instructions so far, and the same counted once for each active lane.
    pub(super) clock: u64,
    pub(super) executed: u64,
    /// The clock when the last group was made to wait for others.
    rotated: u64,
    waits: u32,
    must_rotate: bool,
    /// The function and the instruction that the core was at last.
    last: (u32, Target),
    is_used: bool,
    /// Functions whose presets are set in all lanes, by the depth of the call.
    pub(super) preset: Vec<(u32, Bases, u32)>,
}

/// Lanes at the same place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) mask: Mask,
    pub(super) pc: Target,
    pub(super) frame: u32,
    pub(super) wait: Wait,
    /// The clock when it ran last.
    ran: u64,
}

/// What a group waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Nothing,
    /// The other members.
    Members(Mask),
    /// A barrier.
    Barrier(usize),
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All lanes have exited.
    Done,
    /// All lanes wait.
    Waiting,
    /// Others should have a turn.
    Yielded,
}

/// Why a warp can't go on.
#[derive(Debug)]
pub(super) enum Failure {
    Stopped(Stopped),
    Trap { trap: Box<Trap>, warp: usize, line: u32 },
}

impl Warp {
    /// Puts `alive` lanes at the start of the kernel.
    pub(super) fn reset(&mut self, grid: &Grid<'_>, position: Position, alive: Mask) -> Result<(), Failure> {
        let kernel = grid.kernel;
        let line = kernel.lines.first().copied().unwrap_or(0);
        self.frames
            .reset(grid.kernel_index, kernel, grid.limits.stack_bytes)
            .map_err(|kind| Failure::Trap { trap: Trap::new(alive, kind), warp: position.warp, line })?;
        let rows = kernel.local_bytes.div_ceil(4) as usize;
        let entry = self.frames.at(ENTRY);
        let end = entry.bases.after(kernel);
        if !self.registers.grow(end) || !grow(&mut self.local, rows, Lanes32::default()) {
            return Err(Failure::Stopped(Stopped::NoMemory));
        }
        let frame = (entry.bases, entry.local);
        if self.is_used {
            // A block sees nothing of the one before.
            self.registers.clear(&grid.unset, end);
            self.local.fill(Lanes32::default());
            preset::fill(grid, position, kernel, frame, (&mut self.registers, FULL), preset::is_of_block);
        } else {
            preset::fill(grid, position, kernel, frame, (&mut self.registers, FULL), |_| true);
        }
        (self.position, self.alive, self.is_used) = (position, alive, true);
        (self.carry, self.clock, self.rotated) = (0, 0, 0);
        (self.waits, self.must_rotate) = (0, false);
        self.preset.clear();
        self.groups.clear();
        self.groups.push(Group { mask: alive, pc: 0, frame: ENTRY, wait: Wait::Nothing, ran: 0 });
        Ok(())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.groups.iter().any(|group| group.wait == Wait::Nothing)
    }

    /// Executes until all lanes are gone or wait, or the turn is over.
    pub(super) fn turn(&mut self, grid: &Grid<'_>, outside: &mut Outside) -> Result<Turn, Failure> {
        let end = self.clock + TURN;
        while self.clock < end && !outside.barriers.is_any_complete() {
            let Some(picked) = self.pick() else {
                return Ok(if self.groups.is_empty() { Turn::Done } else { Turn::Waiting });
            };
            let leave = self.run(grid, outside, picked, end);
            let leave = leave.map_err(|trap| self.failure(grid, trap))?;
            if leave == Leave::Stopped {
                return Err(Failure::Stopped(Stopped::Cancelled));
            }
            let followed = self.follow(grid, outside, picked, leave);
            followed.map_err(|trap| self.failure(grid, trap))?;
        }
        Ok(if self.groups.is_empty() { Turn::Done } else { Turn::Yielded })
    }

    /// Executes one group until control leaves it.
    fn run(&mut self, grid: &Grid<'_>, outside: &mut Outside, picked: usize, end: u64) -> Trapped<Leave> {
        let limit = self.meeting_place(picked);
        let group = self.groups[picked];
        let function = self.frames.at(group.frame).function;
        let before = self.clock;
        let mut core = self.core(grid, outside, group);
        let left = core.run(&grid.program.functions[function as usize], group.mask, limit, end);
        let (clock, pc, waits) = (core.clock, core.pc, core.waits);
        self.clock = clock;
        self.executed += (clock - before) * u64::from(group.mask.count_ones());
        self.last = (function, pc);
        let is_alone = self.groups.len() == 1;
        let group = &mut self.groups[picked];
        (group.pc, group.ran) = (pc, clock);
        self.waits = if is_alone { 0 } else { self.waits + waits };
        if !is_alone && matches!(left, Ok(Leave::Fuel)) {
            self.must_rotate = self.waits > WAITS || clock - self.rotated > PATIENCE;
        }
        left
    }

    /// The core, at work in the frame of a group.
    pub(super) fn core<'a>(
        &'a mut self,
        grid: &'a Grid<'a>,
        outside: &'a mut Outside,
        group: Group,
    ) -> Core<'a> {
        let frame = self.frames.at(group.frame);
        let function = &grid.program.functions[frame.function as usize];
        let (start, end) = (frame.bases, frame.bases.after(function));
        Core {
            grid,
            r32: &mut self.registers.r32[start.r32..end.r32],
            r64: &mut self.registers.r64[start.r64..end.r64],
            preds: &mut self.registers.preds[start.preds..end.preds],
            carry: &mut self.carry,
            local: &mut self.local,
            frame_local: frame.local,
            local_end: frame.local + function.local_bytes,
            outside,
            alive: self.alive,
            clock: self.clock,
            pc: group.pc,
            waits: 0,
        }
    }

    /// The group that goes on, with all lanes that are at the same place.
    fn pick(&mut self) -> Option<usize> {
        if let [group] = &self.groups[..] {
            return (group.wait == Wait::Nothing).then_some(0);
        }
        let ready = self.groups.iter().enumerate().filter(|(_, group)| group.wait == Wait::Nothing);
        let (mut picked, _) = if std::mem::take(&mut self.must_rotate) {
            (self.rotated, self.waits) = (self.clock, 0);
            ready.min_by_key(|(_, group)| group.ran)?
        } else {
            ready.min_by_key(|(_, group)| (Reverse(self.frames.at(group.frame).depth), group.pc))?
        };
        let mut other = 0;
        while other < self.groups.len() {
            let (here, there) = (self.groups[picked], self.groups[other]);
            let is_same = (here.pc, here.frame, here.wait) == (there.pc, there.frame, there.wait);
            if other != picked && is_same {
                self.groups[picked].mask |= there.mask;
                self.frames.release(there.frame);
                self.groups.swap_remove(other);
                if picked == self.groups.len() {
                    picked = other;
                }
            } else {
                other += 1;
            }
        }
        Some(picked)
    }

    /// Where a group may meet another: the next place in its frame that one is at.
    fn meeting_place(&self, picked: usize) -> Target {
        let group = self.groups[picked];
        let others = self
            .groups
            .iter()
            .filter(|other| other.wait == Wait::Nothing && other.frame == group.frame && other.pc > group.pc);
        others.map(|other| other.pc).min().unwrap_or(Target::MAX)
    }

    /// Does what the core has stopped for.
    fn follow(&mut self, grid: &Grid<'_>, outside: &mut Outside, picked: usize, leave: Leave) -> Trapped<()> {
        match leave {
            Leave::Limit | Leave::Fuel | Leave::Stopped => {}
            Leave::Diverge { target, taken } => {
                let next = self.groups[picked].pc + 1;
                let taken = self.isolate(picked, taken, next);
                self.groups[taken].pc = target;
            }
            Leave::Indexed { table, index, active } => {
                self.jump_indexed(grid, picked, (table, index), active)?;
            }
            Leave::Call(active) => self.call(grid, picked, active)?,
            Leave::Return(active) => self.leave_function(grid, outside, picked, active)?,
            Leave::Exit(active) => self.exit(grid, outside, picked, active),
            Leave::Meet(active) => self.meet(grid, outside, picked, active)?,
            Leave::Barrier(active) => self.arrive(grid, outside, picked, active)?,
        }
        Ok(())
    }

    /// Splits a group: gives the one with just `lanes`, while the rest, if any, goes on at `rest_pc`.
    pub(super) fn isolate(&mut self, picked: usize, lanes: Mask, rest_pc: Target) -> usize {
        let group = &mut self.groups[picked];
        if group.mask == lanes {
            return picked;
        }
        let apart = Group { mask: lanes, ..*group };
        group.mask &= !lanes;
        group.pc = rest_pc;
        self.frames.share(apart.frame);
        self.groups.push(apart);
        self.groups.len() - 1
    }

    /// As [`isolate`](Self::isolate), where the rest is not concerned by the instruction.
    pub(super) fn isolate_active(&mut self, picked: usize, active: Mask) -> usize {
        self.isolate(picked, active, self.groups[picked].pc + 1)
    }

    /// Splits a group into one for each value that `value` gives its lanes, and calls `f` with each.
    pub(super) fn partition<V: PartialEq>(
        &mut self,
        picked: usize,
        value: impl Fn(usize) -> V,
        mut f: impl FnMut(&mut Self, usize, V) -> Trapped<()>,
    ) -> Trapped<()> {
        let pc = self.groups[picked].pc;
        let mut rest = self.groups[picked].mask;
        while rest != 0 {
            let chosen = value(first(rest));
            let mut same = 0;
            for lane in 0..LANES {
                same |= Mask::from(value(lane) == chosen) << lane;
            }
            same &= rest;
            rest &= !same;
            // The last part keeps its place in the list, so the ones before must not move it.
            let part = self.isolate(picked, same, pc);
            f(self, part, chosen)?;
        }
        Ok(())
    }

    fn jump_indexed(
        &mut self,
        grid: &Grid<'_>,
        picked: usize,
        (table, index): (u16, u16),
        active: Mask,
    ) -> Trapped<()> {
        let picked = self.isolate_active(picked, active);
        let frame = self.frames.at(self.groups[picked].frame);
        let function = &grid.program.functions[frame.function as usize];
        let indices = self.registers.r32[frame.bases.r32 + usize::from(index)];
        let targets = &function.branch_tables[usize::from(table)];
        if let Some(lane) = lanes(active).find(|lane| indices[*lane] as usize >= targets.len()) {
            let index = indices[lane].into();
            return Err(Trap::new(1 << lane, FaultKind::BadTarget { index }));
        }
        // Lanes that are not active may hold any index.
        let target = |lane: usize| targets.get(indices[lane] as usize).copied();
        self.partition(picked, target, |warp, part, target| {
            warp.groups[part].pc = target.unwrap_or(0);
            Ok(())
        })
    }

    pub(super) fn exit(&mut self, grid: &Grid<'_>, outside: &mut Outside, picked: usize, active: Mask) {
        let gone = self.isolate_active(picked, active);
        let gone = self.groups.swap_remove(gone);
        self.frames.release(gone.frame);
        self.alive &= !gone.mask;
        outside.barriers.exit(self.position.warp, gone.mask);
        self.meet_without(grid, outside);
    }

    /// The instruction that a group is at.
    pub(super) fn op<'a>(&self, grid: &Grid<'a>, group: Group) -> &'a Op {
        let function = &grid.program.functions[self.frames.at(group.frame).function as usize];
        &function.code[group.pc as usize].op
    }

    /// A trap, with the line of the instruction that ran last.
    fn failure(&self, grid: &Grid<'_>, trap: Box<Trap>) -> Failure {
        let (function, pc) = self.last;
        Failure::Trap { trap, warp: self.position.warp, line: line(grid, function, pc) }
    }
}

/// The line of an instruction.
pub(super) fn line(grid: &Grid<'_>, function: u32, pc: Target) -> u32 {
    let lines = &grid.program.functions[function as usize].lines;
    lines.get(pc as usize).copied().unwrap_or(0)
}
