//! Every storage of this crate keeps the contract, and each rule of its suite can fail.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fabricbios_core::recovery::Recovery;
use grafos_kernel::checkpoint::{
    CheckpointBuilder, CheckpointConfig, CheckpointManager, CheckpointStorage, FileStorage, MemoryStorage,
    ReplicatedStorage, StorageError,
};
use grafos_kernel::testing::{TestedCheckpointStorage, checkpoint_storage_rules, checkpoint_storage_suite};
use grafos_replicated::memory::{MemoryMetadataStore, MemoryReplica};
use grafos_replicated::*;

use crate::broken_storage::{self, Flaw};

#[test]
fn the_storage_in_memory_keeps_the_contract() {
    checkpoint_storage_suite(|| {
        let storage = MemoryStorage::new();
        TestedCheckpointStorage::new(move || storage.clone())
    });
}

#[test]
fn a_directory_keeps_the_contract() {
    checkpoint_storage_suite(|| {
        let dir = tempfile::tempdir().unwrap();
        TestedCheckpointStorage::new(move || FileStorage::new(dir.path().join("checkpoints")))
    });
}

#[test]
fn replicas_keep_the_contract() {
    checkpoint_storage_suite(|| {
        let world = World::new();
        let first = ReplicatedStorage::take_over(world.checkpoints()).unwrap();
        let epoch = first.epoch();
        TestedCheckpointStorage {
            storage: Arc::new(first),
            reopen: Box::new(move || Arc::new(ReplicatedStorage::with_epoch(world.checkpoints(), epoch))),
        }
    });
}

/// Three replicas in memory, and handles on them.
struct World {
    engine: Engine,
    /// How many of the replicas new handles can reach.
    reachable: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Source {
    replicas: Vec<(ReplicaId, MemoryReplica)>,
    reachable: Arc<AtomicUsize>,
}

impl ReplicaSource for Source {
    fn open(&self, locator: &ReplicaLocator) -> Result<Arc<dyn PayloadReplica>, StoreError> {
        let reachable = self.replicas.iter().take(self.reachable.load(Ordering::SeqCst));
        let found = reachable.into_iter().find(|(id, _)| *id == locator.replica_id);
        let lost = || StoreError::Unavailable { reason: "the disk is gone".to_owned() };
        found.map(|(_, replica)| Arc::new(replica.clone()) as _).ok_or_else(lost)
    }
}

impl World {
    fn new() -> Self {
        let replicas = ["a", "b", "c"].map(|id| (ReplicaId::new(id), MemoryReplica::new())).to_vec();
        let reachable = Arc::new(AtomicUsize::new(3));
        let source = Source { replicas, reachable: Arc::clone(&reachable) };
        Self { engine: Engine::new(Arc::new(MemoryMetadataStore::new()), Arc::new(source)), reachable }
    }

