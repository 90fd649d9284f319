//! Checkpoints of a kernel in a directory, through their manager: one more at each step, the oldest deleted.

use std::path::PathBuf;
use std::time::Duration;

use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointConfig, CheckpointManager};
use serde_json::json;

use crate::{Result, fingerprint, on_each_line, say};

/// The name of the one thing that is judged.
const VOLUME: &str = "kernel";
const SLOT: u32 = 0;

/// The most bytes of its state.
const MAX_STATE_BYTES: u64 = 40 << 10;

/// The checkpoint of a step. Sizes from nothing to a dozen pages.
fn at(step: u64) -> Checkpoint {
    let len = step.wrapping_mul(7919) % MAX_STATE_BYTES;
    let seed = fingerprint(&step.to_le_bytes());
    let state = (0..len).map(|at| (seed.wrapping_mul(2 * at + 1) >> 56).to_le_bytes()[0]).collect();
    let builder = CheckpointBuilder::new("powercut", "test").created_at(step).step(step);
    builder.control_block(step.to_le_bytes().to_vec()).device_memory("state", state).build()
}

/// A number that stands for all of a checkpoint; an error if it is none that a step makes.
fn value(found: &Checkpoint) -> Result<u64> {
    let expected = at(found.metadata.current_step);
    if found.metadata != expected.metadata || found.chunks != expected.chunks {
        return Err(format!("loaded what was never saved: step={}", found.metadata.current_step).into());
    }
    Ok(fingerprint(found.content_digest().as_bytes()))
}

fn manager() -> Result<CheckpointManager> {
    let home = std::env::var_os("GRAFOS_HOME").ok_or("GRAFOS_HOME is not set")?;
    let config = CheckpointConfig::new(Duration::ZERO)
        .with_storage_path(PathBuf::from(home).join("kernel").join("checkpoints"))
        .with_max_snapshots(3);
    let mut manager = CheckpointManager::new(config);
    manager.register_actor(SLOT, "powercut", "test");
    Ok(manager)
}

/// The step that is there, and its value; 0 and 0 if there is none. All that is kept must be good.
fn found(manager: &CheckpointManager) -> Result<(u64, u64)> {
    let Some(latest) = manager.find_latest(SLOT)? else { return Ok((0, 0)) };
    if let Some(bad) = latest.set_aside.first() {
        return Err(format!("a checkpoint is damaged: name={}, {}", bad.name, bad.error).into());
    }
    for name in manager.list_checkpoints(SLOT)? {
        value(&manager.storage().load(&name)?)?;
    }
    Ok((latest.step, value(&latest.checkpoint)?))
}

/// One more step and one more checkpoint for each line.
pub(crate) fn drive() -> Result<()> {
    let mut manager = manager()?;
    let (mut step, found) = found(&manager)?;
    if step > 0 {
        say(&json!({"event": "read", "volume": VOLUME, "sequence": step, "value": found}))?;
    }
    on_each_line(|| {
        step += 1;
        let next = at(step);
        manager.save_checkpoint(SLOT, &next)?;
        say(&json!({"event": "saved", "volume": VOLUME, "sequence": step, "value": value(&next)?}))
    })
}

/// What is found. Nothing grants epochs here.
pub(crate) fn check() -> Result<()> {
    let (sequence, value) = found(&manager()?)?;
    say(&json!({"event": "found", "volume": VOLUME, "sequence": sequence, "value": value, "epoch": 1}))
}
