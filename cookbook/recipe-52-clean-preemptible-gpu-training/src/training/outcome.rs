//! [`Outcomes`]: what a batch came to, image by image, as the kernels leave it.
//!
//! ```text
//! 0   4   the loss, a float
//! 4   4   1 if the answer was right, else 0
//! ```
//! Little-endian. Sums are taken in the order of the images.

/// Bytes of one image.
pub(super) const OUTCOME_BYTES: usize = 8;

/// Sums over a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcomes {
    pub(super) loss: f32,
    pub(super) correct: u32,
}

impl Outcomes {
    pub(super) fn sum(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        for [a, b, c, d, e, f, g, h] in bytes.as_chunks::<OUTCOME_BYTES>().0 {
            sum.add(f32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
        }
        sum
    }

    pub(super) fn add(&mut self, loss: f32, is_right: u32) {
        self.loss += loss;
        self.correct += is_right;
    }
}
