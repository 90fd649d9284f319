//! The bytes of a [`TrainingState`].
//!
//! ```text
//! 0     8    "GRAFTR52"
//! 8     4    format: 1
//! 12    4    zeros
//! 16    32   fingerprint of the plan
//! 48    8    steps done
//! 56    8    images used
//! 64    32   digest of the images used
//! 96    8    the generator before it drew the order of the present pass
//! 104   8    complete passes
//! 112   8    images of the present pass that were used
//! 120   4n   weights and biases
//!       4n   Adam's means
//!       4n   Adam's means of squares
//!       32   BLAKE3 of all bytes before
//! ```
//!
//! Little-endian throughout; floats by their bits. Invariant: the digest is checked before any other field is believed,
//! and the length before anything is allocated.

use super::{Consumed, Model, Progress, StateError, TrainingState};
use crate::training::digits::Digits;
use crate::training::plan::TrainingPlan;
use crate::training::shuffle::Shuffle;

const MAGIC: [u8; 8] = *b"GRAFTR52";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 120;
const DIGEST_BYTES: usize = 32;

/// Floats, as they are stored.
pub(super) fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|float| f32::from_le_bytes(*float)).collect()
}

fn digest(body: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_derive_key("recipe-52 2026-11 state of a training").update(body).finalize()
}

/// How long a state of the plan is.
fn length(plan: &TrainingPlan) -> usize {
    HEADER_BYTES + 3 * 4 * plan.parameter_count() + DIGEST_BYTES
}

pub(super) fn encode(state: &TrainingState) -> Vec<u8> {
    let TrainingState { fingerprint, progress: Progress { step, consumed, shuffle }, model } = state;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 12 * model.parameters.len() + DIGEST_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(fingerprint);
    bytes.extend(step.to_le_bytes());
    bytes.extend(consumed.examples.to_le_bytes());
    bytes.extend(consumed.digest);
    bytes.extend(shuffle.generator_state().to_le_bytes());
    bytes.extend(shuffle.pass().to_le_bytes());
    bytes.extend(u64::from(shuffle.place()).to_le_bytes());
    for floats in [&model.parameters, &model.means, &model.squares] {
        bytes.extend(bytes_of(floats));
    }
    bytes.extend(digest(&bytes).as_bytes());
    bytes
}

/// What is in front of the floats.
struct Header {
    fingerprint: [u8; 32],
    step: u64,
    consumed: Consumed,
    generator: u64,
    pass: u64,
    place: u64,
}

/// Takes fields off the front of bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn next_u64(&mut self) -> Option<u64> {
        self.next().map(u64::from_le_bytes)
    }

    fn header(&mut self) -> Option<Header> {
        Some(Header {
            fingerprint: self.next()?,
            step: self.next_u64()?,
            consumed: Consumed { examples: self.next_u64()?, digest: self.next()? },
            generator: self.next_u64()?,
            pass: self.next_u64()?,
            place: self.next_u64()?,
        })
    }
}

pub(super) fn decode(bytes: &[u8], plan: &TrainingPlan) -> Result<TrainingState, StateError> {
    let (body, found) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or(StateError::NoState)?;
    let mut fields = Fields(body);
    if fields.next() != Some(MAGIC) {
        return Err(StateError::NoState);
    }
    let format = fields.next().map(u32::from_le_bytes).ok_or(StateError::NoState)?;
    if digest(body) != *found {
        return Err(StateError::Damaged);
    }
    if format != FORMAT {
        return Err(StateError::Format { expected: FORMAT, found: format });
    }
    let zeros = fields.next::<4>().ok_or(StateError::NoState)?;
    let header = fields.header().ok_or(StateError::NoState)?;
    let expected = plan.fingerprint();
    if header.fingerprint != expected || zeros != [0; 4] {
        return Err(StateError::OtherPlan { expected, found: header.fingerprint });
    }
    if bytes.len() != length(plan) {
        return Err(StateError::Length { expected: length(plan) as u64, found: bytes.len() as u64 });
    }
    let progress = progress(&header, plan)?;
    let third = 4 * plan.parameter_count();
    let (parameters, moments) = fields.0.split_at(third);
    let (means, squares) = moments.split_at(third);
    let model =
        Model { parameters: floats_of(parameters), means: floats_of(means), squares: floats_of(squares) };
    Ok(TrainingState { fingerprint: expected, progress, model })
}

/// The counts, if they belong together.
fn progress(header: &Header, plan: &TrainingPlan) -> Result<Progress, StateError> {
    let Header { step, consumed, generator, pass, place, .. } = *header;
    let training_len = u64::from(Digits::TRAINING_LEN);
    let dealt = pass.checked_mul(training_len).and_then(|dealt| dealt.checked_add(place));
    let is_sound = step.checked_mul(u64::from(plan.batch_len)) == Some(consumed.examples)
        && dealt == Some(consumed.examples)
        && place < training_len;
    let contradiction = StateError::Contradiction { step, examples: consumed.examples, pass, place };
    let place = u32::try_from(place).ok().filter(|_| is_sound).ok_or(contradiction)?;
    if step > plan.steps {
        return Err(StateError::PastTheEnd { steps: plan.steps, found: step });
    }
    Ok(Progress { step, consumed, shuffle: Shuffle::restore(generator, pass, place) })
}

#[cfg(test)]
mod tests;
