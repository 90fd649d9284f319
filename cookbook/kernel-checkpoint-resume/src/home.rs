//! [`Home`]: where a simulation lies on this machine. One process at a time.
//!
//! ```text
//! <home>/              --home, else `kernel-checkpoint-resume` in the user's place for volumes; see docs/local-host.md
//! ├── checkpoints/     full checkpoints and deltas
//! ├── gpu/             the locks of the local GPU
//! └── lock             held by the process that computes here
//! ```

use std::env;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use grafos_gpu_cuda::{GPU_VARIABLE, host_from_env};
use grafos_std::host::{Host, LocalHost};

use crate::error::RunError;

/// A home that no other process computes in. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// The home where nothing is said.
    ///
    /// # Errors
    /// No place can be named or made.
    pub fn default_path() -> Result<PathBuf, RunError> {
        Ok(LocalHost::builder().open_home()?.join("kernel-checkpoint-resume"))
    }

    /// Makes it, for its owner only, and locks it.
    ///
    /// # Errors
    /// [`RunError::HomeInUse`], [`RunError::Fabric`] if it can't be made, [`RunError::Output`].
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let path = LocalHost::builder().home(path).open_home()?;
        let lock_path = path.join("lock");
        let output = |source| RunError::Output { path: lock_path.clone(), source };
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(output)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(RunError::HomeInUse { home: path }),
            Err(TryLockError::Error(source)) => Err(output(source)),
        }
    }

    /// Where checkpoints lie.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The GPU that `GRAFOS_GPU` names; else the processor.
    ///
    /// # Errors
    /// Those of [`host_from_env`].
    pub fn open_host(&self) -> Result<Host, RunError> {
        let chosen = env::var_os(GPU_VARIABLE).filter(|value| !value.is_empty() && *value != *"host");
        if chosen.is_some() {
            return Ok(host_from_env()?);
        }
        Ok(LocalHost::builder().home(self.path.join("gpu")).open()?)
    }
}
