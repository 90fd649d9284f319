//! The metrics that `docs/metrics.md` names for replicated resources, and no others.

use std::collections::BTreeMap;

use grafos_replicated::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::world::{OPERATION, World, name, payload};

/// Saves, loads, a damaged copy, a lost one, fenced writers, and a step with its retries. Returns how many bytes each
/// replica was given.
fn workload() -> u64 {
    let world = World::new();
    let mut checkpoints = world.checkpoints(1);
    let epoch = checkpoints.take_over(&name()).unwrap();
    let first = checkpoints.save_bytes(name(), Version(0), &payload(1000, 1), epoch).unwrap();
    checkpoints.save_bytes(name(), Version(0), b"on an old version", epoch).unwrap_err();
    let newer = checkpoints.take_over(&name()).unwrap();
    checkpoints.save_bytes(name(), Version(1), b"of an old epoch", epoch).unwrap_err();

    let mut effects = world.effects(newer.0);
    let key = IdempotencyKey::new("step:1");
    let reservation = effects.reserve(key.clone(), OPERATION, None, newer).unwrap();
    effects.reserve(key.clone(), OperationHash([9; 32]), None, newer).unwrap_err();
    world.effects(newer.0).reserve(key.clone(), OPERATION, None, newer).unwrap_err();
    let step = StepCommit {
        checkpoint: &name(),
        expected: Version(1),
        bytes: &payload(1000, 2),
        reservation: &reservation,
        effect: None,
        epoch: newer,
    };
    let second = commit_step(&mut checkpoints, &mut effects, step).unwrap();
    effects.reserve(key, OPERATION, None, newer).unwrap();
    let given_up = effects.reserve(IdempotencyKey::new("step:2"), OPERATION, None, newer).unwrap();
    effects.abandon(given_up.key, given_up.version, newer).unwrap();

    let blob = checkpoints.history(&name()).unwrap().last().unwrap().manifest;
    let space = BlobSpace::new("job", name().as_str());
    let mut damage = world.replicas[&ReplicaId::new("a")].replace(&space, &blob, None).unwrap();
    damage.write(&payload(2000, 3)).unwrap();
    damage.finish().unwrap();
    world.replicas[&ReplicaId::new("b")].delete(&space, &blob).unwrap();
    assert_eq!(checkpoints.status(&name()).unwrap().under_replicated().count(), 0);
    checkpoints.load_latest(&name()).unwrap().unwrap();
    assert_eq!(checkpoints.repair(&name()).unwrap().copied.len(), 2);
    first.written_bytes + second.written_bytes
}

#[test]
fn what_happens_to_replicated_resources_is_counted_under_the_published_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let written = metrics::with_local_recorder(&recorder, workload);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (_, key) = key.into_parts();
        let labels: Vec<_> = key.labels().map(|label| format!("{{{}}}", label.value())).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(samples) => samples.len() as u64,
            DebugValue::Gauge(_) => 1,
        };
        found.insert(key.name().to_owned() + &labels.concat(), count);
    }
    // How often a copy is read on the way is nobody's promise: once by the load, and once by the repair at least.
    assert!(found.remove("payload_corrupt_total") >= Some(2));
    let expected = [
        ("checkpoint_bytes_written", written),
        ("checkpoint_fail_total", 2),
        ("checkpoint_load_seconds", 1),
        ("checkpoint_save_seconds", 2),
        ("checkpoint_success_total", 2),
        ("fence_rejected_total", 1),
        ("idempotency_total{abandoned}", 1),
        ("idempotency_total{completed}", 1),
        ("idempotency_total{duplicate}", 1),
        ("idempotency_total{fingerprint_conflict}", 1),
        ("idempotency_total{fresh}", 2),
        ("idempotency_total{in_progress}", 1),
        ("replica_repaired_total", 2),
        ("under_replicated_versions", 1),
    ];
    assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)).into());
    let docs = include_str!("../../../../docs/metrics.md");
    for (name, _) in expected {
        let name = name.split('{').next().unwrap();
        assert!(docs.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
