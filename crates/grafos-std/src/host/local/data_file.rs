//! [`DataFile`]: the blocks of a volume, in a file that is as large as it will be before anything is written.
//!
//! The file is a multiple of [`LENGTH_UNIT`] long, so that direct I/O can take its last block with its neighbours;
//! what lies behind the last block is zeros and belongs to nobody.
//!
//! Invariants: a read past the end of the file is an error and never zeros; a write never makes the file longer;
//! blocks that a volume grows by read as zeros, whatever an earlier growth that was cut off has left there.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::IoMode;
use super::dir::{Access, SecureDir};
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::direct_io::DirectIo;
use super::volume_dir::{DATA, damaged};
use crate::block::BLOCK_SIZE;
use crate::error::{FabricError, Result};

pub(super) const LENGTH_UNIT: u64 = 4096;

const FREE_BYTES: &str = "bytes free on the file system of the home directory";
const FREE_BLOCKS: &str = "blocks of 512 bytes for this volume on the file system of the home directory";
const ZEROS_AT_ONCE: usize = 1 << 20;

/// Makes the data file of a new volume, at full size and durable, in place of any that is there.
pub(super) fn create(dir: &SecureDir, blocks: u64) -> Result<u64> {
    let path = dir.path_of(DATA);
    let Some(file) = dir.open_file(DATA, Access::Create)? else {
        return Err(FabricError::io("create", &path, io::Error::from(io::ErrorKind::NotFound)));
    };
    set_len(&file, &path, 0)?;
    let room = Room { file: &file, path: &path, had_blocks: 0, asked_blocks: blocks };
    let len = file_len(blocks).ok_or_else(|| room.exceeded())?;
    room.allocate(0..len, 0)?;
    sync_all(&file, &path)?;
    Ok(blocks)
}

/// Makes the data file large enough for `to_blocks` blocks, of which the first `from_blocks` are in use.
///
/// # Errors
/// `DamagedRecord` if it does not even hold those, `CapacityExceeded`, `IoError`. The volume is as it was then.
pub(super) fn grow(dir: &SecureDir, from_blocks: u64, to_blocks: u64) -> Result<u64> {
    let path = dir.path_of(DATA);
    let Some(file) = dir.open_file(DATA, Access::ReadWrite)? else {
        return Err(damaged(
            dir,
            DATA,
            "the data file is missing; restore the volume from a copy, or remove it",
        ));
    };
    let mut len = file_size(&file, &path)?;
    let in_use = from_blocks.checked_mul(BLOCK_SIZE as u64).filter(|in_use| *in_use <= len);
    let (Some(in_use), Some(base)) = (in_use, file_len(from_blocks)) else {
        return Err(damaged(
            dir,
            DATA,
            "the data file is shorter than its record says; restore it from a copy",
        ));
    };
    let room = Room { file: &file, path: &path, had_blocks: from_blocks, asked_blocks: to_blocks };
    let want = file_len(to_blocks).ok_or_else(|| room.exceeded())?;
    if to_blocks > from_blocks && len > in_use {
        set_len(&file, &path, in_use)?;
        set_len(&file, &path, base)?;
        len = base;
    }
    if len < want {
        room.allocate(in_use..want, len)?;
        sync_all(&file, &path)?;
    }
    Ok(to_blocks)
}

/// The length of a data file for so many blocks; `None` if no file can be that long.
fn file_len(blocks: u64) -> Option<u64> {
    let bytes = blocks.checked_mul(BLOCK_SIZE as u64)?.checked_next_multiple_of(LENGTH_UNIT)?;
    i64::try_from(bytes).is_ok().then_some(bytes)
}

/// A data file that is to become larger.
struct Room<'a> {
    file: &'a File,
    path: &'a Path,
    had_blocks: u64,
    asked_blocks: u64,
}

impl Room<'_> {
    /// Reserves these bytes, which makes the file as long as their end. If that fails it has length `len` again.
    fn allocate(&self, bytes: Range<u64>, len: u64) -> Result<()> {
        // An impossible request must not fill the disk before it fails.
        if bytes.end.saturating_sub(len) > free_bytes(self.file, self.path)? {
            return Err(self.exceeded());
        }
        reserve(self.file, bytes.start, bytes.end - bytes.start).map_err(|error| {
            if let Err(error) = self.file.set_len(len) {
                tracing::warn!(path = %self.path.display(), %error, "a part of a failed allocation stays");
            }
            if is_full(&error) { self.exceeded() } else { FabricError::io("allocate", self.path, error) }
        })
    }

    /// The request in the caller's terms: blocks that were asked for, blocks that the volume could have.
    fn exceeded(&self) -> FabricError {
        let free_blocks = free_bytes(self.file, self.path).unwrap_or(0) / BLOCK_SIZE as u64;
        let available = self.had_blocks.saturating_add(free_blocks);
        FabricError::CapacityExceeded { what: FREE_BLOCKS, requested: self.asked_blocks, available }
    }
}

