//! The state of the job: which steps it has done, in order, and bytes that follow from them.

use grafos_replicated::*;

use crate::world::payload;

/// Which process has done which step's work.
pub(crate) const LAUNCHES: &str = "launches";

/// How long the bytes are that come behind the steps: more than one write of a replica.
const FILLER_BYTES: usize = 100_000;

pub(crate) fn key(step: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("job:1:step:{step}"))
}

pub(crate) fn operation(step: u64) -> OperationHash {
    OperationHash::of_parts(&[b"train", &step.to_le_bytes()])
}

/// What is remembered of the step.
pub(crate) fn effect(step: u64) -> Vec<u8> {
    format!("loss after {step}").into_bytes()
}

pub(crate) fn completed(step: u64) -> IdempotencyOutcome {
    IdempotencyOutcome::Completed { effect: Some(effect(step)) }
}

/// The state after one step more; no bytes are the state before the first.
pub(crate) fn after(before: &[u8], step: u64) -> Vec<u8> {
    let mut steps = if before.is_empty() { Vec::new() } else { steps(before) };
    steps.push(step);
    encode(&steps)
}

fn encode(steps: &[u64]) -> Vec<u8> {
    let mut bytes = (steps.len() as u64).to_le_bytes().to_vec();
    bytes.extend(steps.iter().flat_map(|step| step.to_le_bytes()));
    let seed = steps.iter().fold(0, |seed: u32, step| seed.wrapping_mul(31) ^ u32::try_from(*step).unwrap());
    bytes.extend(payload(FILLER_BYTES, seed));
    bytes
}

/// The steps of a state, which must be one that steps have made.
pub(crate) fn steps(bytes: &[u8]) -> Vec<u64> {
    let number = |at: usize| u64::from_le_bytes(bytes[at * 8..at * 8 + 8].try_into().unwrap());
    let len = usize::try_from(number(0)).unwrap();
    let steps: Vec<u64> = (1..=len).map(number).collect();
    assert!(encode(&steps) == bytes, "not a state that steps have made: {steps:?}");
    steps
}
