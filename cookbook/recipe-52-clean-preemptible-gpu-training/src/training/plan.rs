//! [`TrainingPlan`]: what is trained, for how long, and everything else that decides the weights.

use serde::{Deserialize, Serialize};

use super::digits::{CLASSES, Digits, PIXELS};

/// The most units of a hidden layer: what the kernels have shared memory for.
const MAX_HIDDEN: u32 = 256;
/// The most images of a batch.
const MAX_BATCH: u32 = 1024;
/// Images go through the kernels in groups of so many.
pub(super) const GROUP: u32 = 4;
/// The most steps: more than a year of them.
const MAX_STEPS: u64 = 10_000_000_000;

/// A training: 64 pixels, two hidden layers with ReLU, and ten classes; softmax and cross entropy; Adam with the constants
/// of its paper (Kingma and Ba, 2015).
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::TrainingPlan;
///
/// let plan = TrainingPlan { seed: 7, steps: 100, ..TrainingPlan::default() };
/// plan.checked()?;
/// // How far to go decides no step: a job can be made longer.
/// assert_eq!(plan.fingerprint(), TrainingPlan { steps: 200, ..plan }.fingerprint());
/// assert_ne!(plan.fingerprint(), TrainingPlan { seed: 8, ..plan }.fingerprint());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// Decides the first weights and the order of the images.
    pub seed: u64,
    /// How many images a step takes: a multiple of 4, at most 1,024.
    pub batch_len: u32,
    /// How many steps there are.
    pub steps: u64,
    /// Adam's step size: above 0, at most 1.
    pub learning_rate: f32,
    /// The units of both hidden layers, each 1 to 256.
    pub hidden: [u32; 2],
}

impl Default for TrainingPlan {
    /// The job of the README.
    fn default() -> Self {
        Self { seed: 42, batch_len: 32, steps: 9000, learning_rate: 3e-4, hidden: [128, 64] }
    }
}

/// What is wrong with a [`TrainingPlan`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A number is out of range.
    #[error("{what}: expected {expected}, found={found}")]
    OutOfRange {
        /// Which one.
        what: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was given.
        found: u64,
    },
    /// The step size is no number, or out of range.
    #[error("the learning rate: expected a number above 0, at most 1, found={found}")]
    LearningRate {
        /// What was given.
        found: f32,
    },
}

impl TrainingPlan {
    /// Refuses a plan that can't be done.
    ///
    /// # Errors
    /// [`PlanError`] with the first number that is out of range.
    pub fn checked(&self) -> Result<(), PlanError> {
        let out_of_range = |what, expected, found| Err(PlanError::OutOfRange { what, expected, found });
        if self.batch_len == 0 || self.batch_len > MAX_BATCH || !self.batch_len.is_multiple_of(GROUP) {
            let expected = "a multiple of 4 from 4 to 1024";
            return out_of_range("images of a batch", expected, u64::from(self.batch_len));
        }
        if self.steps == 0 || self.steps > MAX_STEPS {
            return out_of_range("steps", "1 to 10,000,000,000", self.steps);
        }
        if let Some(units) = self.hidden.into_iter().find(|units| *units == 0 || *units > MAX_HIDDEN) {
            return out_of_range("units of a hidden layer", "1 to 256", u64::from(units));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(PlanError::LearningRate { found: self.learning_rate });
        }
        Ok(())
    }

    /// Names everything that decides what a step does: two plans with the same one go through the same states. How many
    /// steps there are is no part of it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher =
            blake3::Hasher::new_derive_key("recipe-52 2026-11 what decides the steps of a training");
        hasher.update(Digits::digest().as_bytes());
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&self.batch_len.to_le_bytes());
        hasher.update(&self.learning_rate.to_bits().to_le_bytes());
        self.hidden.iter().for_each(|units| {
            hasher.update(&units.to_le_bytes());
        });
        *hasher.finalize().as_bytes()
    }

    /// The inputs and outputs of each layer. What was not [`checked`](Self::checked) is cut to what is allowed, so that
    /// nobody allocates for it.
    pub(super) fn layers(&self) -> [(usize, usize); 3] {
        let [first, second] = self.hidden.map(|units| units.clamp(1, MAX_HIDDEN) as usize);
        [(PIXELS, first), (first, second), (second, CLASSES)]
    }

    /// How many weights and biases the network has.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.layers().iter().map(|(inputs, outputs)| (inputs + 1) * outputs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_of_the_readme_is_in_range_and_has_seventeen_thousand_parameters() {
        let plan = TrainingPlan::default();
        plan.checked().unwrap();
        assert_eq!(plan.parameter_count(), 65 * 128 + 129 * 64 + 65 * 10);
    }

    #[test]
    fn a_number_out_of_range_is_named() {
        let plan = TrainingPlan::default();
        let what = |plan: TrainingPlan| match plan.checked() {
            Err(PlanError::OutOfRange { what, found, .. }) => (what, found),
            other => panic!("{other:?}"),
        };
        for batch_len in [0, 3, 30, 1028, u32::MAX] {
            let found = what(TrainingPlan { batch_len, ..plan });
            assert_eq!(found, ("images of a batch", u64::from(batch_len)));
        }
        assert_eq!(what(TrainingPlan { steps: 0, ..plan }), ("steps", 0));
        assert_eq!(what(TrainingPlan { steps: u64::MAX, ..plan }), ("steps", u64::MAX));
        let huge = TrainingPlan { hidden: [u32::MAX, 257], ..plan };
        assert_eq!(what(huge), ("units of a hidden layer", u64::from(u32::MAX)));
        assert_eq!(huge.parameter_count(), 65 * 256 + 257 * 256 + 257 * 10, "no more than is allowed");
        for learning_rate in [0.0, -0.1, 1.1, f32::NAN, f32::INFINITY] {
            let plan = TrainingPlan { learning_rate, ..plan };
            assert!(matches!(plan.checked(), Err(PlanError::LearningRate { .. })), "{learning_rate}");
        }
    }

    #[test]
    fn the_fingerprint_covers_all_that_decides_a_step() {
        let plan = TrainingPlan::default();
        for other in [
            TrainingPlan { seed: 43, ..plan },
            TrainingPlan { batch_len: 64, ..plan },
            TrainingPlan { learning_rate: 1e-3, ..plan },
            TrainingPlan { hidden: [128, 256], ..plan },
        ] {
            assert_ne!(other.fingerprint(), plan.fingerprint(), "{other:?}");
        }
        assert_eq!(TrainingPlan { steps: 1, ..plan }.fingerprint(), plan.fingerprint());
    }
}