#[cfg(any(target_vendor = "apple", target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn reserve(file: &File, from: u64, len: u64) -> io::Result<()> {
    let all = rustix::fs::FallocateFlags::empty();
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, all, from, len)) {
        Ok(()) => Ok(()),
        // File systems that can't reserve say so in one of these ways.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => write_zeros(file, from, len),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(any(target_vendor = "apple", target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn reserve(file: &File, from: u64, len: u64) -> io::Result<()> {
    write_zeros(file, from, len)
}

fn write_zeros(file: &File, from: u64, len: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_AT_ONCE];
    let mut done = 0;
    while done < len {
        let now = usize::try_from(len - done).map_or(ZEROS_AT_ONCE, |left| left.min(ZEROS_AT_ONCE));
        file.write_all_at(&zeros[..now], from + done)?;
        done += now as u64;
    }
    Ok(())
}

/// The data file of a held volume.
#[derive(Debug)]
pub(super) struct DataFile {
    file: File,
    path: PathBuf,
    blocks: u64,
    io: Io,
}

#[derive(Debug)]
enum Io {
    Buffered,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Direct(DirectIo),
}

impl DataFile {
    /// Opens a file that [`create`] or [`grow`] has made large enough.
    pub(super) fn open(dir: &SecureDir, blocks: u64, mode: IoMode) -> Result<Self> {
        let path = dir.path_of(DATA);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if mode == IoMode::Auto
            && let Some((file, direct)) = DirectIo::open(dir, DATA)?
        {
            return Ok(Self { file, path, blocks, io: Io::Direct(direct) });
        }
        tracing::debug!(path = %path.display(), ?mode, "buffered I/O");
        let Some(file) = dir.open_file(DATA, Access::ReadWrite)? else {
            return Err(FabricError::io("open", &path, io::Error::from(io::ErrorKind::NotFound)));
        };
        Ok(Self { file, path, blocks, io: Io::Buffered })
    }

    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(super) fn read(&self, first_block: u64, into: &mut [u8]) -> Result<()> {
        let offset = self.offset_of(first_block, into.len())?;
        let result = match &self.io {
            Io::Buffered => self.file.read_exact_at(into, offset),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Io::Direct(direct) => direct.read(&self.file, offset, into),
        };
        result.map_err(|error| FabricError::io("read", &self.path, error))
    }

    pub(super) fn write(&self, first_block: u64, from: &[u8]) -> Result<()> {
        let offset = self.offset_of(first_block, from.len())?;
        if file_size(&self.file, &self.path)? < offset.saturating_add(from.len() as u64) {
            let problem = "the data file was cut short while it was in use; restore it from a copy";
            return Err(FabricError::DamagedRecord { path: self.path.clone(), problem });
        }
        let result = match &self.io {
            Io::Buffered => self.file.write_all_at(from, offset),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Io::Direct(direct) => direct.write(&self.file, offset, from),
        };
        result.map_err(|error| self.full_or_failed("write", from.len() as u64, error))
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.full_or_failed("sync", 0, error))
    }

    /// The front has checked this. Once more, since a write past the end would make the file longer.
    fn offset_of(&self, first_block: u64, len: usize) -> Result<u64> {
        let end = first_block.saturating_add(len.div_ceil(BLOCK_SIZE) as u64);
        if !len.is_multiple_of(BLOCK_SIZE) || end > self.blocks {
            return Err(FabricError::CapacityExceeded {
                what: "whole blocks on this volume",
                requested: end,
                available: self.blocks,
            });
        }
        Ok(first_block * BLOCK_SIZE as u64)
    }

    /// A file system that is full is no fault of the device.
    fn full_or_failed(&self, operation: &'static str, requested: u64, error: io::Error) -> FabricError {
        if is_full(&error) {
            let available = free_bytes(&self.file, &self.path).unwrap_or(0);
            return FabricError::CapacityExceeded { what: FREE_BYTES, requested, available };
        }
        FabricError::io(operation, &self.path, error)
    }
}

/// Whether a file system, a quota or a limit on file sizes said no.
fn is_full(error: &io::Error) -> bool {
    let reasons = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG];
    reasons.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// How many more bytes the user may put on the file system of `file`.
fn free_bytes(file: &File, path: &Path) -> Result<u64> {
    let fs = rustix::fs::fstatvfs(file).map_err(|errno| FabricError::io("statvfs", path, errno))?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// The length, asked by seeking to the end: `fstat` also asks for the times, and a Linux that was asked for them
/// stamps the inode anew at the next write, which makes the flush after it write the inode too and take twice as
/// long. All reads and writes name their offset, so that of the file is free to move.
fn file_size(mut file: &File, path: &Path) -> Result<u64> {
    file.seek(SeekFrom::End(0)).map_err(|error| FabricError::io("seek", path, error))
}

fn set_len(file: &File, path: &Path, len: u64) -> Result<()> {
    file.set_len(len).map_err(|error| FabricError::io("set length", path, error))
}

fn sync_all(file: &File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|error| FabricError::io("sync", path, error))
}

#[cfg(test)]
mod tests;
