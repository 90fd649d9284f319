//! [`Machine`]: what the figures were taken on, without anything that names it.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::raw;

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) computer: grafos_bench_support::Machine,
    pub(crate) file_system: String,
    /// Whether the baseline gets past the page cache.
    pub(crate) direct_io: bool,
}

impl Machine {
    /// This machine, and the file system that `dir` lies on.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Ok(Self {
            computer: grafos_bench_support::Machine::of_this_run()?,
            file_system: file_system(&mounts, &dir.canonicalize()?).unwrap_or("unknown").to_owned(),
            direct_io: raw::is_direct(dir)?,
        })
    }

    /// Whether there is no disk below.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { computer, file_system, direct_io } = self;
        let io = if *direct_io { "direct I/O" } else { "buffered I/O (the file system has no direct I/O)" };
        write!(f, "{computer}, {file_system}, {io}")
    }
}

/// The type of the mount that `path` lies on: the longest mount point above it, the last one mounted there.
fn file_system<'a>(mountinfo: &'a str, path: &Path) -> Option<&'a str> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        Some((before.split(' ').nth(4)?, after.split(' ').next()?))
    });
    mounts
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        23 22 0:5 / /data rw - ext4 /dev/vdb rw\n\
        24 23 0:6 / /data/fast rw,noatime shared:2 master:1 - xfs /dev/vdc rw\n\
        25 22 0:7 / /dev/shm rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_nearest_mount_point_above_decides() {
        for (path, kind) in
            [("/x", "ext4"), ("/data/faster", "ext4"), ("/data/fast/x", "xfs"), ("/dev/shm", "tmpfs")]
        {
            assert_eq!(file_system(MOUNTS, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(file_system("garbage", Path::new("/x")), None);
    }

    #[test]
    fn this_machine_has_a_core_and_a_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::of(dir.path()).unwrap();
        assert!(machine.computer.cores >= 1);
        assert!(!machine.to_string().contains('/') || machine.to_string().contains("I/O"));
    }
}
