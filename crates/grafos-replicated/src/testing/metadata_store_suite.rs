//! [`metadata_store_suite`]: the contract of [`MetadataStore`], rule by rule.

use std::sync::Arc;

use grafos_suite::{Broken, Rule, assert_all, rules};

use crate::metadata_store::{CommitOutcome, Expect, MetadataStore, Record, RecordKey, Revision, Transaction};

mod committing;
mod handles;
mod reading;
mod scanning;

/// A store to test, without records. The suite asks for a new one for each rule.
pub struct TestedMetadataStore {
    /// The store.
    pub store: Arc<dyn MetadataStore>,
    /// Another handle on the same records: another process, or the same one after a restart. It may own what must live
    /// as long as the test, such as a temporary directory.
    pub reopen: Box<dyn Fn() -> Arc<dyn MetadataStore>>,
}

/// The rules, in the words of their names.
const RULES: &[Rule<TestedMetadataStore>] = rules![
    reading::{
        what_is_put_is_read,
        what_was_never_put_is_absent,
        records_read_together_are_those_of_their_keys,
        records_may_be_empty_and_hold_any_byte,
        the_largest_record_and_the_longest_key_fit,
    },
    committing::{
        a_guard_that_does_not_hold_changes_nothing,
        changes_take_place_together,
        a_record_has_the_revision_that_was_answered,
        a_deleted_record_is_absent,
        revisions_grow,
        a_revision_is_never_used_again,
        guards_alone_say_whether_they_hold,
        a_request_that_cannot_be_asked_changes_nothing,
        of_racing_writers_one_wins,
        no_change_is_lost_between_threads,
    },
    scanning::{
        a_scan_gives_the_records_of_a_prefix_and_no_others,
        a_scan_is_in_the_order_of_keys,
        a_scan_goes_on_behind_a_key,
        a_scan_gives_no_more_than_its_limit,
    },
    handles::{
        another_handle_sees_every_commit,
        records_outlive_their_handle,
        revisions_go_on_after_a_restart,
        guards_hold_between_handles,
    },
];

/// Checks every rule of the contract of [`MetadataStore`], each on a new store.
///
/// # Panics
/// If a rule is broken; the message names all that are, and how they were seen broken.
pub fn metadata_store_suite(make: impl Fn() -> TestedMetadataStore) {
    assert_all("MetadataStore", RULES, make);
}

/// The names of the rules that [`metadata_store_suite`] checks.
pub fn metadata_store_rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

impl TestedMetadataStore {
    /// A store that `open` opens, now and after each restart.
    #[must_use]
    pub fn new<S: MetadataStore + 'static>(open: impl Fn() -> S + 'static) -> Self {
        Self { store: Arc::new(open()), reopen: Box::new(move || Arc::new(open())) }
    }
}

fn key(name: &str) -> RecordKey {
    RecordKey::new("tested", &[name])
}

/// A change of one record.
fn put(key: &RecordKey, expect: Expect, body: &[u8]) -> Transaction {
    Transaction {
        guards: vec![(key.clone(), expect)],
        puts: vec![(key.clone(), body.to_vec())],
        deletes: vec![],
    }
}

fn delete(key: &RecordKey, expect: Expect) -> Transaction {
    Transaction { guards: vec![(key.clone(), expect)], puts: vec![], deletes: vec![key.clone()] }
}

/// Commits what nothing stands against.
fn committed(store: &dyn MetadataStore, transaction: &Transaction) -> Result<Revision, Broken> {
    match store.commit(transaction)? {
        CommitOutcome::Committed(revision) => Ok(revision),
        other => Err(Broken(format!("a transaction whose guards hold: expected=Committed, found={other:?}"))),
    }
}

/// Puts a record that is not there.
fn created(store: &dyn MetadataStore, key: &RecordKey, body: &[u8]) -> Result<Revision, Broken> {
    committed(store, &put(key, Expect::Absent, body))
}

fn body(store: &dyn MetadataStore, key: &RecordKey) -> Result<Option<Vec<u8>>, Broken> {
    Ok(store.read(key)?.map(|record: Record| record.body))
}
