//! Disks that are full, and disks that are not there: a clear error, and no harm to what was there.

use grafos_replicated::embedded::{DirectoryReplica, EmbeddedHome, SqliteMetadataStore};
use grafos_replicated::{
    BlobSpace, BlobTag, CommitOutcome, Expect, FenceEpoch, MetadataStore, Nonce, PayloadReplica, RecordKey,
    ReplicaId, StoreError, Transaction, Version,
};

use super::support::SmallDisk;

fn put(name: &str, expect: Expect, bytes: usize) -> Transaction {
    let key = RecordKey::new("tested", &[name]);
    Transaction { guards: vec![(key.clone(), expect)], puts: vec![(key, vec![7; bytes])], deletes: vec![] }
}

fn space() -> BlobSpace {
    BlobSpace::new("tested", "latest")
}

fn tag(version: u64) -> BlobTag {
    BlobTag { epoch: FenceEpoch(1), version: Version(version), nonce: Nonce(7) }
}

fn put_blob(
    replica: &DirectoryReplica,
    version: u64,
    bytes: usize,
    max_bytes: Option<u64>,
) -> Result<(), StoreError> {
    let mut writer = replica.create(&space(), &tag(version), max_bytes)?;
    for piece in vec![9; bytes].chunks(100_000) {
        writer.write(piece)?;
    }
    writer.finish()
}

#[test]
fn a_register_on_a_full_disk_says_so_and_stays_whole() {
    let Some(disk) = SmallDisk::mount(1024) else { return };
    let path = disk.path().join("register.sqlite3");
    disk.fill();
    let refused = SqliteMetadataStore::create(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(matches!(SqliteMetadataStore::open(&path), Err(StoreError::NotFound { .. })), "nothing is left");

    disk.make_room();
    let store = SqliteMetadataStore::create(&path).unwrap();
    let CommitOutcome::Committed(first) = store.commit(&put("a", Expect::Absent, 1000)).unwrap() else {
        panic!()
    };
    disk.fill();
    let refused = store.commit(&put("a", Expect::At(first), 60_000)).unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    let record = store.read(&RecordKey::new("tested", &["a"])).unwrap().unwrap();
    assert_eq!((record.revision, record.body.len()), (first, 1000), "what was there is there");
    store.verify().unwrap();

    disk.make_room();
    let outcome = store.commit(&put("a", Expect::At(first), 60_000)).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed(revision) if revision > first), "{outcome:?}");
    store.verify().unwrap();
}

#[test]
fn a_replica_on_a_full_disk_says_so_and_keeps_nothing_of_what_it_refused() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let id = ReplicaId::new("small");
    disk.fill();
    let refused = DirectoryReplica::create(disk.path(), &id).unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    disk.make_room();
    let replica = DirectoryReplica::create(disk.path(), &id).unwrap();
    put_blob(&replica, 1, 100_000, None).unwrap();
    for max_bytes in [Some(8 << 20), Some(u64::MAX), Some(1 << 40), None] {
        let refused = put_blob(&replica, 2, 8 << 20, max_bytes).unwrap_err();
        assert!(matches!(refused, StoreError::Full { .. }), "max_bytes={max_bytes:?}: {refused}");
        assert_eq!(replica.list(&space(), None, 10).unwrap(), [tag(1)]);
    }
    // All the room is there again.
    put_blob(&replica, 3, 3 << 20, Some(3 << 20)).unwrap();
    let mut bytes = vec![0; 100_000];
    replica.read(&space(), &tag(1), 0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 9));
}

#[test]
fn a_disk_that_is_not_mounted_is_no_empty_replica() {
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let (id, at) = (ReplicaId::new("disk-b"), disk.path().to_owned());
    let open = || EmbeddedHome::builder().home(home.path()).replica_at("disk-b", &at).open().unwrap();
    let refused = open().replica(&id).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "new and never made: {refused}");
    put_blob(&DirectoryReplica::create(&at, &id).unwrap(), 1, 100, None).unwrap();
    assert_eq!(open().replica(&id).unwrap().list(&space(), None, 10).unwrap(), [tag(1)]);

    let unmounted = std::process::Command::new("umount").arg(&at).status().unwrap();
    assert!(unmounted.success());
    let refused = open().replica(&id).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "nothing was written to the mount point");
    // So that it can be unmounted at the end.
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "again"]).arg(&at).status().unwrap();
    assert!(mounted.success());
}
