//! Where on a volume the next checkpoint goes. Pure: no I/O, so that every case can be tested.
//!
//! The volume begins with one header per slot; what follows is divided into as many equal *areas*. A header says
//! where its payload lies, so areas belong to no slot, and a volume that has grown simply has larger areas: the
//! old payloads stay where they are until they are the oldest.
//!
//! Invariant: a checkpoint never goes where the checkpoint that the value came from lies, and, while there is
//! room, never where any other good one lies.

use std::ops::Range;

use super::error::DurableError;
use super::format::{HEADER_BLOCKS, Header, INLINE_BYTES, MAX_SLOTS, MIN_SLOTS, extent_blocks};

/// What is known of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Zeros.
    Blank,
    /// A good header. Its payload has been checked only if it was read.
    Valid(Header),
    /// Damaged, or written to by a checkpoint that failed.
    Bad,
}

impl Slot {
    pub(super) fn header(&self) -> Option<&Header> {
        match self {
            Self::Valid(header) => Some(header),
            Self::Blank | Self::Bad => None,
        }
    }
}

/// Where a checkpoint goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u32,
    /// `None`: in the header.
    pub(super) payload_block: Option<u64>,
}

/// How a volume is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    volume_blocks: u64,
    slot_count: u32,
}

impl Layout {
    pub(super) fn new(volume_blocks: u64, slot_count: u32) -> Self {
        Self { volume_blocks, slot_count }
    }

    pub(super) fn header_block(slot: u32) -> u64 {
        u64::from(slot) * HEADER_BLOCKS
    }

    /// Chooses slot and area for a payload of `payload_bytes`. `base` is the slot that the value came from.
    pub(super) fn place(
        &self,
        slots: &[Slot],
        base: Option<u32>,
        payload_bytes: u64,
    ) -> Result<Place, DurableError> {
        let slot = self.slot_to_write(slots, base);
        let headers_fit = u64::from(self.slot_count) * HEADER_BLOCKS <= self.volume_blocks;
        if headers_fit && payload_bytes <= INLINE_BYTES as u64 {
            return Ok(Place { slot, payload_block: None });
        }
        self.free_extent(slots, base, slot, payload_bytes)
            .map(|payload_block| Place { slot, payload_block: Some(payload_block) })
            .ok_or_else(|| self.does_not_fit(slots, base, payload_bytes))
    }

    /// A slot without a good checkpoint if there is one, else the one with the oldest.
    fn slot_to_write(&self, slots: &[Slot], base: Option<u32>) -> u32 {
        (0..self.slot_count)
            .filter(|slot| Some(*slot) != base)
            .min_by_key(|slot| age_key(slots.get(*slot as usize)))
            .unwrap_or(0)
    }

    /// A place for such a payload that overlaps none that must stay. What is larger than an area is refused even
    /// where a gap would do today, so that a value that fits once fits the next time.
    fn free_extent(&self, slots: &[Slot], base: Option<u32>, target: u32, payload_bytes: u64) -> Option<u64> {
        let len = extent_blocks(payload_bytes);
        if len > self.area_blocks() {
            return None;
        }
        let others: Vec<Range<u64>> = extents(slots, |slot| slot != target).collect();
        let base: Vec<Range<u64>> = extents(slots, |slot| Some(slot) == base).collect();
        let areas = || (0..u64::from(self.slot_count)).map(|area| self.area_block(area));
        // The area that the target's payload lies in comes first: what it holds need not be written again.
        let old = slots.get(target as usize).and_then(Slot::header).and_then(|header| header.payload_block);
        let same = areas().filter(|area| Some(*area) == old);
        let own = std::iter::once(self.area_block(u64::from(target)));
        // Gaps between payloads matter only after the volume has grown.
        let gaps = others.iter().map(|other| other.end);
        let choices: Vec<u64> = same.chain(own).chain(areas()).chain(gaps).collect();
        let clear_of = |taken: &[Range<u64>]| {
            choices.iter().copied().find(|first| {
                let extent = *first..first.saturating_add(len);
                extent.end <= self.volume_blocks && taken.iter().all(|range| !overlap(&extent, range))
            })
        };
        clear_of(&others).or_else(|| clear_of(&base))
    }

    /// How many blocks each area has; 0 if there is no room for any.
    fn area_blocks(&self) -> u64 {
        let after_headers = self.volume_blocks.saturating_sub(self.area_block(0));
        after_headers / u64::from(self.slot_count) / HEADER_BLOCKS * HEADER_BLOCKS
    }

    fn area_block(&self, area: u64) -> u64 {
        let first = u64::from(self.slot_count) * HEADER_BLOCKS;
        if area == 0 { first } else { first + area * self.area_blocks() }
    }

    /// What to say to a caller whose value has no place. A volume that grew by too little may need more than an
    /// empty one, so that an area lies clear of the base.
    fn does_not_fit(&self, slots: &[Slot], base: Option<u32>, payload_bytes: u64) -> DurableError {
        let empty = blocks_needed(payload_bytes, self.slot_count);
        let fits = |blocks: &u64| {
            let layout = Self::new(*blocks, self.slot_count);
            let slot = layout.slot_to_write(slots, base);
            layout.free_extent(slots, base, slot, payload_bytes).is_some()
        };
        let beyond_base = extents(slots, |slot| Some(slot) == base).map(|range| range.end).max().unwrap_or(0);
        let clear = beyond_base.saturating_mul(u64::from(self.slot_count)).max(empty);
        let needed_blocks = [empty, clear]
            .into_iter()
            .filter(|blocks| *blocks > self.volume_blocks)
            .find(fits)
            .unwrap_or(clear);
        DurableError::DoesNotFit { payload_bytes, needed_blocks, available_blocks: self.volume_blocks }
    }
}

/// How many blocks of 512 bytes a volume must have to keep `slots` checkpoints of an encoded value of
/// `payload_bytes`.
///
/// ```
/// use grafos_collections::durable::blocks_needed;
///
/// assert_eq!(blocks_needed(100, 2), 16, "two headers of 4 KiB, the value inside");
/// assert_eq!(blocks_needed(1 << 20, 2), 16 + 2 * (2048 + 8), "two areas of 1 MiB with their chunk tables");
/// ```
#[must_use]
pub fn blocks_needed(payload_bytes: u64, slots: u32) -> u64 {
    let slots = u64::from(slots.clamp(MIN_SLOTS, MAX_SLOTS));
    let area = if payload_bytes <= INLINE_BYTES as u64 { 0 } else { extent_blocks(payload_bytes) };
    slots.saturating_mul(HEADER_BLOCKS.saturating_add(area))
}

/// Orders slots by how little would be lost with them.
fn age_key(slot: Option<&Slot>) -> (bool, u64, u64) {
    match slot.and_then(Slot::header) {
        None => (false, 0, 0),
        Some(header) => (true, header.epoch.0, header.sequence),
    }
}

/// The blocks of the payloads of those good slots that `of` names.
fn extents(slots: &[Slot], of: impl Fn(u32) -> bool) -> impl Iterator<Item = Range<u64>> {
    slots.iter().filter_map(Slot::header).filter(move |header| of(header.slot)).filter_map(|header| {
        let first = header.payload_block?;
        Some(first..first + extent_blocks(header.payload_bytes))
    })
}

pub(super) fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests;
