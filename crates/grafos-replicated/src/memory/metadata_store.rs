//! [`MemoryMetadataStore`]: records in the memory of one process.
//!
//! Invariant: one lock covers the records and the last revision, so every change is atomic and every read sees all
//! changes before it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::metadata_store::{CommitOutcome, Expect, MetadataStore, Record, RecordKey, Revision, Transaction};

/// Records in the memory of one process. Clones share them.
///
/// ```
/// use grafos_replicated::memory::MemoryMetadataStore;
/// use grafos_replicated::{CommitOutcome, Expect, MetadataStore, RecordKey, Transaction};
///
/// # fn main() -> Result<(), grafos_replicated::StoreError> {
/// let store = MemoryMetadataStore::new();
/// let key = RecordKey::new("checkpoint", &["job", "latest"]);
/// let create = Transaction {
///     guards: vec![(key.clone(), Expect::Absent)],
///     puts: vec![(key.clone(), b"state".to_vec())],
///     deletes: vec![],
/// };
/// let CommitOutcome::Committed(revision) = store.commit(&create)? else { panic!("nobody else is here") };
/// assert_eq!(store.read(&key)?.map(|record| record.revision), Some(revision));
/// assert_eq!(store.commit(&create)?, CommitOutcome::Conflict);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryMetadataStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<RecordKey, Record>,
    last_revision: u64,
}

impl MemoryMetadataStore {
    /// A store without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, key: &RecordKey, expect: Expect) -> bool {
        let found = self.records.get(key).map(|record| record.revision);
        match expect {
            Expect::Absent => found.is_none(),
            Expect::At(revision) => found == Some(revision),
        }
    }
}

impl MetadataStore for MemoryMetadataStore {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().records.get(key).cloned())
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        transaction.check()?;
        let mut state = self.lock();
        if !transaction.guards.iter().all(|(key, expect)| state.holds(key, *expect)) {
            return Ok(CommitOutcome::Conflict);
        }
        state.last_revision += 1;
        let revision = Revision(state.last_revision);
        for key in &transaction.deletes {
            state.records.remove(key);
        }
        for (key, body) in &transaction.puts {
            state.records.insert(key.clone(), Record { revision, body: body.clone() });
        }
        Ok(CommitOutcome::Committed(revision))
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let state = self.lock();
        let from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.clone()),
            _ => Bound::Included(RecordKey::new(prefix, &[])),
        };
        let behind = state.records.range((from, Bound::Unbounded));
        let fitting = behind.take_while(|(key, _)| key.as_str().starts_with(prefix));
        Ok(fitting.take(limit).map(|(key, record)| (key.clone(), record.clone())).collect())
    }
}
