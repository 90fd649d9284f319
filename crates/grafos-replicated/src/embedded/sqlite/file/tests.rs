//! How the register's file comes to be, and how it is told from others.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::embedded::SqliteMetadataStore;

fn temp() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("register.sqlite3");
    (temp, path)
}

fn names(temp: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(temp.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Another program's look at the file.
fn sql(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

#[test]
fn a_new_file_is_its_owners_alone_and_there_is_nothing_beside_it() {
    let (temp, path) = temp();
    SqliteMetadataStore::create(&path).unwrap();
    assert_eq!(names(&temp), ["register.sqlite3"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = SqliteMetadataStore::create(&path).unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused}");
}

#[test]
fn what_a_death_leaves_while_the_file_is_made_is_not_in_the_way() {
    let (temp, path) = temp();
    fs::write(temp.path().join(".register.sqlite3.new"), b"half of it").unwrap();
    let missing = SqliteMetadataStore::open(&path).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
    SqliteMetadataStore::open_or_create(&path).unwrap().verify().unwrap();
    assert_eq!(names(&temp), ["register.sqlite3"]);
}

#[test]
fn a_file_of_another_program_is_refused_and_not_touched() {
    let (temp, path) = temp();
    let foreign: [(&str, &dyn Fn()); 6] = [
        ("empty", &|| fs::write(&path, b"").unwrap()),
        ("text", &|| fs::write(&path, "no database at all, only text. ".repeat(100)).unwrap()),
        ("short", &|| fs::write(&path, b"SQLite").unwrap()),
        ("another database", &|| sql(&path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)")),
        ("another database in WAL mode", &|| {
            sql(&path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        }),
        ("a newer format", &|| {
            SqliteMetadataStore::create(&path).unwrap();
            sql(&path, "PRAGMA user_version = 2");
        }),
    ];
    for (what, make) in foreign {
        make();
        let before = fs::read(&path).unwrap();
        for refused in [SqliteMetadataStore::open(&path), SqliteMetadataStore::open_or_create(&path)] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreError::Foreign { .. }), "{what}: {refused}");
        }
        assert!(fs::read(&path).unwrap() == before, "{what} was changed");
        assert_eq!(names(&temp), ["register.sqlite3"], "{what}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_place_that_can_not_hold_a_file_is_a_clear_error() {
    let (temp, path) = temp();
    let no_directory = SqliteMetadataStore::open_or_create(temp.path().join("no/register")).unwrap_err();
    assert!(matches!(no_directory, StoreError::NotFound { .. }), "{no_directory}");
    fs::create_dir(&path).unwrap();
    let directory = SqliteMetadataStore::open_or_create(&path).unwrap_err();
    assert!(matches!(directory, StoreError::Foreign { .. }), "{directory}");
    let real = temp.path().join("real");
    SqliteMetadataStore::create(&real).unwrap();
    let link = temp.path().join("link");
    symlink(&real, &link).unwrap();
    let linked = SqliteMetadataStore::open_or_create(&link).unwrap_err();
    assert!(matches!(linked, StoreError::Foreign { .. }), "{linked}");
    for nameless in ["/", "..", ""] {
        let refused = SqliteMetadataStore::open_or_create(nameless).unwrap_err();
        assert!(matches!(refused, StoreError::InvalidRequest { .. }), "{refused}");
    }
}

#[test]
fn a_name_with_signs_of_all_kinds_is_only_a_name() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["a b", "a?b", "a#b", "a%41", "file:x?mode=memory", ":memory:", "ä"] {
        let dir = temp.path().join(name);
        fs::create_dir(&dir).unwrap();
        SqliteMetadataStore::create(dir.join(name)).unwrap().verify().unwrap();
        assert!(dir.join(name).is_file(), "{name}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn file_systems_of_other_machines_are_known_by_their_numbers() {
    assert!(is_network_magic(0x6969) && is_network_magic(0xFE53_4D42));
    assert!(!is_network_magic(0xEF53) && !is_network_magic(0x0102_1994), "ext4, tmpfs");
}
