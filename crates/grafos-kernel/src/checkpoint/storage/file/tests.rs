//! A directory of checkpoints: a crash at every operation, what others have put there, what is left behind.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::Mutex;

use super::*;
use crate::checkpoint::storage::dir::Change;
use crate::checkpoint::{CheckpointBuilder, CheckpointError};

fn checkpoint(step: u64, len: usize) -> Checkpoint {
    let mut data = vec![0; len];
    blake3::Hasher::new().update(&step.to_le_bytes()).finalize_xof().fill(&mut data);
    CheckpointBuilder::new("k", "t").created_at(step).step(step).device_memory("field", data).build()
}

fn files(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A storage that dies before change `last`: that one and all behind it are refused. What it did is noted.
fn dying(path: &Path, last: usize) -> (FileStorage, Arc<Mutex<Vec<Change>>>) {
    let done = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&done);
    let watch = Watch::by(move |change| {
        let mut noted = noted.lock().unwrap();
        if noted.len() >= last {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
        }
        noted.push(change);
        Ok(())
    });
    (FileStorage { watch, ..FileStorage::new(path) }, done)
}

/// What must be true of every part of a save that was done, however short.
fn assert_in_order(done: &[Change]) {
    let last = |change| done.iter().rposition(|done| *done == change);
    if let Some(renamed) = last(Change::Rename) {
        let synced = last(Change::SyncFile).expect("a file is synced before it is renamed");
        assert!(last(Change::Write).unwrap() < synced && synced < renamed, "{done:?}");
    }
    if let Some(made) = last(Change::MakeDirectory) {
        let after = done.get(made + 1);
        assert!(after.is_none_or(|change| *change == Change::SyncDirectory), "{done:?}");
    }
}

#[test]
fn a_crash_at_any_change_of_a_save_leaves_the_old_checkpoint_or_the_new_one() {
    let (old, small, large) = (checkpoint(1, 6000), checkpoint(2, 9000), checkpoint(2, 9 << 20));
    for (new, is_there) in [(&small, true), (&small, false), (&large, true)] {
        let mut crashes = 0;
        for last in 0.. {
            let temp = tempfile::tempdir().unwrap();
            let path = temp.path().join("new").join("checkpoints");
            if is_there {
                FileStorage::new(&path).save(&old, "a").unwrap();
            }
            let (storage, done) = dying(&path, last);
            let saved = storage.save(new, "a");
            let done = done.lock().unwrap().clone();
            assert_in_order(&done);
            let is_renamed = done.contains(&Change::Rename);

            // What was not synced when the power went can be anything.
            for name in files(temp.path()).iter().flat_map(|_| fs::read_dir(&path)).flatten().flatten() {
                if name.file_name().to_string_lossy().starts_with(".rkcp-new-")
                    && !done.contains(&Change::SyncFile)
                {
                    fs::write(name.path(), b"garbage").unwrap();
                }
            }
            let after = FileStorage::new(&path);
            match (is_renamed, is_there) {
                (true, _) => assert!(after.load("a").unwrap().chunks == new.chunks),
                (false, true) => assert!(after.load("a").unwrap().chunks == old.chunks),
                (false, false) => assert!(matches!(after.load("a"), Err(StorageError::NotFound { .. }))),
            }
            assert_eq!(after.list().unwrap().len(), usize::from(is_there || is_renamed));
            // A new process removes what the dead one has left.
            after.save(&checkpoint(3, 100), "b").unwrap();
            assert!(files(&path).iter().all(|name| name.ends_with(".rkcp")), "{:?}", files(&path));
            if saved.is_ok() {
                assert_eq!(done.last(), Some(&Change::SyncDirectory), "acknowledged before it was durable");
                break;
            }
            crashes += 1;
        }
        assert!(crashes >= if is_there { 5 } else { 9 }, "{crashes}");
    }
}

#[test]
fn a_failed_change_of_a_living_process_leaves_no_temporary_file() {
    for failing in [Change::Write, Change::SyncFile, Change::Rename] {
        let temp = tempfile::tempdir().unwrap();
        FileStorage::new(temp.path()).save(&checkpoint(1, 100), "a").unwrap();
        let watch =
            Watch::by(
                move |change| if change == failing { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) },
            );
        let storage = FileStorage { watch, ..FileStorage::new(temp.path()) };
        for len in [1000, 9 << 20, 30 << 20] {
            let failed = storage.save(&checkpoint(2, len), "a");
            assert!(matches!(failed, Err(StorageError::Full { .. } | StorageError::Io { .. })), "{failed:?}");
            assert_eq!(files(temp.path()), ["a.rkcp"], "{failing:?}");
        }
        assert_eq!(storage.load("a").unwrap().metadata.current_step, 1);
    }
}

