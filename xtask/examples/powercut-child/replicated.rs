//! A replicated checkpoint that is moved on at each step, with the effect of the step: at once, and in two parts, in
//! turns.

use std::sync::Arc;

use grafos_replicated::embedded::EmbeddedHome;
use grafos_replicated::*;
use serde_json::json;

use crate::unsynced::Unsynced;
use crate::{Result, fingerprint, on_each_line, say};

/// What the rig calls the two things that are promised.
const CHECKPOINT: &str = "checkpoint";
const EFFECTS: &str = "effects";

/// Bytes that never change: a chunk for themselves, which later versions refer to.
const SAME_BYTES: usize = DEFAULT_CHUNK_BYTES;

/// The most that comes behind them.
const MAX_REST_BYTES: u64 = 24 << 10;

/// How often garbage is collected.
const COLLECT_EVERY: u64 = 3;

struct Job {
    checkpoints: ReplicatedCheckpoint,
    effects: ReplicatedIdempotencyStore,
    name: CheckpointName,
    epoch: FenceEpoch,
}

/// The state after so many steps.
fn state(step: u64) -> Vec<u8> {
    let mut bytes = vec![7; SAME_BYTES];
    let len = step.wrapping_mul(7919) % MAX_REST_BYTES;
    let seed = fingerprint(&step.to_le_bytes());
    bytes.extend((0..len).map(|at| (seed.wrapping_mul(2 * at + 1) >> 56).to_le_bytes()[0]));
    bytes.extend(step.to_le_bytes());
    bytes
}

/// A number that stands for the state after so many steps; 0 for none.
fn value(step: u64) -> u64 {
    if step == 0 { 0 } else { fingerprint(&state(step)) }
}

fn key(step: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("step:{step}"))
}

fn operation(step: u64) -> OperationHash {
    OperationHash::of_parts(&[b"powercut", &step.to_le_bytes()])
}

/// What is to be remembered of a step.
fn effect(step: u64) -> Vec<u8> {
    fingerprint(format!("effect of {step}").as_bytes()).to_le_bytes().to_vec()
}

/// Whether a step is done in one commit.
fn is_at_once(step: u64) -> bool {
    step.is_multiple_of(2)
}

impl Job {
    /// Takes over on three replicas in the home, of which each save needs two.
    fn take_over(engine: &Engine) -> Result<Self> {
        let ids = ["a", "b", "c"];
        let domain = |id: &str| FailureDomain::cell("local", id);
        let placement = ids.iter().fold(PlacementPolicy::new(), |placement, id| placement.allow(domain(id)));
        let policy = ReplicaPolicy::new(placement).min_replicas(3).write_quorum(2);
        let replica = |id: &str| ReplicaLocator {
            replica_id: ReplicaId::new(id),
            domain: domain(id),
            role: ReplicaRole::Voter,
            health: ReplicaHealth::Healthy,
            epoch: FenceEpoch(1),
            content_generation: 1,
        };
        let set = ReplicaSetLocator::new(ResourceGeneration(1), ids.map(replica).to_vec());
        let (resource, schema) = (LogicalResourceName::new("powercut"), SchemaId::new("powercut.v1"));
        let effects = ReplicatedIdempotencyStore::new_on(
            engine,
            resource.clone(),
            schema.clone(),
            FenceEpoch(1),
            &policy,
            &set,
        )?;
        let hash = PolicyHash([1; 32]);
        let checkpoints =
            ReplicatedCheckpoint::new_on(engine, resource, schema, FenceEpoch(1), policy, set, hash)?;
        let mut job =
            Self { checkpoints, effects, name: CheckpointName::new("latest"), epoch: FenceEpoch(0) };
        job.epoch = job.checkpoints.take_over(&job.name)?;
        job.effects.take_over_as(job.epoch)?;
        Ok(job)
    }

    /// How many steps are in the newest state, and how many of them are completed. Every byte of every kept version is
    /// checked, on every replica.
    fn look(&mut self) -> Result<(u64, u64)> {
        let Version(steps) = self.checkpoints.current_version(&self.name)?;
        for saved in self.checkpoints.history(&self.name)? {
            let loaded = self.checkpoints.load_version(&self.name, saved.version)?;
            if loaded.value != state(saved.version.0) {
                return Err(format!("loaded a state that was never saved: version={}", saved.version).into());
            }
        }
        // A save that was acknowledged without a hitch is whole on all three.
        if let Some((replica, blob, error)) = self.checkpoints.scrub(&self.name)?.faults.first() {
            return Err(format!("replica={replica}, blob={}: {error}", blob.file_name()).into());
        }
        let mut completed = 0;
        for step in 1..=steps + 1 {
            let found = self.effects.lookup(&key(step))?.map(|found| found.outcome);
            match found {
                Some(IdempotencyOutcome::Completed { effect: found }) if found == Some(effect(step)) => {
                    completed = step;
                }
                Some(IdempotencyOutcome::Completed { .. }) => {
                    return Err(format!("another effect than that of the step: step={step}").into());
                }
                // Of the newest step the second part may be missing, if it has two.
                _ if step > steps || (step == steps && !is_at_once(step)) => {}
                other => {
                    return Err(
                        format!("a step without its effect: step={step}, steps={steps}, {other:?}").into()
                    );
                }
            }
        }
        if completed > steps {
            return Err(format!("an effect without its step: step={completed}, steps={steps}").into());
        }
        Ok((steps, completed))
    }

