//! [`checkpoint_storage_suite`]: the contract of [`CheckpointStorage`], rule by rule.

use std::sync::Arc;

use grafos_suite::{Random, Rule, assert_all, rules};

use crate::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointStorage};

mod contents;
mod handles;
mod names;

/// A storage to test, without checkpoints. The suite asks for a new one for each rule.
pub struct TestedCheckpointStorage {
    /// The storage.
    pub storage: Arc<dyn CheckpointStorage>,
    /// Another handle on the same checkpoints: another process, or the same one after a restart. It may own what must
    /// live as long as the test, such as a temporary directory.
    pub reopen: Box<dyn Fn() -> Arc<dyn CheckpointStorage>>,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedCheckpointStorage>] = rules![
    contents::{
        what_is_saved_is_loaded,
        large_checkpoints_are_loaded_whole,
        deltas_are_kept_as_they_are,
        a_save_takes_the_place_of_the_one_before,
        what_was_never_saved_is_not_found,
        a_failed_save_leaves_what_was_there,
        a_part_can_be_read_of_what_is_open,
        a_checkpoint_in_quarantine_frees_its_name,
    },
    names::{
        any_plain_text_is_a_name,
        names_that_lead_elsewhere_are_refused,
        checkpoints_do_not_share_bytes,
        a_list_is_in_the_order_of_names,
        what_exists_is_what_is_listed,
        a_deleted_checkpoint_is_gone,
        deleting_what_is_not_there_is_said,
    },
    handles::{
        another_handle_sees_what_was_saved,
        checkpoints_outlive_their_handle,
        threads_can_save_at_once,
        a_load_beside_saves_gives_one_of_them,
    },
];

/// Checks every rule of the contract of [`CheckpointStorage`], each on a new storage.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn checkpoint_storage_suite(make: impl Fn() -> TestedCheckpointStorage) {
    assert_all("CheckpointStorage", RULES, make);
}

/// The names of the rules that [`checkpoint_storage_suite`] checks.
pub fn checkpoint_storage_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

impl TestedCheckpointStorage {
    /// A storage that `open` opens, now and after each restart.
    #[must_use]
    pub fn new<S: CheckpointStorage + 'static>(open: impl Fn() -> S + 'static) -> Self {
        Self { storage: Arc::new(open()), reopen: Box::new(move || Arc::new(open())) }
    }
}

/// A checkpoint that differs from that of any other step in every chunk.
fn checkpoint(step: u64, len: usize) -> Checkpoint {
    CheckpointBuilder::new("tested", "suite")
        .step(step)
        .created_at(1_700_000_000_000_000 + step)
        .grid_size(8, 4, 2)
        .custom("step", step.to_string())
        .control_block(Random(step).bytes(64))
        .h2k_queue(Vec::new())
        .device_memory("pressure", Random(!step).bytes(len))
        .build()
}

/// Whether both have the same metadata and chunks. A header says how a file is stored, which may differ.
fn is_same(one: &Checkpoint, other: &Checkpoint) -> bool {
    one.metadata == other.metadata
        && one.header.created_at == other.header.created_at
        && one.chunks == other.chunks
}