#[test]
fn a_crash_at_any_change_of_a_deletion_or_quarantine_loses_no_other_checkpoint() {
    for last in 0..4 {
        let temp = tempfile::tempdir().unwrap();
        let whole = FileStorage::new(temp.path());
        for name in ["a", "b", "c"] {
            whole.save(&checkpoint(7, 500), name).unwrap();
        }
        let _ = dying(temp.path(), last).0.delete("a");
        let _ = dying(temp.path(), last).0.quarantine("b");
        assert_eq!(whole.load("c").unwrap().metadata.current_step, 7);
        assert!(whole.exists("b") || files(temp.path()).contains(&"b.rkcp.damaged-1".to_owned()));
    }
}

#[test]
fn files_have_the_bytes_of_the_checkpoint_whatever_their_length() {
    let temp = tempfile::tempdir().unwrap();
    for alignment in [64, 4096] {
        let options = WriteOptions::new().alignment(alignment);
        let storage = FileStorage::new(temp.path()).with_options(options);
        for len in [0, 1, 4000, (4 << 20) - 9000, 4 << 20, (8 << 20) - 4096 * 3, (12 << 20) + 5, 25 << 20] {
            let saved = checkpoint(1, len);
            storage.save(&saved, "a").unwrap();
            let bytes = fs::read(temp.path().join("a.rkcp")).unwrap();
            assert!(bytes == saved.encode(&options).unwrap(), "alignment {alignment}, {len} bytes");
        }
    }
    // Exactly one piece, and two.
    for pieces in [1, 2] {
        let saved = checkpoint(1, (pieces << 22) - 8192);
        assert_eq!(saved.total_size(), pieces << 22);
        FileStorage::new(temp.path()).save(&saved, "a").unwrap();
        assert!(FileStorage::new(temp.path()).load("a").unwrap().chunks == saved.chunks);
    }
}

#[test]
fn a_streamed_save_is_all_or_nothing_too() {
    let temp = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(temp.path());
    let metadata = CheckpointMetadata::new("k", "t").with_step(4);
    let label = || crate::checkpoint::ChunkLabel::region("field");
    let refused = storage.save_streamed("a", &metadata, |writer| {
        writer.chunk(label(), &[1; 100])?;
        Err(CheckpointError::OutOfMemory { bytes: 7 })
    });
    let own = CheckpointError::OutOfMemory { bytes: 7 };
    assert!(matches!(&refused, Err(StreamError::Fill(error)) if error.to_string() == own.to_string()));
    let unfinished = storage.save_streamed("a", &metadata, |writer| {
        drop(writer.begin_chunk(label())?);
        Ok::<(), CheckpointError>(())
    });
    let unfinished = unfinished.unwrap_err();
    assert!(matches!(unfinished, StreamError::Storage(StorageError::Checkpoint { .. })), "{unfinished}");
    assert_eq!(files(temp.path()), [""; 0]);
    let written = storage.save_streamed("a", &metadata, |writer| writer.chunk(label(), &[1; 9000])).unwrap();
    let open = storage.open("a").unwrap();
    assert_eq!((open.root(), open.state_bytes()), (Some(written.root), 9000));
}

/// An error of its own, that says nothing of where it comes from.
#[derive(Debug, thiserror::Error)]
#[error("that did not work")]
struct Opaque;

#[test]
fn a_disk_that_fails_a_streamed_save_is_told_whatever_is_made_of_it_on_the_way() {
    for last in 0..4 {
        let temp = tempfile::tempdir().unwrap();
        let (storage, _) = dying(temp.path(), last);
        let field = vec![1; 9 << 20];
        let failed = storage.save_streamed("a", &CheckpointMetadata::new("k", "t"), |writer| {
            writer.chunk(crate::checkpoint::ChunkLabel::region("field"), &field).map_err(|_| Opaque)
        });
        let Err(StreamError::Storage(StorageError::Io { source, .. })) = failed else { panic!("{failed:?}") };
        assert_eq!(source.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "change {last}");
    }
}

