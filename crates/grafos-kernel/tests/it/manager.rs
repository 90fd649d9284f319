//! The manager: when snapshots are due, what is kept, what is gone on from, and what is said when something is wrong.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabricbios_core::clock::ManualClock;
use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointConfig, CheckpointManager, CheckpointStorage, ChunkType,
    FileStorage, ManagerError, MemoryStorage, SnapshotRequest, SnapshotResponse, StorageError,
};

fn config() -> CheckpointConfig {
    CheckpointConfig::new(Duration::from_secs(10)).with_name_prefix("sim")
}

fn manager(
    config: CheckpointConfig,
    storage: impl CheckpointStorage + 'static,
) -> (CheckpointManager, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let mut manager = CheckpointManager::with_storage(config, Box::new(storage)).with_clock(clock.clone());
    manager.register_actor(0, "wave", "fdtd_3d");
    (manager, clock)
}

fn answer(request: &SnapshotRequest, step: u64) -> SnapshotResponse {
    let SnapshotRequest { request_id, actor_slot, .. } = *request;
    SnapshotResponse { request_id, actor_slot, success: true, data: step.to_le_bytes().repeat(100), step }
}

/// Snapshots at these steps, one after the other.
fn take(manager: &mut CheckpointManager, steps: impl IntoIterator<Item = u64>) {
    for step in steps {
        let request = manager.request_snapshot(0).unwrap();
        let name = manager.complete_snapshot(answer(&request, step)).unwrap();
        assert_eq!(name, Some(format!("sim_0_step_{step}")));
    }
}

fn slots(requests: &[SnapshotRequest]) -> Vec<u32> {
    requests.iter().map(|request| request.actor_slot).collect()
}

fn at(step: u64, kernel: &str) -> Checkpoint {
    CheckpointBuilder::new(kernel, "fdtd_3d").step(step).control_block(vec![1; 64]).build()
}

