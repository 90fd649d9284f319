//! `kernels/stencil.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "stencil";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [(1, 1), (2, 3), (16, 16), (17, 15), (50, 37), (3, 100)].map(heat_2d).into();
    cases.extend([(1, 1, 1), (3, 3, 3), (8, 4, 2), (9, 11, 10), (20, 5, 7)].map(heat_3d));
    cases
}

/// Two steps, there and back.
fn heat_2d((width, height): (u32, u32)) -> Case {
    let k = 0.2_f32;
    let start = Random::new(1).floats(width * height);
    let step = |now: &[f32]| -> Vec<f32> {
        let (width, height) = (width as usize, height as usize);
        let cell = |at: usize| {
            let (x, y) = (at % width, at / width);
            let here = now[at];
            if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
                return here;
            }
            let around = now[at - 1] + now[at + 1] + now[at - width] + now[at + width];
            here + k * (around - 4.0 * here)
        };
        (0..now.len()).map(cell).collect()
    };
    let once = step(&start);
    let twice = step(&once);
    let mut case = Case::new(MODULE, format!("heat_2d {width}x{height}"));
    let a = case.output("a", &start, &twice);
    let b = case.output("b", &vec![f32::NAN; once.len()], &once);
    for (now, next) in [(a, b), (b, a)] {
        let grid = [width.div_ceil(16), height.div_ceil(16), 1];
        let args = vec![width.into(), height.into(), k.into(), now.into(), next.into()];
        case.launch_with("heat_2d", grid, [16, 16, 1], 0, args);
    }
    case
}

fn heat_3d((width, height, depth): (u32, u32, u32)) -> Case {
    let k = 0.15_f32;
    let now = Random::new(2).floats(width * height * depth);
    let next: Vec<f32> = {
        let (width, height, depth) = (width as usize, height as usize, depth as usize);
        let layer = width * height;
        let cell = |at: usize| {
            let (x, y, z) = (at % width, at / width % height, at / layer);
            let here = now[at];
            let is_rim =
                [(x, width), (y, height), (z, depth)].iter().any(|(at, size)| *at == 0 || at + 1 == *size);
            if is_rim {
                return here;
            }
            let around = now[at - 1]
                + now[at + 1]
                + now[at - width]
                + now[at + width]
                + now[at - layer]
                + now[at + layer];
            here + k * (around - 6.0 * here)
        };
        (0..now.len()).map(cell).collect()
    };
    let mut case = Case::new(MODULE, format!("heat_3d {width}x{height}x{depth}"));
    let (now, next) = (case.input("now", &now), case.output("next", &vec![f32::NAN; next.len()], &next));
    let grid = [width.div_ceil(8), height.div_ceil(4), depth.div_ceil(3)];
    let args = vec![width.into(), height.into(), depth.into(), k.into(), now.into(), next.into()];
    case.launch_with("heat_3d", grid, [8, 4, 3], 0, args);
    case
}
