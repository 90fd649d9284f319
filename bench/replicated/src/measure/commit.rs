//! What one commit costs beside a bare transaction: the register's move, and the two of a step.

use grafos_bench_support::{Samples, settle, timed, turns};
use grafos_replicated::{
    CommitOutcome, Expect, IdempotencyKey, IdempotencyOutcome, OperationHash, RecordKey, Transaction,
};

use super::{Pair, Plan};
use crate::Result;
use crate::bare::{Bare, Log};
use crate::ours::{EPOCH, Ours, effects_on};

/// How often each is done within a turn.
const REPEATS: usize = 100;

/// What the body of an effect's record has, in bytes, about.
const EFFECT_BYTES: usize = 150;

/// One kind of commit, in seconds.
#[derive(Debug)]
pub(crate) struct CommitResult {
    pub(crate) what: &'static str,
    pub(crate) pair: Pair,
    /// The same baseline with a log that is begun anew as often as ours.
    pub(crate) short_log: Samples,
}

/// The kinds, in the order of the results.
const KINDS: [&str; 3] = ["register: read and move", "reserve", "complete"];

pub(super) fn measure(plan: &Plan<'_>) -> Result<Vec<CommitResult>> {
    let dir = tempfile::tempdir_in(plan.dir)?;
    let mut ours = Ours::create(dir.path())?;
    // A register as it is after some saves.
    for version in 0..10_u8 {
        ours.save(&[version; 1000])?;
    }
    let body = ours.register()?.body;
    let bare = Bare::create(&dir.path().join("bare.sqlite3"), Log::Plain)?;
    let short = Bare::create(&dir.path().join("short.sqlite3"), Log::AsShortAsOurs)?;
    for baseline in [&bare, &short] {
        baseline.insert("register", &body)?;
    }
    let mut results =
        KINDS.map(|what| CommitResult { what, pair: Pair::default(), short_log: Samples::default() });
    for round in 0..=plan.rounds {
        for turn in turns(round, 3) {
            settle(dir.path())?;
            let medians = match turn {
                0 => of_ours(&ours, &body, round)?,
                1 => of_bare(&bare, &body, round)?,
                _ => of_bare(&short, &body, round)?,
            };
            if round == 0 {
                continue;
            }
            for (result, median) in results.iter_mut().zip(medians) {
                let samples = match turn {
                    0 => &mut result.pair.ours,
                    1 => &mut result.pair.baseline,
                    _ => &mut result.short_log,
                };
                samples.push(median);
            }
        }
    }
    Ok(results.into())
}

fn of_ours(ours: &Ours, body: &[u8], round: u32) -> Result<[f64; 3]> {
    let (mut moves, mut reserves, mut completes) = <(Samples, Samples, Samples)>::default();
    let registers = ours.engine.registers();
    let key = RecordKey::new("bench", &["register"]);
    for _ in 0..REPEATS {
        let (outcome, secs) = timed(|| -> Result<_> {
            let expect = registers.read(&key)?.map_or(Expect::Absent, |record| Expect::At(record.revision));
            let (guards, puts) = (vec![(key.clone(), expect)], vec![(key.clone(), body.to_vec())]);
            Ok(registers.commit(&Transaction { guards, puts, deletes: Vec::new() })?)
        });
        let CommitOutcome::Committed(_) = outcome? else { return Err("a commit did not take place".into()) };
        moves.push(secs);
    }
    let mut effects = effects_on(&ours.engine)?;
    for nth in 0..REPEATS {
        let key = IdempotencyKey::new(format!("step-{round}-{nth}"));
        let (reserved, secs) =
            timed(|| effects.reserve(key.clone(), OperationHash([7; 32]), Some(nth as u64), EPOCH));
        reserves.push(secs);
        let (version, outcome) = (reserved?.version, IdempotencyOutcome::Completed { effect: None });
        let (completed, secs) = timed(|| effects.complete(key, version, outcome, EPOCH));
        completed?;
        completes.push(secs);
    }
    Ok([moves.median(), reserves.median(), completes.median()])
}

fn of_bare(bare: &Bare, body: &[u8], round: u32) -> Result<[f64; 3]> {
    let (mut moves, mut reserves, mut completes) = <(Samples, Samples, Samples)>::default();
    for _ in 0..REPEATS {
        let (done, secs) = timed(|| bare.update("register", body));
        done?;
        moves.push(secs);
    }
    for nth in 0..REPEATS {
        let key = format!("effect/bench/step-{round}-{nth}");
        let (done, secs) = timed(|| bare.insert(&key, &[7; EFFECT_BYTES]));
        done?;
        reserves.push(secs);
        let (done, secs) = timed(|| bare.update(&key, &[8; EFFECT_BYTES]));
        done?;
        completes.push(secs);
    }
    Ok([moves.median(), reserves.median(), completes.median()])
}
