//! A disk that is full: a clear error, and no harm to what was there.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointStorage, FileStorage, StorageError,
};

use crate::samples::noise;

/// A file system of its own, of so many KiB.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, said aloud, for those who may not mount one.
    fn mount(kib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "grafos-kernel"])
            .arg(at.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self { at });
        }
        assert!(env::var_os("GRAFOS_REQUIRE_MOUNT").is_none(), "a tmpfs can't be mounted here");
        println!("SKIPPED: a tmpfs can't be mounted here; set GRAFOS_REQUIRE_MOUNT to make this an error");
        None
    }

    fn path(&self) -> &Path {
        self.at.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that another test is just starting may hold a file open for a moment.
        let unmounted = (0..1000).any(|_| {
            std::thread::yield_now();
            Command::new("umount").arg(self.path()).output().is_ok_and(|output| output.status.success())
        });
        assert!(unmounted || std::thread::panicking());
    }
}

fn checkpoint(step: u64, len: usize) -> Checkpoint {
    CheckpointBuilder::new("k", "t").step(step).device_memory("field", noise(len, 1)).build()
}

#[test]
fn a_full_disk_leaves_the_old_checkpoint_and_no_litter() {
    let Some(disk) = SmallDisk::mount(20 << 10) else { return };
    let storage = FileStorage::new(disk.path());
    storage.save(&checkpoint(1, 6 << 20), "a").unwrap();
    for len in [15 << 20, 40 << 20, 100 << 20] {
        let refused = storage.save(&checkpoint(2, len), "a");
        assert!(matches!(refused, Err(StorageError::Full { .. })), "{len} bytes: {refused:?}");
        let refused = storage.save(&checkpoint(2, len), "b");
        assert!(matches!(refused, Err(StorageError::Full { .. })), "{len} bytes: {refused:?}");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1, "all the room is there again");
        assert!(storage.load("a").unwrap() == checkpoint_read(&storage));
    }
    storage.save(&checkpoint(3, 12 << 20), "a").unwrap();
    assert_eq!(storage.load("a").unwrap().metadata.current_step, 3);
}

/// The first checkpoint, as another handle reads it.
fn checkpoint_read(storage: &FileStorage) -> Checkpoint {
    let read = FileStorage::new(storage.path()).load("a").unwrap();
    assert_eq!(read.metadata.current_step, 1);
    assert!(read.chunks == checkpoint(1, 6 << 20).chunks);
    read
}
