//! Registers that hold a value before the first instruction.

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::program::{Function, Preset, Special};

use super::grid::Grid;
use super::low32;
use super::registers::{Bases, Registers, keep32, keep64};

/// Where a warp is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) block: [u32; 3],
    pub(super) warp: usize,
    pub(super) worker: usize,
}

/// Sets the presets of a frame for some lanes; of these only the ones that `which` wants.
pub(super) fn fill(
    grid: &Grid<'_>,
    position: Position,
    function: &Function,
    (bases, local): (Bases, u32),
    (registers, lanes): (&mut Registers, Mask),
    which: impl Fn(&Preset) -> bool,
) {
    for (slot, preset) in &function.presets {
        if !which(preset) {
            continue;
        }
        let slot = usize::from(*slot);
        match preset {
            Preset::Bits32(_) | Preset::Address32(_) | Preset::Special32(_) => {
                let value = narrow(grid, position, *preset, local);
                keep32(&mut registers.r32[bases.r32 + slot], &value, lanes);
            }
            Preset::Bits64(bits) => keep64(&mut registers.r64[bases.r64 + slot], &[*bits; LANES], lanes),
            Preset::Address64(address) => {
                let value = [grid.address(*address, local); LANES];
                keep64(&mut registers.r64[bases.r64 + slot], &value, lanes);
            }
            Preset::Special64(special) => {
                let value: Lanes64 = self::special(grid, position, *special).map(u64::from);
                keep64(&mut registers.r64[bases.r64 + slot], &value, lanes);
            }
        }
    }
}

/// Whether a preset differs between blocks.
pub(super) fn is_of_block(preset: &Preset) -> bool {
    matches!(preset, Preset::Special32(Special::Ctaid(_)) | Preset::Special64(Special::Ctaid(_)))
}

fn narrow(grid: &Grid<'_>, position: Position, preset: Preset, local: u32) -> Lanes32 {
    match preset {
        Preset::Bits32(bits) => [bits; LANES],
        Preset::Address32(address) => [low32(grid.address(address, local)); LANES],
        Preset::Special32(special) => self::special(grid, position, special),
        Preset::Bits64(_) | Preset::Address64(_) | Preset::Special64(_) => [0; LANES],
    }
}

/// A special register in all lanes.
fn special(grid: &Grid<'_>, position: Position, special: Special) -> Lanes32 {
    let all = |value: u32| [value; LANES];
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let lanes = || std::array::from_fn::<u32, LANES, _>(narrow);
    let axis = |of: [u32; 3], axis: u8| all(of.get(usize::from(axis)).copied().unwrap_or(0));
    match special {
        Special::Tid(axis) => {
            let threads = lanes().map(|lane| thread(grid.launch.block, position.warp, lane));
            threads.map(|thread| thread.get(usize::from(axis)).copied().unwrap_or(0))
        }
        Special::Ntid(of) => axis(grid.launch.block, of),
        Special::Ctaid(of) => axis(position.block, of),
        Special::Nctaid(of) => axis(grid.launch.grid, of),
        Special::LaneId => lanes(),
        Special::WarpId => all(narrow(position.warp)),
        Special::NumWarps => all(threads(grid.launch.block).div_ceil(narrow(LANES))),
        Special::SmId => all(narrow(position.worker)),
        Special::NumSms => all(narrow(grid.workers)),
        Special::LaneMaskEq => lanes().map(|lane| 1 << lane),
        Special::LaneMaskLt => lanes().map(|lane| (1 << lane) - 1),
        Special::LaneMaskLe => lanes().map(|lane| (1 << lane) | ((1 << lane) - 1)),
        Special::LaneMaskGe => lanes().map(|lane| !((1 << lane) - 1)),
        Special::LaneMaskGt => lanes().map(|lane| !((1 << lane) | ((1 << lane) - 1))),
        Special::DynamicSharedSize => all(grid.launch.shared_bytes),
        Special::TotalSharedSize => all(grid.shared_bytes),
        Special::GridId | Special::Zero => all(0),
    }
}

/// How many threads a block has.
pub(super) fn threads([x, y, z]: [u32; 3]) -> u32 {
    x.saturating_mul(y).saturating_mul(z)
}

/// The index of a lane's thread in its block: x counts fastest.
pub(super) fn thread([x, y, _]: [u32; 3], warp: usize, lane: u32) -> [u32; 3] {
    let index = u32::try_from(warp * LANES).unwrap_or(0) + lane;
    [index % x, index / x % y, index / x / y]
}
