//! [`RawFile`]: the baseline, a file written and read with nothing above the system calls.
//!
//! As fast as one thread gets without a format, a checksum or a choice between old and new: the space is laid out
//! and has been written before (overwriting is several times cheaper than appending), memory is aligned, and the
//! page cache is not involved. Like a checkpoint it alternates between two places, so that both touch as much disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use grafos_std::block::AlignedBuf;

use crate::Result;
use crate::contender::Commit;
use crate::state::State;
use grafos_bench_support::ByteSize;

/// A file of two places that are written in turn.
pub(crate) struct RawFile {
    file: File,
    place_bytes: usize,
    step: usize,
    last_place: usize,
    state_bytes: usize,
}

impl RawFile {
    const PLACES: usize = 2;

    /// Makes the file and writes both places once. `step` is how much one system call moves.
    pub(crate) fn create(path: &Path, size: ByteSize, step: ByteSize) -> Result<Self> {
        let place_bytes = size.bytes().next_multiple_of(AlignedBuf::ALIGN);
        File::create_new(path)?;
        let file = open_direct(path)?;
        allocate(&file, place_bytes * Self::PLACES)?;
        let step = step.bytes().next_multiple_of(AlignedBuf::ALIGN);
        let mut raw = Self { file, place_bytes, step, last_place: 0, state_bytes: size.bytes() };
        let mut state = State::new(size);
        for place in 0..Self::PLACES {
            state.change(place as u64);
            raw.commit(&state)?;
        }
        Ok(raw)
    }

    /// Reads the place written last into memory that nobody has touched before.
    pub(crate) fn read(&self) -> Result<AlignedBuf> {
        let mut memory = AlignedBuf::zeroed(self.place_bytes);
        let mut at = self.offset();
        for piece in memory.chunks_mut(self.step) {
            self.file.read_exact_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(memory)
    }

    fn offset(&self) -> u64 {
        (self.last_place * self.place_bytes) as u64
    }
}

impl Commit for RawFile {
    fn commit(&mut self, state: &State) -> Result<()> {
        self.last_place = (self.last_place + 1) % Self::PLACES;
        let mut at = self.offset();
        for piece in state.blocks().chunks(self.step) {
            self.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        self.file.sync_data()?;
        Ok(())
    }

    fn read_back(&mut self) -> Result<Vec<u8>> {
        Ok(self.read()?[..self.state_bytes].to_vec())
    }
}

/// Whether files in `dir` can be opened for direct I/O. Where they can't, the baseline goes through the page cache.
pub(crate) fn is_direct(dir: &Path) -> Result<bool> {
    let probe = tempfile::NamedTempFile::new_in(dir)?;
    Ok(open_flagged(probe.path()).is_ok())
}

fn open_direct(path: &Path) -> Result<File> {
    if let Ok(file) = open_flagged(path) {
        return Ok(file);
    }
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}

#[cfg(target_os = "linux")]
fn open_flagged(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::DIRECT;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(target_os = "linux"))]
fn open_flagged(_path: &Path) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Lays the file out where the file system can; else its first writes do.
fn allocate(file: &File, bytes: usize) -> Result<()> {
    file.set_len(bytes as u64)?;
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_read_whatever_the_step() {
        let dir = tempfile::tempdir().unwrap();
        for (nth, (size, step)) in [(512, 512), (10_000, 4096), (3 << 20, 1 << 20)].into_iter().enumerate() {
            let size = ByteSize::of(size);
            let mut raw =
                RawFile::create(&dir.path().join(nth.to_string()), size, ByteSize::of(step)).unwrap();
            let mut state = State::new(size);
            for stamp in 10..13 {
                state.change(stamp);
                raw.commit(&state).unwrap();
                assert!(raw.read_back().unwrap() == state.bytes(), "size={size}");
            }
        }
    }
}
