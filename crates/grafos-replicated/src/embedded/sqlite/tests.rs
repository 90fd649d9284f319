//! The register against other processes' locks, damage, and other programs' hands in the file.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::metadata_store::{Expect, Revision};

fn new() -> (tempfile::TempDir, PathBuf, SqliteMetadataStore) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("register.sqlite3");
    let store = SqliteMetadataStore::create(&path).unwrap();
    (temp, path, store)
}

fn key() -> RecordKey {
    RecordKey::new("tested", &["a"])
}

fn put(expect: Expect, body: &[u8]) -> Transaction {
    Transaction { guards: vec![(key(), expect)], puts: vec![(key(), body.to_vec())], deletes: vec![] }
}

fn committed(store: &SqliteMetadataStore, expect: Expect) -> Revision {
    match store.commit(&put(expect, &[7; 3000])).unwrap() {
        CommitOutcome::Committed(revision) => revision,
        other => panic!("{other:?}"),
    }
}

/// Another program's hand in the file.
fn sql(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

#[test]
fn who_keeps_the_file_locked_makes_others_unavailable_and_nothing_happens() {
    let (_temp, path, store) = new();
    let store = store.with_busy_timeout(Duration::from_millis(20));
    let first = committed(&store, Expect::Absent);
    let unavailable = |error: &StoreError| matches!(error, StoreError::Unavailable { .. });
    let other = Connection::open(&path).unwrap();

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.commit(&put(Expect::At(first), b"2")).unwrap_err();
    assert!(unavailable(&refused), "another writes: {refused}");
    assert_eq!(store.read(&key()).unwrap().unwrap().revision, first, "it can still be read");
    other.execute_batch("ROLLBACK").unwrap();

    other.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
    let refused = store.commit(&put(Expect::At(first), b"2")).unwrap_err();
    assert!(unavailable(&refused), "another reads, and does not end: {refused}");
    other.execute_batch("COMMIT").unwrap();

    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(unavailable(&store.read(&key()).unwrap_err()));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.read(&key()).unwrap().unwrap().revision, first, "nothing has happened");
    assert_eq!(committed(&store, Expect::At(first)), Revision(first.0 + 1));
}

#[test]
fn a_commit_that_was_cut_off_is_taken_back() {
    let (temp, path, store) = new();
    let first = committed(&store, Expect::Absent);
    // In the middle of a transaction, with the journal written: what a killed process leaves.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA cache_size = 1; PRAGMA synchronous = OFF; BEGIN IMMEDIATE").unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
                INSERT INTO records (key, revision, body) SELECT 'k' || i, 1, zeroblob(4000) FROM n";
    other.execute_batch(many).unwrap();
    let copy = temp.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["register.sqlite3", "register.sqlite3-journal"] {
        fs::copy(temp.path().join(name), copy.join(name)).unwrap();
    }
    drop(other);
    let copied = SqliteMetadataStore::open(copy.join("register.sqlite3")).unwrap();
    assert_eq!(copied.scan("", None, 10).unwrap().len(), 1);
    assert_eq!(copied.read(&key()).unwrap().unwrap().revision, first);
    copied.verify().unwrap();
    assert!(!copy.join("register.sqlite3-journal").exists());
}

#[test]
fn a_file_that_is_removed_or_replaced_is_no_longer_read_or_written() {
    let (temp, path, store) = new();
    committed(&store, Expect::Absent);
    fs::rename(&path, temp.path().join("moved")).unwrap();
    let gone = |store: &SqliteMetadataStore| {
        assert!(matches!(store.read(&key()), Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.commit(&put(Expect::Absent, b"2")), Err(StoreError::Unavailable { .. })));
        assert!(matches!(store.verify(), Err(StoreError::Unavailable { .. })));
    };
    gone(&store);
    let other = SqliteMetadataStore::create(&path).unwrap();
    gone(&store);
    committed(&other, Expect::Absent);
    fs::rename(temp.path().join("moved"), &path).unwrap();
    assert!(store.read(&key()).unwrap().is_some(), "it is back");
}

#[test]
fn damage_is_found_and_never_taken_for_an_empty_store() {
    let (_temp, path, store) = new();
    let mut last = committed(&store, Expect::Absent);
    for _ in 0..3 {
        last = committed(&store, Expect::At(last));
    }
    drop(store);
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len() % 4096, 0);
    let mut found = 0;
    for page in 0..good.len() / 4096 {
        let mut damaged = good.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, &damaged).unwrap();
        let result = SqliteMetadataStore::open(&path).and_then(|store| {
            let record = store.read(&key());
            store.verify().and(record)
        });
        match result {
            Err(StoreError::Corrupt { .. }) => found += 1,
            Err(StoreError::Foreign { .. }) if page == 0 => {}
            other => panic!("page {page}: {other:?}"),
        }
    }
    assert_eq!(found, good.len() / 4096 - 1, "every page but the first, which tells what the file is");
    for len in [512, 4096, 8192, good.len() - 4096] {
        fs::write(&path, &good[..len]).unwrap();
        let result = SqliteMetadataStore::open(&path).and_then(|store| store.verify());
        assert!(
            matches!(result, Err(StoreError::Corrupt { .. } | StoreError::Foreign { .. })),
            "{len}: {result:?}"
        );
    }
}

#[test]
fn tables_that_another_program_has_changed_are_damage() {
    for statements in [
        "DELETE FROM meta",
        "DROP TABLE records",
        "UPDATE meta SET last_revision = 0",
        "DROP TABLE meta; CREATE TABLE meta (only_row, format, last_revision); INSERT INTO meta VALUES (1, 1, 'x')",
        "UPDATE records SET body = zeroblob(70000)",
    ] {
        let (_temp, path, store) = new();
        committed(&store, Expect::Absent);
        sql(&path, statements);
        let read = store.read(&key()).and_then(|record| store.verify().map(|()| record));
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{statements}: {read:?}");
    }
    let (_temp, path, store) = new();
    committed(&store, Expect::Absent);
    sql(&path, "UPDATE meta SET last_revision = 9223372036854775807");
    let refused = store.commit(&put(Expect::At(Revision(1)), b"2")).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    sql(&path, "PRAGMA journal_mode = WAL");
    let refused = SqliteMetadataStore::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}

#[test]
fn a_reader_makes_durable_what_it_has_not_seen_before() {
    let (_temp, path, writer) = new();
    let first = committed(&writer, Expect::Absent);
    assert_eq!(writer.durable.load(Ordering::Relaxed), first.0, "with its commit");
    let reader = SqliteMetadataStore::open(&path).unwrap();
    assert_eq!(reader.durable.load(Ordering::Relaxed), 0);
    assert!(reader.read(&RecordKey::new("tested", &["another"])).unwrap().is_none());
    assert_eq!(reader.durable.load(Ordering::Relaxed), first.0);
    let second = committed(&writer, Expect::At(first));
    reader.scan("", None, 0).unwrap();
    assert_eq!(reader.durable.load(Ordering::Relaxed), second.0);
}

#[test]
fn connections_are_set_up_to_lose_nothing() {
    let (_temp, _path, store) = new();
    let pragma = |name: &str| -> i64 {
        store
            .pool
            .run(|connection| {
                let value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
                value.map_err(|error| failure::certain("read", store.path(), &error))
            })
            .unwrap()
    };
    assert_eq!(pragma("synchronous"), 3, "EXTRA");
    assert_eq!((pragma("fullfsync"), pragma("trusted_schema"), pragma("mmap_size")), (1, 0, 0));
}
