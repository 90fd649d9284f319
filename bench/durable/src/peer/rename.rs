//! [`Rename`]: the careful way with files alone. Postcard bytes go to a new file, which is synced and renamed over
//! the old one; then the directory is synced.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::Result;
use crate::contender::Commit;
use crate::state::State;

pub(crate) struct Rename {
    dir: PathBuf,
}

impl Rename {
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let dir = parent.join("rename");
        fs::create_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Replaces what is there with `encoded`.
    pub(crate) fn replace(&self, encoded: &[u8]) -> Result<()> {
        let fresh = self.dir.join("state.new");
        let mut file = File::create(&fresh)?;
        file.write_all(encoded)?;
        file.sync_all()?;
        fs::rename(&fresh, self.dir.join("state"))?;
        File::open(&self.dir)?.sync_all()?;
        Ok(())
    }
}

impl Commit for Rename {
    fn commit(&mut self, state: &State) -> Result<()> {
        self.replace(&postcard::to_allocvec(&Bytes(state.bytes()))?)
    }

    fn read_back(&mut self) -> Result<Vec<u8>> {
        let encoded = fs::read(self.dir.join("state"))?;
        Ok(postcard::from_bytes::<&[u8]>(&encoded)?.to_vec())
    }
}

/// Serialized as bytes at once, like `Bulk` and unlike a plain vector, so that this peer isn't held back by its
/// encoding.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
