//! What several tests of disks need.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, of so many KiB.
pub(crate) struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, said aloud, for those who may not mount one.
    pub(crate) fn mount(kib: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "grafos-replicated"])
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

    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    /// Leaves no room for a single byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
