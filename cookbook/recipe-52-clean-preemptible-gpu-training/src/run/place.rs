//! Where a job lies on this machine: names, directories, hosts.
//!
//! ```text
//! <home>/                    --home, else `recipe-52` in the user's place for volumes; see docs/local-host.md
//! ├── replicated/
//! │   ├── register.sqlite3   which version is current, which strides are done
//! │   └── replicas/{a,b,c}/  the states; every commit is on two of them at least
//! └── hosts/<name>/          what a machine of that name has: the locks of its GPU
//! ```
//!
//! Invariant: a name is a file name of its own, so that no job and no host can lie outside its directory.

use std::env;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use grafos_gpu_cuda::{GPU_VARIABLE, host_from_env};
use grafos_std::host::{Host, LocalGpuHost, LocalHost};

use super::error::RunError;

/// The replicas of a job. Each is a directory, which may be another disk or mount.
pub const REPLICAS: [&str; 3] = ["a", "b", "c"];

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The name of a job or of a host: letters, digits, `-`, `_` and `.`, not a dot first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that can't be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 64 letters, digits, `-`, `_` or `.`, and not a dot first")]
pub struct ParseNameError;

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let can_be = (1..=MAX_NAME_BYTES).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(is_allowed);
        can_be.then(|| Self(text.to_owned())).ok_or(ParseNameError)
    }
}

/// Where jobs lie when nothing is said.
///
/// # Errors
/// No place can be named or made: those of [`LocalHostBuilder::open_home`](grafos_std::host::LocalHostBuilder::open_home).
pub fn default_home() -> Result<PathBuf, RunError> {
    Ok(LocalHost::builder().open_home()?.join("recipe-52"))
}

/// Whether a job was ever begun in this home.
pub(crate) fn is_made(home: &Path) -> bool {
    home.join("replicated").is_dir()
}

/// The directories of the [`REPLICAS`] of a home.
#[must_use]
pub fn replica_dirs(home: &Path) -> [PathBuf; 3] {
    let replicas = home.join("replicated").join("replicas");
    REPLICAS.map(|name| replicas.join(name))
}

/// The machine of this name: its GPU is the one that `GRAFOS_GPU` names, else the processor, with locks of its own, so
/// that machines of different names don't get into each other's way.
///
/// # Errors
/// Those of [`LocalHostBuilder::open`](grafos_std::host::LocalHostBuilder::open), and of
/// [`host_from_env`] where the variable names another GPU.
pub fn open_host(home: &Path, name: &Name, threads: Option<NonZeroUsize>) -> Result<Host, RunError> {
    let chosen = env::var_os(GPU_VARIABLE).filter(|value| !value.is_empty() && *value != *"host");
    if chosen.is_some() {
        return Ok(host_from_env()?);
    }
    let mut gpu = LocalGpuHost::builder();
    if let Some(threads) = threads {
        gpu = gpu.threads(threads);
    }
    // The home first: a directory is made private only as long as nothing is in it.
    let home = LocalHost::builder().home(home).open_home()?;
    Ok(LocalHost::builder().home(home.join("hosts").join(name.as_str())).gpu(gpu).open()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_name_and_nothing_else() {
        for good in ["digits", "host-a", "a.b_c-1", &"x".repeat(64)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "../up", "a/b", "a b", "a\0b", "é", "a\n", ".hidden", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Name>(), Err(ParseNameError), "{bad}");
        }
    }

    #[test]
    fn a_home_that_is_empty_is_made_private_whoever_comes_first() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        open_host(home.path(), &"host-a".parse().unwrap(), None).unwrap();
        assert_eq!(std::fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
        grafos_replicated::embedded::EmbeddedHome::builder().home(home.path()).open().unwrap();
    }

    #[test]
    fn replicas_lie_where_the_engine_puts_them() {
        let home = tempfile::tempdir().unwrap();
        let engine = grafos_replicated::embedded::EmbeddedHome::builder().home(home.path()).open().unwrap();
        for (name, dir) in REPLICAS.iter().zip(replica_dirs(home.path())) {
            engine.replica(&(*name).into()).unwrap();
            assert!(dir.is_dir(), "{}", dir.display());
        }
    }
}
