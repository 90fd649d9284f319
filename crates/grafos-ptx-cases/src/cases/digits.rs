//! `kernels/digits.cu`: the gradient of a batch, the update with it, and an evaluation, bit by bit.

use crate::random::Random;
use crate::{Arg, BufferIndex, Case};

const MODULE: &str = "digits";
const PIXELS: usize = 64;
const CLASSES: usize = 10;
const GROUP: usize = 4;
const IMAGES: u32 = 23;

pub(super) fn cases() -> Vec<Case> {
    let shapes =
        [([5, 3], 1, 32), ([32, 33], 2, 64), ([1, 40], 3, 4), ([140, 20], 2, 256), ([256, 256], 1, 128)];
    let trained = shapes.map(|(hidden, groups, threads)| Network::new(hidden, groups).step(threads));
    let evaluated = shapes.map(|(hidden, groups, threads)| Network::new(hidden, groups).evaluation(threads));
    trained.into_iter().chain(evaluated).collect()
}

/// Parameters, images, and the indices of a batch.
struct Network {
    hidden: [u32; 2],
    pixels: Vec<u8>,
    labels: Vec<u8>,
    batch: Vec<u32>,
    parameters: Vec<f32>,
}

/// What one image comes to: activations of both hidden layers, derivatives at the sums of all three, loss, and whether the
/// answer is right.
struct Pass {
    activations: [Vec<f32>; 3],
    at: [Vec<f32>; 3],
    outcome: [u32; 2],
}

impl Network {
    fn new(hidden: [u32; 2], groups: u32) -> Self {
        let mut random = Random::new(u64::from(hidden[0]));
        let narrow = |word: u32| u8::try_from(word).unwrap_or_default();
        let pixels = random.many(IMAGES * 64, |random| narrow(random.below(17)));
        let labels = random.many(IMAGES, |random| narrow(random.below(10)));
        let batch = random.many(groups * 4, |random| random.below(IMAGES));
        let [first, second] = hidden;
        let parameters =
            random.many(65 * first + (first + 1) * second + (second + 1) * 10, |random| random.unit() / 4.0);
        Self { hidden, pixels, labels, batch, parameters }
    }

    fn groups(&self) -> u32 {
        self.batch.chunks(GROUP).map(|_| 1).sum()
    }

    /// The parameters of each layer, and how many outputs it has.
    fn layers(&self) -> [(&[f32], usize); 3] {
        let [first, second] = self.hidden.map(|units| units as usize);
        let (layer1, rest) = self.parameters.split_at(65 * first);
        let (layer2, layer3) = rest.split_at((first + 1) * second);
        [(layer1, first), (layer2, second), (layer3, CLASSES)]
    }

