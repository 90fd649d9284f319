//! The state that is tortured: the list of the steps that made it, and bytes that follow from them.
//!
//! So any state that is found tells whether it is one that steps have made, and how every earlier one looked.

use grafos_replicated::{DEFAULT_CHUNK_BYTES, IdempotencyKey, IdempotencyOutcome, OperationHash};
use grafos_suite::Random;

/// The bytes behind the list, which has a chunk for itself, change with every so many steps; in between they are a chunk
/// that is not written again.
const CHANGE_EVERY: usize = 4;

/// Who has done a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) epoch: u64,
    pub(crate) writer: u64,
}

pub(crate) fn key(number: usize) -> IdempotencyKey {
    IdempotencyKey::new(format!("step {number}"))
}

pub(crate) fn operation(number: usize) -> OperationHash {
    OperationHash::of_parts(&[b"torture", &number.to_le_bytes()])
}

impl Step {
    /// What is to be remembered of it.
    pub(crate) fn outcome(self) -> IdempotencyOutcome {
        let effect = [self.epoch.to_le_bytes(), self.writer.to_le_bytes()].concat();
        IdempotencyOutcome::Completed { effect: Some(effect) }
    }
}

pub(crate) fn encode(steps: &[Step]) -> Vec<u8> {
    let mut bytes = (steps.len() as u64).to_le_bytes().to_vec();
    for Step { epoch, writer } in steps {
        bytes.extend([epoch.to_le_bytes(), writer.to_le_bytes()].concat());
    }
    let list_bytes = bytes.len().next_multiple_of(DEFAULT_CHUNK_BYTES);
    bytes.resize(list_bytes, 0);
    let changed = steps.len() / CHANGE_EVERY * CHANGE_EVERY;
    let seed = steps.get(changed).map_or(0, |step| changed as u64 ^ step.epoch << 20 ^ step.writer << 40);
    let (begin, mut words) = (bytes.len(), Random(seed));
    // It ends within a chunk.
    bytes.resize(begin + DEFAULT_CHUNK_BYTES / 2 + 1000, 0);
    for word in bytes[begin..].chunks_exact_mut(8) {
        word.copy_from_slice(&words.next().to_le_bytes());
    }
    bytes
}

/// The steps of a state; `None` if it is none that steps have made.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Step>> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at * 8..at * 8 + 8)?.try_into().ok()?));
    let len = usize::try_from(number(0)?).ok().filter(|len| *len < bytes.len())?;
    let step = |at: usize| Some(Step { epoch: number(1 + 2 * at)?, writer: number(2 + 2 * at)? });
    let steps: Vec<Step> = (0..len).map(step).collect::<Option<_>>()?;
    // No epoch is 0, but what lies behind the list is.
    let is_one = steps.iter().all(|step| step.epoch > 0) && encode(&steps) == bytes;
    is_one.then_some(steps)
}

/// A number for each state that another one hardly has.
pub(crate) fn digest(steps: &[Step]) -> u64 {
    let parts: Vec<_> =
        steps.iter().map(|step| [step.epoch.to_le_bytes(), step.writer.to_le_bytes()].concat()).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    OperationHash::of_parts(&parts).0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn a_state_that_no_steps_have_made_is_known() {
    let steps = [Step { epoch: 1, writer: 7 }, Step { epoch: 3, writer: 8 }];
    let bytes = encode(&steps);
    assert_eq!(decode(&bytes), Some(steps.to_vec()));
    for at in [0, 9, 100, DEFAULT_CHUNK_BYTES, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(decode(&bytes), None, "at={at}");
    }
    assert_eq!(decode(&[]), None);
    assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    assert_ne!(digest(&steps), digest(&steps[..1]));
}
