//! Rules about names.

use grafos_suite::{Checked, ensure, ensure_eq, ensure_error};

use super::{TestedCheckpointStorage, checkpoint, is_same};
use crate::checkpoint::{MAX_STORED_NAME_BYTES, StorageError};

pub(super) fn any_plain_text_is_a_name(tested: &TestedCheckpointStorage) -> Checked {
    let longest = "x".repeat(MAX_STORED_NAME_BYTES);
    let names = ["a", "a.b..c", "été 7", "a.rkcp", "-rf", "%2e%2e", "a:b*c?", "~", &longest];
    for (step, name) in (1..).zip(names) {
        tested.storage.save(&checkpoint(step, 100), name)?;
    }
    for (step, name) in (1..).zip(names) {
        let loaded = tested.storage.load(name)?;
        ensure!(is_same(&loaded, &checkpoint(step, 100)), "\"{name}\" stands for another checkpoint");
    }
    ensure_eq!(tested.storage.list()?.len(), names.len(), "names in the list");
    Ok(())
}

pub(super) fn names_that_lead_elsewhere_are_refused(tested: &TestedCheckpointStorage) -> Checked {
    let too_long = "x".repeat(MAX_STORED_NAME_BYTES + 1);
    for name in ["", ".", "..", "../a", "/a", "a/b", "a\\b", ".a", "a\0", "a\n", "\u{7f}", &too_long] {
        let saved = tested.storage.save(&checkpoint(1, 10), name);
        ensure_error!(saved, StorageError::InvalidName { .. }, "saving as {name:?}");
        ensure_error!(tested.storage.load(name), StorageError::InvalidName { .. }, "loading {name:?}");
        ensure_error!(tested.storage.delete(name), StorageError::InvalidName { .. }, "deleting {name:?}");
        ensure!(!tested.storage.exists(name), "{name:?} exists");
    }
    ensure!(tested.storage.list()?.is_empty(), "what was refused is listed");
    Ok(())
}

pub(super) fn checkpoints_do_not_share_bytes(tested: &TestedCheckpointStorage) -> Checked {
    let names = ["a", "b", "a_b", "a b", "a.b"];
    for round in 0..2 {
        for (step, name) in (round * 10..).zip(names) {
            tested.storage.save(&checkpoint(step, 3000), name)?;
        }
        for (step, name) in (round * 10..).zip(names) {
            let loaded = tested.storage.load(name)?;
            ensure!(
                is_same(&loaded, &checkpoint(step, 3000)),
                "round {round}: \"{name}\" has become another's"
            );
        }
    }
    Ok(())
}

pub(super) fn a_list_is_in_the_order_of_names(tested: &TestedCheckpointStorage) -> Checked {
    for name in ["step_9", "b", "step_10", "a", "step_100"] {
        tested.storage.save(&checkpoint(1, 10), name)?;
    }
    ensure_eq!(tested.storage.list()?, ["a", "b", "step_10", "step_100", "step_9"], "the list");
    Ok(())
}

pub(super) fn what_exists_is_what_is_listed(tested: &TestedCheckpointStorage) -> Checked {
    ensure!(!tested.storage.exists("a"), "something exists in an empty storage");
    tested.storage.save(&checkpoint(1, 10), "a")?;
    ensure!(tested.storage.exists("a"), "what was saved does not exist");
    ensure!(!tested.storage.exists("b"), "what was not saved exists");
    ensure_eq!(tested.storage.list()?, ["a"], "the list");
    Ok(())
}

pub(super) fn a_deleted_checkpoint_is_gone(tested: &TestedCheckpointStorage) -> Checked {
    for (step, name) in [(1, "a"), (2, "b"), (3, "c")] {
        tested.storage.save(&checkpoint(step, 100), name)?;
    }
    tested.storage.delete("b")?;
    ensure_error!(tested.storage.load("b"), StorageError::NotFound { .. }, "loading what was deleted");
    ensure!(!tested.storage.exists("b"), "what was deleted exists");
    ensure_eq!(tested.storage.list()?, ["a", "c"], "the list after a deletion");
    ensure!(is_same(&tested.storage.load("c")?, &checkpoint(3, 100)), "another one was hurt by a deletion");
    tested.storage.save(&checkpoint(4, 100), "b")?;
    ensure!(is_same(&tested.storage.load("b")?, &checkpoint(4, 100)), "a name can't be used again");
    Ok(())
}

pub(super) fn deleting_what_is_not_there_is_said(tested: &TestedCheckpointStorage) -> Checked {
    ensure_error!(tested.storage.delete("a"), StorageError::NotFound { .. }, "deleting in an empty storage");
    tested.storage.save(&checkpoint(1, 10), "a")?;
    tested.storage.delete("a")?;
    ensure_error!(tested.storage.delete("a"), StorageError::NotFound { .. }, "deleting twice");
    Ok(())
}
