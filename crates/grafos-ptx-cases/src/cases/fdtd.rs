//! `kernels/fdtd.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "fdtd";

/// How many steps are launched.
const LAUNCHED: u64 = 5;

/// Room for samples: fewer than there are steps.
const SAMPLES: u32 = 3;

pub(super) fn cases() -> Vec<Case> {
    let shapes = [([1, 1, 1], 1), ([5, 4, 6], 2), ([17, 9, 7], 3), ([8, 8, 8], 8), ([3, 2, 9], 1)];
    let mut cases: Vec<Case> =
        shapes.into_iter().map(|(size, slab)| Box3d { size, slab, stop_at: 4, stop: false }.case()).collect();
    let small = Box3d { size: [5, 4, 6], slab: 4, stop_at: 9, stop: false };
    cases.push(small.case());
    cases.push(Box3d { stop: true, ..small }.case());
    cases
}

struct Box3d {
    size: [u32; 3],
    slab: u32,
    stop_at: u64,
    /// The host has asked to stop: the step that was decided on is done, and no other.
    stop: bool,
}

/// One message to the kernel.
struct Pulse {
    at_step: u64,
    cell: u64,
    amplitude: f32,
}

impl Box3d {
    const K: f32 = 0.3;

    fn cells(&self) -> u32 {
        self.size.iter().product()
    }

    fn done(&self) -> u64 {
        if self.stop { 1 } else { self.stop_at.min(LAUNCHED) }
    }

    fn microphone(&self) -> u64 {
        u64::from(self.cells() / 2)
    }

    /// Two in one step, one that is nowhere, and one that is not due.
    fn pulses(&self) -> [Pulse; 4] {
        let last = u64::from(self.cells() - 1);
        let pulse = |at_step, cell, amplitude| Pulse { at_step, cell, amplitude };
        [pulse(1, 0, 1.5), pulse(1, last, -0.75), pulse(2, last + 1, 9.0), pulse(LAUNCHED + 3, 0, 7.0)]
    }

    fn control(&self, steps_done: u64, running: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(steps_done.to_le_bytes());
        bytes.extend(self.stop_at.to_le_bytes());
        bytes.extend(u32::from(running).to_le_bytes());
        bytes.extend(u32::from(self.stop).to_le_bytes());
        bytes.extend([0; 40]);
        self.size.iter().chain([&self.slab]).for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(self.microphone().to_le_bytes());
        bytes.extend(Self::K.to_le_bytes());
        bytes.resize(256, 0);
        bytes
    }

    /// The step as its formula says it: no slabs, no halos.
    fn step(&self, now: &[f32], before: &[f32]) -> Vec<f32> {
        let [width, height, depth] = self.size.map(|length| length as usize);
        let layer = width * height;
        let cell = |at: usize| {
            let (x, y, z) = (at % width, at / width % height, at / layer);
            let pressure = |is_inside: bool, at: usize| if is_inside { now[at] } else { 0.0 };
            let across = pressure(x > 0, at.wrapping_sub(1)) + pressure(x + 1 < width, at + 1);
            let along = pressure(y > 0, at.wrapping_sub(width)) + pressure(y + 1 < height, at + width);
            let up = pressure(z > 0, at.wrapping_sub(layer)) + pressure(z + 1 < depth, at + layer);
            let around = (across + along) + up;
            (2.0 * now[at] - before[at]) + Self::K * (around - 6.0 * now[at])
        };
        (0..now.len()).map(cell).collect()
    }

    /// What the halos hold when the field is this. What no slab is beside stays zero.
    fn halos(&self, now: &[f32]) -> Vec<f32> {
        let [width, height, depth] = self.size.map(|length| length as usize);
        let (layer, slab) = (width * height, self.slab as usize);
        let slabs = depth.div_ceil(slab);
        let mut halos = vec![0.0; 2 * slabs * layer];
        for border in 1..slabs {
            let (below, above) = (border * slab - 1, border * slab);
            let (up, down) = ((2 * (border - 1) + 1) * layer, 2 * border * layer);
            halos[up..up + layer].copy_from_slice(&now[above * layer..(above + 1) * layer]);
            halos[down..down + layer].copy_from_slice(&now[below * layer..(below + 1) * layer]);
        }
        halos
    }

