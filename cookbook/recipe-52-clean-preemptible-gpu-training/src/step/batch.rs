//! [`TrainingBatch`]: what a step works on, and by which key and digest the step is known.

use grafos_replicated::{IdempotencyKey, OperationHash};

use crate::error::TrainingError;

/// What a step works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingBatch {
    /// The job that the step is of, with a name. Jobs have checkpoints and keys of their own.
    pub job_id: String,
    /// The number of the step.
    pub step: u64,
    /// What the kernel finds in its buffer.
    pub input: Vec<u8>,
    /// How many bytes of the buffer are the result: what the checkpoint keeps. At most as many as the input has.
    pub output_len: u32,
}

impl TrainingBatch {
    pub(super) fn check(&self) -> Result<(), TrainingError> {
        let (input, output) = (self.input.len() as u64, u64::from(self.output_len));
        let invalid = |what, expected, found| Err(TrainingError::InvalidBatch { what, expected, found });
        if self.job_id.is_empty() {
            return invalid("bytes of the job's name", "at least one", 0);
        }
        if input == 0 {
            return invalid("bytes of the input", "at least one", input);
        }
        if output == 0 || output > input {
            return invalid("bytes of the output", "at least one, and no more than the input has", output);
        }
        Ok(())
    }

    pub(super) fn key(&self) -> IdempotencyKey {
        IdempotencyKey::new(format!("job:{}:step:{}", self.job_id, self.step))
    }

    pub(super) fn operation(&self, module: &[u8], kernel: &str) -> OperationHash {
        OperationHash::of_parts(&[
            b"training step v1",
            self.job_id.as_bytes(),
            &self.step.to_le_bytes(),
            module,
            kernel.as_bytes(),
            &self.input,
            &self.output_len.to_le_bytes(),
        ])
    }
}
