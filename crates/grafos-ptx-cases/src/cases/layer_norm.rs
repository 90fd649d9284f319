//! `kernels/layer_norm.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "layer_norm";

pub(super) fn cases() -> Vec<Case> {
    [(1, 1), (3, 31), (5, 32), (4, 33), (6, 200)].map(layer_norm).into()
}

/// The sum of `terms` as a warp finds it: lane by lane, then a butterfly. Every lane ends with the same sum, since
/// addition of two floats doesn't mind their order.
fn warp_total(terms: &[f32]) -> f32 {
    let lane = |lane: usize| terms.iter().skip(lane).step_by(32).fold(0.0, |sum, term| sum + term);
    let mut lanes: Vec<f32> = (0..32).map(lane).collect();
    for by in [16, 8, 4, 2, 1] {
        lanes = (0..32).map(|lane| lanes[lane] + lanes[lane ^ by]).collect();
    }
    lanes[0]
}

fn layer_norm((rows, columns): (u32, u32)) -> Case {
    let mut random = Random::new(1);
    let x = random.many(rows * columns, |random| random.unit() * 3.0 + 0.5);
    let (gain, bias) = (random.floats(columns), random.floats(columns));
    let epsilon = 1e-5_f32;
    let row = |x: &[f32]| -> Vec<f32> {
        let count = x.len() as f32;
        let mean = warp_total(x) / count;
        let squares: Vec<f32> = x.iter().map(|x| (x - mean) * (x - mean)).collect();
        let deviation = (warp_total(&squares) / count + epsilon).sqrt();
        let scaled = x.iter().zip(gain.iter().zip(&bias));
        scaled.map(|(x, (gain, bias))| (x - mean) / deviation * gain + bias).collect()
    };
    let y: Vec<f32> = x.chunks(columns as usize).flat_map(row).collect();
    let mut case = Case::new(MODULE, format!("layer_norm {rows}x{columns}"));
    let (x, gain, bias) = (case.input("x", &x), case.input("gain", &gain), case.input("bias", &bias));
    let y = case.output("y", &vec![f32::NAN; y.len()], &y);
    let args = vec![columns.into(), epsilon.into(), x.into(), gain.into(), bias.into(), y.into()];
    case.launch("layer_norm", rows, 32, args);
    case
}
