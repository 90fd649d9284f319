//! [`Machine`]: what the figures were taken on, without anything that names it.

use std::fmt;
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
        Ok(Self {
            computer: grafos_bench_support::Machine::of_this_run()?,
            file_system: grafos_bench_support::file_system_of(dir)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_core_and_a_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::of(dir.path()).unwrap();
        assert!(machine.computer.cores >= 1);
        assert!(!machine.to_string().contains('/') || machine.to_string().contains("I/O"));
    }
}
