//! Rules about what is saved and what is loaded.

use grafos_suite::{Checked, ensure, ensure_eq, ensure_error};

use super::{TestedCheckpointStorage, checkpoint, is_same};
use crate::checkpoint::{Checkpoint, CheckpointBuilder, DELTA_PARENT_DIGEST_KEY, StorageError};

pub(super) fn what_is_saved_is_loaded(tested: &TestedCheckpointStorage) -> Checked {
    let empty = CheckpointBuilder::new("", "").created_at(5).build();
    for (saved, what) in [(&checkpoint(1, 1000), "a checkpoint"), (&empty, "one without state")] {
        tested.storage.save(saved, "a")?;
        ensure!(is_same(&tested.storage.load("a")?, saved), "{what} was loaded otherwise than it was saved");
    }
    Ok(())
}

pub(super) fn large_checkpoints_are_loaded_whole(tested: &TestedCheckpointStorage) -> Checked {
    let large = checkpoint(1, (9 << 20) + 17);
    tested.storage.save(&large, "large")?;
    ensure!(
        is_same(&tested.storage.load("large")?, &large),
        "9 MiB were loaded otherwise than they were saved"
    );
    Ok(())
}

pub(super) fn deltas_are_kept_as_they_are(tested: &TestedCheckpointStorage) -> Checked {
    let (base, new) = (checkpoint(1, 9000), checkpoint(2, 9000));
    tested.storage.save(&base, "base")?;
    tested.storage.save(&Checkpoint::delta_from(&base, &new), "delta")?;
    let (base, delta) = (tested.storage.load("base")?, tested.storage.load("delta")?);
    let made = Checkpoint::applied_with_delta(&base, &delta)?;
    ensure!(made.chunks == new.chunks, "a delta makes something else after it was stored");
    Ok(())
}

pub(super) fn a_save_takes_the_place_of_the_one_before(tested: &TestedCheckpointStorage) -> Checked {
    for step in 1..4 {
        // Each shorter than the one before, so that nothing of that may be left behind it.
        let next = checkpoint(step, 90_000 >> step);
        tested.storage.save(&next, "a")?;
        ensure!(is_same(&tested.storage.load("a")?, &next), "save {step} of a name is not what is loaded");
        ensure_eq!(tested.storage.list()?, ["a"], "names after save {step}");
    }
    Ok(())
}

pub(super) fn what_was_never_saved_is_not_found(tested: &TestedCheckpointStorage) -> Checked {
    ensure_error!(tested.storage.load("a"), StorageError::NotFound { .. }, "loading from an empty storage");
    ensure_error!(tested.storage.open("a"), StorageError::NotFound { .. }, "opening in an empty storage");
    ensure!(tested.storage.list()?.is_empty(), "an empty storage lists something");
    tested.storage.save(&checkpoint(1, 10), "ab")?;
    for other in ["a", "b", "abc", "ab "] {
        ensure_error!(
            tested.storage.load(other),
            StorageError::NotFound { .. },
            "loading \"{other}\" beside \"ab\""
        );
    }
    Ok(())
}

pub(super) fn a_failed_save_leaves_what_was_there(tested: &TestedCheckpointStorage) -> Checked {
    let good = checkpoint(1, 5000);
    tested.storage.save(&good, "a")?;
    // The chunks of a delta, in a checkpoint that says that it is none: it has no bytes.
    let mut bad = Checkpoint::delta_from(&good, &checkpoint(2, 5000));
    bad.metadata.custom.remove(DELTA_PARENT_DIGEST_KEY);
    for name in ["a", "b"] {
        ensure_error!(
            tested.storage.save(&bad, name),
            StorageError::Checkpoint { .. },
            "saving what has no bytes"
        );
    }
    ensure!(is_same(&tested.storage.load("a")?, &good), "a failed save has changed what was there");
    ensure_eq!(tested.storage.list()?, ["a"], "names after failed saves");
    Ok(())
}

pub(super) fn a_part_can_be_read_of_what_is_open(tested: &TestedCheckpointStorage) -> Checked {
    let saved = checkpoint(1, 3 << 20);
    tested.storage.save(&saved, "a")?;
    let open = tested.storage.open("a")?;
    ensure_eq!(open.metadata(), &saved.metadata, "metadata of what is open");
    let Some((index, _)) = open.region("pressure")? else {
        ensure!(false, "a region is missing in what is open");
        return Ok(());
    };
    let mut part = [0; 1000];
    open.read_range(index, (1 << 20) - 500, &mut part)?;
    ensure!(part[..] == saved.chunks[2].data[(1 << 20) - 500..][..1000], "another part was read");
    open.verify()?;
    // It stays what it was, or says that it is gone.
    tested.storage.save(&checkpoint(2, 3 << 20), "a")?;
    if let Ok(chunk) = open.read_chunk(index) {
        ensure!(chunk == saved.chunks[2].data, "what was open has turned into another checkpoint");
    }
    Ok(())
}

pub(super) fn a_checkpoint_in_quarantine_frees_its_name(tested: &TestedCheckpointStorage) -> Checked {
    ensure_error!(
        tested.storage.quarantine("a"),
        StorageError::NotFound { .. } | StorageError::Unsupported { .. },
        "quarantine of what is not there"
    );
    for step in 1..4 {
        let saved = checkpoint(step, 100);
        tested.storage.save(&saved, "a")?;
        match tested.storage.quarantine("a") {
            Err(StorageError::Unsupported { .. }) => {
                ensure!(is_same(&tested.storage.load("a")?, &saved), "what can't be moved has changed");
                continue;
            }
            moved => drop(moved?),
        }
        ensure_error!(
            tested.storage.load("a"),
            StorageError::NotFound { .. },
            "loading what is in quarantine"
        );
        ensure!(!tested.storage.exists("a"), "what is in quarantine exists");
        ensure!(tested.storage.list()?.is_empty(), "what is in quarantine is listed");
    }
    Ok(())
}
