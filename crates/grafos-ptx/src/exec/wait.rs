//! Groups that wait: for the other members of a warp-wide instruction, and at barriers.

use crate::compute::Mask;
use crate::error::FaultKind;
use crate::program::Op;

use super::barrier::{Arrival, Barriers, Reduced};
use super::block::Outside;
use super::grid::Grid;
use super::meet::{self, Offer};
use super::registers::{keep_mask, keep32};
use super::trap::{Trap, Trapped};
use super::warp::{Group, Wait, Warp};

impl Warp {
    /// Lanes have come to an instruction that they execute together with others.
    pub(super) fn meet(
        &mut self,
        grid: &Grid<'_>,
        outside: &mut Outside,
        picked: usize,
        active: Mask,
    ) -> Trapped<()> {
        let picked = self.isolate_active(picked, active);
        let group = self.groups[picked];
        let op = self.op(grid, group);
        let Some(slot) = meet::members(op) else { return Ok(()) };
        let base = self.frames.at(group.frame).bases.r32;
        let members = self.registers.r32[base + usize::from(slot)];
        // Groups that have met stay in the list, so the order of parts does not matter.
        self.partition(
            picked,
            |lane| members[lane],
            |warp, part, members| {
                let arrived = warp.groups[part].mask;
                if arrived & !members != 0 {
                    let kind = FaultKind::Divergence { at: meet::name(op), expected: members, arrived };
                    return Err(Trap::new(arrived & !members, kind));
                }
                warp.groups[part].wait = Wait::Members(members);
                warp.try_meet(grid, outside, op, members);
                Ok(())
            },
        )
    }

    /// Lanes have exited: those that waited for them need not.
    pub(super) fn meet_without(&mut self, grid: &Grid<'_>, outside: &mut Outside) {
        for i in 0..self.groups.len() {
            let group = self.groups[i];
            if let Wait::Members(members) = group.wait {
                let op = self.op(grid, group);
                self.try_meet(grid, outside, op, members);
            }
        }
    }

    /// Lets lanes that name the same members meet, if all are there.
    fn try_meet(&mut self, grid: &Grid<'_>, outside: &mut Outside, op: &Op, members: Mask) {
        let who = self.arrived(grid, op, members);
        if members & self.alive & !who != 0 {
            return;
        }
        let mut offer = Offer::default();
        for i in self.at_meeting(grid, op, members) {
            let group = self.groups[i];
            let op = self.op(grid, group);
            self.core(grid, outside, group).offer(op, group.mask, &mut offer);
        }
        let answer = meet::exchange(op, who, &offer);
        for i in self.at_meeting(grid, op, members) {
            let group = self.groups[i];
            let op = self.op(grid, group);
            self.core(grid, outside, group).take(op, group.mask, &answer);
            let group = &mut self.groups[i];
            (group.wait, group.pc) = (Wait::Nothing, group.pc + 1);
        }
    }

    /// The groups that wait for the same members to execute the same kind of instruction.
    fn at_meeting(&self, grid: &Grid<'_>, op: &Op, members: Mask) -> Vec<usize> {
        let same = |group: &Group| {
            group.wait == Wait::Members(members) && meet::same_kind(op, self.op(grid, *group))
        };
        (0..self.groups.len()).filter(|i| same(&self.groups[*i])).collect()
    }

    fn arrived(&self, grid: &Grid<'_>, op: &Op, members: Mask) -> Mask {
        self.at_meeting(grid, op, members).into_iter().fold(0, |who, i| who | self.groups[i].mask)
    }

    /// Lanes have come to a barrier.
    pub(super) fn arrive(
        &mut self,
        grid: &Grid<'_>,
        outside: &mut Outside,
        picked: usize,
        active: Mask,
    ) -> Trapped<()> {
        let picked = self.isolate_active(picked, active);
        let group = self.groups[picked];
        let Op::Barrier(barrier) = self.op(grid, group) else { return Ok(()) };
        let base = self.frames.at(group.frame).bases.r32;
        let holding = barrier
            .reduce
            .as_ref()
            .map(|reduce| self.core(grid, outside, group).holds(reduce.source, active));
        let ids = &self.registers.r32[base + usize::from(barrier.id)];
        let id = ids[0];
        if barrier.count.is_none() && ids.iter().fold(0, |differs, other| differs | (other ^ id)) == 0 {
            return self.arrive_at(
                grid,
                outside,
                picked,
                Arrival { id, count: None, holding, ..Arrival::default() },
            );
        }
        let (ids, counts) = (*ids, barrier.count.map(|count| self.registers.r32[base + usize::from(count)]));
        let value = |lane: usize| (ids[lane], counts.map(|counts| counts[lane]));
        self.partition(picked, value, |warp, part, (id, count)| {
            warp.arrive_at(grid, outside, part, Arrival { id, count, holding, ..Arrival::default() })
        })
    }

