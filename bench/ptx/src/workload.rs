//! [`Workload`]: a kernel with its data, and the same computation in plain Rust.

use bytemuck::{cast_slice, pod_collect_to_vec};

/// How large each workload is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Floats in a vector, a multiple of 256.
    pub(crate) vector: u32,
    /// Rows and columns of a matrix, a multiple of 16.
    pub(crate) matrix: u32,
    /// Bytes of the state of a training step.
    pub(crate) state_bytes: u32,
}

impl Sizes {
    pub(crate) const FULL: Self = Self { vector: 4 << 20, matrix: 256, state_bytes: 8 << 20 };
    pub(crate) const QUICK: Self = Self { vector: 1 << 16, matrix: 64, state_bytes: 1 << 16 };
}

/// A parameter of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// By its place in [`Workload::buffers`].
    Buffer(usize),
    U32(u32),
    U64(u64),
    F32(f32),
}

/// One launch, and what it computes.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) size: String,
    pub(crate) ptx: &'static [u8],
    pub(crate) kernel: &'static str,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared_bytes: u32,
    pub(crate) buffers: Vec<Vec<u8>>,
    pub(crate) args: Vec<Arg>,
    /// Which buffer holds the result.
    pub(crate) output: usize,
    /// The result, computed on one core from the same buffers.
    pub(crate) plain: fn(&Workload) -> Vec<u8>,
    /// Thousand millions of thread-instructions a second that one core has to reach; none if nothing was promised.
    pub(crate) target: Option<f64>,
}

/// Threads of a block.
const THREADS: u32 = 256;
const FACTOR: f32 = 1.7;
const STEP: u64 = 42;

pub(crate) fn all(sizes: Sizes) -> Vec<Workload> {
    vec![axpy(sizes.vector), reduction(sizes.vector), matmul(sizes.matrix), train_step(sizes.state_bytes)]
}

/// Floats of [-1, 1) that look random.
fn floats(seed: u32, count: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let floats: Vec<f32> = (0..count).map(next).collect();
    cast_slice(&floats).to_vec()
}

/// A buffer as elements, wherever its bytes lie.
fn elements(bytes: &[u8]) -> Vec<f32> {
    pod_collect_to_vec(bytes)
}

fn axpy(n: u32) -> Workload {
    Workload {
        name: "axpy",
        size: format!("{n} floats"),
        ptx: include_bytes!("../../../kernels/vector.ptx"),
        kernel: "axpy",
        grid: [n / THREADS, 1, 1],
        block: [THREADS, 1, 1],
        shared_bytes: 0,
        buffers: vec![floats(1, n), floats(2, n)],
        args: vec![Arg::U32(n), Arg::F32(FACTOR), Arg::Buffer(0), Arg::Buffer(1)],
        output: 1,
        plain: |workload| {
            let (x, mut y) = (elements(&workload.buffers[0]), elements(&workload.buffers[1]));
            for (x, y) in x.iter().zip(&mut y) {
                *y += FACTOR * x;
            }
            cast_slice(&y).to_vec()
        },
        target: Some(1.0),
    }
}

fn reduction(n: u32) -> Workload {
    Workload {
        name: "reduction",
        size: format!("{n} floats"),
        ptx: include_bytes!("../../../kernels/reduce.ptx"),
        kernel: "block_sum",
        grid: [n / THREADS, 1, 1],
        block: [THREADS, 1, 1],
        shared_bytes: 4 * THREADS,
        buffers: vec![floats(3, n), vec![0; 4 * (n / THREADS) as usize]],
        args: vec![Arg::U32(n), Arg::Buffer(0), Arg::Buffer(1)],
        output: 1,
        plain: |workload| {
            let mut x = elements(&workload.buffers[0]);
            let sums: Vec<f32> = x.chunks_mut(THREADS as usize).map(tree).collect();
            cast_slice(&sums).to_vec()
        },
        target: Some(1.0),
    }
}

/// The sum of a block in the order of the kernel.
fn tree(partial: &mut [f32]) -> f32 {
    let mut half = partial.len() / 2;
    while half > 0 {
        let (low, high) = partial.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
        half /= 2;
    }
    partial[0]
}

fn matmul(n: u32) -> Workload {
    Workload {
        name: "tiled matrix product",
        size: format!("{n} × {n} × {n}"),
        ptx: include_bytes!("../../../kernels/matmul.ptx"),
        kernel: "matmul",
        grid: [n / 16, n / 16, 1],
        block: [16, 16, 1],
        shared_bytes: 0,
        buffers: vec![floats(4, n * n), floats(5, n * n), vec![0; 4 * (n * n) as usize]],
        args: vec![Arg::U32(n), Arg::U32(n), Arg::U32(n), Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2)],
        output: 2,
        plain: |workload| {
            let n = workload.grid[0] as usize * 16;
            let (a, b) = (elements(&workload.buffers[0]), elements(&workload.buffers[1]));
            let mut c = vec![0_f32; n * n];
            // Row by row of b, so that each cell still adds in the order of the inner index.
            for (row_a, row_c) in a.chunks(n).zip(c.chunks_mut(n)) {
                for (a, row_b) in row_a.iter().zip(b.chunks(n)) {
                    for (c, b) in row_c.iter_mut().zip(row_b) {
                        *c += a * b;
                    }
                }
            }
            cast_slice(&c).to_vec()
        },
        target: Some(0.7),
    }
}

fn train_step(n: u32) -> Workload {
    Workload {
        name: "train_step",
        size: format!("{n} bytes"),
        ptx: include_bytes!("../../../kernels/train_step.ptx"),
        kernel: "train_step",
        grid: [64, 1, 1],
        block: [THREADS, 1, 1],
        shared_bytes: 0,
        buffers: vec![(0..n).map(|i| i.to_le_bytes()[0]).collect()],
        args: vec![Arg::U64(STEP), Arg::U32(n), Arg::Buffer(0)],
        output: 0,
        plain: |workload| {
            let mut state = workload.buffers[0].clone();
            for (i, byte) in (0_u64..).zip(&mut state) {
                let mixed = (STEP + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i * 29);
                let [low, ..] = mixed.rotate_left(23).to_le_bytes();
                *byte = byte.wrapping_mul(5).wrapping_add(low);
            }
            state
        },
        target: None,
    }
}
