//! [`inspect`]: what lies on a volume, without a lease and without the value's type. It only reads.
//!
//! For tools: a program that wants its value back [restores](super::Durable::restore). Here nothing is passed over in
//! silence and nothing ends the report: every slot is described, good or bad. Memory stays bounded whatever the
//! bytes say.

use std::io::{self, Read, Seek, SeekFrom};

use grafos_std::block::BLOCK_SIZE;

use super::error::SlotFault;
use super::format::{
    CHUNK_BYTES, Digest, Found, HEADER_BYTES, Header, INLINE_AT, MAX_SLOTS, MIN_SLOTS, UnverifiedHeader,
    padded_blocks, payload_root, table_bytes, usize_of,
};
use super::info::CheckpointInfo;
use super::layout::Layout;

/// How many digests of the chunk table are in memory at once.
const DIGESTS_AT_ONCE: usize = 2048;

/// What a volume holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeReport {
    /// How long the volume is, in bytes.
    pub volume_bytes: u64,
    /// Each slot, in order.
    pub slots: Vec<SlotReport>,
}

/// What one slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotReport {
    /// No checkpoint was ever written here.
    Blank,
    /// A header that verifies.
    Checkpoint(SlotCheckpoint),
    /// A header of another version of the format.
    OtherVersion(u32),
    /// Something else.
    Fault(SlotFault),
}

/// A checkpoint whose header verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotCheckpoint {
    /// What the header says of it.
    pub info: CheckpointInfo,
    /// The first block of its payload; `None`: it lies in the header.
    pub payload_block: Option<u64>,
    /// How many chunks the payload has.
    pub chunks: u64,
    /// The digest of the chunk table, which stands for the whole payload.
    pub payload_root: [u8; 32],
    /// What is wrong with the payload, if anything is.
    pub fault: Option<SlotFault>,
}

impl VolumeReport {
    /// The slot that a restore would take: the newest whose payload verifies.
    #[must_use]
    pub fn newest_good(&self) -> Option<(usize, &SlotCheckpoint)> {
        let good = self.slots.iter().enumerate().filter_map(|(slot, report)| match report {
            SlotReport::Checkpoint(checkpoint) if checkpoint.fault.is_none() => Some((slot, checkpoint)),
            _ => None,
        });
        good.max_by_key(|(slot, checkpoint)| (checkpoint.info.epoch, checkpoint.info.sequence, *slot))
    }

    /// Whether anything here was written by this crate.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, SlotReport::Checkpoint(_) | SlotReport::OtherVersion(_)))
    }
}

/// Reads every slot of the volume whose bytes `source` holds, and checks its payload.
///
/// ```
/// use grafos_collections::durable::inspect;
///
/// let blank = vec![0; 64 * 512];
/// let report = inspect(&mut std::io::Cursor::new(blank))?;
/// assert!(report.newest_good().is_none() && !report.is_ours());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Those of `source`. What is wrong with the bytes is in the report.
pub fn inspect<S: Read + Seek>(source: &mut S) -> io::Result<VolumeReport> {
    let volume_bytes = source.seek(SeekFrom::End(0))?;
    let mut volume = Volume { source, blocks: volume_bytes / BLOCK_SIZE as u64 };
    let first = [volume.find(0)?, volume.find(1)?];
    let newest = first.iter().filter_map(header_of).max_by_key(|header| (header.epoch, header.sequence));
    let slot_count = newest.map_or(MIN_SLOTS, |header| header.slot_count).min(MAX_SLOTS);
    let mut slots = Vec::new();
    for (slot, found) in (0..).zip(first) {
        slots.push(volume.report(slot, found)?);
    }
    for slot in MIN_SLOTS..slot_count {
        let found = volume.find(slot)?;
        slots.push(volume.report(slot, found)?);
    }
    Ok(VolumeReport { volume_bytes, slots })
}

