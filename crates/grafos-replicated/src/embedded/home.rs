//! [`EmbeddedHome`]: where the embedded engine keeps its files when the program does not say.
//!
//! ```text
//! <home>/                          $GRAFOS_HOME, else the user's state directory; see docs/local-host.md
//! └── replicated/
//!     ├── register.sqlite3
//!     └── replicas/
//!         └── <replica id, encoded>/
//! ```
//!
//! Invariants: a replica in the home is made whole or not at all, so a directory without a marker is never taken for a
//! new one; a register is never made anew beside replicas that an older one knew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use grafos_std::FabricError;
use grafos_std::host::LocalHost;

use super::dir::Dir;
use super::directory::{DirectoryReplica, is_random_name, random_name};
use super::sqlite::SqliteMetadataStore;
use crate::error::StoreError;
use crate::metadata_store::encode_into;
use crate::names::ReplicaId;
use crate::payload_replica::fit_file_name;

const REPLICATED: &str = "replicated";
const REGISTER: &str = "register.sqlite3";
const REPLICAS: &str = "replicas";

/// The register and the replicas of one user on this machine.
///
/// ```
/// use grafos_replicated::ReplicaId;
/// use grafos_replicated::embedded::{DirectoryReplica, EmbeddedHome};
/// # let (home, disk) = (tempfile::tempdir()?, tempfile::tempdir()?);
///
/// // Once, when the disk is new:
/// DirectoryReplica::create(disk.path(), &ReplicaId::new("disk-b"))?;
///
/// let home = EmbeddedHome::builder().home(home.path()).replica_at("disk-b", disk.path()).open()?;
/// home.replica(&ReplicaId::new("local"))?; // in the home, made if it is new
/// home.replica(&ReplicaId::new("disk-b"))?; // on its disk; an error if that is not mounted
/// home.register().verify()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmbeddedHome {
    register: Arc<SqliteMetadataStore>,
    replicas: Dir,
    elsewhere: BTreeMap<ReplicaId, PathBuf>,
    open: Mutex<BTreeMap<ReplicaId, DirectoryReplica>>,
}

impl EmbeddedHome {
    /// The home as the user's environment describes it.
    ///
    /// # Errors
    /// Those of [`EmbeddedHomeBuilder::open`].
    pub fn open() -> Result<Self, StoreError> {
        Self::builder().open()
    }

    /// A home with choices of the program's own.
    pub fn builder() -> EmbeddedHomeBuilder {
        EmbeddedHomeBuilder::default()
    }

    /// The register.
    #[must_use]
    pub fn register(&self) -> &Arc<SqliteMetadataStore> {
        &self.register
    }

    /// The replica of this id: where the program has put it, else in the home, where it is made if it is new. One whose
    /// directory was removed from the home is made anew, without blobs; a disk that is not there is an error.
    ///
    /// # Errors
    /// Those of [`DirectoryReplica::open`] and [`DirectoryReplica::create`].
    pub fn replica(&self, id: &ReplicaId) -> Result<DirectoryReplica, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(replica) = open.get(id) {
            if replica.check().is_ok() {
                return Ok(replica.clone());
            }
            open.remove(id);
        }
        let replica = match self.elsewhere.get(id) {
            Some(path) => DirectoryReplica::open(path, id)?,
            None => self.replica_here(id)?,
        };
        open.insert(id.clone(), replica.clone());
        Ok(replica)
    }

    fn replica_here(&self, id: &ReplicaId) -> Result<DirectoryReplica, StoreError> {
        let name = directory_name(id);
        let path = self.replicas.path_of(&name);
        if self.replicas.stat(&name)?.is_none() {
            self.make_replica(id, &name)?;
        }
        // A link would lead out of the home.
        match self.replicas.dir(&name)? {
            Some(_) => DirectoryReplica::open(path, id),
            None => {
                Err(StoreError::Unavailable { reason: format!("it was just removed: {}", path.display()) })
            }
        }
    }

    /// Makes the replica under another name, and gives it its own when it is whole.
    fn make_replica(&self, id: &ReplicaId, name: &str) -> Result<(), StoreError> {
        // Whoever makes one holds the directory, so what lies under other names is a dead process's.
        let _turn = self.replicas.lock()?;
        self.replicas.names(|name| {
            if is_random_name(name) {
                DirectoryReplica::remove_unused(&self.replicas, name)?;
            }
            Ok(true)
        })?;
        let new = random_name(&self.replicas)?;
        DirectoryReplica::create(self.replicas.path_of(&new), id)?;
        if !self.replicas.publish(&new, &self.replicas, name)? {
            // Somebody was faster, and has made the same.
            return DirectoryReplica::remove_unused(&self.replicas, &new);
        }
        self.replicas.sync()
    }
}

