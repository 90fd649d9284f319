//! A job of numbered steps that can be killed at any moment, and started again any number of times.
//!
//! Each step books one entry. The balance after it and the mark that it was booked are committed as one, so whatever
//! happens to the process, no entry is lost and none is booked twice. Three replicas, of which a save needs two: one
//! directory may be deleted meanwhile.
//!
//! ```text
//! cargo run -p grafos-replicated --example ledger -- 200      # kill it, start it again, start it twice
//! ```

use std::env;
use std::error::Error;

use grafos_replicated::*;

/// What the job has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Ledger {
    step: u64,
    balance: i64,
}

impl Ledger {
    /// What step `step` books, which everybody can compute again: some money in, some out.
    fn entry(step: u64) -> i64 {
        i64::try_from(step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54).unwrap_or(0) - 500
    }

    fn booked(self) -> Self {
        Self { step: self.step + 1, balance: self.balance + Self::entry(self.step) }
    }

    fn encode(self) -> Vec<u8> {
        [self.step.to_le_bytes(), self.balance.to_le_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (step, balance) = bytes.split_first_chunk()?;
        let balance = balance.try_into().ok()?;
        Some(Self { step: u64::from_le_bytes(*step), balance: i64::from_le_bytes(balance) })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let steps: u64 = env::args().nth(1).map_or(Ok(100), |steps| steps.parse())?;
    let (name, (mut checkpoints, mut effects)) = (CheckpointName::new("latest"), open()?);

    // Whoever ran before is fenced from here on: a process that only slept is told when it wakes up.
    let epoch = checkpoints.take_over(&name)?;
    effects.take_over_as(epoch)?;
    let (mut ledger, mut version) = match checkpoints.load_latest(&name)? {
        Some(loaded) => (Ledger::decode(&loaded.value).ok_or("not a ledger")?, loaded.version),
        None => (Ledger::default(), Version::NONE),
    };
    println!("epoch {epoch}: goes on at step {} with a balance of {}", ledger.step, ledger.balance);

    while ledger.step < steps {
        let key = IdempotencyKey::new(format!("step:{}", ledger.step));
        let operation = OperationHash::of_parts(&[&Ledger::entry(ledger.step).to_le_bytes()]);
        let reservation = effects.reserve(key, operation, Some(ledger.step), epoch)?;
        ledger = ledger.booked();
        let step = StepCommit {
            checkpoint: &name,
            expected: version,
            bytes: &ledger.encode(),
            reservation: &reservation,
            effect: Some(&ledger.balance.to_le_bytes()),
            epoch,
        };
        version = commit_step(&mut checkpoints, &mut effects, step)?.version;
    }
    // Steps before the last hundred are told by the mark alone; what dead writers left behind goes.
    let retired = effects.retire_below(ledger.step.saturating_sub(100), epoch)?;
    let collected = checkpoints.collect_garbage(&name)?.deleted;
    println!("{retired} old records and {collected} blobs of nobody are gone");
    let expected: i64 = (0..ledger.step).map(Ledger::entry).sum();
    println!(
        "version {version}: {} steps, a balance of {}, as computed at once: {expected}",
        ledger.step, ledger.balance
    );
    let status = checkpoints.status(&name)?;
    println!(
        "{} kept versions, {} of them on too few replicas",
        status.versions.len(),
        status.under_replicated().count()
    );
    assert_eq!(ledger.balance, expected);
    Ok(())
}

/// Three directories beside the register, each a failure domain of its own.
fn open() -> Result<(ReplicatedCheckpoint, ReplicatedIdempotencyStore), ReplicatedError> {
    let disks = ["disk-a", "disk-b", "disk-c"];
    let domain = |disk: &str| FailureDomain::cell("local", disk);
    let placement =
        disks.iter().fold(PlacementPolicy::new(), |placement, disk| placement.allow(domain(disk)));
    let policy = ReplicaPolicy::new(placement).min_replicas(3).write_quorum(2).read_quorum(1);
    let replica = |disk: &str| ReplicaLocator {
        replica_id: ReplicaId::new(disk),
        domain: domain(disk),
        role: ReplicaRole::Voter,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    };
    let set = ReplicaSetLocator::new(ResourceGeneration(1), disks.map(replica).to_vec());
    let checkpoints = ReplicatedCheckpoint::new(
        LogicalResourceName::new("example-ledger"),
        SchemaId::new("ledger.v1"),
        FenceEpoch(1),
        policy.clone(),
        set.clone(),
        PolicyHash([1; 32]),
    )?;
    let (name, schema) = (LogicalResourceName::new("example-ledger-steps"), SchemaId::new("step.v1"));
    Ok((checkpoints, ReplicatedIdempotencyStore::new(name, schema, FenceEpoch(1), policy, set)?))
}
