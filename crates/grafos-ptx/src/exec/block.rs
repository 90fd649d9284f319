//! [`Block`]: the warps of a block, which take turns on one core, and what they share.

use crate::compute::{LANES, Mask};
use crate::error::Fault;

use super::barrier::Barriers;
use super::core::Scratch;
use super::grid::{Grid, Stopped};
use super::preset::{self, Position};
use super::print::Printed;
use super::registers::grow;
use super::warp::{Failure, Turn, Warp};

/// After so many instructions of all its warps a block looks whether it shall stop.
const LOOK: u64 = 1024;
/// How often a block looks on, while a later one has failed, before it gives up as well.
const GRACE: u32 = 4096;

/// One core's place for a block. It is used for one block after the other.
#[derive(Debug, Default)]
pub(super) struct Block {
    warps: Vec<Warp>,
    outside: Outside,
    /// Since the last account.
    steps: u64,
    looks: u32,
}

/// What a warp finds outside of itself.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) shared: Vec<u32>,
    pub(super) barriers: Barriers,
    pub(super) scratch: Scratch,
    pub(super) printed: Printed,
}

impl Block {
    /// Runs one block to its end; false if no other should be begun.
    pub(super) fn run(&mut self, grid: &Grid<'_>, worker: usize, number: u64) -> bool {
        let [x, y, _] = grid.launch.grid.map(u64::from);
        let index = [number % x, number / x % y, number / x / y].map(super::low32);
        let ended = self.begin(grid, worker, index).and_then(|()| self.warps(grid, number));
        let accounted = self.account(grid, number);
        let Printed { bytes, dropped_bytes } = &mut self.outside.printed;
        grid.keep_printed(number, bytes, dropped_bytes);
        match ended.and(accounted) {
            Ok(()) => true,
            Err(Failure::Stopped(why)) => {
                grid.stop(why);
                false
            }
            Err(Failure::Trap { trap, warp, line }) => {
                let trap = *trap;
                let thread = preset::thread(grid.launch.block, warp, super::low32(trap.lane as u64));
                let kernel = grid.kernel.name.clone();
                grid.fail(number, Box::new(Fault { kernel, line, block: index, thread, kind: trap.kind }));
                false
            }
        }
    }

    /// Puts all warps at the start of the kernel, in memory that nothing was written to.
    fn begin(&mut self, grid: &Grid<'_>, worker: usize, block: [u32; 3]) -> Result<(), Failure> {
        let threads = preset::threads(grid.launch.block) as usize;
        let alive: Vec<Mask> = (0..threads.div_ceil(LANES))
            .map(|warp| Mask::MAX >> (LANES - (threads - warp * LANES).min(LANES)))
            .collect();
        let Outside { shared, barriers, .. } = &mut self.outside;
        let words = grid.shared_bytes.div_ceil(4) as usize;
        shared.fill(0);
        if !grow(shared, words, 0) {
            return Err(Failure::Stopped(Stopped::NoMemory));
        }
        barriers.reset(&alive);
        self.warps.resize_with(alive.len(), Warp::default);
        for (i, (warp, alive)) in self.warps.iter_mut().zip(alive).enumerate() {
            warp.reset(grid, Position { block, warp: i, worker }, alive)?;
        }
        self.looks = 0;
        Ok(())
    }

    /// Gives the warps turns until all have ended.
    fn warps(&mut self, grid: &Grid<'_>, number: u64) -> Result<(), Failure> {
        loop {
            let (mut has_run, mut has_ended) = (false, true);
            for i in 0..self.warps.len() {
                let warp = &mut self.warps[i];
                if !warp.is_ready() {
                    has_ended &= warp.groups.is_empty();
                    continue;
                }
                let before = warp.clock;
                let turn = warp.turn(grid, &mut self.outside)?;
                has_run = true;
                has_ended &= turn == Turn::Done;
                self.steps += warp.clock - before;
                if self.steps >= LOOK {
                    self.account(grid, number)?;
                }
                self.pass_barriers(grid);
            }
            if has_ended {
                return Ok(());
            }
            if !has_run {
                return Err(self.stuck(grid));
            }
        }
    }

    /// Lets warps go on whose barrier has all its threads.
    fn pass_barriers(&mut self, grid: &Grid<'_>) {
        while let Some((id, reduced)) = self.outside.barriers.take_complete() {
            for warp in &mut self.warps {
                warp.pass_barrier(grid, &mut self.outside, id, reduced);
            }
        }
    }

    /// Nobody can go on: the first warp whose lanes wait for each other is to blame, or else the first at a barrier.
    fn stuck(&self, grid: &Grid<'_>) -> Failure {
        let barriers = &self.outside.barriers;
        for at_barrier in [false, true] {
            for (warp, state) in self.warps.iter().enumerate() {
                if let Some((trap, line)) = state.stuck(grid, barriers, at_barrier) {
                    return Failure::Trap { trap, warp, line };
                }
            }
        }
        // Never happens: lanes that neither run nor wait have exited.
        Failure::Stopped(Stopped::Elsewhere)
    }

    /// Counts what was executed since the last time, and looks whether to go on.
    fn account(&mut self, grid: &Grid<'_>, number: u64) -> Result<(), Failure> {
        let executed = self.warps.iter_mut().map(|warp| std::mem::take(&mut warp.executed)).sum();
        self.steps = 0;
        grid.account(number, executed).map_err(Failure::Stopped)?;
        if grid.is_halted() {
            self.looks += 1;
            if self.looks > GRACE {
                return Err(Failure::Stopped(Stopped::Elsewhere));
            }
        }
        Ok(())
    }
}
