//! The machine: runs the blocks of a launch on the cores of the processor.
//!
//! A block runs on one core from its beginning to its end, so nothing within a block races. Blocks that run at the
//! same time share global memory alone. As many blocks are resident as there are cores: kernels that wait for blocks
//! which have not begun (barriers over a whole grid) wait for ever, until they are interrupted.

mod access;
mod atomic;
mod barrier;
mod block;
mod call;
mod compute;
mod core;
mod format;
mod frames;
mod grid;
mod load;
mod meet;
mod neighbours;
mod preset;
mod print;
mod registers;
mod space;
mod store;
mod trap;
mod wait;
mod warp;

use std::thread;

use block::Block;
pub(crate) use grid::{Grid, Parts};
pub(crate) use space::FUNCTION_WINDOW;

use crate::launch::LaunchReport;

/// Runs all blocks.
pub(crate) fn run(mut grid: Grid<'_>) -> LaunchReport {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let wanted = grid.limits.threads.unwrap_or_else(cores).max(1);
    grid.workers = wanted.min(index(grid.blocks()));
    thread::scope(|scope| {
        for worker in 1..grid.workers {
            let grid = &grid;
            // Without another thread there are fewer cores.
            let _ = thread::Builder::new().spawn_scoped(scope, move || work(grid, worker));
        }
        work(&grid, 0);
    });
    grid.report()
}

/// One core: block after block.
fn work(grid: &Grid<'_>, worker: usize) {
    let mut block = Block::default();
    while let Some(blocks) = grid.claim() {
        for number in blocks {
            if !grid.goes_on(number) || !block.run(grid, worker, number) {
                return;
            }
        }
    }
}

/// The lower half.
#[inline]
fn low32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A place in memory of this machine: what does not fit is past the end of everything.
#[inline]
fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
