//! [`WriteLog`]: the log of a disk's writes, in the format of Linux' `dm-log-writes` target.
//!
//! Written by qemu's `blklogwrites` driver. All numbers are little-endian.
//!
//! ```text
//! sector 0        super block   magic u64 | version u64 | nr_entries u64 | sectorsize u32
//! sector 1 …      entries       header sector: sector u64 | nr_sectors u64 | flags u64 | data_len u64
//!                               then nr_sectors sectors of data, unless it is a discard or a mark
//! ```
//!
//! A sector has `sectorsize` bytes. Flags: 1 flush (all writes logged before are durable), 2 FUA (this write is
//! durable itself), 4 discard (no data follows), 8 mark (`data_len` bytes of text within the header sector).
//!
//! Nothing of the file is believed: sizes are checked against the file and the disk before anything is read.

use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const SUPER_BYTES: usize = 28;
const HEADER_BYTES: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// More entries than any run of ours writes: 128 MiB of them in memory.
const MAX_ENTRIES: u64 = 4_000_000;

/// Why a write log can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("no write log: expected magic={MAGIC:#x}, found={found:#x}")]
    Magic { found: u64 },
    #[error("another version: expected={VERSION}, found={found}")]
    Version { found: u64 },
    #[error("a sector size that is no power of two from 512 to 65536: found={found}")]
    SectorSize { found: u32 },
    #[error("too many entries: most={MAX_ENTRIES}, found={found}")]
    TooManyEntries { found: u64 },
    #[error("the file ends within entry={index}: needed_bytes={needed_bytes}, file_bytes={file_bytes}")]
    Truncated { index: usize, needed_bytes: u64, file_bytes: u64 },
    #[error("unknown flags: entry={index}, flags={flags:#x}")]
    Flags { index: usize, flags: u64 },
    #[error(
        "outside of the disk: entry={index}, sector={sector}, sectors={sectors}, disk_bytes={disk_bytes}"
    )]
    OutsideDisk { index: usize, sector: u64, sectors: u64, disk_bytes: u64 },
    #[error("a mark longer than its sector: entry={index}, bytes={bytes}")]
    LongMark { index: usize, bytes: u64 },
    #[error("reading failed")]
    Read(#[from] io::Error),
}

/// One operation of the disk. Places and lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where its header lies in the log.
    pub(crate) logged_at: u64,
    /// Everything that was logged before it is durable once it has happened.
    pub(crate) is_flush: bool,
    /// It is durable itself once it has happened.
    pub(crate) is_fua: bool,
    /// What it does to the disk.
    pub(crate) effect: Effect,
}

/// What an operation does to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: a flush alone, or a mark.
    None,
    /// Writes `len` bytes, which lie at `data_at` in the log, to `at` on the disk.
    Write { at: u64, len: u64, data_at: u64 },
    /// Gives up `len` bytes at `at`, which read as zeros then.
    Discard { at: u64, len: u64 },
}

impl Effect {
    /// How many bytes of the disk it changes.
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Write { len, .. } | Self::Discard { len, .. } => len,
        }
    }
}

/// The operations of a disk, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteLog {
    /// In the order in which they were logged.
    pub(crate) entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads the headers of a log of a disk of `disk_bytes`.
    ///
    /// # Errors
    /// [`LogError`]: everything that is not as it should be.
    pub(crate) fn read(mut log: impl Read + Seek, disk_bytes: u64) -> Result<Self, LogError> {
        let file_bytes = log.seek(SeekFrom::End(0))?;
        let Super { nr_entries, sector_bytes } = read_super(&mut log, file_bytes)?;
        let mut entries = Vec::new();
        let mut logged_at = sector_bytes;
        for _ in 0..nr_entries {
            let index = entries.len();
            let within = |end: u64| {
                let truncated = LogError::Truncated { index, needed_bytes: end, file_bytes };
                if end <= file_bytes { Ok(()) } else { Err(truncated) }
            };
            let data_at = logged_at + sector_bytes;
            within(data_at)?;
            log.seek(SeekFrom::Start(logged_at))?;
            let mut header = [0; HEADER_BYTES];
            log.read_exact(&mut header)?;
            let entry = parse_entry(index, &header, logged_at, sector_bytes, disk_bytes)?;
            entries.push(entry);
            logged_at = match entry.effect {
                Effect::Write { len, .. } => data_at + len,
                Effect::None | Effect::Discard { .. } => data_at,
            };
            within(logged_at)?;
        }
        Ok(Self { entries })
    }

    /// How many operations had begun to be logged when the log file was `log_bytes` long.
    pub(crate) fn entries_within(&self, log_bytes: u64) -> usize {
        self.entries.partition_point(|entry| entry.logged_at < log_bytes)
    }
}

struct Super {
    nr_entries: u64,
    sector_bytes: u64,
}

fn read_super(log: &mut (impl Read + Seek), file_bytes: u64) -> Result<Super, LogError> {
    let needed_bytes = SUPER_BYTES as u64;
    if file_bytes < needed_bytes {
        return Err(LogError::Truncated { index: 0, needed_bytes, file_bytes });
    }
    let mut bytes = [0; SUPER_BYTES];
    log.seek(SeekFrom::Start(0))?;
    log.read_exact(&mut bytes)?;
    let found = number(&bytes, 0);
    if found != MAGIC {
        return Err(LogError::Magic { found });
    }
    let found = number(&bytes, 8);
    if found != VERSION {
        return Err(LogError::Version { found });
    }
    let nr_entries = number(&bytes, 16);
    if nr_entries > MAX_ENTRIES {
        return Err(LogError::TooManyEntries { found: nr_entries });
    }
    let found = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
    if !found.is_power_of_two() || !(512..=65536).contains(&found) {
        return Err(LogError::SectorSize { found });
    }
    Ok(Super { nr_entries, sector_bytes: found.into() })
}

fn parse_entry(
    index: usize,
    header: &[u8; HEADER_BYTES],
    logged_at: u64,
    sector_bytes: u64,
    disk_bytes: u64,
) -> Result<Entry, LogError> {
    let [sector, sectors, flags, data_len] = [0, 8, 16, 24].map(|at| number(header, at));
    if flags & !(FLUSH | FUA | DISCARD | MARK) != 0 {
        return Err(LogError::Flags { index, flags });
    }
    let is_flush = flags & FLUSH != 0;
    let is_fua = flags & FUA != 0;
    if flags & MARK != 0 {
        if data_len > sector_bytes - HEADER_BYTES as u64 {
            return Err(LogError::LongMark { index, bytes: data_len });
        }
        return Ok(Entry { logged_at, is_flush, is_fua, effect: Effect::None });
    }
    let end = sector.checked_add(sectors).and_then(|end| end.checked_mul(sector_bytes));
    if end.is_none_or(|end| end > disk_bytes) {
        return Err(LogError::OutsideDisk { index, sector, sectors, disk_bytes });
    }
    let (at, len) = (sector * sector_bytes, sectors * sector_bytes);
    let effect = match (flags & DISCARD != 0, len) {
        (_, 0) => Effect::None,
        (true, len) => Effect::Discard { at, len },
        (false, len) => Effect::Write { at, len, data_at: logged_at + sector_bytes },
    };
    Ok(Entry { logged_at, is_flush, is_fua, effect })
}

/// The eight bytes at `at`, which the caller knows to be there.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
pub(super) mod tests;
