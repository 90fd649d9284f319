//! Rules about several handles, and several threads.

use std::thread;

use grafos_suite::{Broken, Checked, ensure, ensure_eq};

use super::{TestedCheckpointStorage, checkpoint, is_same};
use crate::checkpoint::StorageError;

const THREADS: u64 = 4;
const SAVES: u64 = 8;

pub(super) fn another_handle_sees_what_was_saved(tested: &TestedCheckpointStorage) -> Checked {
    let other = (tested.reopen)();
    ensure!(other.list()?.is_empty(), "an empty storage lists something");
    tested.storage.save(&checkpoint(1, 100), "a")?;
    ensure_eq!(other.list()?, ["a"], "the list of another handle");
    ensure!(is_same(&other.load("a")?, &checkpoint(1, 100)), "another handle loads something else");
    tested.storage.save(&checkpoint(2, 100), "a")?;
    ensure!(is_same(&other.load("a")?, &checkpoint(2, 100)), "another handle loads what was replaced");
    tested.storage.delete("a")?;
    ensure!(!other.exists("a"), "what was deleted exists for another handle");
    Ok(())
}

pub(super) fn checkpoints_outlive_their_handle(tested: &TestedCheckpointStorage) -> Checked {
    for step in 1..4 {
        let handle = (tested.reopen)();
        handle.save(&checkpoint(step, 2000), "a")?;
        drop(handle);
        let loaded = (tested.reopen)().load("a")?;
        ensure!(is_same(&loaded, &checkpoint(step, 2000)), "after restart {step} something else is loaded");
    }
    Ok(())
}

pub(super) fn threads_can_save_at_once(tested: &TestedCheckpointStorage) -> Checked {
    let name = |thread: u64| format!("thread_{thread}");
    let storage = &tested.storage;
    let save = |thread: u64| -> Result<(), StorageError> {
        (0..SAVES)
            .try_for_each(|round| storage.save(&checkpoint(thread * 100 + round, 20_000), &name(thread)))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || save(thread))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    for thread in 0..THREADS {
        let last = checkpoint(thread * 100 + SAVES - 1, 20_000);
        ensure!(is_same(&tested.storage.load(&name(thread))?, &last), "a save of thread {thread} is lost");
    }
    ensure_eq!(tested.storage.list()?.len() as u64, THREADS, "names in the list");
    Ok(())
}

pub(super) fn a_load_beside_saves_gives_one_of_them(tested: &TestedCheckpointStorage) -> Checked {
    tested.storage.save(&checkpoint(0, 20_000), "a")?;
    let storage = &tested.storage;
    let save = || (1..=SAVES).try_for_each(|step| storage.save(&checkpoint(step, 20_000), "a"));
    thread::scope(|scope| {
        let saving = scope.spawn(save);
        let mut last = 0;
        while last < SAVES {
            let is_over = saving.is_finished();
            let loaded = tested.storage.load("a")?;
            let step = loaded.metadata.current_step;
            ensure!(is_same(&loaded, &checkpoint(step, 20_000)), "a load beside saves is of none of them");
            ensure!(step >= last, "step {step} was loaded after step {last}");
            ensure!(
                !is_over || step == SAVES,
                "the last of {SAVES} saves is not what is loaded: step {step}"
            );
            last = step;
        }
        saving.join().unwrap_or(Ok(())).map_err(Broken::from)
    })
}