    /// Makes up for the second part of the last step, if it is missing.
    fn make_up(&mut self, steps: u64, completed: u64) -> Result<()> {
        if completed == steps {
            return Ok(());
        }
        let reservation = self.effects.reserve(key(steps), operation(steps), Some(steps), self.epoch)?;
        let made = self.checkpoints.step_version(&self.name, &key(steps), operation(steps))?;
        if made != Some(Version(steps)) {
            return Err(format!("the register does not name the step: step={steps}, {made:?}").into());
        }
        let outcome = IdempotencyOutcome::Completed { effect: Some(effect(steps)) };
        self.effects.complete(key(steps), reservation.version, outcome, self.epoch)?;
        Ok(())
    }

    fn step(&mut self, step: u64) -> Result<()> {
        let (expected, bytes, effect) = (Version(step - 1), state(step), effect(step));
        let reservation = self.effects.reserve(key(step), operation(step), Some(step), self.epoch)?;
        if is_at_once(step) {
            let (checkpoint, bytes, reservation) = (&self.name, &bytes[..], &reservation);
            let effect = Some(&effect[..]);
            let step = StepCommit { checkpoint, expected, bytes, reservation, effect, epoch: self.epoch };
            commit_step(&mut self.checkpoints, &mut self.effects, step)?;
        } else {
            let name = self.name.clone();
            self.checkpoints.save_step(name, expected, &bytes, self.epoch, key(step), operation(step))?;
            let outcome = IdempotencyOutcome::Completed { effect: Some(effect) };
            self.effects.complete(key(step), reservation.version, outcome, self.epoch)?;
        }
        if step.is_multiple_of(COLLECT_EVERY) {
            self.checkpoints.collect_garbage(&self.name)?;
        }
        Ok(())
    }
}

/// What the rig is told of an effect.
fn effect_value(step: u64) -> u64 {
    if step == 0 { 0 } else { fingerprint(&effect(step)) }
}

fn open() -> Result<Engine> {
    let home = EmbeddedHome::open()?;
    home.register().verify()?;
    Ok(home.into())
}

/// The engine in the home, with replicas that acknowledge what is not durable.
fn open_unsynced() -> Result<Engine> {
    let home = EmbeddedHome::open()?;
    let registers = Arc::clone(home.register());
    Ok(Engine::new(registers, Arc::new(Unsynced::new(home))))
}

/// One more step for each line.
pub(crate) fn drive(is_synced: bool) -> Result<()> {
    let engine = if is_synced { open()? } else { open_unsynced()? };
    let mut job = Job::take_over(&engine)?;
    for volume in [CHECKPOINT, EFFECTS] {
        say(&json!({"event": "granted", "volume": volume, "epoch": job.epoch.0}))?;
    }
    let (mut steps, completed) = job.look()?;
    job.make_up(steps, completed)?;
    if steps > 0 {
        for (volume, value) in [(CHECKPOINT, value(steps)), (EFFECTS, effect_value(steps))] {
            say(&json!({"event": "read", "volume": volume, "sequence": steps, "value": value}))?;
        }
    }
    on_each_line(|| {
        steps += 1;
        job.step(steps)?;
        // One line, so that both are heard at the same moment.
        let saved = |volume, value| json!({"volume": volume, "sequence": steps, "value": value});
        let both = [saved(CHECKPOINT, value(steps)), saved(EFFECTS, effect_value(steps))];
        say(&json!({"event": "committed", "saved": both}))
    })
}

/// What is found, and that it goes on from there.
pub(crate) fn check() -> Result<()> {
    let engine = open()?;
    let mut job = Job::take_over(&engine)?;
    let (steps, completed) = job.look()?;
    let found = |volume, sequence: u64, value: u64| {
        json!({
            "event": "found", "volume": volume, "sequence": sequence, "value": value, "epoch": job.epoch.0,
        })
    };
    let found = [found(CHECKPOINT, steps, value(steps)), found(EFFECTS, completed, effect_value(completed))];
    job.make_up(steps, completed)?;
    job.step(steps + 1)?;
    job.checkpoints.collect_garbage(&job.name)?;
    if job.look()? != (steps + 1, steps + 1) {
        return Err(format!("it did not go on: steps={steps}").into());
    }
    found.iter().try_for_each(say)
}
