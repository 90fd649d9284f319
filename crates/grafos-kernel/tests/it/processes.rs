//! Real processes that are killed in the middle of their saves, and others that use the same directory.

use std::path::Path;

use grafos_kernel::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointStorage, FileStorage};

use crate::child::{Child, say};
use crate::samples::noise;

const ROUNDS: u64 = 6;

fn checkpoint(step: u64) -> Checkpoint {
    // Larger than what is written in one piece, and compressed in no way.
    let data = noise((4 << 20) + 7, step.to_le_bytes()[0]);
    CheckpointBuilder::new("killed", "test").created_at(step).step(step).device_memory("field", data).build()
}

/// In the child: saves one step after the other under one name, beginning behind the one that is there.
pub(crate) fn save_until_killed(place: &Path) {
    let storage = FileStorage::new(place);
    let first = storage.load("shared").map_or(0, |found| found.metadata.current_step);
    for step in first + 1.. {
        storage.save(&checkpoint(step), "shared").unwrap();
        say(&step.to_string());
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_whole_checkpoints_and_no_litter() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(dir.path());
    let mut last = 0;
    for round in 1..=ROUNDS {
        let mut child = Child::start(dir.path());
        for _ in 0..round {
            last = child.hear().unwrap().parse().unwrap();
            // Beside it, and unharmed by it.
            storage.save(&checkpoint(round), "mine").unwrap();
        }
        child.kill();
        while let Some(said) = child.hear() {
            last = last.max(said.parse().unwrap_or(0));
        }
        let found = storage.load("shared").unwrap();
        let step = found.metadata.current_step;
        assert!(step == last || step == last + 1, "said {last}, found {step}");
        assert!(found.chunks == checkpoint(step).chunks);
        assert!(storage.load("mine").unwrap().chunks == checkpoint(round).chunks);
    }
    FileStorage::new(dir.path()).save(&checkpoint(0), "after").unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["after.rkcp", "mine.rkcp", "shared.rkcp"], "files of dead writers");
}
