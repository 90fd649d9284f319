//! A value that is changed and checkpointed at each step.

use grafos_collections::durable::{Durable, blocks_needed};
use grafos_std::block::BlockBuilder;
use grafos_std::host::Host;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Result, fingerprint, on_each_line, say};

const VOLUME: &str = "powercut";

/// The most that `filler` holds.
const MAX_FILLER_BYTES: u64 = 24 << 10;

/// A value whose size and contents follow from its step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    step: u64,
    filler: Vec<u8>,
}

impl State {
    /// The value after `step` steps. Sizes from one block to dozens, so that slots end anywhere in a block.
    fn at(step: u64) -> Self {
        let len = step.wrapping_mul(7919) % MAX_FILLER_BYTES;
        let seed = fingerprint(&step.to_le_bytes());
        let filler = (0..len).map(|at| (seed.wrapping_mul(2 * at + 1) >> 56).to_le_bytes()[0]).collect();
        Self { step, filler }
    }

    /// A number that stands for the whole value; an error if the value is none that a step makes.
    fn value(&self) -> Result<u64> {
        if *self != Self::at(self.step) {
            return Err(format!("restored a value that was never saved: step={}", self.step).into());
        }
        Ok(fingerprint(&[&self.step.to_le_bytes()[..], &self.filler].concat()))
    }
}

/// The value on the volume, with the epoch under which the volume was granted.
fn open(host: &Host) -> Result<(Durable<State>, u64)> {
    let blocks = blocks_needed(2 * MAX_FILLER_BYTES, 2);
    let lease = BlockBuilder::new().on(host).volume(VOLUME).min_blocks(blocks).acquire()?;
    let epoch = lease.epoch().0;
    Ok((Durable::open_or_init(lease, || State::at(0))?, epoch))
}

/// One more step and one more checkpoint for each line.
pub(crate) fn drive(host: &Host) -> Result<()> {
    let (mut state, epoch) = open(host)?;
    say(&json!({"event": "granted", "volume": VOLUME, "epoch": epoch}))?;
    if state.sequence() > 0 {
        say(
            &json!({"event": "read", "volume": VOLUME, "sequence": state.sequence(), "value": state.value()?}),
        )?;
    }
    on_each_line(|| {
        *state = State::at(state.step + 1);
        let committed = state.checkpoint()?;
        say(
            &json!({"event": "saved", "volume": VOLUME, "sequence": committed.sequence, "value": state.value()?}),
        )
    })
}

/// What the volume holds; sequence 0 if there was no checkpoint yet.
pub(crate) fn check() -> Result<()> {
    let (state, epoch) = open(&Host::current()?)?;
    let found = json!({
        "event": "found", "volume": VOLUME, "sequence": state.sequence(), "value": state.value()?, "epoch": epoch,
    });
    say(&found)
}
