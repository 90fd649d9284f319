//! [`Reference`]: the same training in plain Rust, without a device.
//!
//! It takes the sums in the order of `kernels/digits.cu` and rounds where the kernels round, so it leaves the same bits.
//! Not fast: it is there to be compared with.

mod functions;

use super::digits::{CLASSES, Digits, PIXELS};
use super::outcome::Outcomes;
use super::plan::{PlanError, TrainingPlan};
use super::progress::TrainingState;
use super::trainer::{StepReport, corrections, scale};
use functions::{exponential, logarithm};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// A training on the processor.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::{Digits, Reference, TrainingPlan, TrainingState};
///
/// let plan = TrainingPlan { hidden: [16, 8], ..TrainingPlan::default() };
/// let digits = Digits::load()?;
/// let mut reference = Reference::new(&digits, &plan, TrainingState::initial(&plan))?;
/// assert_eq!(reference.step().step, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reference<'data> {
    digits: &'data Digits,
    plan: TrainingPlan,
    state: TrainingState,
}

/// What one image leaves on its way through the network.
struct Pass {
    /// The inputs of each layer.
    inputs: [Vec<f32>; 3],
    /// The derivatives of the loss at the sums of each layer.
    at: [Vec<f32>; 3],
    loss: f32,
    is_right: bool,
}

impl<'data> Reference<'data> {
    /// A training that goes on from a state of this plan.
    ///
    /// # Errors
    /// [`PlanError`] if the plan can't be done.
    pub fn new(digits: &'data Digits, plan: &TrainingPlan, state: TrainingState) -> Result<Self, PlanError> {
        plan.checked()?;
        Ok(Self { digits, plan: *plan, state })
    }

    /// The state after the last step.
    #[must_use]
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// Does the next step.
    pub fn step(&mut self) -> StepReport {
        let mut batch = Vec::new();
        self.state.progress.advance(self.plan.batch_len, &mut batch);
        let (outcomes, gradient) = self.gradient(&batch);
        self.update(&gradient);
        StepReport::new(&self.plan, self.state.step(), outcomes)
    }

    /// The share of the images to test with that the network tells right now.
    #[must_use]
    pub fn test_accuracy(&self) -> f64 {
        let test = self.digits.training_len()..self.digits.labels().len();
        let (all, right) = test.fold((0_u32, 0_u32), |(all, right), image| {
            (all + 1, right + u32::from(self.pass(image).is_right))
        });
        f64::from(right) / f64::from(all)
    }

    /// The gradient of the mean loss of a batch.
    fn gradient(&self, batch: &[u32]) -> (Outcomes, Vec<f32>) {
        let mut gradient = vec![0.0; self.state.model.parameters.len()];
        let mut outcomes = Outcomes::default();
        for image in batch {
            let pass = self.pass(*image as usize);
            outcomes.add(pass.loss, u32::from(pass.is_right));
            let mut rest = gradient.as_mut_slice();
            for (inputs, at) in pass.inputs.iter().zip(&pass.at) {
                let ones = inputs.iter().chain(&[1.0]);
                let (layer, others) = rest.split_at_mut((inputs.len() + 1) * at.len());
                for (row, input) in layer.chunks_exact_mut(at.len()).zip(ones) {
                    row.iter_mut().zip(at).for_each(|(sum, at)| *sum = input.mul_add(*at, *sum));
                }
                rest = others;
            }
        }
        (outcomes, gradient)
    }

    /// Each layer's parameters, with its inputs and outputs.
    fn layers(&self) -> [(&[f32], usize, usize); 3] {
        let mut rest = self.state.model.parameters.as_slice();
        self.plan.layers().map(|(inputs, outputs)| {
            let (layer, others) = rest.split_at((inputs + 1) * outputs);
            rest = others;
            (layer, inputs, outputs)
        })
    }

    /// One image through the network and back.
    fn pass(&self, image: usize) -> Pass {
        let [layer1, layer2, layer3] = self.layers();
        let pixels: Vec<f32> =
            self.digits.image(image).iter().map(|pixel| f32::from(*pixel) / 16.0).collect();
        let hidden1 = rectified(sums(layer1, &pixels));
        let hidden2 = rectified(sums(layer2, &hidden1));
        let mut last = sums(layer3, &hidden2);
        let label = self.digits.label(image).map_or(CLASSES, usize::from);
        let (loss, is_right) = softmax_loss(label, scale(&self.plan), &mut last);
        let at2 = back(layer3, &last, &hidden2);
        let at1 = back(layer2, &at2, &hidden1);
        Pass { inputs: [pixels, hidden1, hidden2], at: [at1, at2, last], loss, is_right }
    }

    /// Adam (Kingma and Ba, 2015, algorithm 1).
    fn update(&mut self, gradient: &[f32]) {
        let [correction1, correction2] = corrections(self.state.step());
        let model = &mut self.state.model;
        let moments = model.means.iter_mut().zip(&mut model.squares);
        for ((weight, (mean, square)), g) in model.parameters.iter_mut().zip(moments).zip(gradient) {
            *mean = BETA1 * *mean + (1.0 - BETA1) * g;
            *square = BETA2 * *square + (1.0 - BETA2) * (g * g);
            *weight -=
                self.plan.learning_rate * (*mean / correction1) / ((*square / correction2).sqrt() + EPSILON);
        }
    }
}

/// The sums of a layer: the bias, then the inputs in order.
fn sums((layer, inputs, outputs): (&[f32], usize, usize), from: &[f32]) -> Vec<f32> {
    let (weights, bias) = layer.split_at(inputs * outputs);
    let mut sums = bias.to_vec();
    for (input, row) in from.iter().zip(weights.chunks_exact(outputs)) {
        sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum = weight.mul_add(*input, *sum));
    }
    sums
}

fn rectified(mut sums: Vec<f32>) -> Vec<f32> {
    sums.iter_mut().for_each(|sum| *sum = if *sum > 0.0 { *sum } else { 0.0 });
    sums
}

/// The derivatives at the sums of a hidden layer, from those of the layer above.
fn back((layer, _, outputs): (&[f32], usize, usize), above: &[f32], activations: &[f32]) -> Vec<f32> {
    let derivative = |(row, activation): (&[f32], &f32)| {
        let sum = row.iter().zip(above).fold(0.0, |sum: f32, (weight, at)| weight.mul_add(*at, sum));
        if *activation > 0.0 { sum } else { 0.0 }
    };
    layer.chunks_exact(outputs).zip(activations).map(derivative).collect()
}

/// Turns the sums of the last layer into the derivatives of `scale` times the loss at them; says the loss, and whether the
/// answer is right.
fn softmax_loss(label: usize, scale: f32, sums: &mut [f32]) -> (f32, bool) {
    let first = (0, sums.first().copied().unwrap_or_default());
    let greater =
        |best: (usize, f32), (class, sum): (usize, &f32)| if *sum > best.1 { (class, *sum) } else { best };
    let (answer, greatest) = sums.iter().enumerate().fold(first, greater);
    let right = sums.get(label).map_or(0.0, |sum| sum - greatest);
    let mut total = 0.0;
    for sum in sums.iter_mut() {
        *sum = exponential(*sum - greatest);
        total += *sum;
    }
    for (class, power) in sums.iter_mut().enumerate() {
        let share = *power / total;
        *power = (if class == label { share - 1.0 } else { share }) * scale;
    }
    (logarithm(total) - right, answer == label)
}

const _: () = assert!(PIXELS == 64 && CLASSES == 10, "as in the kernels");

#[cfg(test)]
mod tests;
