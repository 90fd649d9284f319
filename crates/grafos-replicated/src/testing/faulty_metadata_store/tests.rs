//! Each fault of a store does what it says, and no more.

use super::*;
use crate::memory::MemoryMetadataStore;
use crate::metadata_store::{Expect, Revision};
use crate::testing::{TestedMetadataStore, metadata_store_suite};

fn key() -> RecordKey {
    RecordKey::new("tested", &["a"])
}

fn put(expect: Expect, body: &str) -> Transaction {
    let body = body.as_bytes().to_vec();
    Transaction { guards: vec![(key(), expect)], puts: vec![(key(), body)], deletes: vec![] }
}

fn faulty(plan: FaultPlan<StoreFault>) -> (MemoryMetadataStore, FaultyMetadataStore) {
    let below = MemoryMetadataStore::new();
    (below.clone(), FaultyMetadataStore::new(below, plan))
}

fn body(store: &dyn MetadataStore) -> Option<Vec<u8>> {
    store.read(&key()).unwrap().map(|record| record.body)
}

#[test]
fn without_faults_it_is_the_store_below() {
    metadata_store_suite(|| {
        let (_, store) = faulty(FaultPlan::none());
        TestedMetadataStore::new(move || store.clone())
    });
}

#[test]
fn each_fault_does_what_it_says_and_is_counted() {
    let create = put(Expect::Absent, "1");
    for (fault, is_unknown, is_there) in [
        (StoreFault::FailBefore, false, false),
        (StoreFault::UnknownLanded, true, true),
        (StoreFault::UnknownLost, true, false),
        (StoreFault::UnknownDelayed { calls: 1 }, true, false),
    ] {
        let (below, store) = faulty(FaultPlan::none().at(0, fault));
        match store.commit(&create) {
            Ok(CommitOutcome::Unknown(_)) => assert!(is_unknown, "{fault:?}"),
            Err(StoreError::Unavailable { .. }) => assert!(!is_unknown, "{fault:?}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(body(&below).is_some(), is_there, "{fault:?}");
        let counts = store.counts();
        assert_eq!((counts.calls, counts.total(), counts.faults[fault.name()]), (1, 1, 1));
    }
    let (_, store) = faulty(FaultPlan::none().at(0, StoreFault::FailRead).at(1, StoreFault::FailRead));
    assert!(store.read(&key()).is_err());
    assert!(store.scan("", None, 1).is_err());
    assert_eq!(body(&store), None);
}

#[test]
fn a_delayed_commit_lands_before_the_call_it_was_delayed_to_and_only_if_its_guards_hold() {
    let delayed = StoreFault::UnknownDelayed { calls: 2 };
    let (below, store) = faulty(FaultPlan::none().at(0, delayed));
    store.commit(&put(Expect::Absent, "late")).unwrap();
    assert_eq!((body(&store), store.delayed()), (None, 1));
    assert_eq!(body(&store).as_deref(), Some(&b"late"[..]));
    assert_eq!((body(&below).is_some(), store.delayed()), (true, 0));

    let (_, store) = faulty(FaultPlan::none().at(0, delayed));
    store.commit(&put(Expect::Absent, "late")).unwrap();
    assert_eq!(store.commit(&put(Expect::Absent, "first")).unwrap(), CommitOutcome::Committed(Revision(1)));
    assert_eq!(body(&store).as_deref(), Some(&b"first"[..]), "the late one found the record there");

    let (below, store) = faulty(FaultPlan::none().at(0, StoreFault::UnknownDelayed { calls: 1000 }));
    store.commit(&put(Expect::Absent, "late")).unwrap();
    store.settle();
    assert_eq!(body(&below).as_deref(), Some(&b"late"[..]));
}