    fn case(&self) -> Case {
        let mut random = Random::new(3);
        let start = [random.floats(self.cells()), random.floats(self.cells())];
        let (mut now, mut before) = (start[0].clone(), start[1].clone());
        let (pulses, mut taken, mut samples) = (self.pulses(), 0, Vec::new());
        for step in 1..=self.done() {
            let next = self.step(&now, &before);
            (before, now) = (now, next);
            while let Some(pulse) = pulses.get(taken).filter(|pulse| pulse.at_step <= step) {
                if let Some(cell) = usize::try_from(pulse.cell).ok().and_then(|cell| now.get_mut(cell)) {
                    *cell += pulse.amplitude;
                }
                taken += 1;
            }
            samples.push((step, now[usize::try_from(self.microphone()).unwrap_or(0)]));
        }
        let halos = self.halos(&now);
        let after = if self.done().is_multiple_of(2) { [now, before] } else { [before, now] };

        let [width, height, depth] = self.size;
        let name =
            format!("{width}x{height}x{depth}, slab={}, stop_at={}, {}", self.slab, self.stop_at, self.stop);
        let mut case = Case::new(MODULE, name);
        let goes_on = !self.stop && self.done() < self.stop_at;
        let control = case.output("control", &self.control(0, true), &self.control(self.done(), goes_on));
        let a = case.output("a", &start[0], &after[0]);
        let b = case.output("b", &start[1], &after[1]);
        let halos = case.output("halos", &vec![0.0; halos.len()], &halos);
        let from_host = case.output("from_host", &from_host(&pulses, 0), &from_host(&pulses, taken as u64));
        let to_host = case.output("to_host", &to_host(&[]), &to_host(&samples));

        let block = [8, 4, 2];
        let grid = [width.div_ceil(8), height.div_ceil(4), depth.div_ceil(2)];
        let layers = [grid[0], grid[1], depth.div_ceil(self.slab)];
        let exchange = vec![control.into(), a.into(), b.into(), halos.into()];
        case.launch_with("fdtd_exchange", layers, [8, 4, 1], 0, exchange.clone());
        for _ in 0..LAUNCHED {
            case.launch_with("fdtd_step", grid, block, 0, exchange.clone());
            let advance = vec![control.into(), a.into(), b.into(), from_host.into(), to_host.into()];
            case.launch_with("fdtd_advance", [1; 3], [1; 3], 0, advance);
            case.launch_with("fdtd_exchange", layers, [8, 4, 1], 0, exchange.clone());
        }
        case
    }
}

fn queue(head: u64, tail: u64, capacity: u32, slot_bytes: u32, dropped: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(head.to_le_bytes());
    bytes.extend(tail.to_le_bytes());
    bytes.extend(capacity.to_le_bytes());
    bytes.extend(slot_bytes.to_le_bytes());
    bytes.extend(dropped.to_le_bytes());
    bytes.resize(64, 0);
    bytes
}

fn from_host(pulses: &[Pulse; 4], taken: u64) -> Vec<u8> {
    let mut bytes = queue(taken, 4, 4, 32, 0);
    for Pulse { at_step, cell, amplitude } in pulses {
        bytes.extend(at_step.to_le_bytes());
        bytes.extend(cell.to_le_bytes());
        bytes.extend(amplitude.to_le_bytes());
        bytes.extend([0; 12]);
    }
    bytes
}

fn to_host(heard: &[(u64, f32)]) -> Vec<u8> {
    let room = SAMPLES as usize;
    let kept = &heard[..heard.len().min(room)];
    let mut bytes = queue(0, kept.len() as u64, SAMPLES, 16, (heard.len() - kept.len()) as u64);
    for (step, pressure) in kept {
        bytes.extend(step.to_le_bytes());
        bytes.extend(pressure.to_le_bytes());
        bytes.extend([0; 4]);
    }
    bytes.resize(64 + room * 16, 0);
    bytes
}
