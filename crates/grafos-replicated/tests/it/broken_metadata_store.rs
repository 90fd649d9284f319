//! A store in memory that breaks one rule of the contract at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use grafos_replicated::testing::TestedMetadataStore;
use grafos_replicated::{
    CommitOutcome, Expect, MetadataStore, Record, RecordKey, Revision, StoreError, Transaction,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    ReplacingDoesNothing,
    KeysHaveNoCase,
    ReadsTogetherInTheOrderOfKeys,
    EmptyRecordsAreAbsent,
    LargeRecordsAreCut,
    OnlyTheFirstGuardCounts,
    OnlyTheFirstChangeIsMade,
    AnswersTheRevisionBefore,
    DeletesKeepTheRecord,
    RevisionsStandStill,
    ARecordCountsForItself,
    GuardsAloneAlwaysHold,
    AsksNothing,
    ChecksBeforeItLocks,
    WritesBlindlyBetweenThreads,
    TakesPrefixesForPatterns,
    ScansBackwards,
    ScansFromAnyKeyItKnows,
    ScansOneTooMany,
    HandlesRememberWhatTheyRead,
    RestartWipes,
    RestartCountsAnew,
    OtherHandlesNeedNoGuards,
}

/// What all handles share.
#[derive(Debug, Default)]
struct Disk {
    records: BTreeMap<String, Record>,
    last_revision: u64,
}

#[derive(Debug)]
pub(crate) struct BrokenStore {
    flaw: Flaw,
    disk: Arc<Mutex<Disk>>,
    /// What this handle has read.
    remembered: Mutex<BTreeMap<String, Option<Record>>>,
    is_first: bool,
    inside: AtomicUsize,
}

pub(crate) fn tested(flaw: Flaw) -> TestedMetadataStore {
    let disk = Arc::new(Mutex::new(Disk::default()));
    let opened = AtomicUsize::new(0);
    TestedMetadataStore::new(move || {
        let is_first = opened.fetch_add(1, Ordering::Relaxed) == 0;
        let mut state = lock(&disk);
        if flaw == Flaw::RestartWipes {
            state.records.clear();
        }
        if flaw == Flaw::RestartCountsAnew {
            state.last_revision = 0;
        }
        drop(state);
        let remembered = Mutex::new(BTreeMap::new());
        BrokenStore { flaw, disk: Arc::clone(&disk), remembered, is_first, inside: AtomicUsize::new(0) }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BrokenStore {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn text(&self, key: &RecordKey) -> String {
        let key = key.as_str();
        if self.has(Flaw::KeysHaveNoCase) { key.to_lowercase() } else { key.to_owned() }
    }

    fn holds(&self, disk: &Disk, transaction: &Transaction) -> bool {
        if self.has(Flaw::GuardsAloneAlwaysHold)
            && transaction.puts.is_empty()
            && transaction.deletes.is_empty()
        {
            return true;
        }
        if self.has(Flaw::OtherHandlesNeedNoGuards) && !self.is_first {
            return true;
        }
        let count = if self.has(Flaw::OnlyTheFirstGuardCounts) { 1 } else { usize::MAX };
        transaction.guards.iter().take(count).all(|(key, expect)| {
            let found = disk.records.get(&self.text(key)).map(|record| record.revision);
            match expect {
                Expect::Absent => found.is_none(),
                Expect::At(revision) => found == Some(*revision),
            }
        })
    }

    fn apply(&self, disk: &mut Disk, transaction: &Transaction) -> Revision {
        let before = disk.last_revision;
        if self.has(Flaw::ARecordCountsForItself) {
            let old = transaction.guards.iter().filter_map(|(key, _)| disk.records.get(&self.text(key)));
            disk.last_revision = old.map(|record| record.revision.0).max().unwrap_or(0) + 1;
        } else if !(self.has(Flaw::RevisionsStandStill) && before > 0) {
            disk.last_revision += 1;
        }
        let revision = Revision(disk.last_revision);
        let changes = if self.has(Flaw::OnlyTheFirstChangeIsMade) { 1 } else { usize::MAX };
        for (key, body) in transaction.puts.iter().take(changes) {
            let key = self.text(key);
            let mut body = body.clone();
            if self.has(Flaw::LargeRecordsAreCut) {
                body.truncate(60_000);
            }
            if self.has(Flaw::ReplacingDoesNothing) && disk.records.contains_key(&key) {
                body.clone_from(&disk.records[&key].body);
            }
            disk.records.insert(key, Record { revision, body });
        }
        for key in transaction.deletes.iter().filter(|_| !self.has(Flaw::DeletesKeepTheRecord)) {
            disk.records.remove(&self.text(key));
        }
        if self.has(Flaw::AnswersTheRevisionBefore) { Revision(before) } else { revision }
    }

    fn fits(&self, key: &str, prefix: &str) -> bool {
        if !self.has(Flaw::TakesPrefixesForPatterns) {
            return key.starts_with(prefix);
        }
        key.len() >= prefix.len() && key.chars().zip(prefix.chars()).all(|(k, p)| p == '_' || k == p)
    }
}

impl MetadataStore for BrokenStore {
    fn read(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let text = self.text(key);
        let mut found = lock(&self.disk).records.get(&text).cloned();
        if self.has(Flaw::EmptyRecordsAreAbsent) {
            found = found.filter(|record| !record.body.is_empty());
        }
        if self.has(Flaw::HandlesRememberWhatTheyRead) && !self.is_first {
            return Ok(lock(&self.remembered).entry(text).or_insert(found).clone());
        }
        Ok(found)
    }

    fn read_all(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut keys = keys.to_vec();
        if self.has(Flaw::ReadsTogetherInTheOrderOfKeys) {
            keys.sort();
        }
        keys.iter().map(|key| self.read(key)).collect()
    }

    fn commit(&self, transaction: &Transaction) -> Result<CommitOutcome, StoreError> {
        if !self.has(Flaw::AsksNothing) {
            transaction.check()?;
        }
        let mut disk = lock(&self.disk);
        let holds = self.holds(&disk, transaction);
        if self.has(Flaw::ChecksBeforeItLocks) || self.has(Flaw::WritesBlindlyBetweenThreads) {
            drop(disk);
            // Until another thread stands here too, or none comes.
            self.inside.fetch_add(1, Ordering::SeqCst);
            for _ in 0..10_000 {
                if self.inside.load(Ordering::SeqCst) > 1 {
                    break;
                }
                thread::yield_now();
            }
            disk = lock(&self.disk);
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
        if !holds {
            return Ok(CommitOutcome::Conflict);
        }
        Ok(CommitOutcome::Committed(self.apply(&mut disk, transaction)))
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let disk = lock(&self.disk);
        let after = after.map_or("", RecordKey::as_str);
        let starts_anew = self.has(Flaw::ScansFromAnyKeyItKnows) && !disk.records.contains_key(after);
        let fitting = disk.records.iter().filter(|(key, _)| self.fits(key, prefix));
        let behind = fitting.filter(|(key, _)| starts_anew || key.as_str() > after);
        let mut found: Vec<_> =
            behind.map(|(key, record)| (RecordKey::of_text(key).unwrap(), record.clone())).collect();
        if self.has(Flaw::ScansBackwards) {
            found.reverse();
        }
        found.truncate(limit.saturating_add(usize::from(self.has(Flaw::ScansOneTooMany))));
        Ok(found)
    }
}
