//! [`DirectoryReplica`]: blobs as files below one directory, which may be a disk of its own.
//!
//! ```text
//! <replica>/
//! ├── .replica                    the marker: whose directory this is
//! ├── .writing/                   what is being written, each file locked by its writer
//! │   └── .new-<32 hex digits>
//! └── <space>/
//!     └── e<epoch>-v<version>-<nonce>
//! ```
//!
//! Atomicity: a blob is written whole under a name of its own and moved to the name of its tag in one step that replaces
//! nothing; then the file and the directory are synced, in the order of [`sync_order`], and only then it is
//! acknowledged. A crash before the move leaves a file in `.writing` that nobody has locked, which goes when the replica
//! is next opened; a crash of the process after it leaves a whole blob. A power cut after the move and before the syncs
//! may leave a blob with any contents: nobody was told of it, and readers trust digests only. What takes the place of
//! another blob is synced before the move.
//!
//! Invariants: no blob is changed or replaced; nothing that this crate did not make is read, changed or removed; no
//! link is followed out of the directory; a directory without the right marker is never written to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::marker::{MARKER, Marker};
use self::sync_order::SyncOrder;
use self::temporary::Temporary;
use self::writer::DirectoryWriter;
use super::dir::{Dir, io_error, is_file};
use crate::error::StoreError;
use crate::names::ReplicaId;
use crate::payload_replica::{BlobSpace, BlobWriter, PayloadReplica};
use crate::register::BlobTag;

pub(super) use self::temporary::{is_random_name, random_name};

mod marker;
mod sync_order;
mod temporary;
mod writer;

const WRITING: &str = ".writing";

/// How many spaces are remembered as durable before they are looked up anew.
const KNOWN_SPACES: usize = 4096;

/// Blobs as files below one directory. Clones share it, and so may other processes.
///
/// A replica is [made](Self::create) once, on purpose, and [opened](Self::open) from then on. So a disk that is not
/// mounted is an error, and never an empty replica.
///
/// ```
/// use grafos_replicated::embedded::DirectoryReplica;
/// use grafos_replicated::{BlobSpace, BlobTag, FenceEpoch, Nonce, PayloadReplica, ReplicaId, Version};
/// # let disk = tempfile::tempdir()?;
/// # let path = disk.path().join("replica");
///
/// let replica = DirectoryReplica::create(&path, &ReplicaId::new("disk-b"))?;
/// let space = BlobSpace::new("job", "latest");
/// let tag = BlobTag { epoch: FenceEpoch(1), version: Version(1), nonce: Nonce(7) };
/// let mut writer = replica.create(&space, &tag, Some(5))?;
/// writer.write(b"state")?;
/// writer.finish()?; // durable from here on
///
/// let replica = DirectoryReplica::open(&path, &ReplicaId::new("disk-b"))?;
/// assert_eq!(replica.len_bytes(&space, &tag)?, 5);
/// assert!(DirectoryReplica::open(&path, &ReplicaId::new("disk-c")).is_err(), "it is another's");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirectoryReplica {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: Dir,
    writing: Arc<Dir>,
    /// Spaces whose directories are known to be durable.
    known: Mutex<BTreeSet<BlobSpace>>,
    sync_order: SyncOrder,
}

impl DirectoryReplica {
    /// Makes the directory at `path` a replica: a new one, for its owner only, or one that is there, such as the root
    /// of a disk. What lies in it stays as it is.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if it is a replica already; [`StoreError::Unavailable`] if the directory above it
    /// is not there; [`StoreError::Foreign`] if it is no directory; [`StoreError::InvalidRequest`] for an id that
    /// can't be one; [`StoreError::Full`]; [`StoreError::Io`].
    pub fn create(path: impl AsRef<Path>, id: &ReplicaId) -> Result<Self, StoreError> {
        let (path, marker) = (path.as_ref(), Marker::of(id)?);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(parent) = Dir::open(parent)? else { return Err(missing(parent)) };
        if Dir::make_at(path)? {
            parent.sync()?;
        }
        let root = Dir::open(path)?.ok_or_else(|| missing(path))?;
        let writing = Arc::new(root.dir_or_new(WRITING)?);
        let mut temporary = Temporary::new(&writing, rustix::fs::OFlags::empty())?;
        temporary.fill(&marker.encode())?;
        if !temporary.publish(&root, MARKER)? {
            return Err(StoreError::AlreadyExists { what: root.path().display().to_string() });
        }
        root.sync()?;
        Self::open(path, id)
    }

    /// Opens the replica at `path`, and removes what dead writers have left in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the directory is missing or empty, as it is when its disk is not mounted;
    /// [`StoreError::Foreign`] if it belongs to another replica, or is none; [`StoreError::Corrupt`] if its marker is
    /// damaged; [`StoreError::InvalidRequest`] for an id that can't be one; [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>, id: &ReplicaId) -> Result<Self, StoreError> {
        let (path, expected) = (path.as_ref(), Marker::of(id)?);
        let root = Dir::open(path)?.ok_or_else(|| missing(path))?;
        let found = match root.file(MARKER)? {
            Some(file) => Marker::read(&file, &root.path_of(MARKER))?,
            None if root.is_empty()? => return Err(missing(path)),
            None => return Err(foreign(path, "it has no marker, so it is no replica's directory")),
        };
        if found != expected {
            return Err(foreign(path, "it is the directory of another replica"));
        }
        let writing = root.dir_or_new(WRITING)?;
        temporary::sweep(&writing)?;
        let writing = Arc::new(writing);
        let (known, sync_order) = (Mutex::new(BTreeSet::new()), SyncOrder::new());
        Ok(Self { shared: Arc::new(Shared { root, writing, known, sync_order }) })
    }

    /// Removes the directory `name` in `dir`, if nothing but what [`create`](Self::create) makes lies in it.
    pub(super) fn remove_unused(dir: &Dir, name: &str) -> Result<(), StoreError> {
        let Some(root) = dir.dir(name)? else { return Ok(()) };
        if let Some(writing) = root.dir(WRITING)? {
            temporary::sweep(&writing)?;
        }
        root.remove_file(MARKER)?;
        root.remove_dir(WRITING)?;
        dir.remove_dir(name)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.root.path()
    }

    /// Whether the directory is still there and a replica's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is not.
    pub fn check(&self) -> Result<(), StoreError> {
        self.shared.check()
    }
}

