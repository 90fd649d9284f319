//! Steps when there are many already: how the cost of `reserve` and `complete` grows with the number of keys.
//!
//! The keys that are there already are written as the store would write them, but many to a transaction: one by one a
//! million would take an hour and measure the same thing again and again. Some are asked for afterwards, through the
//! store.

use grafos_bench_support::{Samples, mixed, settle, timed};
use grafos_replicated::protocol::change::RingBody;
use grafos_replicated::{
    CommitOutcome, EffectRecord, Engine, Expect, IdempotencyKey, IdempotencyOutcome, Nonce, OperationHash,
    RecordKey, ReplicatedIdempotencyStore, ReservationKind, Ring, Transaction, Version,
};

use super::Plan;
use crate::Result;
use crate::ours::{EFFECTS, EPOCH, Ours, effects_on};

/// How many keys are written in one transaction while the store is filled.
const FILL_LEN: u64 = 1000;

/// How many steps a round times, one after the other.
const STEPS: u64 = 200;

const OPERATION: OperationHash = OperationHash([7; 32]);

/// The cost of a step beside so many keys.
#[derive(Debug)]
pub(crate) struct KeysResult {
    pub(crate) keys: u64,
    /// Seconds of a `reserve` and its `complete` together, per step: one figure for each round.
    pub(crate) secs: Samples,
    /// The slowest single step.
    pub(crate) slowest: f64,
}

pub(super) fn measure(plan: &Plan<'_>) -> Result<Vec<KeysResult>> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let ours = Ours::create(dir.path())?;
    let mut effects = effects_on(&ours.engine)?;
    let mut results = Vec::new();
    let mut there = 0;
    for keys in plan.keys.iter().copied() {
        eprintln!("{keys} keys");
        fill_up_to(&ours.engine, there, keys)?;
        there = keys;
        must_be_done(&mut effects, keys)?;
        let mut result = KeysResult { keys, secs: Samples::default(), slowest: 0.0 };
        for round in 0..=plan.rounds {
            settle(dir.path())?;
            let mut sum = 0.0;
            for nth in 0..STEPS {
                let key = key_of(&format!("new-{keys}"), u64::from(round) * STEPS + nth);
                let (done, secs) = timed(|| step(&mut effects, key));
                done?;
                sum += secs;
                result.slowest = result.slowest.max(if round > 0 { secs } else { 0.0 });
            }
            if round > 0 {
                #[expect(clippy::cast_precision_loss, reason = "some hundred")]
                result.secs.push(sum / STEPS as f64);
            }
        }
        results.push(result);
    }
    Ok(results)
}

fn step(effects: &mut ReplicatedIdempotencyStore, key: IdempotencyKey) -> Result<()> {
    let reserved = effects.reserve(key.clone(), OPERATION, None, EPOCH)?;
    let outcome = IdempotencyOutcome::Completed { effect: None };
    effects.complete(key, reserved.version, outcome, EPOCH)?;
    Ok(())
}

/// In no order, as keys of callers are: they land everywhere in the index.
fn key_of(kind: &str, nth: u64) -> IdempotencyKey {
    IdempotencyKey::new(format!("{kind}-{:016x}", mixed(nth)))
}

/// Adds the completed steps `from` to `to`.
fn fill_up_to(engine: &Engine, from: u64, to: u64) -> Result<()> {
    let mut next = from;
    while next < to {
        let end = (next + FILL_LEN).min(to);
        let mut transaction = Transaction::default();
        for nth in next..end {
            let key = RecordKey::new("effect", &[EFFECTS, key_of("step", nth).as_str()]);
            let record = EffectRecord {
                operation: OPERATION,
                sequence: None,
                epoch: EPOCH,
                holder: Nonce(1),
                version: Version(2),
                outcome: IdempotencyOutcome::Completed { effect: None },
                ring: Ring::default(),
            };
            transaction.guards.push((key.clone(), Expect::Absent));
            transaction.puts.push((key, record.encode_as(Nonce(u128::from(nth)))?));
        }
        let CommitOutcome::Committed(_) = engine.registers().commit(&transaction)? else {
            return Err("the store could not be filled".into());
        };
        next = end;
    }
    Ok(())
}

/// Fails if the store does not know the steps that it was filled with.
fn must_be_done(effects: &mut ReplicatedIdempotencyStore, keys: u64) -> Result<()> {
    for nth in [0, keys / 2, keys - 1] {
        let reserved = effects.reserve(key_of("step", nth), OPERATION, None, EPOCH)?;
        if reserved.kind != ReservationKind::Completed {
            return Err(format!("a step is not on record: nth={nth}, kind={:?}", reserved.kind).into());
        }
    }
    Ok(())
}
