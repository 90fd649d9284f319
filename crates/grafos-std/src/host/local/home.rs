//! [`Home`]: the directory that holds the volumes of one user.
//!
//! Invariant: once a volume is granted, every directory on the way to it is durable.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::dir::SecureDir;
use crate::error::{FabricError, Result};

const VOLUMES: &str = "volumes";
const GPU: &str = "gpu";

/// Where the home directory is when the program does not say.
pub(super) fn locate(
    variable: impl Fn(&str) -> Option<OsString>,
    user_home: impl FnOnce() -> Option<PathBuf>,
) -> Result<PathBuf> {
    let path_in = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = path_in("GRAFOS_HOME") {
        // What it names must not depend on where a program was started: the volumes would seem to be gone.
        if home.is_absolute() {
            return Ok(home);
        }
        return Err(FabricError::InvalidRequest {
            what: "GRAFOS_HOME",
            expected: "an absolute path",
            found: home.to_string_lossy().into_owned(),
        });
    }
    let state_dir = if cfg!(target_os = "macos") {
        user_home().map(|home| home.join("Library/Application Support"))
    } else {
        // The XDG specification says to ignore a relative path here.
        let xdg = path_in("XDG_STATE_HOME").filter(|path| path.is_absolute());
        xdg.or_else(|| user_home().map(|home| home.join(".local/state")))
    };
    state_dir.filter(|dir| dir.is_absolute()).map(|dir| dir.join("grafos")).ok_or_else(|| {
        FabricError::InvalidRequest {
            what: "home directory of the local host",
            expected: "GRAFOS_HOME or HOME set to an absolute path",
            found: "neither".to_owned(),
        }
    })
}

/// The home directory and the one for volumes in it, both open and private.
#[derive(Debug)]
pub(super) struct Home {
    root: SecureDir,
    volumes: SecureDir,
}

impl Home {
    /// Opens the home at `path`, which may be reached through links and is made if need be.
    pub(super) fn open(path: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| FabricError::io("make directory", path, error))?;
        let real = path.canonicalize().map_err(|error| FabricError::io("resolve", path, error))?;
        let root = SecureDir::adopt(&real)?;
        if !root.has(VOLUMES)? {
            sync_ways_to(&real)?;
            root.make_dir(VOLUMES)?;
        }
        let volumes = root.open_dir(VOLUMES)?;
        let volumes = volumes.ok_or_else(|| {
            FabricError::io(
                "open",
                &root.path_of(VOLUMES),
                std::io::Error::from(std::io::ErrorKind::NotFound),
            )
        })?;
        Ok(Self { root, volumes })
    }

    /// The directory for what processes share about local devices, made if need be and durable.
    pub(super) fn gpu(&self) -> Result<SecureDir> {
        self.root.make_dir(GPU)?;
        self.root.sync()?;
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let dir = self.root.open_dir(GPU)?;
        dir.ok_or_else(|| FabricError::io("open", &self.root.path_of(GPU), missing()))
    }

    /// Where it is, without links.
    pub(super) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn volumes(&self) -> &SecureDir {
        &self.volumes
    }

    /// Makes durable which volumes there are.
    pub(super) fn sync(&self) -> Result<()> {
        self.volumes.sync()?;
        self.root.sync()
    }
}

/// Makes `path` durable in the directories above it, as far up as this user may have made them.
fn sync_ways_to(path: &Path) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    for parent in path.ancestors().skip(1) {
        // A directory that can't be read can't be synced. Whoever made it so has made it durable long ago.
        let Ok(dir) = File::open(parent) else { break };
        match dir.sync_all() {
            // Some file systems have nothing to sync in a directory.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {}
            result => result.map_err(|error| FabricError::io("sync directory", parent, error))?,
        }
        let owner = dir.metadata().map_err(|error| FabricError::io("stat", parent, error))?.uid();
        if owner != user {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
