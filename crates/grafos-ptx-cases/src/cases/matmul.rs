//! `kernels/matmul.cu`.

use crate::Case;
use crate::random::Random;

const MODULE: &str = "matmul";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [(1, 1, 1), (16, 16, 16), (17, 33, 5), (48, 20, 64), (3, 100, 31)].map(matmul).into();
    cases.extend([(1, 1, 4), (16, 16, 16), (7, 33, 20), (40, 64, 36)].map(matmul_fused_x4));
    cases
}

/// The product, its terms added in the order of the inner index.
fn product(
    (rows, inner, columns): (u32, u32, u32),
    a: &[f32],
    b: &[f32],
    add: fn(f32, f32, f32) -> f32,
) -> Vec<f32> {
    let (inner, columns) = (inner as usize, columns as usize);
    let cell = |row: usize, column: usize| {
        (0..inner).fold(0.0, |sum, k| add(sum, a[row * inner + k], b[k * columns + column]))
    };
    (0..rows as usize).flat_map(|row| (0..columns).map(move |column| cell(row, column))).collect()
}

fn matmul(size: (u32, u32, u32)) -> Case {
    let (rows, inner, columns) = size;
    let mut random = Random::new(1);
    let (a, b) = (random.floats(rows * inner), random.floats(inner * columns));
    let c = product(size, &a, &b, |sum, a, b| sum + a * b);
    let mut case = Case::new(MODULE, format!("matmul {rows}x{inner}x{columns}"));
    let (a, b) = (case.input("a", &a), case.input("b", &b));
    let c = case.output("c", &vec![f32::NAN; c.len()], &c);
    let grid = [columns.div_ceil(16), rows.div_ceil(16), 1];
    let args = vec![rows.into(), inner.into(), columns.into(), a.into(), b.into(), c.into()];
    case.launch_with("matmul", grid, [16, 16, 1], 0, args);
    case
}

fn matmul_fused_x4(size: (u32, u32, u32)) -> Case {
    let (rows, inner, columns) = size;
    let mut random = Random::new(2);
    let (a, b) = (random.floats(rows * inner), random.floats(inner * columns));
    let c = product(size, &a, &b, |sum, a, b| a.mul_add(b, sum));
    let mut case = Case::new(MODULE, format!("matmul_fused_x4 {rows}x{inner}x{columns}"));
    let (a, b) = (case.input("a", &a), case.input("b", &b));
    let c = case.output("c", &vec![f32::NAN; c.len()], &c);
    let grid = [(columns / 4).div_ceil(8), rows.div_ceil(12), 1];
    let args = vec![rows.into(), inner.into(), columns.into(), a.into(), b.into(), c.into()];
    case.launch_with("matmul_fused_x4", grid, [8, 12, 1], 0, args);
    case
}
