//! [`Sink`]: what a checkpoint is written through on its way to a file.
//!
//! Small ones are collected and written at once. From [`PIECE_BYTES`] on, pieces are written by a thread of their own,
//! past the page cache where the system can, while the next piece is filled: hashing and the disk wait for nothing but
//! each other.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use grafos_std::block::AlignedBuf;

use super::dir::{Change, Watch};

const PIECE_BYTES: usize = 4 << 20;

/// One is filled while the others are written or wait for it.
const PIECES: usize = 3;

/// Buffers that outlive a save: memory that was touched before is several times faster. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(Arc<Mutex<Vec<AlignedBuf>>>);

impl Pieces {
    fn take(&self) -> AlignedBuf {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| AlignedBuf::zeroed(PIECE_BYTES))
    }

    fn put_back(&self, piece: AlignedBuf) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < PIECES {
            spare.push(piece);
        }
    }
}

/// Passes on what is written, and remembers the first failure: whoever writes may make an error of his own of it.
#[derive(Debug)]
pub(super) struct Noting<W> {
    to: W,
    failure: Option<io::Error>,
}

impl<W> Noting<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, failure: None }
    }

    pub(super) fn into_parts(self) -> (W, Option<io::Error>) {
        (self.to, self.failure)
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if self.failure.is_none() && error.kind() != io::ErrorKind::Interrupted {
                let same = |code| io::Error::from_raw_os_error(code);
                self.failure = Some(error.raw_os_error().map_or_else(|| error.kind().into(), same));
            }
        })
    }
}

impl<W: Write> Write for Noting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.note(flushed)
    }
}

/// Writes a file from its beginning. After an error it writes nothing more.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    file: &'a File,
    watch: &'a Watch,
    pieces: Pieces,
    /// What is being filled; `None` after an error.
    piece: Option<AlignedBuf>,
    filled: usize,
    /// Where in the file it goes.
    at: u64,
    disk: Option<Disk>,
}

/// The thread that writes.
#[derive(Debug)]
struct Disk {
    full: SyncSender<(u64, AlignedBuf)>,
    written: Receiver<AlignedBuf>,
    thread: JoinHandle<io::Result<()>>,
    /// How many pieces there are, the one that is filled included.
    pieces: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(file: &'a File, watch: &'a Watch, pieces: &Pieces) -> Self {
        let piece = Some(pieces.take());
        Self { file, watch, pieces: pieces.clone(), piece, filled: 0, at: 0, disk: None }
    }

    /// Writes what is left, and waits until all is written. Durable it is not.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let Some(piece) = self.piece.take() else { return Err(failed_before()) };
        let is_direct = self.disk.is_some();
        self.end_disk()?;
        if is_direct {
            direct(self.file, false);
        }
        if self.filled > 0 {
            self.watch.allow(Change::Write)?;
            self.file.write_all_at(&piece[..self.filled], self.at)?;
        }
        self.pieces.put_back(piece);
        Ok(())
    }

    /// Hands a full piece over, and takes another.
    fn hand_over(&mut self, piece: AlignedBuf) -> io::Result<AlignedBuf> {
        if self.disk.is_none() {
            self.disk = Some(Disk::start(self.file, self.watch)?);
        }
        let Some(disk) = &mut self.disk else { return Err(failed_before()) };
        let is_sent = disk.full.send((self.at, piece)).is_ok();
        self.at += PIECE_BYTES as u64;
        let next = if !is_sent {
            None
        } else if disk.pieces < PIECES {
            disk.pieces += 1;
            Some(self.pieces.take())
        } else {
            disk.written.recv().ok()
        };
        match next {
            Some(next) => Ok(next),
            // The thread ends early only with an error.
            None => Err(self.end_disk().err().unwrap_or_else(failed_before)),
        }
    }

    fn end_disk(&mut self) -> io::Result<()> {
        let Some(Disk { full, written, thread, .. }) = self.disk.take() else { return Ok(()) };
        drop(full);
        let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.iter().for_each(|piece| self.pieces.put_back(piece));
        result
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(mut piece) = self.piece.take() else { return Err(failed_before()) };
        let len = bytes.len().min(PIECE_BYTES - self.filled);
        piece[self.filled..self.filled + len].copy_from_slice(&bytes[..len]);
        self.filled += len;
        if self.filled == PIECE_BYTES {
            piece = self.hand_over(piece)?;
            self.filled = 0;
        }
        self.piece = Some(piece);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        // Nobody may write to the file any more when the lock on it is given up. Its error was told, or is not wanted.
        let _ = self.end_disk();
        if let Some(piece) = self.piece.take() {
            self.pieces.put_back(piece);
        }
    }
}

impl Disk {
    fn start(file: &File, watch: &Watch) -> io::Result<Self> {
        let file = file.try_clone()?;
        let watch = watch.clone();
        let (full, to_write) = sync_channel::<(u64, AlignedBuf)>(PIECES);
        let (back, written) = sync_channel(PIECES);
        let work = move || {
            direct(&file, true);
            for (at, piece) in to_write {
                watch.allow(Change::Write)?;
                write_piece(&file, at, &piece)?;
                // Nobody waits for it if the save is given up.
                let _ = back.send(piece);
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("checkpoint-file".to_owned()).spawn(work)?;
        Ok(Self { full, written, thread, pieces: 1 })
    }
}

fn write_piece(file: &File, at: u64, piece: &[u8]) -> io::Result<()> {
    match file.write_all_at(piece, at) {
        // This file system wants another alignment.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            direct(file, false);
            file.write_all_at(piece, at)
        }
        result => result,
    }
}

/// Writes past the page cache from now on, or not. It is as good as done if the system can't.
fn direct(file: &File, on: bool) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(flags) = rustix::fs::fcntl_getfl(file) {
        use rustix::fs::OFlags;
        let flags = if on { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
        let _ = rustix::fs::fcntl_setfl(file, flags);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, on);
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier write has failed")
}
