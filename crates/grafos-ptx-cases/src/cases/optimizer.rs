//! `kernels/optimizer.cu`.

use super::{SIZES, blocks};
use crate::random::Random;
use crate::{Arg, Case};

const MODULE: &str = "optimizer";

pub(super) fn cases() -> Vec<Case> {
    let each = |make: fn(u32, u32) -> Case| SIZES.iter().map(move |&(n, threads)| make(n, threads));
    each(sgd).chain(each(adam)).collect()
}

/// Three steps with the same gradient.
fn sgd(n: u32, threads: u32) -> Case {
    let mut random = Random::new(1);
    let (gradient, velocity, weight) = (random.floats(n), random.floats(n), random.floats(n));
    let (rate, momentum) = (0.01_f32, 0.9_f32);
    let (mut velocity_after, mut weight_after) = (velocity.clone(), weight.clone());
    for _ in 0..3 {
        for ((g, v), w) in gradient.iter().zip(&mut velocity_after).zip(&mut weight_after) {
            *v = momentum * *v + g;
            *w -= rate * *v;
        }
    }
    let mut case = Case::new(MODULE, format!("sgd n={n} threads={threads}"));
    let gradient = case.input("gradient", &gradient);
    let velocity = case.output("velocity", &velocity, &velocity_after);
    let weight = case.output("weight", &weight, &weight_after);
    for _ in 0..3 {
        let args =
            vec![n.into(), rate.into(), momentum.into(), gradient.into(), velocity.into(), weight.into()];
        case.launch("sgd", blocks(n, threads), threads, args);
    }
    case
}

/// Three steps with the same gradient.
fn adam(n: u32, threads: u32) -> Case {
    let mut random = Random::new(2);
    let (gradient, weight) = (random.floats(n), random.floats(n));
    let zeros = vec![0_f32; gradient.len()];
    let (rate, beta1, beta2, epsilon) = (1e-3_f32, 0.9_f32, 0.999_f32, 1e-8_f32);
    // Not `powi`: its last bit depends on how it is compiled, and this runs twice.
    let power = |base: f32, step: u32| (0..step).fold(1.0, |power, _| power * base);
    let corrections = |step: u32| (1.0 - power(beta1, step), 1.0 - power(beta2, step));
    let (mut mean, mut square, mut after) = (zeros.clone(), zeros.clone(), weight.clone());
    for step in 1..=3 {
        let (correction1, correction2) = corrections(step);
        for i in 0..gradient.len() {
            let g = gradient[i];
            mean[i] = beta1 * mean[i] + (1.0 - beta1) * g;
            square[i] = beta2 * square[i] + (1.0 - beta2) * (g * g);
            after[i] -= rate * (mean[i] / correction1) / ((square[i] / correction2).sqrt() + epsilon);
        }
    }
    let mut case = Case::new(MODULE, format!("adam n={n} threads={threads}"));
    let gradient = case.input("gradient", &gradient);
    let mean = case.output("mean", &zeros, &mean);
    let square = case.output("square", &zeros, &square);
    let weight = case.output("weight", &weight, &after);
    for step in 1..=3 {
        let (correction1, correction2) = corrections(step);
        let constants = [rate, beta1, beta2, epsilon, correction1, correction2].map(Arg::F32);
        let buffers = [gradient, mean, square, weight].map(Arg::Buffer);
        let args = [&[Arg::U32(n)], &constants[..], &buffers[..]].concat();
        case.launch("adam", blocks(n, threads), threads, args);
    }
    case
}
