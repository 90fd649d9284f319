//! [`Digits`]: the images that the network learns and is tested on.
//!
//! ```text
//! data/digits.bin    1,797 images of 65 bytes: 1,437 to train with, then 360 to test with
//! an image           64 pixels of 0 to 16, row by row, then the digit, 0 to 9
//! ```
//!
//! Where they come from and under which licence is in `data/README.md`. They are part of the program, so a run needs no
//! path. Invariant: what is handed out has the digest below.

/// Pixels of an image: 8 rows of 8.
pub const PIXELS: usize = 64;

/// Digits that there are.
pub const CLASSES: usize = 10;

/// The darkest pixel.
const MAX_PIXEL: u8 = 16;
const IMAGE_BYTES: usize = PIXELS + 1;
const TRAINING_IMAGES: usize = 1437;
const TEST_IMAGES: usize = 360;

static FILE: &[u8] = include_bytes!("../../data/digits.bin");

/// BLAKE3 of the file.
const DIGEST: &str = "0e10ef1352c0649d89b8b290fa55dccc52067334e212815fa4ab82ec8ce8a9da";

/// Why the images can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// It has another size than the images need.
    #[error("the images are cut off, or there are too many: expected_bytes={expected}, found_bytes={found}")]
    Length {
        /// What the images need.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// These are other images.
    #[error("these are other images: expected_digest={expected}, found_digest={found}")]
    Digest {
        /// BLAKE3 of the images of this job, in hexadecimal digits.
        expected: &'static str,
        /// BLAKE3 of what there is.
        found: String,
    },
    /// An image has a pixel that is too dark, or is of no digit.
    #[error("an image is out of range: image={image}, byte={byte}, value={value}")]
    Range {
        /// Which image.
        image: usize,
        /// Which of its bytes: the 65th is its digit.
        byte: usize,
        /// What is there.
        value: u8,
    },
}

/// Images of 8 × 8 pixels with the digits that they show.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::training::Digits;
///
/// let digits = Digits::load()?;
/// assert_eq!((digits.training_len(), digits.test_len()), (1437, 360));
/// assert_eq!(digits.label(0), Some(1)); // the first image to train with shows a one
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// Of all images, one after the other.
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Digits {
    /// The images of the program, checked.
    ///
    /// # Errors
    /// [`DataError`] if they are not what they were when the program was made.
    pub fn load() -> Result<Self, DataError> {
        Self::parse(FILE)
    }

    fn parse(bytes: &[u8]) -> Result<Self, DataError> {
        let expected = (TRAINING_IMAGES + TEST_IMAGES) * IMAGE_BYTES;
        if bytes.len() != expected {
            return Err(DataError::Length { expected, found: bytes.len() });
        }
        let digits = Self::in_range(bytes)?;
        let found = blake3::hash(bytes).to_hex();
        if found.as_str() != DIGEST {
            return Err(DataError::Digest { expected: DIGEST, found: found.to_string() });
        }
        Ok(digits)
    }

    fn in_range(bytes: &[u8]) -> Result<Self, DataError> {
        let images = bytes.len() / IMAGE_BYTES;
        let mut digits =
            Self { pixels: Vec::with_capacity(images * PIXELS), labels: Vec::with_capacity(images) };
        for (image, bytes) in bytes.as_chunks::<IMAGE_BYTES>().0.iter().enumerate() {
            let [pixels @ .., label] = bytes;
            let out_of_range = |(_, value): &(usize, &u8)| **value > MAX_PIXEL;
            if let Some((byte, value)) = pixels.iter().enumerate().find(out_of_range) {
                return Err(DataError::Range { image, byte, value: *value });
            }
            if usize::from(*label) >= CLASSES {
                return Err(DataError::Range { image, byte: PIXELS, value: *label });
            }
            digits.pixels.extend_from_slice(pixels);
            digits.labels.push(*label);
        }
        Ok(digits)
    }

    /// How many images there are to train with. They are the first ones.
    #[must_use]
    pub fn training_len(&self) -> usize {
        TRAINING_IMAGES
    }

    /// How many images there are to test with. They come after those to train with, and no step ever sees them.
    #[must_use]
    pub fn test_len(&self) -> usize {
        TEST_IMAGES
    }

    /// The pixels of all images, one image after the other, each row by row: 0 is white, 16 black.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The digits of all images, in the same order.
    #[must_use]
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of one image; no pixels if there is no such image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        self.pixels.chunks_exact(PIXELS).nth(index).unwrap_or_default()
    }

    /// The digit of one image; none if there is no such image.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<u8> {
        self.labels.get(index).copied()
    }

    /// Names the images among all others: a part of what decides the weights.
    pub(super) fn digest() -> &'static str {
        DIGEST
    }

    /// How many images the shuffle deals.
    pub(super) const TRAINING_LEN: u32 = 1437;
}

const _: () = assert!(TRAINING_IMAGES == Digits::TRAINING_LEN as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_the_program_are_whole_and_every_digit_is_in_both_parts() {
        let digits = Digits::load().unwrap();
        assert_eq!(digits.pixels().len(), 1797 * PIXELS);
        let (training, test) = digits.labels().split_at(digits.training_len());
        assert_eq!(test.len(), digits.test_len());
        for digit in 0..10 {
            let count = |labels: &[u8]| labels.iter().filter(|label| **label == digit).count();
            assert!((130..160).contains(&count(training)), "{digit}: {}", count(training));
            assert!((25..50).contains(&count(test)), "{digit}: {}", count(test));
        }
        // Faint or dark, none is empty.
        assert!((0..1797).all(|image| digits.image(image).iter().any(|pixel| *pixel >= 8)));
    }

    #[test]
    fn a_changed_image_is_refused_with_what_is_wrong() {
        assert_eq!(Digits::parse(&FILE[1..]), Err(DataError::Length { expected: 116_805, found: 116_804 }));
        let changed = |at: usize, value: u8| {
            let mut bytes = FILE.to_vec();
            bytes[at] = value;
            Digits::parse(&bytes).unwrap_err()
        };
        assert_eq!(changed(65 + 3, 17), DataError::Range { image: 1, byte: 3, value: 17 });
        assert_eq!(changed(2 * 65 + 64, 10), DataError::Range { image: 2, byte: 64, value: 10 });
        assert!(matches!(changed(64, FILE[64] ^ 1), DataError::Digest { .. }));
    }
}
