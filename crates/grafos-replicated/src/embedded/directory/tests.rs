//! A replica's directory: markers, foreign and hostile contents, what dead writers leave.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use fabricbios_core::lease::FenceEpoch;

use super::*;
use crate::names::Version;
use crate::ring::Nonce;

const TAG: BlobTag = BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(7) };

fn id() -> ReplicaId {
    ReplicaId::new("a")
}

fn space() -> BlobSpace {
    BlobSpace::new("tested", "latest")
}

fn new() -> (tempfile::TempDir, DirectoryReplica) {
    let temp = tempfile::tempdir().unwrap();
    let replica = DirectoryReplica::create(temp.path(), &id()).unwrap();
    (temp, replica)
}

fn put(replica: &DirectoryReplica, tag: &BlobTag, bytes: &[u8]) -> Result<(), StoreError> {
    let mut writer = replica.create(&space(), tag, Some(bytes.len() as u64))?;
    writer.write(bytes)?;
    writer.finish()
}

fn in_space(temp: &tempfile::TempDir, name: &str) -> PathBuf {
    temp.path().join(space().as_str()).join(name)
}

fn tag_of(version: u64) -> BlobTag {
    BlobTag { version: Version(version), ..TAG }
}

#[test]
fn a_replica_is_made_once_and_opened_by_its_id_alone() {
    let (temp, _replica) = new();
    for other in [id(), ReplicaId::new("b")] {
        let refused = DirectoryReplica::create(temp.path(), &other).unwrap_err();
        assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused}");
    }
    DirectoryReplica::open(temp.path(), &id()).unwrap();
    let refused = DirectoryReplica::open(temp.path(), &ReplicaId::new("b")).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    for id in ["", "a\0", &"x".repeat(257)] {
        let id = ReplicaId::new(id);
        let path = temp.path().join("new");
        assert!(matches!(DirectoryReplica::create(&path, &id), Err(StoreError::InvalidRequest { .. })));
        assert!(matches!(DirectoryReplica::open(&path, &id), Err(StoreError::InvalidRequest { .. })));
        assert!(!path.exists());
    }
}

#[test]
fn a_directory_without_its_marker_is_refused_and_nothing_is_written_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let open = |path: &Path| DirectoryReplica::open(path, &id()).unwrap_err();
    let missing = open(&temp.path().join("missing"));
    assert!(matches!(missing, StoreError::Unavailable { .. }), "{missing}");
    let empty = open(temp.path());
    assert!(matches!(empty, StoreError::Unavailable { .. }), "a mount point without its disk: {empty}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    fs::write(temp.path().join("something"), b"else").unwrap();
    let foreign = open(temp.path());
    assert!(matches!(foreign, StoreError::Foreign { .. }), "{foreign}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    let file = open(&temp.path().join("something"));
    assert!(matches!(file, StoreError::Foreign { .. }), "{file}");
    let no_parent = DirectoryReplica::create(temp.path().join("no/parent"), &id()).unwrap_err();
    assert!(matches!(no_parent, StoreError::Unavailable { .. }), "{no_parent}");

    // Made on purpose, beside what is there.
    DirectoryReplica::create(temp.path(), &id()).unwrap();
    assert_eq!(fs::read(temp.path().join("something")).unwrap(), b"else");
    fs::write(temp.path().join(MARKER), b"GRREPLIC and damaged, not that it mattered much, as is plain")
        .unwrap();
    let damaged = open(temp.path());
    assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged}");
}

#[test]
fn a_directory_that_goes_away_under_an_open_replica_is_unavailable_and_not_empty() {
    let (temp, replica) = new();
    put(&replica, &TAG, b"x").unwrap();
    fs::remove_dir_all(temp.path()).unwrap();
    fs::create_dir(temp.path()).unwrap();
    let unavailable = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Unavailable { .. }));
    assert!(unavailable(replica.check()));
    assert!(unavailable(put(&replica, &TAG, b"x")));
    assert!(unavailable(replica.read(&space(), &TAG, 0, &mut [0])));
    assert!(unavailable(replica.len_bytes(&space(), &TAG).map(drop)));
    assert!(unavailable(replica.list(&space(), None, 1).map(drop)));
    assert!(unavailable(replica.delete(&space(), &TAG)));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "nothing was written to what is there now");
}

#[test]
fn what_is_no_blob_of_ours_is_left_out_and_left_alone() {
    let (temp, replica) = new();
    put(&replica, &TAG, b"ours").unwrap();
    let outside = temp.path().join("outside");
    fs::write(&outside, b"outside").unwrap();
    let (dir, link, dangling) = (tag_of(2), tag_of(3), tag_of(4));
    fs::create_dir(in_space(&temp, &dir.file_name())).unwrap();
    symlink(&outside, in_space(&temp, &link.file_name())).unwrap();
    symlink("nowhere", in_space(&temp, &dangling.file_name())).unwrap();
    let upper = tag_of(5).file_name().replace('e', "E");
    for name in ["lost+found", ".hidden", "e1-v1-7", "e1-v1", "", &upper, &format!("{}x", TAG.file_name())] {
        if !name.is_empty() {
            fs::write(in_space(&temp, name), b"foreign").unwrap();
        }
    }
    let before = fs::read_dir(in_space(&temp, "")).unwrap().count();
    assert_eq!(replica.list(&space(), None, 100).unwrap(), [TAG]);
    assert_eq!(replica.list(&space(), None, 1).unwrap(), [TAG], "what is no blob takes no blob's place");
    for tag in [dir, link, dangling] {
        let foreign = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Foreign { .. }));
        assert!(foreign(replica.read(&space(), &tag, 0, &mut [0])));
        assert!(foreign(replica.len_bytes(&space(), &tag).map(drop)));
        assert!(foreign(replica.delete(&space(), &tag)));
        let taken = put(&replica, &tag, b"x").unwrap_err();
        assert!(matches!(taken, StoreError::AlreadyExists { .. }), "{taken}");
    }
    assert_eq!(fs::read_dir(in_space(&temp, "")).unwrap().count(), before);
    assert_eq!(fs::read(outside).unwrap(), b"outside");
}

