//! A disk that is full: a clear error where room is needed, no harm where none is, and never to what was there.
//!
//! Needs the right to mount a small file system; without it the test says so and ends, or fails if
//! `GRAFOS_REQUIRE_MOUNT` is set.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::support::{Running, home, run_to_end};

/// A file system of its own, of so many KiB.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(kib: u32) -> Option<Self> {
        let at = home();
        let options = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "recipe-02"])
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

    /// Leaves no room for a single byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_a_volume_on_it_stays_whole() {
    const SHORT: [&str; 4] = ["--iterations", "1M", "--checkpoint-every", "200k"];
    const LONG: [&str; 4] = ["--iterations", "2M", "--checkpoint-every", "200k"];
    let Some(disk) = SmallDisk::mount(256) else { return };
    let expected = run_to_end(home().path(), &LONG).result();
    let grafos_home = disk.path().join("home");

    // No room for a volume at all.
    disk.fill();
    let refused = run_to_end(&grafos_home, &SHORT);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with("error: "), "{}", refused.stderr);
    assert!(refused.all("checkpoint").is_empty());

    // With room, the very same command works.
    disk.make_room();
    let done = run_to_end(&grafos_home, &SHORT);
    done.result();

    // The disk is full again: going on either works, in the room that the volume has, or is a clear error.
    disk.fill();
    let tried = run_to_end(&grafos_home, &LONG);
    assert!(tried.status.success() || tried.stderr.starts_with("error: "), "{tried:?}");
    disk.make_room();
    let after = run_to_end(&grafos_home, &LONG);
    assert!(
        after.events[0]["iteration"].as_u64().unwrap() >= 1_000_000,
        "the checkpoint was damaged: {after:?}"
    );
    assert_eq!(after.result(), expected);
}

#[test]
fn a_disk_that_fills_up_during_a_run_does_not_hurt_it() {
    const RUN: [&str; 4] = ["--iterations", "8M", "--checkpoint-every", "100k"];
    let Some(disk) = SmallDisk::mount(256) else { return };
    let expected = run_to_end(home().path(), &RUN).result();
    let grafos_home = disk.path().join("home");
    let mut running = Running::start(&grafos_home, &RUN);
    running.wait_for("checkpoint").unwrap();
    disk.fill();
    // All the room that checkpoints need was taken when the volume was made.
    assert_eq!(running.end().result(), expected);
}