    fn pass(&self, image: u32, scale: f32) -> Pass {
        let image = image as usize;
        let [layer1, layer2, layer3] = self.layers();
        let pixels = &self.pixels[image * PIXELS..][..PIXELS];
        let input: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel) / 16.0).collect();
        let hidden1 = positive(sums(layer1, &input));
        let hidden2 = positive(sums(layer2, &hidden1));
        let mut last = sums(layer3, &hidden2);
        let outcome = softmax_loss(usize::from(self.labels[image]), scale, &mut last);
        let at2 = back(layer3, &last, &hidden2);
        let at1 = back(layer2, &at2, &hidden1);
        Pass { activations: [input, hidden1, hidden2], at: [at1, at2, last], outcome }
    }

    fn passes(&self, scale: f32) -> Vec<Pass> {
        self.batch.iter().map(|image| self.pass(*image, scale)).collect()
    }

    /// The gradient summed over the images in order, in the layout of the parameters.
    fn gradient(passes: &[Pass]) -> Vec<f32> {
        let mut gradient = Vec::new();
        for layer in 0..3 {
            let (inputs, outputs) = (passes[0].activations[layer].len(), passes[0].at[layer].len());
            let sum = |row: usize, column: usize| {
                passes.iter().fold(0.0_f32, |sum, pass| {
                    let input = pass.activations[layer].get(row).copied().unwrap_or(1.0);
                    input.mul_add(pass.at[layer][column], sum)
                })
            };
            gradient.extend(
                (0..=inputs)
                    .flat_map(|row| (0..outputs).map(move |column| (row, column)))
                    .map(|(r, c)| sum(r, c)),
            );
        }
        gradient
    }

    /// What is the same in the arguments of both kernels, after the hidden layers and the scale.
    fn inputs(&self, case: &mut Case) -> [BufferIndex; 3] {
        [
            case.input("images", &self.pixels),
            case.input("labels", &self.labels),
            case.input("batch", &self.batch),
        ]
    }

    /// The gradient and the update, twice Adam's way from moments that are not zero.
    fn step(&self, threads: u32) -> Case {
        let [hidden1, hidden2] = self.hidden;
        #[allow(clippy::cast_precision_loss, reason = "a few")]
        let scale = 1.0 / self.batch.len() as f32;
        let (rate, correction1, correction2) = (1e-2_f32, 0.271_f32, 0.003_f32);
        let passes = self.passes(scale);
        let trace: Vec<f32> = passes.chunks(GROUP).flat_map(group_of).collect();
        let outcomes: Vec<u32> = passes.iter().flat_map(|pass| pass.outcome).collect();
        let mut random = Random::new(9);
        let count = u32::try_from(self.parameters.len()).unwrap_or(u32::MAX);
        let means = random.floats(count);
        let squares: Vec<f32> = random.many(count, |random| random.unit().abs() + 1e-3);
        let (mut means_after, mut squares_after, mut after) =
            (means.clone(), squares.clone(), self.parameters.clone());
        for (i, g) in Self::gradient(&passes).into_iter().enumerate() {
            means_after[i] = 0.9 * means[i] + (1.0 - 0.9_f32) * g;
            squares_after[i] = 0.999 * squares[i] + (1.0 - 0.999_f32) * (g * g);
            after[i] -=
                rate * (means_after[i] / correction1) / ((squares_after[i] / correction2).sqrt() + 1e-8);
        }
        let mut case = Case::new(MODULE, format!("step of {hidden1} and {hidden2}, threads={threads}"));
        let [images, labels, batch] = self.inputs(&mut case);
        let parameters = case.output("parameters", &self.parameters, &after);
        let trace = case.output("trace", &vec![-1.0; trace.len()], &trace);
        let outcomes = case.output("outcomes", &vec![7; outcomes.len()], &outcomes);
        let means = case.output("means", &means, &means_after);
        let squares = case.output("squares", &squares, &squares_after);
        let shape = [Arg::U32(hidden1), Arg::U32(hidden2)];
        let buffers = [images, labels, batch, parameters, trace, outcomes].map(Arg::Buffer);
        case.launch(
            "digits_gradient",
            self.groups(),
            threads,
            [&shape[..], &[scale.into()], &buffers].concat(),
        );
        let numbers = [self.groups().into(), rate.into(), correction1.into(), correction2.into()];
        let buffers = [trace, parameters, means, squares].map(Arg::Buffer);
        case.launch("digits_update", count.div_ceil(256), 256, [&shape[..], &numbers, &buffers].concat());
        case
    }

    fn evaluation(&self, threads: u32) -> Case {
        let [hidden1, hidden2] = self.hidden;
        let outcomes: Vec<u32> = self.passes(1.0).iter().flat_map(|pass| pass.outcome).collect();
        let mut case = Case::new(MODULE, format!("evaluation of {hidden1} and {hidden2}, threads={threads}"));
        let [images, labels, batch] = self.inputs(&mut case);
        let parameters = case.input("parameters", &self.parameters);
        let outcomes = case.output("outcomes", &vec![7; outcomes.len()], &outcomes);
        let buffers = [images, labels, batch, parameters, outcomes].map(Arg::Buffer);
        let args = [&[Arg::U32(hidden1), Arg::U32(hidden2)], &buffers[..]].concat();
        case.launch("digits_evaluate", self.groups(), threads, args);
        case
    }
}