    fn checkpoints(&self) -> ReplicatedCheckpoint {
        let domain = |id: &str| FailureDomain::cell("tested", id);
        let ids = ["a", "b", "c"];
        let placement = ids.iter().fold(PlacementPolicy::new(), |placement, id| placement.allow(domain(id)));
        let policy = ReplicaPolicy::new(placement).min_replicas(3).write_quorum(2).read_quorum(1);
        let replicas = ids.map(|id| ReplicaLocator {
            replica_id: ReplicaId::new(id),
            domain: domain(id),
            role: ReplicaRole::Voter,
            health: ReplicaHealth::Healthy,
            epoch: FenceEpoch(1),
            content_generation: 1,
        });
        let set = ReplicaSetLocator::new(ResourceGeneration(1), replicas.to_vec());
        let (name, schema) = (LogicalResourceName::new("kernels"), SchemaId::new("kernel-checkpoints.v1"));
        ReplicatedCheckpoint::new_on(
            &self.engine,
            name,
            schema,
            FenceEpoch(1),
            policy,
            set,
            PolicyHash([1; 32]),
        )
        .unwrap()
    }
}

#[test]
fn a_writer_that_was_overtaken_is_fenced_and_changes_nothing() {
    let world = World::new();
    let at = |step| CheckpointBuilder::new("k", "t").step(step).device_memory("field", vec![7; 5000]).build();
    let before = ReplicatedStorage::take_over(world.checkpoints()).unwrap();
    before.save(&at(1), "a").unwrap();
    before.save(&at(2), "b").unwrap();
    let after = ReplicatedStorage::take_over(world.checkpoints()).unwrap();
    assert!(after.epoch() > before.epoch());
    after.save(&at(3), "c").unwrap();
    let fenced = |result: Result<(), StorageError>| match result {
        Err(StorageError::Fenced { held, current, .. }) => {
            assert_eq!((held, current), (before.epoch(), after.epoch()));
        }
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        fenced(before.save(&at(9), "a"));
        fenced(before.save(&at(9), "new"));
        fenced(before.delete("b"));
        fenced(before.quarantine("b").map(drop));
    }
    assert_eq!(after.list().unwrap(), ["a", "b", "c"]);
    for (step, name) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(after.load(name).unwrap().metadata.current_step, step);
        assert_eq!(before.load(name).unwrap().metadata.current_step, step, "it may still read");
    }
    // The successor replaces and deletes what it found, and goes on.
    after.save(&at(4), "a").unwrap();
    after.delete("b").unwrap();
    assert_eq!(before.list().unwrap(), ["a", "c"]);
    assert_eq!(before.load("a").unwrap().metadata.current_step, 4);
}

#[test]
fn without_a_quorum_nothing_changes_and_one_replica_can_be_lost() {
    let world = World::new();
    let at = |step| CheckpointBuilder::new("k", "t").step(step).device_memory("field", vec![7; 5000]).build();
    ReplicatedStorage::take_over(world.checkpoints()).unwrap().save(&at(1), "a").unwrap();
    for (reachable, is_quorum) in [(1, false), (2, true), (1, false), (3, true)] {
        world.reachable.store(reachable, Ordering::SeqCst);
        let Ok(storage) = ReplicatedStorage::take_over(world.checkpoints()) else {
            assert!(!is_quorum);
            continue;
        };
        let before = storage.load("a").unwrap().metadata.current_step;
        match storage.save(&at(before + 1), "a") {
            Ok(()) => assert!(is_quorum),
            Err(error) => {
                assert_eq!(error.recovery(), Recovery::RetryLater, "{error:?}");
                assert!(!is_quorum);
            }
        }
        let after = storage.load("a").unwrap();
        assert_eq!(after.metadata.current_step, before + u64::from(is_quorum));
        assert_eq!(storage.list().unwrap(), ["a"]);
    }
}

#[test]
fn a_manager_keeps_a_kernels_progress_on_replicas_and_its_successor_goes_on() {
    let world = World::new();
    let manager = || {
        let storage = ReplicatedStorage::take_over(world.checkpoints()).unwrap();
        let config = CheckpointConfig::new(Duration::ZERO).with_max_snapshots(2);
        let mut manager = CheckpointManager::with_storage(config, Box::new(storage));
        manager.register_actor(0, "k", "t");
        manager
    };
    let at = |step| CheckpointBuilder::new("k", "t").step(step).device_memory("field", vec![7; 5000]).build();
    let mut before = manager();
    (8..12).for_each(|step| drop(before.save_checkpoint(0, &at(step)).unwrap()));
    let mut after = manager();
    assert_eq!(after.load_latest(0).unwrap().unwrap().metadata.current_step, 11);
    (12..15).for_each(|step| drop(after.save_checkpoint(0, &at(step)).unwrap()));
    assert!(before.save_checkpoint(0, &at(12)).is_err(), "it was overtaken");
    assert_eq!(after.list_checkpoints(0).unwrap(), ["checkpoint_0_step_13", "checkpoint_0_step_14"]);
    assert_eq!(before.load_latest(0).unwrap().unwrap().metadata.current_step, 14);
}

