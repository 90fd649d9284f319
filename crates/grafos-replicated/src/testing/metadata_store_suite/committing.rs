//! Rules of what a transaction does.

use std::sync::Barrier;
use std::thread;

use grafos_suite::{Broken, Checked, ensure, ensure_eq, ensure_error};

use super::{TestedMetadataStore, body, committed, created, delete, key, put};
use crate::error::StoreError;
use crate::metadata_store::{
    CommitOutcome, Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, MetadataStore, RecordKey, Revision, Transaction,
};

const THREADS: usize = 4;

pub(super) fn a_guard_that_does_not_hold_changes_nothing(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let (there, gone) = (key("there"), key("gone"));
    let old = created(store, &there, b"1")?;
    let now = committed(store, &put(&there, Expect::At(old), b"2"))?;
    for (what, guard) in [
        ("a record that has changed", (there.clone(), Expect::At(old))),
        ("a record that is there", (there.clone(), Expect::Absent)),
        ("a record that is not there", (gone.clone(), Expect::At(now))),
        ("a revision that never was", (there.clone(), Expect::At(Revision(now.0 + 1000)))),
    ] {
        // The guard that does not hold stands last, behind one that does.
        let other = key("other");
        let transaction = Transaction {
            guards: vec![(other.clone(), Expect::Absent), guard.clone()],
            puts: vec![(other.clone(), b"x".to_vec())],
            deletes: vec![guard.0],
        };
        ensure_eq!(store.commit(&transaction)?, CommitOutcome::Conflict, "the outcome with {what}");
        ensure_eq!(body(store, &there)?.as_deref(), Some(&b"2"[..]), "the guarded record with {what}");
        ensure_eq!(store.read(&other)?, None, "the other record with {what}");
    }
    Ok(())
}

pub(super) fn changes_take_place_together(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let (first, second) = (created(store, &a, b"1")?, created(store, &b, b"1")?);
    let transaction = Transaction {
        guards: vec![
            (a.clone(), Expect::At(first)),
            (b.clone(), Expect::At(second)),
            (c.clone(), Expect::Absent),
        ],
        puts: vec![(c.clone(), b"2".to_vec()), (a.clone(), b"2".to_vec())],
        deletes: vec![b.clone()],
    };
    committed(store, &transaction)?;
    let bodies = (body(store, &a)?, body(store, &b)?, body(store, &c)?);
    ensure_eq!(bodies, (Some(b"2".to_vec()), None, Some(b"2".to_vec())), "what was put, deleted, made");
    Ok(())
}

pub(super) fn a_record_has_the_revision_that_was_answered(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let first = created(store, &a, b"1")?;
    let both = Transaction {
        guards: vec![(b.clone(), Expect::Absent), (c.clone(), Expect::Absent)],
        puts: vec![(b.clone(), b"1".to_vec()), (c.clone(), b"1".to_vec())],
        deletes: vec![],
    };
    let second = committed(store, &both)?;
    for (key, revision) in [(a, first), (b, second), (c, second)] {
        ensure_eq!(store.read(&key)?.map(|record| record.revision), Some(revision), "the revision of {key}");
    }
    Ok(())
}

pub(super) fn a_deleted_record_is_absent(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let revision = created(store, &key("a"), b"1")?;
    created(store, &key("b"), b"1")?;
    committed(store, &delete(&key("a"), Expect::At(revision)))?;
    ensure_eq!(store.read(&key("a"))?, None, "a record that was deleted");
    ensure!(store.read(&key("b"))?.is_some(), "another record is gone too");
    created(store, &key("a"), b"2")?;
    ensure_eq!(body(store, &key("a"))?.as_deref(), Some(&b"2"[..]), "a record that was made anew");
    Ok(())
}

pub(super) fn revisions_grow(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let mut last = Revision(0);
    for round in 0..5 {
        for name in ["a", "b"] {
            let expect = store.read(&key(name))?.map_or(Expect::Absent, |record| Expect::At(record.revision));
            let revision = committed(store, &put(&key(name), expect, b"x"))?;
            ensure!(revision > last, "round {round}: {revision:?} comes after {last:?}");
            last = revision;
        }
    }
    Ok(())
}

pub(super) fn a_revision_is_never_used_again(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let mut last = created(store, &key("a"), b"1")?;
    for _ in 0..3 {
        committed(store, &delete(&key("a"), Expect::At(last)))?;
        let anew = created(store, &key("a"), b"1")?;
        ensure!(anew > last, "a record that was made anew has {anew:?}, and had {last:?}");
        let stale = store.commit(&put(&key("a"), Expect::At(last), b"stale"))?;
        ensure_eq!(stale, CommitOutcome::Conflict, "a change of the record that was there before");
        last = anew;
    }
    Ok(())
}