fn header_of(found: &Found) -> Option<&Header> {
    match found {
        Found::Valid(header) => Some(header),
        _ => None,
    }
}

struct Volume<'a, S> {
    source: &'a mut S,
    blocks: u64,
}

impl<S: Read + Seek> Volume<'_, S> {
    fn find(&mut self, slot: u32) -> io::Result<Found> {
        let first_block = Layout::header_block(slot);
        if first_block + Layout::header_block(1) > self.blocks {
            return Ok(Found::Blank);
        }
        let mut bytes = [0; HEADER_BYTES];
        self.read(first_block * BLOCK_SIZE as u64, &mut bytes)?;
        Ok(UnverifiedHeader::new(&bytes).verify(slot, self.blocks))
    }

    fn report(&mut self, slot: u32, found: Found) -> io::Result<SlotReport> {
        Ok(match found {
            Found::Blank => SlotReport::Blank,
            Found::OtherVersion(version) => SlotReport::OtherVersion(version),
            Found::Fault(fault) => SlotReport::Fault(fault),
            Found::Valid(header) => SlotReport::Checkpoint(SlotCheckpoint {
                info: CheckpointInfo::from(&header),
                payload_block: header.payload_block,
                chunks: header.payload_bytes.div_ceil(CHUNK_BYTES as u64),
                payload_root: header.payload_root,
                fault: self.check_payload(slot, &header)?,
            }),
        })
    }

    fn check_payload(&mut self, slot: u32, header: &Header) -> io::Result<Option<SlotFault>> {
        match header.payload_block {
            None => self.check_inline(slot, header),
            Some(first_block) => self.check_extent(first_block * BLOCK_SIZE as u64, header),
        }
    }

    fn check_inline(&mut self, slot: u32, header: &Header) -> io::Result<Option<SlotFault>> {
        let mut bytes = [0; HEADER_BYTES];
        self.read(Layout::header_block(slot) * BLOCK_SIZE as u64, &mut bytes)?;
        // The header verified, so its length is one that fits.
        let payload = bytes[INLINE_AT..].get(..usize_of(header.payload_bytes)).unwrap_or_default();
        let chunks: Vec<Digest> =
            payload.chunks(CHUNK_BYTES).map(|chunk| *blake3::hash(chunk).as_bytes()).collect();
        Ok((payload_root(&chunks) != header.payload_root).then_some(SlotFault::TableDigest))
    }

    fn check_extent(&mut self, offset: u64, header: &Header) -> io::Result<Option<SlotFault>> {
        let table = offset + padded_blocks(header.payload_bytes) * BLOCK_SIZE as u64;
        let len = table_bytes(header.payload_bytes);
        let mut buffer = vec![0; DIGESTS_AT_ONCE * 32];
        let mut root = blake3::Hasher::new();
        for at in (0..len).step_by(buffer.len()) {
            let piece = piece_of(&mut buffer, len - at);
            self.read(table + at, piece)?;
            root.update(piece);
        }
        if *root.finalize().as_bytes() != header.payload_root {
            return Ok(Some(SlotFault::TableDigest));
        }
        let mut chunk_bytes = vec![0; CHUNK_BYTES];
        let mut chunk = 0;
        for at in (0..len).step_by(buffer.len()) {
            let digests = piece_of(&mut buffer, len - at);
            self.read(table + at, digests)?;
            for digest in digests.as_chunks::<32>().0 {
                let begin = chunk * CHUNK_BYTES as u64;
                let bytes = piece_of(&mut chunk_bytes, header.payload_bytes - begin);
                self.read(offset + begin, bytes)?;
                if blake3::hash(bytes).as_bytes() != digest {
                    return Ok(Some(SlotFault::ChunkDigest { chunk }));
                }
                chunk += 1;
            }
        }
        Ok(None)
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(offset))?;
        self.source.read_exact(into)
    }
}

/// As much of `buffer` as is left to read.
fn piece_of(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize_of(left).min(buffer.len());
    &mut buffer[..len]
}