#[test]
fn a_save_builds_on_what_its_handle_has_seen() {
    let world = World::new();
    let at = |step| CheckpointBuilder::new("k", "t").step(step).build();
    let one = ReplicatedStorage::take_over(world.checkpoints()).unwrap();
    one.save(&at(1), "a").unwrap();
    let other = ReplicatedStorage::with_epoch(world.checkpoints(), one.epoch());
    other.save(&at(2), "a").unwrap();
    other.save(&at(2), "b").unwrap();
    let conflict = one.save(&at(3), "a");
    assert!(matches!(conflict, Err(StorageError::Conflict { seen: 1, current: 2, .. })), "{conflict:?}");
    assert_eq!(one.load("a").unwrap().metadata.current_step, 2);
    one.save(&at(3), "a").unwrap();
    one.save(&at(4), "c").unwrap();
    assert_eq!(other.load("a").unwrap().metadata.current_step, 3);
    assert_eq!(other.load("b").unwrap().metadata.current_step, 2);
    assert_eq!(other.list().unwrap(), ["a", "b", "c"]);
}

/// The rules that the suite found broken; none if it passed.
fn broken_rules(flaw: Flaw) -> BTreeSet<String> {
    let suite = AssertUnwindSafe(|| checkpoint_storage_suite(|| broken_storage::tested(flaw)));
    let Err(panic) = catch_unwind(suite) else { return BTreeSet::new() };
    let message = panic.downcast_ref::<String>().expect("a suite panics with a text");
    let rules = message.lines().skip(1).filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    rules.map(|(rule, _)| rule.to_owned()).collect()
}

#[test]
fn every_rule_is_seen_broken_by_a_storage_that_breaks_it() {
    let flaws = [
        (Flaw::LosesCustomValues, "what_is_saved_is_loaded"),
        (Flaw::LosesTheEndOfLongOnes, "large_checkpoints_are_loaded_whole"),
        (Flaw::TakesDeltasForFullOnes, "deltas_are_kept_as_they_are"),
        (Flaw::NeverReplaces, "a_save_takes_the_place_of_the_one_before"),
        (Flaw::FindsWhatIsNotThere, "what_was_never_saved_is_not_found"),
        (Flaw::DeletesBeforeItSaves, "a_failed_save_leaves_what_was_there"),
        (Flaw::OpensZeros, "a_part_can_be_read_of_what_is_open"),
        (Flaw::QuarantineDoesNothing, "a_checkpoint_in_quarantine_frees_its_name"),
        (Flaw::RefusesDots, "any_plain_text_is_a_name"),
        (Flaw::TakesAnyName, "names_that_lead_elsewhere_are_refused"),
        (Flaw::TakesSpacesForUnderscores, "checkpoints_do_not_share_bytes"),
        (Flaw::ListsBackwards, "a_list_is_in_the_order_of_names"),
        (Flaw::EverythingExists, "what_exists_is_what_is_listed"),
        (Flaw::KeepsWhatIsDeleted, "a_deleted_checkpoint_is_gone"),
        (Flaw::DeletesNothingQuietly, "deleting_what_is_not_there_is_said"),
        (Flaw::HandlesRemember, "another_handle_sees_what_was_saved"),
        (Flaw::RestartWipes, "checkpoints_outlive_their_handle"),
        (Flaw::WritesTheWholeMapBack, "threads_can_save_at_once"),
        (Flaw::ShowsHalves, "a_load_beside_saves_gives_one_of_them"),
    ];
    let with_a_flaw: BTreeSet<&str> = flaws.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(
        with_a_flaw,
        checkpoint_storage_rules().collect(),
        "every rule needs a storage that breaks it"
    );
    for (flaw, rule) in flaws {
        let broken = broken_rules(flaw);
        assert!(broken.contains(rule), "{flaw:?} breaks `{rule}`, the suite saw only {broken:?}");
    }
    assert_eq!(broken_rules(Flaw::Nothing), BTreeSet::new());
}
