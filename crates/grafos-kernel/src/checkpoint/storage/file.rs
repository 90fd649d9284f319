//! [`FileStorage`]: checkpoints as files of one directory.
//!
//! ```text
//! <directory>/
//! ├── <name>.rkcp                     a checkpoint
//! ├── <name>.rkcp.damaged-<n>         one that was put in quarantine
//! └── .rkcp-new-<32 hex digits>       what is being written, locked by its writer
//! ```
//!
//! Atomicity: a checkpoint is written under a name of its own, synced, and given its name in one step; then the
//! directory is synced. A crash before that step leaves the old checkpoint and a file that nobody has locked, which goes
//! with the first save of another process; a crash after it leaves the new one, whole.
//!
//! Invariants: a file with the name of a checkpoint is never written to; what this crate has not made is not changed or
//! removed, and no link is followed out of the directory.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dir::{Change, Dir, Watch, io_error, is_file};
use super::error::{StorageError, StreamError};
use super::name::checked;
use super::sink::{Noting, Pieces, Sink};
use super::temporary::{Temporary, sweep};
use super::{CheckpointStorage, StoredCheckpoint};
use crate::checkpoint::read_at::ReadAt;
use crate::checkpoint::{
    Checkpoint, CheckpointMetadata, CheckpointReader, CheckpointWriter, Limits, WriteOptions, Written,
};

/// What the name of a checkpoint's file ends with.
const EXTENSION: &str = ".rkcp";

/// So many damaged checkpoints of one name are kept apart.
const MOST_DAMAGED: usize = 100;

/// Checkpoints as files `<name>.rkcp` of one directory. Clones share what they have in memory; other processes may use the
/// directory at the same time.
///
/// Files are read in versions 1 and 2, and written in version 2. The directory is made by the first save; new files and
/// directories are for their owner only. See [`CheckpointStorage`] for an example.
#[derive(Clone, Debug)]
pub struct FileStorage {
    base_path: PathBuf,
    options: WriteOptions,
    limits: Limits,
    is_swept: Arc<AtomicBool>,
    pieces: Pieces,
    watch: Watch,
}

impl FileStorage {
    /// The checkpoints in this directory. Nothing is touched before the first use.
    pub fn new(base_path: impl AsRef<Path>) -> Self {
        Self {
            base_path: base_path.as_ref().to_path_buf(),
            options: WriteOptions::new(),
            limits: Limits::default(),
            is_swept: Arc::default(),
            pieces: Pieces::default(),
            watch: Watch::default(),
        }
    }

