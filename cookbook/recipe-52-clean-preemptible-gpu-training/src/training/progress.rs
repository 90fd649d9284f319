//! [`TrainingState`]: all that decides the later steps of a training, and its bytes.
//!
//! Not the device's part: a [`Trainer`](super::Trainer) makes one of these when it is asked to. Invariant: the state of a
//! plan at a step is one value, with one encoding.

mod codec;
mod error;

use super::generator::Generator;
use super::plan::TrainingPlan;
use super::shuffle::Shuffle;

pub use error::StateError;

/// Mixed into the seed: the first weights and the orders are drawn from streams of their own.
const STREAM: u64 = 0x7765_6967_6874_3532;

/// Which images were used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// How many, each as often as it was used.
    pub examples: u64,
    /// Names them in their order: each step hashes the digest before it and the indices of its batch. All zeros at the
    /// start.
    pub digest: [u8; 32],
}

impl Consumed {
    const NOTHING: Self = Self { examples: 0, digest: [0; 32] };

    fn add(&mut self, batch: &[u32]) {
        let mut hasher = blake3::Hasher::new_derive_key("recipe-52 2026-11 images that were used");
        hasher.update(&self.digest);
        for index in batch {
            hasher.update(&index.to_le_bytes());
        }
        self.digest = *hasher.finalize().as_bytes();
        self.examples += batch.len() as u64;
    }
}

/// How far a training is: what of its state the host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) step: u64,
    pub(super) consumed: Consumed,
    shuffle: Shuffle,
}

impl Progress {
    /// Deals the batch of the next step, and counts the step as done.
    pub(super) fn advance(&mut self, batch_len: u32, batch: &mut Vec<u32>) {
        self.shuffle.deal(batch_len, batch);
        self.consumed.add(batch);
        self.step += 1;
    }
}

/// Weights and moments, as the kernels lay them out: three layers, each (inputs + 1) × outputs, row by row; the last row
/// is the bias.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) parameters: Vec<f32>,
    /// Adam's mean of the gradients.
    pub(super) means: Vec<f32>,
    /// Adam's mean of their squares.
    pub(super) squares: Vec<f32>,
}

impl Model {
    /// Uniform weights, as Glorot and Bengio ("Understanding the difficulty of training deep feedforward neural
    /// networks", 2010) bound them, and no biases.
    fn initial(plan: &TrainingPlan) -> Self {
        let mut generator = Generator::new(Generator::new(plan.seed ^ STREAM).next());
        let mut parameters = Vec::with_capacity(plan.parameter_count());
        for (inputs, outputs) in plan.layers() {
            #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
            let bound = (6.0 / (inputs + outputs) as f32).sqrt();
            parameters.extend((0..inputs * outputs).map(|_| bound * generator.unit()));
            parameters.extend((0..outputs).map(|_| 0.0_f32));
        }
        let zeros = vec![0.0; parameters.len()];
        Self { parameters, means: zeros.clone(), squares: zeros }
    }
}

/// A training after some step: weights, both moments of Adam, the generator and the place in the images, and what was
/// used so far.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::{TrainingPlan, TrainingState};
///
/// let plan = TrainingPlan { hidden: [16, 8], ..TrainingPlan::default() };
/// let state = TrainingState::initial(&plan);
/// let bytes = state.encode();
/// assert_eq!(TrainingState::decode(&bytes, &plan)?, state);
/// let mut damaged = bytes;
/// damaged[200] ^= 1;
/// assert!(TrainingState::decode(&damaged, &plan).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    fingerprint: [u8; 32],
    pub(super) progress: Progress,
    pub(super) model: Model,
}

impl TrainingState {
    /// Before the first step.
    #[must_use]
    pub fn initial(plan: &TrainingPlan) -> Self {
        let progress = Progress { step: 0, consumed: Consumed::NOTHING, shuffle: Shuffle::new(plan.seed) };
        Self::new(plan, progress, Model::initial(plan))
    }

    pub(super) fn new(plan: &TrainingPlan, progress: Progress, model: Model) -> Self {
        Self { fingerprint: plan.fingerprint(), progress, model }
    }

    /// How many steps are done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Which images were used.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        self.progress.consumed
    }

    /// How often all images to train with were used: complete passes.
    #[must_use]
    pub fn passes(&self) -> u64 {
        self.progress.shuffle.pass()
    }

    /// The [fingerprint](TrainingPlan::fingerprint) of the plan that this state belongs to.
    #[must_use]
    pub fn plan_fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Names every bit of the weights and biases, and nothing else.
    #[must_use]
    pub fn weights_digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("recipe-52 2026-11 weights");
        hasher.update(&codec::bytes_of(&self.model.parameters));
        hasher.finalize()
    }

    /// The bytes of the state. The same state has the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The state that has these bytes.
    ///
    /// # Errors
    /// [`StateError`]: every change of a bit is noticed, and so are a state of another plan, and one that is past the
    /// plan's last step. What is allocated is never more than the bytes themselves.
    pub fn decode(bytes: &[u8], plan: &TrainingPlan) -> Result<Self, StateError> {
        codec::decode(bytes, plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: TrainingPlan =
        TrainingPlan { seed: 1, batch_len: 4, steps: 10, learning_rate: 0.01, hidden: [8, 4] };

    #[test]
    fn the_first_weights_are_within_their_bound_and_biases_are_none() {
        let model = Model::initial(&PLAN);
        let (weights, rest) = model.parameters.split_at(64 * 8);
        let bound = (6.0_f32 / 72.0).sqrt();
        assert!(weights.iter().all(|weight| weight.abs() <= bound));
        assert!(weights.iter().any(|weight| weight.abs() > 0.95 * bound));
        let mean = weights.iter().sum::<f32>() / 512.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert_eq!(rest[..8], [0.0; 8]);
        assert_eq!(model.parameters.len(), PLAN.parameter_count());
        assert_ne!(Model::initial(&TrainingPlan { seed: 2, ..PLAN }), model);
    }

    #[test]
    fn what_was_used_is_named_with_its_order() {
        let used = |batches: &[&[u32]]| {
            let mut consumed = Consumed::NOTHING;
            batches.iter().for_each(|batch| consumed.add(batch));
            consumed
        };
        let all = used(&[&[1, 2], &[3, 4]]);
        assert_eq!(all.examples, 4);
        let others: [&[&[u32]]; 4] =
            [&[&[1, 2], &[4, 3]], &[&[3, 4], &[1, 2]], &[&[1, 2, 3, 4]], &[&[5, 6], &[3, 4]]];
        for other in others.map(used) {
            assert_ne!(other.digest, all.digest);
        }
    }

    #[test]
    fn the_digest_of_the_weights_covers_every_weight_and_no_moment() {
        let state = TrainingState::initial(&PLAN);
        for at in [0, 7, 511, PLAN.parameter_count() - 1] {
            let mut other = state.clone();
            other.model.parameters[at] = f32::from_bits(other.model.parameters[at].to_bits() ^ 1);
            assert_ne!(other.weights_digest(), state.weights_digest());
        }
        let mut other = state.clone();
        other.model.means[0] = 1.0;
        assert_eq!(other.weights_digest(), state.weights_digest());
    }
}
