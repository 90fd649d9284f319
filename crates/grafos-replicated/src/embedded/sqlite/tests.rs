//! The register against other processes' locks, damage, and other programs' hands in the file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
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
fn who_keeps_writing_makes_other_writers_unavailable_and_nobody_else() {
    let (_temp, path, store) = new();
    let store = store.with_busy_timeout(Duration::from_millis(20));
    let first = committed(&store, Expect::Absent);
    let other = Connection::open(&path).unwrap();

    for begin in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        other.execute_batch(begin).unwrap();
        let refused = store.commit(&put(Expect::At(first), b"2")).unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "another writes: {refused}");
        assert_eq!(store.read(&key()).unwrap().unwrap().revision, first, "it can still be read");
        other.execute_batch("ROLLBACK").unwrap();
    }
    assert_eq!(store.read(&key()).unwrap().unwrap().revision, first, "nothing has happened");

    other.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
    let second = committed(&store, Expect::At(first));
    assert_eq!(second, Revision(first.0 + 1), "another reads, and does not end");
    assert_eq!(store.read(&key()).unwrap().unwrap().revision, second);
    other.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_commit_that_was_cut_off_is_taken_back_and_those_before_it_are_in_the_log() {
    let (temp, path, store) = new();
    let first = committed(&store, Expect::Absent);
    // In the middle of a transaction, with half of it in the log: what a killed process leaves.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA cache_size = 1; PRAGMA synchronous = OFF; BEGIN IMMEDIATE").unwrap();
    let log_bytes = || fs::metadata(temp.path().join("register.sqlite3-wal")).unwrap().len();
    let before = log_bytes();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
                INSERT INTO records (key, revision, body) SELECT 'k' || i, 1, zeroblob(4000) FROM n";
    other.execute_batch(many).unwrap();
    assert!(log_bytes() > before + 100_000, "the transaction must not fit into memory");
    let copy = |names: &[&str]| {
        let copy = tempfile::tempdir_in(temp.path()).unwrap();
        for name in names {
            fs::copy(temp.path().join(name), copy.path().join(name)).unwrap();
        }
        let copied = SqliteMetadataStore::open(copy.path().join("register.sqlite3")).unwrap();
        (copy, copied)
    };
    let (whole, copied) = copy(&["register.sqlite3", "register.sqlite3-wal"]);
    assert_eq!(copied.scan("", None, 10).unwrap().len(), 1);
    assert_eq!(copied.read(&key()).unwrap().unwrap().revision, first);
    copied.verify().unwrap();
    assert_eq!(committed(&copied, Expect::At(first)), Revision(first.0 + 1));
    drop(copied);
    assert_eq!(fs::read_dir(whole.path()).unwrap().count(), 1, "the last one to close it takes the log in");
    let (_without, copied) = copy(&["register.sqlite3"]);
    assert_eq!(copied.read(&key()).unwrap(), None, "so the log is copied too");
    drop(other);
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
    // Its log is still there, and would be taken for that of a new file.
    let refused = SqliteMetadataStore::create(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    for suffix in ["-wal", "-shm"] {
        let beside = |name: &str| temp.path().join(format!("{name}{suffix}"));
        fs::rename(beside("register.sqlite3"), beside("moved")).unwrap();
    }
    let other = SqliteMetadataStore::create(&path).unwrap();
    gone(&store);
    committed(&other, Expect::Absent);
    gone(&store);
    drop(store);
    assert_eq!(other.scan("", None, 10).unwrap().len(), 1, "the old one has left it as it is");
    other.verify().unwrap();
    drop(other);
    let moved = SqliteMetadataStore::open(temp.path().join("moved")).unwrap();
    assert_eq!(moved.scan("", None, 10).unwrap().len(), 1);
}

#[test]
fn what_a_removed_file_has_left_is_not_taken_for_the_new_ones() {
    let (temp, path, store) = new();
    committed(&store, Expect::Absent);
    let shared_memory = fs::read(temp.path().join("register.sqlite3-shm")).unwrap();
    drop(store);
    fs::remove_file(&path).unwrap();
    fs::write(temp.path().join("register.sqlite3-wal"), b"").unwrap();
    fs::write(temp.path().join("register.sqlite3-shm"), shared_memory).unwrap();
    let store = SqliteMetadataStore::create(&path).unwrap();
    assert_eq!(store.scan("", None, 10).unwrap(), []);
    committed(&store, Expect::Absent);
    store.verify().unwrap();
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
    drop(store);
    sql(&path, "PRAGMA journal_mode = DELETE");
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
    // `bench/replicated` has a baseline whose log is as short.
    assert_eq!(pragma("wal_autocheckpoint"), 512);
}

#[test]
fn what_is_read_together_is_of_one_moment() {
    let (_temp, path, writer) = new();
    let keys = ["a", "b"].map(|name| RecordKey::new("tested", &[name]));
    let mut expect = Expect::Absent;
    let mut next = || {
        let guards = keys.iter().map(|key| (key.clone(), expect)).collect();
        let puts = keys.iter().map(|key| (key.clone(), vec![7])).collect();
        let outcome = writer.commit(&Transaction { guards, puts, deletes: vec![] }).unwrap();
        let CommitOutcome::Committed(revision) = outcome else { panic!("{outcome:?}") };
        expect = Expect::At(revision);
    };
    next();
    let reader = SqliteMetadataStore::open(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5000 {
                let found = reader.read_all(&keys).unwrap();
                let revisions: Vec<_> = found.iter().flatten().map(|record| record.revision).collect();
                assert!(revisions.len() == 2 && revisions[0] == revisions[1], "{revisions:?}");
            }
        });
        (0..1000).for_each(|_| next());
    });
}

