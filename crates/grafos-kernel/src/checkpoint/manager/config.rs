//! [`CheckpointConfig`]: how often, how many, and where.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a [`CheckpointManager`](super::CheckpointManager) works.
///
/// ```
/// use std::time::Duration;
/// use grafos_kernel::checkpoint::CheckpointConfig;
///
/// let config = CheckpointConfig::new(Duration::from_secs(10)).with_max_snapshots(3).with_name_prefix("wave");
/// assert_eq!((config.max_snapshots, config.max_in_flight), (3, 16));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Time from the end of an actor's snapshot to its next one.
    pub interval: Duration,
    /// How many checkpoints of each actor are kept, those with the highest steps; 0 keeps all.
    pub max_snapshots: usize,
    /// The directory of a manager that is made with [`new`](super::CheckpointManager::new).
    pub storage_path: PathBuf,
    /// Whether snapshots become due.
    pub enabled: bool,
    /// What the names of checkpoints begin with. Managers that share a storage differ in it, or in their slots.
    pub name_prefix: String,
    /// How many snapshots of all actors together may be requested and not yet saved.
    pub max_in_flight: usize,
}

impl Default for CheckpointConfig {
    /// Every 30 seconds, 5 kept, 16 in flight, in `checkpoints` of the current directory.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            max_snapshots: 5,
            storage_path: PathBuf::from("checkpoints"),
            enabled: true,
            name_prefix: "checkpoint".to_owned(),
            max_in_flight: 16,
        }
    }
}

impl CheckpointConfig {
    /// A snapshot of each actor in this interval, the rest as by default.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Keeps so many checkpoints of each actor; 0 keeps all.
    #[must_use]
    pub fn with_max_snapshots(mut self, max: usize) -> Self {
        self.max_snapshots = max;
        self
    }

    /// In this directory.
    #[must_use]
    pub fn with_storage_path(mut self, path: impl AsRef<Path>) -> Self {
        self.storage_path = path.as_ref().to_path_buf();
        self
    }

    /// With names that begin with this.
    #[must_use]
    pub fn with_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = prefix.into();
        self
    }

    /// Whether snapshots become due.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// At most so many snapshots requested and not yet saved; 0 counts as 1.
    #[must_use]
    pub fn with_max_in_flight(mut self, max: usize) -> Self {
        self.max_in_flight = max.max(1);
        self
    }
}
