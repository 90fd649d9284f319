//! The home: what is made in it, what is found again, and what is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::metadata_store::{Expect, MetadataStore, RecordKey, Transaction};

fn open(path: &Path) -> Result<EmbeddedHome, StoreError> {
    EmbeddedHome::builder().home(path).open()
}

fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

fn put(home: &EmbeddedHome) {
    let key = RecordKey::new("tested", &["a"]);
    let guards = vec![(key.clone(), Expect::Absent)];
    home.register().commit(&Transaction { guards, puts: vec![(key, vec![1])], deletes: vec![] }).unwrap();
}

#[test]
fn a_home_is_made_private_and_found_again() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("new/home");
    let home = open(&path).unwrap();
    put(&home);
    home.replica(&id("a/../b")).unwrap();
    drop(home);
    for (name, mode) in [
        ("", 0o700),
        ("replicated", 0o700),
        ("replicated/register.sqlite3", 0o600),
        ("replicated/replicas", 0o700),
        ("replicated/replicas/a%2F%2E%2E%2Fb", 0o700),
        ("replicated/replicas/a%2F%2E%2E%2Fb/.replica", 0o600),
    ] {
        let found = fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    let home = open(&path).unwrap();
    assert!(home.register().read(&RecordKey::new("tested", &["a"])).unwrap().is_some());
    // The local host keeps its volumes beside it.
    LocalHost::builder().home(&path).open().unwrap();
}

#[test]
fn a_replica_whose_directory_is_gone_is_made_anew_and_one_without_its_marker_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let home = open(temp.path()).unwrap();
    let path = home.replica(&id("a")).unwrap().path().to_owned();
    fs::remove_dir_all(&path).unwrap();
    home.replica(&id("a")).unwrap().check().unwrap();
    fs::remove_file(path.join(".replica")).unwrap();
    let refused = home.replica(&id("a")).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    fs::remove_dir(path.join(".writing")).unwrap();
    let refused = home.replica(&id("a")).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "a mount point without its disk: {refused}");
}

#[test]
fn what_a_death_leaves_while_a_replica_is_made_is_neither_a_replica_nor_in_the_way() {
    let temp = tempfile::tempdir().unwrap();
    let home = open(temp.path()).unwrap();
    let left = home.replicas.path_of(&random_name(&home.replicas).unwrap());
    DirectoryReplica::create(&left, &id("a")).unwrap();
    let empty = home.replicas.path_of(&random_name(&home.replicas).unwrap());
    fs::create_dir(&empty).unwrap();
    fs::remove_file(temp.path().join("replicated/register.sqlite3")).unwrap();
    let home = open(temp.path()).unwrap();
    home.replica(&id("a")).unwrap();
    assert!(!left.exists() && !empty.exists());
    assert_eq!(fs::read_dir(home.replicas.path()).unwrap().count(), 1);
}

#[test]
fn a_register_is_not_made_anew_beside_replicas_that_are_older() {
    let temp = tempfile::tempdir().unwrap();
    let home = open(temp.path()).unwrap();
    home.replica(&id("a")).unwrap();
    let register = home.register().path().to_owned();
    drop(home);
    fs::remove_file(&register).unwrap();
    let refused = open(temp.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(!register.exists());
    SqliteMetadataStore::create(&register).unwrap();
    open(temp.path()).unwrap();
}

#[test]
fn links_in_the_home_are_not_followed() {
    let (temp, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let home = open(temp.path()).unwrap();
    DirectoryReplica::create(elsewhere.path(), &id("a")).unwrap();
    symlink(elsewhere.path(), home.replicas.path_of("a")).unwrap();
    let refused = home.replica(&id("a")).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");

    let temp = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), temp.path().join("replicated")).unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = open(temp.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}

#[test]
fn a_replica_elsewhere_is_never_made_by_itself() {
    let (temp, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let home = EmbeddedHome::builder()
        .home(temp.path())
        .register_at(disk.path().join("register"))
        .replica_at("b", disk.path())
        .open()
        .unwrap();
    assert!(disk.path().join("register").exists());
    let refused = home.replica(&id("b")).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    DirectoryReplica::create(disk.path(), &id("b")).unwrap();
    assert_eq!(home.replica(&id("b")).unwrap().path(), disk.path().canonicalize().unwrap());
    assert!(fs::read_dir(temp.path().join("replicated/replicas")).unwrap().next().is_none());
}

#[test]
fn a_home_that_can_not_be_one_is_a_clear_error() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), b"x").unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = open(temp.path()).unwrap_err();
    assert!(
        matches!(&refused, StoreError::InvalidRequest { problem, .. } if problem.contains("chmod 700")),
        "{refused}"
    );
    let refused = open(&temp.path().join("file")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}

#[test]
fn long_ids_have_directories_of_their_own() {
    let (one, other) = (id(&"é".repeat(128)), id(&format!("{}e", "é".repeat(127))));
    let (one, other) = (directory_name(&one), directory_name(&other));
    assert!(one.len() <= 200 && other.len() <= 200 && one != other);
    assert_ne!(directory_name(&id("A")), directory_name(&id("a")));
}
