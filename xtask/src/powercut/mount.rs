//! [`Mounted`]: an ext4 image that is mounted for as long as this value lives.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::XtaskError;
use crate::step;

/// A mounted image.
#[derive(Debug)]
pub(crate) struct Mounted {
    folder: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Mounts `image` on `folder` through a loop device that goes with the mount.
    ///
    /// # Errors
    /// `Command` with what `mount` said.
    pub(crate) fn new(image: &Path, folder: &Path) -> Result<Self, XtaskError> {
        step::capture(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(image).arg(folder))?;
        Ok(Self { folder: folder.to_owned(), is_mounted: true })
    }

    /// Where.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts.
    ///
    /// # Errors
    /// `Command` if somebody still uses it: what was checked meanwhile is not to be believed then.
    pub(crate) fn unmount(mut self) -> Result<(), XtaskError> {
        step::capture(Command::new("umount").arg(&self.folder))?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // An error is on its way already: get out of the way, whoever still looks.
            let _ = step::capture(Command::new("umount").arg("--lazy").arg(&self.folder));
        }
    }
}
