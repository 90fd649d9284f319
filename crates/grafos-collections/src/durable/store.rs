//! [`Store`]: the slots of one volume, while one lease lasts. It knows bytes, not values.
//!
//! Invariant: a commit touches neither the newest good checkpoint nor the one that the value came from. What the
//! store believes of a slot is what a reader would find there after a power cut, or less.

use std::collections::HashMap;

use fabricbios_core::lease::FenceEpoch;
use grafos_std::block::{AlignedBuf, BlockHandle};

use super::decode::{DecodeFault, ReadFault};
use super::encode::{BUFFER_BYTES, Filled};
use super::error::{DurableError, RejectedSlot, SlotFault};
use super::format::{
    Digest, Found, HEADER_BYTES, Header, MAX_SCHEMA_BYTES, MAX_SLOTS, MIN_SLOTS, UnverifiedHeader, VERSION,
    claim, extent_blocks, usize_of,
};
use super::layout::{Layout, Slot, overlap};
use super::reader::read;

mod commit;
mod load;

pub(super) use commit::Payload;
pub(super) use load::Loaded;

/// What the caller wants of the volume.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreOptions {
    /// `None`: as many as there are, else two.
    pub(super) slot_count: Option<u32>,
    pub(super) schema: String,
}

impl StoreOptions {
    fn check(&self) -> Result<(), DurableError> {
        if let Some(slots) = self.slot_count
            && !(MIN_SLOTS..=MAX_SLOTS).contains(&slots)
        {
            let found = u64::from(slots);
            return Err(DurableError::InvalidOption { option: "slots", expected: "2 to 64", found });
        }
        if self.schema.len() > MAX_SCHEMA_BYTES {
            let found = self.schema.len() as u64;
            return Err(DurableError::InvalidOption {
                option: "the length of the schema tag",
                expected: "at most 64 bytes",
                found,
            });
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Store {
    block: BlockHandle,
    options: StoreOptions,
    /// `None` until the headers were read.
    table: Option<Table>,
    /// What this process has written or read where.
    known: Known,
    /// Buffers of [`BUFFER_BYTES`] for reuse: touching new memory costs more than the copy into it.
    pub(super) buffers: Vec<AlignedBuf>,
    header: AlignedBuf,
}

/// What the headers of a volume say.
#[derive(Debug)]
pub(super) struct Table {
    layout: Layout,
    slots: Vec<Slot>,
    rejected: Vec<RejectedSlot>,
    /// The slot that the value in memory came from or went to.
    base: Option<u32>,
    /// The highest sequence that any header has ever named.
    last_sequence: u64,
}

/// The chunks of payloads, by their first block.
#[derive(Debug, Default)]
struct Known(HashMap<u64, KnownPayload>);

#[derive(Debug)]
struct KnownPayload {
    /// How many blocks it takes, with its chunk table.
    blocks: u64,
    chunks: Vec<Digest>,
}

impl Known {
    fn learn(&mut self, first_block: u64, payload_bytes: u64, chunks: Vec<Digest>) {
        self.0.insert(first_block, KnownPayload { blocks: extent_blocks(payload_bytes), chunks });
    }

    fn chunks(&self, first_block: u64) -> &[Digest] {
        self.0.get(&first_block).map_or(&[], |payload| &payload.chunks)
    }

    /// What lies from `first_block` on. It and all that overlaps a payload of `payload_bytes` there is forgotten,
    /// because it is about to be written to.
    fn take(&mut self, first_block: u64, payload_bytes: u64) -> Vec<Digest> {
        let there = self.0.remove(&first_block).map_or_else(Vec::new, |payload| payload.chunks);
        let written = first_block..first_block.saturating_add(extent_blocks(payload_bytes));
        self.0.retain(|first, payload| !overlap(&written, &(*first..first.saturating_add(payload.blocks))));
        there
    }
}

impl Store {
    pub(super) fn new(block: BlockHandle, options: StoreOptions) -> Self {
        let header = AlignedBuf::zeroed(HEADER_BYTES);
        Self { block, options, table: None, known: Known::default(), buffers: Vec::new(), header }
    }

    pub(super) fn block(&self) -> &BlockHandle {
        &self.block
    }

    /// The headers, newest checkpoint first.
    pub(super) fn history(&mut self) -> Result<Vec<Header>, DurableError> {
        Ok(self.table()?.newest_first())
    }

    /// A buffer of at least `len` bytes, or of [`BUFFER_BYTES`]: one that was used before, if it is large enough.
    pub(super) fn take_buffer(&mut self, len: usize) -> AlignedBuf {
        let len = len.next_multiple_of(HEADER_BYTES).min(BUFFER_BYTES);
        let reused = self.buffers.pop().filter(|buffer| buffer.len() >= len);
        reused.unwrap_or_else(|| AlignedBuf::zeroed(len))
    }

    /// Reads the headers unless that was done.
    fn table(&mut self) -> Result<&mut Table, DurableError> {
        if self.table.is_none() {
            self.options.check()?;
            self.table = Some(self.scan()?);
        }
        // It was set a line above.
        self.table.as_mut().ok_or(DurableError::NoCheckpoint)
    }

    fn scan(&mut self) -> Result<Table, DurableError> {
        let first = [self.find(0)?, self.find(1)?];
        let slot_count = self.slot_count(&first)?;
        let mut found = Vec::from(first);
        for slot in MIN_SLOTS..slot_count {
            found.push(self.find(slot)?);
        }
        let table = Table::new(Layout::new(self.block.num_blocks(), slot_count), found)?;
        table.check_epoch(self.block.epoch())?;
        Ok(table)
    }

    /// How many slots there are, as the newest of the first two headers says; else as the caller says.
    fn slot_count(&self, first: &[Found]) -> Result<u32, DurableError> {
        let valid = first.iter().filter_map(|found| match found {
            Found::Valid(header) => Some(header),
            _ => None,
        });
        let Some(newest) = valid.max_by_key(|header| (header.epoch, header.sequence)) else {
            return Ok(self.options.slot_count.unwrap_or(MIN_SLOTS));
        };
        match self.options.slot_count {
            Some(requested) if requested != newest.slot_count => {
                Err(DurableError::SlotCountMismatch { requested, found: newest.slot_count })
            }
            _ => Ok(newest.slot_count),
        }
    }

    /// What stands in the header of `slot`. A volume that ends before it holds no header there.
    fn find(&mut self, slot: u32) -> Result<Found, DurableError> {
        let first_block = Layout::header_block(slot);
        let volume_blocks = self.block.num_blocks();
        if first_block + Layout::header_block(1) > volume_blocks {
            return Ok(Found::Blank);
        }
        match read(&self.block, first_block, &mut self.header) {
            Ok(()) => Ok(UnverifiedHeader::new(&self.header).verify(slot, volume_blocks)),
            Err(ReadFault::Slot(fault)) => Ok(Found::Fault(fault)),
            Err(ReadFault::Fabric(error)) => Err(error.into()),
        }
    }
}

impl Table {
    fn new(layout: Layout, found: Vec<Found>) -> Result<Self, DurableError> {
        let mut table =
            Self { layout, slots: Vec::new(), rejected: Vec::new(), base: None, last_sequence: 0 };
        for (slot, found) in (0..).zip(found) {
            match found {
                Found::Blank => table.slots.push(Slot::Blank),
                Found::Valid(header) => {
                    table.last_sequence = table.last_sequence.max(header.sequence);
                    table.slots.push(Slot::Valid(header));
                }
                Found::OtherVersion(found) => {
                    return Err(DurableError::OtherFormatVersion { supported: VERSION, found });
                }
                Found::Fault(fault) => {
                    table.rejected.push(RejectedSlot { slot, sequence: None, fault });
                    table.slots.push(Slot::Bad);
                }
            }
        }
        table.check_ours()?;
        Ok(table)
    }

    /// Refuses a volume on which nothing is a header of ours, and something is not.
    fn check_ours(&self) -> Result<(), DurableError> {
        if self.slots.iter().any(|slot| slot.header().is_some()) {
            return Ok(());
        }
        let magics = || {
            self.rejected.iter().map(|rejected| match rejected.fault {
                SlotFault::BadMagic { found } => Some(found),
                _ => None,
            })
        };
        match magics().next().flatten() {
            Some(found) if magics().all(|magic| magic.is_some()) => {
                Err(DurableError::ForeignVolume { found })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a volume that somebody with a higher epoch has written to.
    fn check_epoch(&self, held: FenceEpoch) -> Result<(), DurableError> {
        match self.slots.iter().filter_map(Slot::header).map(|header| header.epoch).max() {
            Some(found) if found > held => Err(DurableError::StaleEpoch { held, found }),
            _ => Ok(()),
        }
    }

    fn newest_first(&self) -> Vec<Header> {
        let mut headers: Vec<Header> = self.slots.iter().filter_map(Slot::header).cloned().collect();
        headers.sort_by_key(|header| std::cmp::Reverse((header.epoch, header.sequence, header.slot)));
        headers
    }

    /// Whether no checkpoint was ever acknowledged: the first one is acknowledged when it stands in both of the
    /// first two slots.
    fn is_unused(&self) -> bool {
        let none_valid = self.slots.iter().all(|slot| slot.header().is_none());
        none_valid && self.slots.iter().take(MIN_SLOTS as usize).any(|slot| *slot == Slot::Blank)
    }

    fn reject(&mut self, header: &Header, fault: SlotFault) {
        tracing::warn!(slot = header.slot, sequence = header.sequence, %fault, "a checkpoint was passed over");
        self.rejected.push(RejectedSlot { slot: header.slot, sequence: Some(header.sequence), fault });
        self.set(header.slot, Slot::Bad);
    }

    fn set(&mut self, slot: u32, state: Slot) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = state;
        }
    }

    fn valid_count(&self) -> usize {
        self.slots.iter().filter(|slot| slot.header().is_some()).count()
    }
}
