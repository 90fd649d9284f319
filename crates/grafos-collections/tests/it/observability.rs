//! The metrics that `docs/metrics.md` names, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

use grafos_collections::durable::Durable;
use grafos_std::host::testing::{Fault, FaultPlan};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::world::{State, World};

/// Three checkpoints, one that fails, and a restore. Returns how many bytes were written.
fn workload() -> u64 {
    let world = World::new(64);
    let durable = Durable::open_or_init(world.lease(), || State::at(1, 10)).unwrap();
    let written = (0..3).map(|_| durable.checkpoint().unwrap().written_bytes).sum();
    world.disk.set_plan(FaultPlan::none().at(0, Fault::Fail { errno: 5 }));
    durable.checkpoint().unwrap_err();
    drop(durable);
    world.restore().unwrap();
    written
}

#[test]
fn checkpoints_and_resumes_are_counted_under_the_published_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let written = metrics::with_local_recorder(&recorder, workload);
    let found: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let count = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Histogram(samples) => samples.len() as u64,
                DebugValue::Gauge(_) => 0,
            };
            (key.key().name().to_owned(), count)
        })
        .collect();
    let expected = [
        ("checkpoint_bytes_written", written),
        ("checkpoint_duration_ms", 3),
        ("checkpoint_fail_total", 1),
        ("checkpoint_success_total", 3),
        ("resume_count_total", 1),
    ];
    assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)).into());
    let docs = include_str!("../../../../docs/metrics.md");
    for (name, _) in expected {
        assert!(docs.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

/// Collects the spans with the names of their fields.
struct Spans(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let fields: Vec<&str> = attributes.fields().iter().map(|field| field.name()).collect();
        let span = format!("{}({})", attributes.metadata().name(), fields.join(", "));
        self.0.lock().unwrap().insert(span);
    }
}

/// In a process of its own: the first use of a span decides for all threads whether anybody listens, and in the
/// other tests nobody does.
#[test]
fn spans_name_the_lease_and_its_epoch() {
    const ALONE: &str = "GRAFOS_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "observability::spans_name_the_lease_and_its_epoch";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let spans = Arc::new(Mutex::new(BTreeSet::new()));
    let subscriber = registry().with(Spans(Arc::clone(&spans)));
    tracing::subscriber::with_default(subscriber, workload);
    let expected = ["checkpoint(lease_id, epoch)", "restore(lease_id, epoch)"];
    assert_eq!(*spans.lock().unwrap(), expected.map(str::to_owned).into());
}