pub(super) fn guards_alone_say_whether_they_hold(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let revision = created(store, &key("a"), b"1")?;
    let guards = |expect| Transaction { guards: vec![(key("a"), expect)], ..Transaction::default() };
    let holds = store.commit(&guards(Expect::At(revision)))?;
    ensure!(matches!(holds, CommitOutcome::Committed(_)), "a guard that holds: {holds:?}");
    let broken = store.commit(&guards(Expect::Absent))?;
    ensure_eq!(broken, CommitOutcome::Conflict, "a guard that does not hold");
    ensure_eq!(store.read(&key("a"))?.map(|record| record.revision), Some(revision), "the guarded record");
    Ok(())
}

pub(super) fn a_request_that_cannot_be_asked_changes_nothing(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let (a, b) = (key("a"), key("b"));
    let guard = || vec![(a.clone(), Expect::Absent)];
    let one = || vec![(a.clone(), b"1".to_vec())];
    let unguarded = [one(), vec![(b.clone(), b"1".to_vec())]].concat();
    for (what, request) in [
        ("a change without a guard", Transaction { guards: guard(), puts: unguarded, deletes: vec![] }),
        (
            "two puts of one record",
            Transaction { guards: guard(), puts: [one(), one()].concat(), deletes: vec![] },
        ),
        ("a put and a delete", Transaction { guards: guard(), puts: one(), deletes: vec![a.clone()] }),
        ("two guards", Transaction { guards: [guard(), guard()].concat(), puts: one(), deletes: vec![] }),
    ] {
        ensure_error!(store.commit(&request), StoreError::InvalidRequest { .. }, "{what}");
    }
    let large = put(&a, Expect::Absent, &vec![0; MAX_RECORD_BYTES + 1]);
    ensure_error!(store.commit(&large), StoreError::TooLarge { .. }, "a record that is too large");
    let long = RecordKey::new("tested", &[&"k".repeat(MAX_KEY_BYTES)]);
    ensure_error!(
        store.commit(&put(&long, Expect::Absent, b"1")),
        StoreError::TooLarge { .. },
        "a key that is too long"
    );
    ensure_eq!(store.scan("", None, 1)?, vec![], "what is there afterwards");
    Ok(())
}

pub(super) fn of_racing_writers_one_wins(tested: &TestedMetadataStore) -> Checked {
    let store = tested.store.as_ref();
    let mut expect = Expect::Absent;
    for round in 0..10 {
        let start = Barrier::new(THREADS);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let race = |body: String| {
                start.wait();
                store.commit(&put(&key("a"), expect, body.as_bytes()))
            };
            let racers: Vec<_> =
                (0..THREADS).map(|at| scope.spawn(move || race(format!("{round} {at}")))).collect();
            racers.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut winner = None;
        for (at, outcome) in outcomes.into_iter().enumerate() {
            match outcome.map_err(|_| Broken("a thread panicked".to_owned()))?? {
                CommitOutcome::Committed(revision) if winner.is_none() => winner = Some((at, revision)),
                CommitOutcome::Conflict => {}
                other => return Err(Broken(format!("round {round}: a second writer got {other:?}"))),
            }
        }
        let Some((at, revision)) = winner else {
            return Err(Broken(format!("round {round}: of {THREADS} writers none won")));
        };
        let found = body(store, &key("a"))?;
        ensure_eq!(found, Some(format!("{round} {at}").into_bytes()), "what the winner has put");
        expect = Expect::At(revision);
    }
    Ok(())
}

pub(super) fn no_change_is_lost_between_threads(tested: &TestedMetadataStore) -> Checked {
    const EACH: u64 = 10;
    let store = tested.store.as_ref();
    created(store, &key("sum"), &0_u64.to_le_bytes())?;
    thread::scope(|scope| {
        let adders: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| (0..EACH).try_for_each(|_| add_one(store)))).collect();
        for adder in adders {
            adder.join().map_err(|_| Broken("a thread panicked".to_owned()))??;
        }
        Ok::<(), Broken>(())
    })?;
    let expected = EACH * THREADS as u64;
    ensure_eq!(
        body(store, &key("sum"))?,
        Some(expected.to_le_bytes().to_vec()),
        "the sum of {THREADS} threads"
    );
    Ok(())
}

/// Adds one to the number in the record, as often as it takes.
fn add_one(store: &dyn MetadataStore) -> Checked {
    loop {
        let Some(record) = store.read(&key("sum"))? else {
            return Err(Broken("the record is gone".to_owned()));
        };
        let Ok(sum) = <[u8; 8]>::try_from(record.body.as_slice()) else {
            return Err(Broken(format!("the record is no number: {:?}", record.body)));
        };
        let more = (u64::from_le_bytes(sum) + 1).to_le_bytes();
        match store.commit(&put(&key("sum"), Expect::At(record.revision), &more))? {
            CommitOutcome::Committed(_) => return Ok(()),
            CommitOutcome::Conflict => {}
            other => return Err(Broken(format!("a store without faults answered {other:?}"))),
        }
    }
}