fn damage(dir: &Path, name: &str) {
    let path = dir.join(format!("{name}.rkcp"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_actor_is_due_once_per_interval_and_never_twice_at_once() {
    let (mut manager, clock) = manager(config(), MemoryStorage::new());
    let first = manager.poll_due_snapshots();
    assert_eq!(slots(&first), [0]);
    clock.advance(Duration::from_secs(100));
    assert_eq!(slots(&manager.poll_due_snapshots()), [0; 0], "one is open");
    manager.complete_snapshot(answer(&first[0], 1)).unwrap();
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(slots(&manager.poll_due_snapshots()), [0; 0]);
    clock.advance(Duration::from_millis(1));
    let second = manager.poll_due_snapshots();
    assert_eq!(slots(&second), [0]);
    assert_ne!(first[0].request_id, second[0].request_id);
    assert!(second[0].issued_at > first[0].issued_at);
    assert!(manager.cancel_pending(second[0].request_id) && !manager.cancel_pending(second[0].request_id));
    assert_eq!(manager.complete_snapshot(answer(&second[0], 2)).unwrap(), None, "cancelled");

    let (mut disabled, _) = self::manager(config().with_enabled(false), MemoryStorage::new());
    assert!(disabled.poll_due_snapshots().is_empty());
    assert!(disabled.request_snapshot(0).is_some(), "on demand it is taken all the same");
}

#[test]
fn no_more_are_in_flight_than_may_be_and_who_has_waited_longest_comes_first() {
    let (mut manager, clock) = manager(config().with_max_in_flight(2), MemoryStorage::new());
    (1..5).for_each(|slot| manager.register_actor(slot, format!("wave-{slot}"), "fdtd_3d"));
    let mut order = Vec::new();
    for step in 0..5 {
        let requests = manager.poll_due_snapshots();
        assert_eq!((requests.len(), manager.in_flight()), (2, 2));
        assert!(manager.request_snapshot(4).is_none(), "on demand neither");
        order.extend(slots(&requests));
        for request in requests {
            manager.complete_snapshot(answer(&request, step)).unwrap();
        }
        clock.advance(Duration::from_secs(10));
    }
    // At the end 0 and 4 have waited equally long.
    assert_eq!(order, [0, 1, 2, 3, 4, 0, 1, 2, 3, 0]);
}

#[test]
fn the_latest_is_the_one_with_the_highest_step() {
    let storage = MemoryStorage::new();
    let (mut first, _) = manager(config().with_max_snapshots(0), storage.clone());
    assert!(first.load_latest(0).unwrap().is_none());
    take(&mut first, [8, 9, 10, 100, 99]);
    for foreign in [
        "sim_0_step_0101",
        "sim_0_step_+102",
        "sim_0_step_",
        "sim_00_step_103",
        "sim_0_step_104x",
        "xsim_0_step_105",
        "sim_0_1_step_106",
        "sim_1_step_107",
    ] {
        storage.save(&at(0, "other"), foreign).unwrap();
    }
    for manager in [first, manager(config(), storage).0] {
        let latest = manager.find_latest(0).unwrap().unwrap();
        assert_eq!((latest.name.as_str(), latest.step, latest.set_aside.len()), ("sim_0_step_100", 100, 0));
        assert_eq!(
            latest.checkpoint.get_chunk(ChunkType::DeviceMemory).unwrap().data,
            100_u64.to_le_bytes().repeat(100)
        );
        assert_eq!(latest.checkpoint.metadata.custom["actor_slot"], "0");
        let names = ["sim_0_step_8", "sim_0_step_9", "sim_0_step_10", "sim_0_step_99", "sim_0_step_100"];
        assert_eq!(manager.list_checkpoints(0).unwrap(), names);
    }
}

#[test]
fn retention_counts_what_a_restart_has_left_and_other_slots_not() {
    let storage = MemoryStorage::new();
    take(&mut manager(config().with_max_snapshots(0), storage.clone()).0, [7, 8, 9, 10]);
    storage.save(&at(1, "other"), "sim_1_step_1").unwrap();
    let (mut after, _) = manager(config().with_max_snapshots(3), storage.clone());
    take(&mut after, [11]);
    assert_eq!(after.list_checkpoints(0).unwrap(), ["sim_0_step_9", "sim_0_step_10", "sim_0_step_11"]);
    assert!(storage.exists("sim_1_step_1"));
    // A run that has gone back: what it has just saved stays, whatever its step.
    take(&mut after, [5]);
    assert_eq!(after.list_checkpoints(0).unwrap(), ["sim_0_step_5", "sim_0_step_10", "sim_0_step_11"]);
    assert_eq!((after.total_completed(), after.total_failed()), (2, 0));
}

#[test]
fn with_one_kept_the_old_one_goes_only_when_the_new_one_is_safe() {
    let storage = Failing { is_broken: Arc::default(), inner: MemoryStorage::new() };
    let broken = Arc::clone(&storage.is_broken);
    let (mut manager, _) = manager(config().with_max_snapshots(1), storage);
    take(&mut manager, [1]);
    broken.store(true, Ordering::SeqCst);
    let request = manager.request_snapshot(0).unwrap();
    let failed = manager.complete_snapshot(answer(&request, 2));
    assert!(matches!(failed, Err(ManagerError::Storage(StorageError::Full { .. }))), "{failed:?}");
    assert_eq!(manager.list_checkpoints(0).unwrap(), ["sim_0_step_1"]);
    broken.store(false, Ordering::SeqCst);
    take(&mut manager, [2]);
    assert_eq!(manager.list_checkpoints(0).unwrap(), ["sim_0_step_2"]);
    assert_eq!((manager.total_completed(), manager.total_failed()), (2, 1));
}

#[test]
fn a_damaged_checkpoint_goes_to_quarantine_and_the_one_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (mut manager, _) = manager(config(), FileStorage::new(dir.path()));
    take(&mut manager, [1, 2, 3, 4]);
    damage(dir.path(), "sim_0_step_4");
    fs::write(dir.path().join("sim_0_step_3.rkcp"), [0; 5000]).unwrap();
    let latest = manager.find_latest(0).unwrap().unwrap();
    assert_eq!(latest.step, 2);
    let set_aside: Vec<_> = latest.set_aside.iter().map(|bad| (bad.step, bad.moved_to.is_some())).collect();
    assert_eq!(set_aside, [(4, true), (3, true)]);
    assert!(latest.set_aside.iter().all(|bad| bad.error.is_damage()));
    assert_eq!(manager.list_checkpoints(0).unwrap(), ["sim_0_step_1", "sim_0_step_2"]);
    assert!(manager.find_latest(0).unwrap().unwrap().set_aside.is_empty(), "said once");
    take(&mut manager, [3]);
    assert_eq!(manager.load_latest(0).unwrap().unwrap().metadata.current_step, 3);
}

#[test]
fn if_none_is_good_that_is_an_error_each_time_and_all_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut manager, _) = manager(config(), FileStorage::new(dir.path()));
    take(&mut manager, [1, 2]);
    ["sim_0_step_1", "sim_0_step_2"].iter().for_each(|name| damage(dir.path(), name));
    for _ in 0..2 {
        match manager.load_latest(0) {
            Err(ManagerError::NoneGood { slot: 0, count: 2, newest, source }) => {
                assert_eq!(newest, "sim_0_step_2");
                assert!(source.is_damage());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_a_newer_build_has_written_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut manager, _) = manager(config(), FileStorage::new(dir.path()));
    take(&mut manager, [1, 2]);
    let path = dir.path().join("sim_0_step_2.rkcp");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    fs::write(&path, &bytes).unwrap();
    let refused = manager.load_latest(0);
    assert!(matches!(refused, Err(ManagerError::Storage(StorageError::Checkpoint { .. }))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn requests_to_an_actor_that_is_gone_are_dropped() {
    let (mut manager, _) = manager(config(), MemoryStorage::new());
    let request = manager.request_snapshot(0).unwrap();
    manager.unregister_actor(0);
    assert_eq!((manager.pending_count(), manager.in_flight()), (0, 0));
    assert_eq!(manager.complete_snapshot(answer(&request, 1)).unwrap(), None);
    assert!(manager.request_snapshot(0).is_none());
    assert!(manager.poll_due_snapshots().is_empty());

    manager.register_actor(0, "wave", "fdtd_3d");
    let request = manager.request_snapshot(0).unwrap();
    manager.register_actor(0, "wave", "fdtd_3d");
    assert_eq!(manager.pending_count(), 1, "it is the same");
    manager.register_actor(0, "other", "fdtd_3d");
    assert_eq!(
        manager.complete_snapshot(answer(&request, 1)).unwrap(),
        None,
        "that was the state of another kernel"
    );
    assert!(manager.list_checkpoints(0).unwrap().is_empty());
}

#[test]
fn the_checkpoints_of_another_kernel_are_neither_given_out_nor_replaced() {
    let storage = MemoryStorage::new();
    storage.save(&at(5, "other"), "sim_0_step_5").unwrap();
    let (mut manager, _) = manager(config(), storage.clone());
    let is_other = |error: ManagerError| matches!(error, ManagerError::OtherKernel { .. });
    assert!(is_other(manager.load_latest(0).unwrap_err()));
    let request = manager.request_snapshot(0).unwrap();
    assert!(is_other(manager.complete_snapshot(answer(&request, 6)).unwrap_err()));
    assert!(is_other(manager.save_checkpoint(0, &at(6, "wave")).unwrap_err()));
    assert_eq!(storage.list().unwrap(), ["sim_0_step_5"]);
    assert!(manager.load_latest(1).unwrap().is_none());
    manager.unregister_actor(0);
    assert!(manager.load_latest(0).unwrap().is_some(), "nobody in particular asks");
}

#[test]
fn a_checkpoint_that_the_caller_made_is_kept_like_the_others() {
    let (mut manager, clock) = manager(config().with_max_snapshots(2), MemoryStorage::new());
    for step in [9, 10, 11] {
        assert_eq!(manager.save_checkpoint(0, &at(step, "wave")).unwrap(), format!("sim_0_step_{step}"));
    }
    assert_eq!(manager.list_checkpoints(0).unwrap(), ["sim_0_step_10", "sim_0_step_11"]);
    assert!(manager.poll_due_snapshots().is_empty(), "its interval has begun anew");
    clock.advance(Duration::from_secs(10));
    assert_eq!(manager.poll_due_snapshots().len(), 1);
    assert!(matches!(manager.save_checkpoint(0, &at(1, "other")), Err(ManagerError::OtherKernel { .. })));
    assert!(matches!(
        manager.save_checkpoint(3, &at(1, "wave")),
        Err(ManagerError::NotRegistered { slot: 3 })
    ));
    let delta = Checkpoint::delta_from(&at(10, "wave"), &at(11, "wave"));
    assert!(matches!(
        manager.save_checkpoint(0, &delta),
        Err(ManagerError::Storage(StorageError::Checkpoint { .. }))
    ));
}

#[test]
fn a_failed_snapshot_and_one_of_another_slot_are_errors() {
    let (mut manager, _) = manager(config(), MemoryStorage::new());
    let request = manager.request_snapshot(0).unwrap();
    let stray = SnapshotResponse { actor_slot: 7, ..answer(&request, 1) };
    assert!(matches!(
        manager.complete_snapshot(stray),
        Err(ManagerError::WrongSlot { expected: 0, found: 7, .. })
    ));
    assert_eq!(manager.pending_count(), 1);
    let failed = SnapshotResponse { success: false, ..answer(&request, 1) };
    assert!(matches!(manager.complete_snapshot(failed), Err(ManagerError::SnapshotFailed { slot: 0, .. })));
    assert_eq!((manager.pending_count(), manager.total_failed()), (0, 1));
    assert!(manager.list_checkpoints(0).unwrap().is_empty());
}

#[test]
fn in_the_background_order_is_kept_and_failures_are_told_once() {
    let storage = Failing { is_broken: Arc::default(), inner: MemoryStorage::new() };
    let broken = Arc::clone(&storage.is_broken);
    let (mut manager, _) = manager(config(), storage);
    let submit = |manager: &mut CheckpointManager, step| {
        let request = manager.request_snapshot(0).unwrap();
        assert!(manager.submit_snapshot(answer(&request, step)).unwrap());
        assert!(!manager.submit_snapshot(answer(&request, step)).unwrap(), "answered twice");
    };
    (1..4).for_each(|step| submit(&mut manager, step));
    let told = manager.wait_for_snapshots();
    let names: Vec<_> = told.iter().map(|outcome| outcome.result.as_deref().unwrap()).collect();
    assert_eq!(names, ["sim_0_step_1", "sim_0_step_2", "sim_0_step_3"]);
    broken.store(true, Ordering::SeqCst);
    submit(&mut manager, 4);
    let told = manager.wait_for_snapshots();
    assert!(matches!(told[0].result, Err(ManagerError::Storage(StorageError::Full { .. }))), "{told:?}");
    assert_eq!((told.len(), told[0].step, told[0].actor_slot), (1, 4, 0));
    assert!(manager.wait_for_snapshots().is_empty() && manager.finished_snapshots().is_empty());
    assert_eq!((manager.total_completed(), manager.total_failed(), manager.in_flight()), (3, 1, 0));
    assert_eq!(manager.load_latest(0).unwrap().unwrap().metadata.current_step, 3);
}

#[test]
fn in_the_background_no_more_wait_than_may_be_in_flight() {
    let (gate, storage) = Gated::new();
    let (mut manager, _) = manager(config().with_max_in_flight(2), storage.clone());
    let requests = [0, 1].map(|_| manager.request_snapshot(0).unwrap());
    for (step, request) in (1..).zip(&requests) {
        assert!(manager.submit_snapshot(answer(request, step)).unwrap());
    }
    assert_eq!(manager.in_flight(), 2);
    assert!(manager.request_snapshot(0).is_none() && manager.poll_due_snapshots().is_empty());
    assert!(manager.finished_snapshots().is_empty());
    gate.send(()).unwrap();
    gate.send(()).unwrap();
    assert_eq!(manager.wait_for_snapshots().len(), 2);
    let request = manager.request_snapshot(0).unwrap();
    assert!(manager.submit_snapshot(answer(&request, 3)).unwrap());
    gate.send(()).unwrap();
    drop(manager); // waits
    assert!(storage.exists("sim_0_step_3"), "what was submitted is saved");
}

#[test]
fn a_storage_that_panics_in_the_background_is_told_and_the_next_save_goes_on() {
    let (gate, storage) = Gated::new();
    let (mut manager, _) = manager(config(), storage);
    drop(gate); // the next save panics
    let request = manager.request_snapshot(0).unwrap();
    manager.submit_snapshot(answer(&request, 1)).unwrap();
    let told = manager.wait_for_snapshots();
    assert!(matches!(told[0].result, Err(ManagerError::StoragePanicked { slot: 0, step: 1 })), "{told:?}");
    let request = manager.request_snapshot(0).unwrap();
    manager.submit_snapshot(answer(&request, 2)).unwrap();
    assert_eq!(manager.wait_for_snapshots().len(), 1);
}

/// Has no room while it is broken.
struct Failing {
    is_broken: Arc<AtomicBool>,
    inner: MemoryStorage,
}

/// Saves once for each permit; panics if there will be none.
#[derive(Clone)]
struct Gated {
    permits: Arc<Mutex<Receiver<()>>>,
    inner: MemoryStorage,
}

impl Gated {
    fn new() -> (Sender<()>, Self) {
        let (gate, permits) = channel();
        (gate, Self { permits: Arc::new(Mutex::new(permits)), inner: MemoryStorage::new() })
    }
}

macro_rules! through {
    ($storage:ident, $before:expr) => {
        impl CheckpointStorage for $storage {
            fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError> {
                let before: fn(&Self) -> Result<(), StorageError> = $before;
                before(self)?;
                self.inner.save(checkpoint, name)
            }

            fn load(&self, name: &str) -> Result<Checkpoint, StorageError> {
                self.inner.load(name)
            }

            fn list(&self) -> Result<Vec<String>, StorageError> {
                self.inner.list()
            }

            fn delete(&self, name: &str) -> Result<(), StorageError> {
                self.inner.delete(name)
            }

            fn exists(&self, name: &str) -> bool {
                self.inner.exists(name)
            }
        }
    };
}

through!(Failing, |storage| {
    let full = || StorageError::Full { what: "the test".to_owned() };
    if storage.is_broken.load(Ordering::SeqCst) { Err(full()) } else { Ok(()) }
});
through!(Gated, |storage| {
    let permits = storage.permits.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    permits.recv().expect("a permit");
    Ok(())
});
