//! [`Machine`]: what the figures were taken on, without anything that names it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// The processor, the memory and the kernel.
#[derive(Clone, Debug)]
pub struct Machine {
    /// How many cores this program may use.
    pub cores: usize,
    /// As the processor calls itself.
    pub processor: String,
    /// Rounded up.
    pub memory_gib: u64,
    /// The release of the operating system's kernel, without what its builder added.
    pub kernel: String,
}

impl Machine {
    /// This machine.
    ///
    /// # Errors
    /// If the system doesn't say how many cores there are.
    pub fn of_this_run() -> io::Result<Self> {
        let proc_file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: field(&proc_file("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned(),
            memory_gib: memory_gib(&proc_file("/proc/meminfo")),
            kernel: proc_file("/proc/sys/kernel/osrelease")
                .split(['-', '\n'])
                .next()
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, memory_gib, kernel } = self;
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        write!(f, "{cores} cores ({processor}, {arch}), {memory_gib} GiB, {os} {kernel}")
    }
}

/// The type of the file system that `dir` lies on, as the system names it.
///
/// # Errors
/// If there is no such directory.
pub fn file_system_of(dir: &Path) -> io::Result<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(file_system(&mounts, &dir.canonicalize()?).unwrap_or("unknown").to_owned())
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

/// The first value of `name` in a file of `name : value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn memory_gib(meminfo: &str) -> u64 {
    let kib = field(meminfo, "MemTotal").and_then(|value| value.strip_suffix(" kB"));
    let kib: u64 = kib.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    // Rounded up: the kernel keeps some for itself.
    kib.div_ceil(1 << 20)
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
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field("model : 6\nmodel name\t: A chip\n", "model name"), Some("A chip"));
        assert_eq!(memory_gib("MemTotal:       24634532 kB\n"), 24);
        assert_eq!(memory_gib("no such thing"), 0);
    }

    #[test]
    fn this_machine_has_a_core() {
        let machine = Machine::of_this_run().unwrap();
        assert!(machine.cores >= 1);
        assert!(machine.to_string().starts_with(&format!("{} cores (", machine.cores)));
    }
}
