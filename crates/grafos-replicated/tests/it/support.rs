//! What several tests of disks need.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often something is tried that others may hinder for a moment.
const MAX_TRIES: u32 = 100;

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
        // Emptied first: a process that another test is just starting may have it open for a moment.
        fs::File::create(self.filler()).unwrap();
        fs::remove_file(self.filler()).unwrap();
    }

    /// Forbids writing, or allows it again.
    pub(crate) fn set_writable(&self, is_writable: bool) {
        let options = if is_writable { "remount,rw" } else { "remount,ro" };
        let is_done = |_| {
            Command::new("mount").args(["-o", options]).arg(self.path()).status().is_ok_and(|it| it.success())
        };
        // A process that another test is just starting may have a file open for a moment.
        assert!((0..MAX_TRIES).any(is_done), "{options}");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted =
            |_| Command::new("umount").arg(self.path()).status().is_ok_and(|status| status.success());
        assert!((0..MAX_TRIES).any(unmounted) || std::thread::panicking());
    }
}