/// The trace of four images: value by value, one component for each of them.
fn group_of(passes: &[Pass]) -> Vec<f32> {
    let columns: Vec<Vec<f32>> = passes
        .iter()
        .map(|pass| pass.activations.iter().chain(&pass.at).flatten().copied().collect())
        .collect();
    (0..columns[0].len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

fn sums((layer, outputs): (&[f32], usize), from: &[f32]) -> Vec<f32> {
    let bias = from.len() * outputs;
    let sum = |j: usize| {
        let weights = layer[j..].iter().step_by(outputs);
        from.iter().zip(weights).fold(layer[bias + j], |sum, (x, weight)| weight.mul_add(*x, sum))
    };
    (0..outputs).map(sum).collect()
}

fn positive(sums: Vec<f32>) -> Vec<f32> {
    sums.into_iter().map(|sum| if sum > 0.0 { sum } else { 0.0 }).collect()
}

fn back((layer, outputs): (&[f32], usize), above: &[f32], activations: &[f32]) -> Vec<f32> {
    let rows = layer.chunks(outputs).zip(activations);
    rows.map(|(row, activation)| {
        let sum = row.iter().zip(above).fold(0.0_f32, |sum, (weight, at)| weight.mul_add(*at, sum));
        if *activation > 0.0 { sum } else { 0.0 }
    })
    .collect()
}

/// The loss as bits, and whether the answer is right.
fn softmax_loss(label: usize, scale: f32, sums: &mut [f32]) -> [u32; 2] {
    let greatest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let answer = sums.iter().position(|sum| *sum >= greatest);
    let right = sums[label] - greatest;
    sums.iter_mut().for_each(|sum| *sum = exponential(*sum - greatest));
    let total = sums.iter().fold(0.0, |total: f32, power| total + power);
    for (class, power) in sums.iter_mut().enumerate() {
        let share = *power / total;
        *power = (if class == label { share - 1.0 } else { share }) * scale;
    }
    [(logarithm(total) - right).to_bits(), u32::from(answer == Some(label))]
}

/// As the kernel computes it: bit by bit, not as near as can be.
#[allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "the constants of the kernel, digit by digit"
)]
fn exponential(x: f32) -> f32 {
    #[allow(clippy::cast_possible_truncation, reason = "below 128")]
    let power = (x * 1.442_695_04_f32 - 0.5) as i32;
    #[allow(clippy::cast_precision_loss, reason = "below 128")]
    let whole = -(power as f32);
    let rest = whole.mul_add(-2.121_944_40e-4, whole.mul_add(0.693_359_375, x));
    let terms = [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0_f32];
    let sum = terms.iter().fold(1.0 / 5040.0, |sum: f32, term| sum.mul_add(rest, 1.0 / term));
    if x < -87.0 { 0.0 } else { sum * f32::from_bits((power + 127).cast_unsigned() << 23) }
}

/// As the kernel computes it.
#[allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "the constants of the kernel, digit by digit"
)]
fn logarithm(x: f32) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "below 128")]
    let exponent = ((x.to_bits() >> 23) - 127) as f32;
    let mantissa = f32::from_bits((x.to_bits() & 0x007f_ffff) | 0x3f80_0000);
    let (power, mantissa) =
        if mantissa > 1.414_213_56 { (exponent + 1.0, mantissa * 0.5) } else { (exponent, mantissa) };
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let terms = [7.0, 5.0, 3.0, 1.0_f32];
    let sum = terms.iter().fold(2.0 / 9.0, |sum: f32, term| sum.mul_add(ratio * ratio, 2.0 / term));
    power.mul_add(0.693_147_181, ratio * sum)
}