#[test]
fn a_connection_is_used_again_after_reading_together() {
    let (_temp, _path, store) = new();
    let cache_size = |statement: &str| -> Vec<i64> {
        let ask = |connection: &Connection| {
            let mut statement = connection.prepare(statement)?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()
        };
        let asked = |error| failure::certain("read", store.path(), &error);
        store.pool.run(|connection| ask(connection).map_err(asked)).unwrap()
    };
    cache_size("PRAGMA cache_size = 321");
    let keys = ["a", "b"].map(|name| RecordKey::new("tested", &[name]));
    assert_eq!(store.read_all(&keys).unwrap(), [None, None]);
    assert_eq!(cache_size("PRAGMA cache_size"), [321], "set on this very connection");
}

/// The newest image of each page in a log of pages of 4096 bytes: <https://www.sqlite.org/fileformat2.html#walformat>.
fn pages_in(log: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let (_header, frames) = log.split_at(32);
    let page = |frame: &[u8]| u64::from(u32::from_be_bytes(frame[..4].try_into().unwrap()));
    frames.chunks_exact(24 + 4096).map(|frame| (page(frame), frame[24..].to_vec())).collect()
}

/// Pages go from the log into the file in their order, the first page first, which says how many there are.
#[test]
fn whoever_is_killed_while_he_takes_the_log_into_the_file_is_in_nobodys_way() {
    let (_temp, path, store) = new();
    let keys = (0..40).map(|nth: u32| RecordKey::new("tested", &[&nth.to_string()]));
    // In one change, so that the log is not taken into the file on the way.
    let guards = keys.clone().map(|key| (key, Expect::Absent)).collect();
    let puts = keys.clone().map(|key| (key, vec![7; 3000])).collect();
    store.commit(&Transaction { guards, puts, deletes: vec![] }).unwrap();
    let file = fs::read(&path).unwrap();
    let log = fs::read(path.with_extension("sqlite3-wal")).unwrap();
    let pages = pages_in(&log);
    assert!(
        pages.len() > 40 && pages.keys().any(|page| page * 4096 > file.len() as u64),
        "the file is to grow"
    );
    for written in 0..=pages.len() {
        let killed = tempfile::tempdir().unwrap();
        let path = killed.path().join("register.sqlite3");
        fs::write(&path, &file).unwrap();
        fs::write(path.with_extension("sqlite3-wal"), &log).unwrap();
        let open = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for (page, image) in pages.iter().take(written) {
            open.write_all_at(image, (page - 1) * 4096).unwrap();
        }
        drop(open);
        let next =
            SqliteMetadataStore::open(&path).unwrap_or_else(|error| panic!("after {written}: {error}"));
        next.verify().unwrap();
        assert!(keys.clone().all(|key| next.read(&key).unwrap().is_some()), "after {written}");
    }
}
