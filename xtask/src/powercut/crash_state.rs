//! [`CrashState`]: what a disk may hold after its power was cut, and how to build that disk from the write log.
//!
//! The model: everything logged before the last flush is durable, and so is a write with FUA. Of the writes since
//! then each may have arrived or not, or in part, in whole sectors of 512 bytes. What arrived lies in the order in
//! which it was written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::write_log::{Effect, Entry};

/// What a disk writes whole or not at all.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// How much is copied at a time.
const COPY_BYTES: u64 = 1 << 20;

/// A cut after `cut` entries of the log, and what had arrived by then.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct CrashState {
    /// How many entries of the log had happened.
    pub(crate) cut: usize,
    /// What arrived of the writes that no flush has made durable.
    pub(crate) arrived: Vec<Piece>,
}

/// A run of sectors of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Which entry of the log.
    pub(crate) entry: usize,
    /// The first sector, counted from the beginning of the entry's data.
    pub(crate) first: u64,
    /// How many.
    pub(crate) sectors: u64,
}

impl Piece {
    /// The whole of the entry.
    pub(crate) fn whole(index: usize, entry: &Entry) -> Self {
        Self { entry: index, first: 0, sectors: entry.effect.len() / SECTOR_BYTES }
    }
}

/// How many of the first `cut` entries lie before their last flush: those are durable.
pub(crate) fn flushed(entries: &[Entry], cut: usize) -> usize {
    entries[..cut].iter().rposition(|entry| entry.is_flush).unwrap_or(0)
}

/// The entries whose fate is open at `cut`.
pub(crate) fn pending(entries: &[Entry], cut: usize) -> impl Iterator<Item = usize> {
    let is_open = |index: &usize| entries[*index].effect != Effect::None && !entries[*index].is_fua;
    (flushed(entries, cut)..cut).filter(is_open)
}

impl CrashState {
    /// Writes the disk, of `disk_bytes`, to a new file at `image`.
    ///
    /// # Errors
    /// Those of the file system; an entry or piece that the log does not have is `InvalidData`.
    pub(crate) fn build(
        &self,
        log: &File,
        entries: &[Entry],
        image: &Path,
        disk_bytes: u64,
    ) -> io::Result<()> {
        let image = File::create_new(image)?;
        image.set_len(disk_bytes)?;
        if self.cut > entries.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the cut lies behind the end of the log"));
        }
        let flushed = flushed(entries, self.cut);
        let mut arrived = self.arrived.iter().peekable();
        for (index, entry) in entries[..self.cut].iter().enumerate() {
            if index < flushed || entry.is_fua {
                apply(log, &image, entry.effect, Piece::whole(index, entry))?;
            }
            while let Some(piece) = arrived.next_if(|piece| piece.entry == index) {
                apply(log, &image, entry.effect, *piece)?;
            }
        }
        match arrived.next() {
            None => Ok(()),
            Some(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "what arrived is not in the order of the log"))
            }
        }
    }
}

fn apply(log: &File, image: &File, effect: Effect, piece: Piece) -> io::Result<()> {
    let span = |piece: Piece| {
        Some((piece.first.checked_mul(SECTOR_BYTES)?, piece.sectors.checked_mul(SECTOR_BYTES)?))
    };
    let inside =
        span(piece).filter(|(from, bytes)| from.checked_add(*bytes).is_some_and(|end| end <= effect.len()));
    let Some((from, bytes)) = inside else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a piece lies outside of its entry"));
    };
    let mut buffer = vec![0; bytes.min(COPY_BYTES) as usize];
    let mut done = 0;
    while done < bytes {
        let chunk = &mut buffer[..(bytes - done).min(COPY_BYTES) as usize];
        match effect {
            Effect::None => return Ok(()),
            Effect::Discard { at, .. } => image.write_all_at(chunk, at + from + done)?,
            Effect::Write { at, data_at, .. } => {
                log.read_exact_at(chunk, data_at + from + done)?;
                image.write_all_at(chunk, at + from + done)?;
            }
        }
        done += chunk.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of writes to sectors 0, 1, …, the data of entry `i` being `i + 1`; `'f'` flush, `'w'` two sectors,
    /// `'u'` two sectors with FUA, `'d'` a discard of two sectors.
    fn log_of(kinds: &str) -> (File, Vec<Entry>) {
        let log = tempfile::tempfile().unwrap();
        let entries = kinds.chars().zip(0_u8..).map(|(kind, index)| {
            let logged_at = u64::from(index) * 2048;
            log.write_all_at(&[index + 1; 1024], logged_at + 512).unwrap();
            let (at, len) = (u64::from(index) * 512, 1024);
            let effect = match kind {
                'f' => Effect::None,
                'd' => Effect::Discard { at, len },
                _ => Effect::Write { at, len, data_at: logged_at + 512 },
            };
            Entry { logged_at, is_flush: kind == 'f', is_fua: kind == 'u', effect }
        });
        let entries = entries.collect();
        (log, entries)
    }

    fn built(kinds: &str, cut: usize, arrived: &[(usize, u64, u64)]) -> io::Result<Vec<u8>> {
        let (log, entries) = log_of(kinds);
        let arrived =
            arrived.iter().map(|&(entry, first, sectors)| Piece { entry, first, sectors }).collect();
        let folder = tempfile::tempdir()?;
        let image = folder.path().join("image");
        CrashState { cut, arrived }.build(&log, &entries, &image, 4096)?;
        Ok(std::fs::read(image)?.chunks(512).map(|sector| sector[0]).collect())
    }

    #[test]
    fn what_was_flushed_is_there_and_nothing_else() {
        assert_eq!(built("wwfww", 5, &[]).unwrap(), [1, 2, 2, 0, 0, 0, 0, 0]);
        assert_eq!(built("wwfww", 2, &[]).unwrap(), [0; 8]);
        assert_eq!(built("wwfwwf", 6, &[]).unwrap(), [1, 2, 2, 4, 5, 5, 0, 0]);
        assert_eq!(built("wwuw", 4, &[]).unwrap(), [0, 0, 3, 3, 0, 0, 0, 0]);
        assert_eq!(built("wdf", 3, &[]).unwrap(), [1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_arrived_lies_there_in_the_order_of_the_log() {
        assert_eq!(built("wwfww", 5, &[(3, 0, 2), (4, 0, 2)]).unwrap(), [1, 2, 2, 4, 5, 5, 0, 0]);
        assert_eq!(built("wwfww", 5, &[(3, 1, 1)]).unwrap(), [1, 2, 2, 0, 4, 0, 0, 0]);
        assert_eq!(built("wwfww", 5, &[(3, 0, 1), (4, 1, 1)]).unwrap(), [1, 2, 2, 4, 0, 5, 0, 0]);
    }

    #[test]
    fn pieces_that_the_log_does_not_have_are_refused() {
        for arrived in [(3, 0, 3), (3, u64::MAX, 1), (3, 1, u64::MAX), (5, 0, 1), (9, 0, 1)] {
            assert_eq!(built("wwfwww", 5, &[arrived]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(built("ww", 3, &[]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(built("www", 3, &[(2, 0, 1), (1, 0, 1)]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn open_is_what_was_written_since_the_last_flush() {
        let (_, entries) = log_of("wfwufwud");
        assert_eq!(pending(&entries, 8).collect::<Vec<_>>(), [5, 7]);
        assert_eq!(pending(&entries, 4).collect::<Vec<_>>(), [2]);
        assert_eq!(pending(&entries, 5).collect::<Vec<_>>(), [0_usize; 0]);
    }
}