#[test]
fn a_space_that_leads_elsewhere_is_not_entered() {
    let (temp, replica) = new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), temp.path().join(space().as_str())).unwrap();
    fs::write(elsewhere.path().join(TAG.file_name()), b"elsewhere").unwrap();
    let foreign = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Foreign { .. }));
    assert!(foreign(put(&replica, &tag_of(2), b"x")));
    assert!(foreign(replica.read(&space(), &TAG, 0, &mut [0])));
    assert!(foreign(replica.list(&space(), None, 1).map(drop)));
    assert!(foreign(replica.delete(&space(), &TAG)));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
}

#[test]
fn leftovers_of_dead_writers_go_and_those_of_the_living_stay() {
    let (temp, replica) = new();
    let writing = temp.path().join(WRITING);
    let names = || fs::read_dir(&writing).unwrap().count();
    let mut writer = replica.create(&space(), &TAG, None).unwrap();
    writer.write(&vec![1; 2 << 20]).unwrap();
    assert_eq!(names(), 1);
    // As from a process that was killed, and things that only look alike.
    let dead = format!(".new-{:032x}", 1);
    fs::write(writing.join(&dead), b"half").unwrap();
    let outside = temp.path().join("outside");
    fs::write(&outside, b"outside").unwrap();
    symlink(&outside, writing.join(format!(".new-{:032x}", 2))).unwrap();
    fs::write(writing.join(".new-1"), b"foreign").unwrap();
    fs::write(writing.join("notes"), b"foreign").unwrap();
    let other = DirectoryReplica::open(temp.path(), &id()).unwrap();
    assert!(!writing.join(&dead).exists());
    assert_eq!(names(), 4, "the living writer's file, the link, two foreign files");
    assert!(outside.exists());
    writer.finish().unwrap();
    assert_eq!(other.len_bytes(&space(), &TAG).unwrap(), 2 << 20);
    drop(replica.create(&space(), &tag_of(2), Some(4 << 20)).unwrap());
    assert_eq!(names(), 3, "a writer that is dropped takes its file along");
}

#[test]
fn a_writer_whose_file_is_swept_before_it_is_locked_begins_anew() {
    let (temp, replica) = new();
    let writing = Dir::open(&temp.path().join(WRITING)).unwrap().unwrap();
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| (0..2000).for_each(|_| temporary::sweep(&writing).unwrap()));
        for version in 1..200 {
            put(&replica, &tag_of(version), b"x").unwrap();
        }
        sweeper.join().unwrap();
    });
    assert_eq!(replica.list(&space(), None, usize::MAX).unwrap().len(), 199);
}

#[test]
fn after_a_failed_write_nothing_goes_on() {
    let (_temp, replica) = new();
    let mut writer = replica.create(&space(), &TAG, Some(3)).unwrap();
    writer.write(b"12").unwrap();
    assert!(matches!(writer.write(b"34"), Err(StoreError::TooLarge { limit: 3, found: 4, .. })));
    assert!(matches!(writer.write(b"3"), Err(StoreError::InvalidRequest { .. })));
    assert!(matches!(writer.finish(), Err(StoreError::InvalidRequest { .. })));
    assert_eq!(replica.list(&space(), None, 10).unwrap(), []);
}

#[test]
fn what_was_reserved_and_not_used_is_given_back() {
    use std::os::unix::fs::MetadataExt;
    let (temp, replica) = new();
    let mut writer = replica.create(&space(), &TAG, Some(64 << 20)).unwrap();
    writer.write(&vec![5; 1 << 20]).unwrap();
    writer.finish().unwrap();
    let blob = fs::metadata(in_space(&temp, &TAG.file_name())).unwrap();
    assert_eq!(blob.len(), 1 << 20);
    assert!(blob.blocks() * 512 < 2 << 20, "{} blocks", blob.blocks());
}

#[test]
fn a_blob_that_is_there_can_be_made_durable_by_another_and_one_that_is_not_can_not() {
    let (temp, replica) = new();
    let missing = replica.make_durable(&space(), &TAG).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
    put(&replica, &TAG, b"state").unwrap();
    let other = DirectoryReplica::open(temp.path(), &id()).unwrap();
    other.make_durable(&space(), &TAG).unwrap();
    assert_eq!(fs::read(in_space(&temp, &TAG.file_name())).unwrap(), b"state");
    symlink("/etc/hostname", in_space(&temp, &tag_of(2).file_name())).unwrap();
    let foreign = other.make_durable(&space(), &tag_of(2)).unwrap_err();
    assert!(matches!(foreign, StoreError::Foreign { .. }), "no link is followed: {foreign}");
}
