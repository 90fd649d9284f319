//! [`DirectIo`]: reads and writes past the page cache, of any whole blocks from any memory.
//!
//! The disk takes units of its own (512 or 4096 bytes) from memory at an address of its liking. What fits goes
//! straight through; what does not goes through an aligned buffer, and a unit that a write covers in part is read,
//! changed and written back.
//!
//! Invariants: neighbours in a unit that is written in part keep what they hold, also against writers of theirs at
//! the same time; a unit that is written back holds the same bytes outside the write, so that tearing it between
//! blocks changes nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError, RwLock};

use rustix::fs::{AtFlags, StatxFlags};

use super::data_file::LENGTH_UNIT;
use super::dir::{Access, SecureDir};
use crate::block::{AlignedBuf, BLOCK_SIZE};
use crate::error::{FabricError, Result};

const BOUNCE_BYTES: usize = 1 << 20;
/// Buffers that are kept for the next call; more threads than that allocate one each time.
const KEPT_BUFFERS: usize = 2;

/// How to read and write one file directly.
#[derive(Debug)]
pub(super) struct DirectIo {
    /// Offsets and lengths are multiples of this.
    unit: usize,
    /// Addresses in memory are multiples of this.
    memory_unit: usize,
    /// Held shared by writes of whole units, alone by those that write back a unit.
    write_back: RwLock<()>,
    buffers: Mutex<Vec<AlignedBuf>>,
}

impl DirectIo {
    /// Opens `name` in `dir` for direct I/O; `None` if the file system has none, or none that suits us.
    pub(super) fn open(dir: &SecureDir, name: &str) -> Result<Option<(File, Self)>> {
        let file = match dir.open_file(name, Access::Direct) {
            Ok(Some(file)) => file,
            Err(FabricError::IoError { source, .. }) if is_refusal(&source) => return Ok(None),
            Ok(None) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((unit, memory_unit)) = units(&file) else { return Ok(None) };
        let direct = Self::with_units(unit, memory_unit);
        // Some file systems take the flag and refuse the reads.
        match direct.read(&file, 0, &mut [0; BLOCK_SIZE]) {
            Ok(()) => Ok(Some((file, direct))),
            Err(error) if is_refusal(&error) => Ok(None),
            Err(error) => Err(FabricError::io("read", &dir.path_of(name), error)),
        }
    }

    fn with_units(unit: usize, memory_unit: usize) -> Self {
        Self { unit, memory_unit, write_back: RwLock::new(()), buffers: Mutex::new(Vec::new()) }
    }

    /// Fills `into` from `offset`, which is the start of a block.
    pub(super) fn read(&self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let (head, rest) = into.split_at_mut(self.head_len(offset, into.len()));
        let (body, tail) = rest.split_at_mut(rest.len() - rest.len() % self.unit);
        let body_offset = offset + head.len() as u64;
        let tail_offset = body_offset + body.len() as u64;
        self.read_part(file, offset, head)?;
        if self.fits_memory(body) {
            file.read_exact_at(body, body_offset)?;
        } else {
            self.with_buffer(|buffer| {
                let mut at = body_offset;
                for piece in body.chunks_mut(BOUNCE_BYTES) {
                    let bounce = &mut buffer[..piece.len()];
                    file.read_exact_at(bounce, at)?;
                    piece.copy_from_slice(bounce);
                    at += piece.len() as u64;
                }
                Ok(())
            })?;
        }
        self.read_part(file, tail_offset, tail)
    }

    /// Writes `from` at `offset`, which is the start of a block.
    pub(super) fn write(&self, file: &File, offset: u64, from: &[u8]) -> io::Result<()> {
        let (head, rest) = from.split_at(self.head_len(offset, from.len()));
        let (body, tail) = rest.split_at(rest.len() - rest.len() % self.unit);
        let body_offset = offset + head.len() as u64;
        let tail_offset = body_offset + body.len() as u64;
        self.write_part(file, offset, head)?;
        if !body.is_empty() {
            let _no_write_back = self.write_back.read().unwrap_or_else(PoisonError::into_inner);
            self.write_body(file, body_offset, body)?;
        }
        self.write_part(file, tail_offset, tail)
    }

    fn write_body(&self, file: &File, offset: u64, body: &[u8]) -> io::Result<()> {
        if self.fits_memory(body) {
            return file.write_all_at(body, offset);
        }
        self.with_buffer(|buffer| {
            let mut at = offset;
            for piece in body.chunks(BOUNCE_BYTES) {
                let bounce = &mut buffer[..piece.len()];
                bounce.copy_from_slice(piece);
                file.write_all_at(bounce, at)?;
                at += piece.len() as u64;
            }
            Ok(())
        })
    }

    /// Reads a part of one unit.
    fn read_part(&self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if into.is_empty() {
            return Ok(());
        }
        let (start, within) = self.unit_of(offset);
        self.with_buffer(|buffer| {
            file.read_exact_at(&mut buffer[..self.unit], start)?;
            into.copy_from_slice(&buffer[within..within + into.len()]);
            Ok(())
        })
    }

    /// Writes a part of one unit.
    fn write_part(&self, file: &File, offset: u64, from: &[u8]) -> io::Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let (start, within) = self.unit_of(offset);
        self.with_buffer(|buffer| {
            let _alone = self.write_back.write().unwrap_or_else(PoisonError::into_inner);
            let unit = &mut buffer[..self.unit];
            file.read_exact_at(unit, start)?;
            unit[within..within + from.len()].copy_from_slice(from);
            file.write_all_at(unit, start)
        })
    }

    /// How many bytes from `offset` lie in a unit that begins before it.
    fn head_len(&self, offset: u64, len: usize) -> usize {
        let (_, within) = self.unit_of(offset);
        if within == 0 { 0 } else { len.min(self.unit - within) }
    }

    /// Where the unit of `offset` begins, and how far into it `offset` is.
    #[expect(clippy::cast_possible_truncation, reason = "less than a unit")]
    fn unit_of(&self, offset: u64) -> (u64, usize) {
        let within = offset % self.unit as u64;
        (offset - within, within as usize)
    }

    fn fits_memory(&self, memory: &[u8]) -> bool {
        memory.as_ptr().addr().is_multiple_of(self.memory_unit)
    }

    fn with_buffer<T>(&self, work: impl FnOnce(&mut AlignedBuf) -> io::Result<T>) -> io::Result<T> {
        let kept = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = kept.unwrap_or_else(|| AlignedBuf::zeroed(BOUNCE_BYTES));
        let result = work(&mut buffer);
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < KEPT_BUFFERS {
            buffers.push(buffer);
        }
        result
    }
}

/// The units of offset and memory that the file system asks for; `None` if they are not ours to give.
fn units(file: &File) -> Option<(usize, usize)> {
    let page = AlignedBuf::ALIGN;
    let (unit, memory_unit) = match rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
        Ok(stat) if stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0 => {
            (usize::try_from(stat.stx_dio_offset_align).ok()?, usize::try_from(stat.stx_dio_mem_align).ok()?)
        }
        // Older kernels don't say. A page suits every disk that we know of.
        _ => (page, page),
    };
    let suits = |unit: usize| unit.is_power_of_two() && unit <= page && unit as u64 <= LENGTH_UNIT;
    (suits(unit) && suits(memory_unit)).then_some((unit.max(BLOCK_SIZE), memory_unit))
}

fn is_refusal(error: &io::Error) -> bool {
    let refusals = [rustix::io::Errno::INVAL, rustix::io::Errno::OPNOTSUPP];
    refusals.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