impl Shared {
    fn check(&self) -> Result<(), StoreError> {
        match self.root.stat(MARKER)? {
            Some(stat) if is_file(&stat) => Ok(()),
            _ => Err(missing(self.root.path())),
        }
    }

    /// The directory of this space, made durable if it has to be made.
    fn space_or_new(&self, space: &BlobSpace) -> Result<Dir, StoreError> {
        let dir = self.root.dir_or_new(space.as_str())?;
        let is_known = |known: &BTreeSet<BlobSpace>| known.contains(space);
        if !is_known(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            // Whoever made it may not have come to this.
            self.root.sync()?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN_SPACES {
                known.clear();
            }
            known.insert(space.clone());
        }
        Ok(dir)
    }

    /// The directory of this space; `None` if there is none, which a replica that is gone would not know.
    fn space(&self, space: &BlobSpace) -> Result<Option<Dir>, StoreError> {
        let dir = self.root.dir(space.as_str())?;
        if dir.is_none() {
            self.check()?;
        }
        Ok(dir)
    }

    fn blob(&self, space: &BlobSpace, tag: &BlobTag) -> Result<File, StoreError> {
        let file = match self.space(space)? {
            Some(dir) => dir.file(&tag.file_name())?,
            None => None,
        };
        match file {
            Some(file) => Ok(file),
            None => {
                self.check()?;
                Err(StoreError::NotFound { what: self.name_of(space, tag) })
            }
        }
    }

    fn name_of(&self, space: &BlobSpace, tag: &BlobTag) -> String {
        self.root.path_of(space.as_str()).join(tag.file_name()).display().to_string()
    }
}

impl PayloadReplica for DirectoryReplica {
    fn create(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.shared.check()?;
        let dir = self.shared.space_or_new(space)?;
        let name = tag.file_name();
        if dir.stat(&name)?.is_some() {
            return Err(StoreError::AlreadyExists { what: self.shared.name_of(space, tag) });
        }
        let writer = DirectoryWriter::new(&self.shared, dir, name, max_bytes, false)?;
        Ok(Box::new(writer))
    }

    fn replace(
        &self,
        space: &BlobSpace,
        tag: &BlobTag,
        max_bytes: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.shared.check()?;
        let dir = self.shared.space_or_new(space)?;
        let writer = DirectoryWriter::new(&self.shared, dir, tag.file_name(), max_bytes, true)?;
        Ok(Box::new(writer))
    }

    fn read(&self, space: &BlobSpace, tag: &BlobTag, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let what = || self.shared.root.path_of(space.as_str()).join(tag.file_name());
        match self.shared.blob(space, tag)?.read_exact_at(into, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(StoreError::Corrupt {
                what: what().display().to_string(),
                problem: "the blob is shorter than it should be",
            }),
            Err(error) => Err(io_error("read", &what(), error.raw_os_error())),
        }
    }

    fn len_bytes(&self, space: &BlobSpace, tag: &BlobTag) -> Result<u64, StoreError> {
        let file = self.shared.blob(space, tag)?;
        let metadata = file.metadata().map_err(|error| {
            io_error("stat", &self.shared.root.path_of(space.as_str()), error.raw_os_error())
        })?;
        Ok(metadata.len())
    }

    fn list(
        &self,
        space: &BlobSpace,
        after: Option<&BlobTag>,
        limit: usize,
    ) -> Result<Vec<BlobTag>, StoreError> {
        let Some(dir) = self.shared.space(space)? else { return Ok(Vec::new()) };
        let mut first = BTreeSet::new();
        dir.names(|name| {
            let Some(tag) = BlobTag::of_file_name(name) else { return Ok(true) };
            let is_wanted = first.len() < limit || first.last().is_some_and(|last| tag < *last);
            // What only looks like a blob is left out; what has gone meanwhile too.
            if Some(&tag) > after && is_wanted && dir.stat(name)?.is_some_and(|stat| is_file(&stat)) {
                first.insert(tag);
                if first.len() > limit {
                    first.pop_last();
                }
            }
            Ok(true)
        })?;
        Ok(first.into_iter().collect())
    }

    fn delete(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        let Some(dir) = self.shared.space(space)? else { return Ok(()) };
        let name = tag.file_name();
        match dir.stat(&name)? {
            None => Ok(()),
            Some(stat) if is_file(&stat) => dir.remove_file(&name),
            Some(_) => Err(foreign(&dir.path_of(&name), "something else lies where a blob should be")),
        }
    }

    fn make_durable(&self, space: &BlobSpace, tag: &BlobTag) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| {
            io_error("sync", Path::new(&self.shared.name_of(space, tag)), error.raw_os_error())
        };
        self.shared.blob(space, tag)?.sync_all().map_err(failed)?;
        self.shared.space_or_new(space)?.sync()
    }
}

fn missing(path: &Path) -> StoreError {
    let path = path.display();
    StoreError::Unavailable {
        reason: format!("the directory of the replica is not there, or its disk is not mounted: {path}"),
    }
}

fn foreign(path: &Path, problem: &'static str) -> StoreError {
    StoreError::Foreign { what: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests;