#[test]
fn what_others_have_put_there_is_neither_followed_nor_changed() {
    let temp = tempfile::tempdir().unwrap();
    let (inside, outside) = (temp.path().join("inside"), temp.path().join("outside"));
    let storage = FileStorage::new(&inside);
    storage.save(&checkpoint(1, 100), "ours").unwrap();
    fs::write(&outside, checkpoint(2, 100).to_bytes()).unwrap();
    symlink(&outside, inside.join("link.rkcp")).unwrap();
    symlink("nowhere", inside.join("dangling.rkcp")).unwrap();
    fs::create_dir(inside.join("dir.rkcp")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        inside.join("pipe.rkcp"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for name in ["notes.txt", ".hidden.rkcp", ".rkcp", "ours.rkcp.damaged-x", ".rkcp-new-short"] {
        fs::write(inside.join(name), name).unwrap();
    }
    let before = files(&inside);
    for name in ["link", "dangling", "dir", "pipe"] {
        let foreign = |result: Result<(), StorageError>| {
            assert!(matches!(result, Err(StorageError::Foreign { .. })), "{name}: {result:?}");
        };
        foreign(storage.save(&checkpoint(3, 100), name));
        foreign(storage.load(name).map(drop));
        foreign(storage.delete(name));
        foreign(storage.quarantine(name).map(drop));
        assert!(!storage.exists(name));
    }
    assert_eq!(storage.list().unwrap(), ["ours"]);
    assert_eq!(files(&inside), before);
    assert_eq!(fs::read(&outside).unwrap(), checkpoint(2, 100).to_bytes());

    let refused = FileStorage::new(&outside).save(&checkpoint(1, 1), "a");
    assert!(
        matches!(refused, Err(StorageError::Foreign { .. })),
        "a file in the place of the directory: {refused:?}"
    );
    symlink(&inside, temp.path().join("way")).unwrap();
    assert!(
        FileStorage::new(temp.path().join("way")).exists("ours"),
        "the directory may be reached through a link"
    );
    symlink("nowhere", temp.path().join("gone")).unwrap();
    assert!(FileStorage::new(temp.path().join("gone")).save(&checkpoint(1, 1), "a").is_err());
}

#[test]
fn only_files_of_dead_writers_are_swept() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path(), &Watch::default()).unwrap().unwrap();
    let living = Temporary::new(&dir).unwrap();
    let dead = temp.path().join(".rkcp-new-00000000000000000000000000000007");
    fs::write(&dead, b"half").unwrap();
    FileStorage::new(temp.path()).save(&checkpoint(1, 100), "a").unwrap();
    assert!(!dead.exists());
    let names = files(temp.path());
    assert_eq!(names.len(), 2, "{names:?}");
    living.publish("b.rkcp").unwrap();
    assert_eq!(files(temp.path()), ["a.rkcp", "b.rkcp"]);
}

#[test]
fn files_and_directories_are_for_their_owner_only() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("checkpoints");
    FileStorage::new(&path).save(&checkpoint(1, 100), "a").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("a.rkcp"))), (0o700, 0o600));
}

#[test]
fn nothing_is_made_by_looking() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("checkpoints");
    let storage = FileStorage::new(&path);
    assert_eq!(storage.list().unwrap(), [""; 0]);
    assert!(!storage.exists("a"));
    assert!(matches!(storage.load("a"), Err(StorageError::NotFound { .. })));
    assert!(matches!(storage.delete("a"), Err(StorageError::NotFound { .. })));
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_said_and_goes_to_quarantine_with_its_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(temp.path());
    let file = temp.path().join("a.rkcp");
    for number in 1..=2 {
        storage.save(&checkpoint(number, 5000), "a").unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[4096 + 100] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let damaged = storage.load("a").unwrap_err();
        assert!(damaged.is_damage(), "{damaged}");
        let place = storage.quarantine("a").unwrap();
        assert!(place.ends_with(&format!("a.rkcp.damaged-{number}")), "{place}");
        assert_eq!(fs::read(place).unwrap(), bytes);
        assert!(!storage.exists("a"));
    }
}

#[test]
fn a_file_of_version_1_is_loaded() {
    let temp = tempfile::tempdir().unwrap();
    let old = checkpoint(5, 1000);
    fs::write(temp.path().join("old.rkcp"), old.to_bytes_v1().unwrap()).unwrap();
    assert_eq!(FileStorage::new(temp.path()).load("old").unwrap().metadata, old.metadata);
}