    /// A group whose lanes name the same barrier has come to it. Warp and lanes of the arrival are filled in here.
    fn arrive_at(
        &mut self,
        grid: &Grid<'_>,
        outside: &mut Outside,
        part: usize,
        arrival: Arrival,
    ) -> Trapped<()> {
        let group = self.groups[part];
        let lanes = group.mask;
        let Op::Barrier(barrier) = self.op(grid, group) else { return Ok(()) };
        let trap = |kind| Trap::new(lanes, kind);
        if barrier.aligned && self.waits_elsewhere(grid, part, arrival.id) {
            let (at, expected) = (barrier_name(barrier.aligned), self.alive);
            return Err(trap(FaultKind::Divergence { at, expected, arrived: lanes }));
        }
        let arrival = Arrival { warp: self.position.warp, lanes, ..arrival };
        let id = outside.barriers.arrive(arrival).map_err(trap)?;
        let group = &mut self.groups[part];
        if barrier.arrive {
            group.pc += 1;
        } else {
            group.wait = Wait::Barrier(id);
        }
        Ok(())
    }

    /// Whether other lanes of the warp wait at the same barrier, but at another instruction.
    fn waits_elsewhere(&self, grid: &Grid<'_>, part: usize, id: u32) -> bool {
        let here = std::ptr::from_ref(self.op(grid, self.groups[part]));
        self.groups.iter().any(|other| {
            other.wait == Wait::Barrier(id as usize) && !std::ptr::eq(here, self.op(grid, *other))
        })
    }

    /// A barrier that lanes may wait at has all its threads.
    pub(super) fn pass_barrier(
        &mut self,
        grid: &Grid<'_>,
        outside: &mut Outside,
        id: usize,
        reduced: Reduced,
    ) {
        for i in 0..self.groups.len() {
            let group = self.groups[i];
            if group.wait != Wait::Barrier(id) {
                continue;
            }
            if let Op::Barrier(barrier) = self.op(grid, group)
                && let Some(reduce) = &barrier.reduce
            {
                let value = reduced.value(reduce.op);
                let core = self.core(grid, outside, group);
                if reduce.op == crate::program::BarrierReduceOp::Count {
                    keep32(&mut core.r32[usize::from(reduce.dest)], &[value; 32], group.mask);
                } else {
                    keep_mask(
                        &mut core.preds[usize::from(reduce.dest)],
                        0_u32.wrapping_sub(value),
                        group.mask,
                    );
                }
            }
            let group = &mut self.groups[i];
            (group.wait, group.pc) = (Wait::Nothing, group.pc + 1);
        }
    }

    /// What the first lanes wait for that can never come, now that nobody in the block can go on; with the line.
    pub(super) fn stuck(
        &self,
        grid: &Grid<'_>,
        barriers: &Barriers,
        at_barrier: bool,
    ) -> Option<(Box<Trap>, u32)> {
        let waiting = self.groups.iter().filter(|group| matches!(group.wait, Wait::Barrier(_)) == at_barrier);
        let group = *waiting.min_by_key(|group| group.mask.trailing_zeros())?;
        let op = self.op(grid, group);
        let (at, expected, arrived) = match (group.wait, op) {
            (Wait::Barrier(id), Op::Barrier(barrier)) => {
                let (expected, arrived) = barriers.counts(id);
                (barrier_name(barrier.aligned), expected, arrived)
            }
            (Wait::Members(members), _) => {
                (meet::name(op), members & self.alive, self.arrived(grid, op, members))
            }
            _ => return None,
        };
        let line = super::warp::line(grid, self.frames.at(group.frame).function, group.pc);
        Some((Trap::new(group.mask, FaultKind::Divergence { at, expected, arrived }), line))
    }
}

fn barrier_name(aligned: bool) -> &'static str {
    if aligned { "bar.sync" } else { "barrier.sync" }
}
