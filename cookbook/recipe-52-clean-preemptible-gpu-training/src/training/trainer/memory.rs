//! [`Memory`]: what a trainer has on the device.

use grafos_std::gpu::{GpuMemHandle, GpuSession};

use crate::TrainingError;
use crate::training::digits::Digits;
use crate::training::outcome::{OUTCOME_BYTES, Outcomes};
use crate::training::plan::{GROUP, TrainingPlan};
use crate::training::progress::Model;

/// Bytes of four floats, one for each image of a group.
const VECTOR_BYTES: usize = 16;

/// Device memory of a training.
#[derive(Debug)]
pub(super) struct Memory {
    /// Of all images, those to train with first.
    pub(super) pixels: GpuMemHandle,
    pub(super) labels: GpuMemHandle,
    /// The indices of the step's images.
    pub(super) batch: GpuMemHandle,
    /// The indices of the images to test with.
    pub(super) test: GpuMemHandle,
    pub(super) parameters: GpuMemHandle,
    pub(super) means: GpuMemHandle,
    pub(super) squares: GpuMemHandle,
    /// What the gradient leaves for the update.
    pub(super) trace: GpuMemHandle,
    pub(super) outcomes: GpuMemHandle,
    pub(super) test_outcomes: GpuMemHandle,
    pub(super) parameter_count: u32,
    pub(super) test_len: u32,
}

impl Memory {
    /// Everything, with the images in it.
    pub(super) fn allocate(
        session: &mut GpuSession,
        digits: &Digits,
        plan: &TrainingPlan,
    ) -> Result<Self, TrainingError> {
        let (training_len, images) = (digits.training_len(), digits.labels().len());
        let test: Vec<u8> = (0_u32..).take(images).skip(training_len).flat_map(u32::to_le_bytes).collect();
        let batch_len = plan.batch_len as usize;
        let vectors: usize = plan.layers().iter().map(|(inputs, outputs)| inputs + outputs).sum();
        let parameter_bytes = 4 * plan.parameter_count();
        let mut alloc = |bytes: usize| session.mem_alloc(bytes as u64);
        let memory = Self {
            pixels: alloc(digits.pixels().len())?,
            labels: alloc(images)?,
            batch: alloc(4 * batch_len)?,
            test: alloc(test.len())?,
            parameters: alloc(parameter_bytes)?,
            means: alloc(parameter_bytes)?,
            squares: alloc(parameter_bytes)?,
            trace: alloc(batch_len / GROUP as usize * vectors * VECTOR_BYTES)?,
            outcomes: alloc(batch_len * OUTCOME_BYTES)?,
            test_outcomes: alloc(digits.test_len() * OUTCOME_BYTES)?,
            // Both are far below: see the limits of a plan.
            parameter_count: u32::try_from(plan.parameter_count()).unwrap_or(u32::MAX),
            test_len: u32::try_from(digits.test_len()).unwrap_or(u32::MAX),
        };
        session.mem_write(&memory.pixels, 0, digits.pixels())?;
        session.mem_write(&memory.labels, 0, digits.labels())?;
        session.mem_write(&memory.test, 0, &test)?;
        Ok(memory)
    }

    pub(super) fn upload(&self, session: &GpuSession, model: &Model) -> Result<(), TrainingError> {
        let parts = [
            (&self.parameters, &model.parameters),
            (&self.means, &model.means),
            (&self.squares, &model.squares),
        ];
        for (memory, floats) in parts {
            let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
            session.mem_write(memory, 0, &bytes)?;
        }
        Ok(())
    }

    pub(super) fn download(&self, session: &GpuSession) -> Result<Model, TrainingError> {
        let floats = |memory: &GpuMemHandle| -> Result<Vec<f32>, TrainingError> {
            let bytes = session.mem_read(memory, 0, memory.len_bytes())?;
            Ok(bytes.as_chunks().0.iter().map(|float| f32::from_le_bytes(*float)).collect())
        };
        Ok(Model {
            parameters: floats(&self.parameters)?,
            means: floats(&self.means)?,
            squares: floats(&self.squares)?,
        })
    }

    pub(super) fn write_batch(&self, session: &GpuSession, batch: &[u32]) -> Result<(), TrainingError> {
        let bytes: Vec<u8> = batch.iter().flat_map(|index| index.to_le_bytes()).collect();
        Ok(session.mem_write(&self.batch, 0, &bytes)?)
    }

    /// What the last step came to. Waits for it.
    pub(super) fn outcomes(&self, session: &GpuSession) -> Result<Outcomes, TrainingError> {
        Ok(Outcomes::sum(&session.mem_read(&self.outcomes, 0, self.outcomes.len_bytes())?))
    }

    /// What the last test came to. Waits for it.
    pub(super) fn test_outcomes(&self, session: &GpuSession) -> Result<Outcomes, TrainingError> {
        Ok(Outcomes::sum(&session.mem_read(&self.test_outcomes, 0, self.test_outcomes.len_bytes())?))
    }

    pub(super) fn free(self, session: &mut GpuSession) -> Result<(), TrainingError> {
        let Self { pixels, labels, batch, test, parameters, means, squares, trace, outcomes, .. } = self;
        let rest = self.test_outcomes;
        for memory in [pixels, labels, batch, test, parameters, means, squares, trace, outcomes, rest] {
            session.mem_free(memory)?;
        }
        Ok(())
    }
}