/// The name of the directory of a replica in the home.
fn directory_name(id: &ReplicaId) -> String {
    let mut name = String::new();
    encode_into(id.as_str(), &mut name);
    fit_file_name(name)
}

/// Describes an [`EmbeddedHome`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is opened before `open`"]
pub struct EmbeddedHomeBuilder {
    home: Option<PathBuf>,
    register: Option<PathBuf>,
    elsewhere: BTreeMap<ReplicaId, PathBuf>,
}

impl EmbeddedHomeBuilder {
    /// Keeps everything there and not in the user's usual place. A directory that does not exist is made.
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.home = Some(path.into());
        self
    }

    /// Keeps the register in this file. It is made if it does not exist; its directory is there.
    pub fn register_at(mut self, path: impl Into<PathBuf>) -> Self {
        self.register = Some(path.into());
        self
    }

    /// This replica lies there: on another disk, for instance. It is [made](DirectoryReplica::create) before it is used
    /// for the first time.
    pub fn replica_at(mut self, id: impl Into<ReplicaId>, path: impl Into<PathBuf>) -> Self {
        self.elsewhere.insert(id.into(), path.into());
        self
    }

    /// The home, made if need be. Its replicas are opened when they are asked for.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] if no home can be named, or somebody else could read or change it;
    /// [`StoreError::Corrupt`] if the register is gone and the home's replicas are not; those of
    /// [`SqliteMetadataStore::open_or_create`].
    pub fn open(self) -> Result<EmbeddedHome, StoreError> {
        let builder = match self.home {
            Some(home) => LocalHost::builder().home(home),
            None => LocalHost::builder(),
        };
        let home = builder.open_home().map_err(of_the_home)?;
        let home = Dir::open(&home)?.ok_or_else(|| gone(&home))?;
        let replicated = home.dir_or_new(REPLICATED)?;
        let replicas = replicated.dir_or_new(REPLICAS)?;
        replicated.sync()?;
        home.sync()?;
        let register = match self.register {
            Some(path) => SqliteMetadataStore::open_or_create(path)?,
            None => open_register(&replicated, &replicas)?,
        };
        let (register, open) = (Arc::new(register), Mutex::new(BTreeMap::new()));
        Ok(EmbeddedHome { register, replicas, elsewhere: self.elsewhere, open })
    }
}

/// A new register beside old replicas would begin again with the first version.
fn open_register(replicated: &Dir, replicas: &Dir) -> Result<SqliteMetadataStore, StoreError> {
    let path = replicated.path_of(REGISTER);
    // In this order: whoever makes a replica has made the register before.
    let has_replicas = has_replicas(replicas)?;
    if has_replicas && replicated.stat(REGISTER)?.is_none() {
        let problem = "the register is gone, and replicas that it knew are there; restore it, or make a new one with \
                       `SqliteMetadataStore::create` and take over";
        return Err(StoreError::Corrupt { what: path.display().to_string(), problem });
    }
    SqliteMetadataStore::open_or_create(path)
}

fn has_replicas(replicas: &Dir) -> Result<bool, StoreError> {
    let mut found = false;
    replicas.names(|name| {
        found = !is_random_name(name);
        Ok(!found)
    })?;
    Ok(found)
}

fn gone(path: &Path) -> StoreError {
    StoreError::Unavailable { reason: format!("it was just removed: {}", path.display()) }
}

/// The local host's error, as far as the home can bring it about.
fn of_the_home(error: FabricError) -> StoreError {
    match error {
        FabricError::InvalidRequest { what, expected, found } => {
            StoreError::InvalidRequest { what: format!("{what}={found:?}"), problem: expected }
        }
        FabricError::InsecureHome { path, problem } => {
            StoreError::InvalidRequest { what: path.display().to_string(), problem }
        }
        FabricError::IoError { errno, operation, path, .. } => {
            super::dir::io_error(operation, &path, Some(errno))
        }
        other => StoreError::Unavailable { reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests;