    /// Writes like this from now on: compressed, for instance.
    #[must_use]
    pub fn with_options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }

    /// Reads files up to these limits, which concern compressed ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.base_path
    }

    /// Saves a checkpoint that is never whole in memory: `fill` writes its chunks, the rest is as in
    /// [`save`](CheckpointStorage::save).
    ///
    /// `fill` answers with errors of its own; those of the writer come as [`CheckpointError`](crate::checkpoint::CheckpointError).
    ///
    /// # Errors
    ///
    /// [`Storage`](StreamError::Storage) as in [`save`](CheckpointStorage::save), also where it is the disk that has failed
    /// `fill`; else [`Fill`](StreamError::Fill).
    ///
    /// ```
    /// use grafos_kernel::checkpoint::{CheckpointMetadata, ChunkLabel, CheckpointStorage, FileStorage};
    /// # let dir = tempfile::tempdir()?;
    ///
    /// let storage = FileStorage::new(dir.path());
    /// storage.save_streamed("a", &CheckpointMetadata::new("sim-1", "fdtd_3d"), |writer| {
    ///     let mut chunk = writer.begin_chunk(ChunkLabel::region("pressure"))?;
    ///     for plane in 0..4 {
    ///         chunk.push(&[plane; 1000])?; // as it comes from the device
    ///     }
    ///     chunk.finish()
    /// })?;
    /// assert_eq!(storage.open("a")?.state_bytes(), 4000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_streamed<E: Error + 'static>(
        &self,
        name: &str,
        metadata: &CheckpointMetadata,
        fill: impl FnOnce(&mut CheckpointWriter<&mut dyn Write>) -> Result<(), E>,
    ) -> Result<Written, StreamError<E>> {
        let of_writer = |source| StreamError::Storage(StorageError::of_checkpoint(name, source));
        self.write(name, |sink| {
            let mut writer = CheckpointWriter::new(sink, metadata, &self.options).map_err(of_writer)?;
            fill(&mut writer).map_err(StreamError::Fill)?;
            writer.finish().map(|(_, written)| written).map_err(of_writer)
        })
    }

    fn write<E: From<StorageError>>(
        &self,
        name: &str,
        produce: impl FnOnce(&mut dyn Write) -> Result<Written, E>,
    ) -> Result<Written, E> {
        let file_name = file_name(name)?;
        let dir = Dir::open_or_new(&self.base_path, &self.watch)?;
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            sweep(&dir)?;
        }
        // So that nothing else is replaced: a link, for instance.
        dir.has_file(&file_name)?;
        let temporary = Temporary::new(&dir)?;
        let mut sink = Noting::new(Sink::new(temporary.file(), &self.watch, &self.pieces));
        let produced = produce(&mut sink);
        let (sink, failure) = sink.into_parts();
        // Whatever became of it on its way: that is what is wrong.
        if let Some(failure) = failure {
            return Err(temporary.error(Change::Write.name(), failure).into());
        }
        let written = produced?;
        sink.finish().map_err(|error| temporary.error(Change::Write.name(), error))?;
        temporary.publish(&file_name)?;
        Ok(written)
    }

    fn dir(&self) -> Result<Option<Dir>, StorageError> {
        Dir::open(&self.base_path, &self.watch)
    }

    /// The directory with the file of this checkpoint, and its name.
    fn found(&self, name: &str) -> Result<(Dir, String), StorageError> {
        let file_name = file_name(name)?;
        match self.dir()? {
            Some(dir) if dir.has_file(&file_name)? => Ok((dir, file_name)),
            _ => Err(StorageError::not_found(name)),
        }
    }
}

impl CheckpointStorage for FileStorage {
    fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), StorageError> {
        let of_writer = |source| StorageError::of_checkpoint(name, source);
        self.write(name, |sink| checkpoint.write_to(sink, &self.options).map_err(of_writer)).map(drop)
    }

    fn load(&self, name: &str) -> Result<Checkpoint, StorageError> {
        self.open(name)?.read_all().map_err(|source| StorageError::of_checkpoint(name, source))
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for file_name in dir.names()? {
            let Some(name) = file_name.strip_suffix(EXTENSION) else { continue };
            // What has gone meanwhile is left out too.
            if checked(name).is_ok() && dir.stat(&file_name)?.is_some_and(|stat| is_file(&stat)) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        let (dir, file_name) = self.found(name)?;
        if !dir.remove(&file_name)? {
            return Err(StorageError::not_found(name));
        }
        dir.sync()
    }

    fn exists(&self, name: &str) -> bool {
        self.found(name).is_ok()
    }

    fn open(&self, name: &str) -> Result<StoredCheckpoint, StorageError> {
        let file_name = file_name(name)?;
        let Some(dir) = self.dir()? else { return Err(StorageError::not_found(name)) };
        let Some(file) = dir.file(&file_name)? else { return Err(StorageError::not_found(name)) };
        let source: Box<dyn ReadAt> = Box::new(file);
        CheckpointReader::open_with(source, &self.limits)
            .map_err(|source| StorageError::of_checkpoint(name, source))
    }

    fn quarantine(&self, name: &str) -> Result<String, StorageError> {
        let (dir, file_name) = self.found(name)?;
        for number in 1..=MOST_DAMAGED {
            let aside = format!("{file_name}.damaged-{number}");
            if dir.rename_to_free(&file_name, &aside)? {
                dir.sync()?;
                return Ok(dir.path_of(&aside).display().to_string());
            }
        }
        let error = std::io::ErrorKind::AlreadyExists.into();
        Err(io_error("quarantine", &dir.path_of(&file_name), error))
    }
}

fn file_name(name: &str) -> Result<String, StorageError> {
    checked(name).map(|name| format!("{name}{EXTENSION}"))
}

#[cfg(test)]
mod tests;
