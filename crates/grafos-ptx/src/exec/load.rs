//! Loads, with short cuts for the shapes that compilers make most: neighbouring lanes read neighbouring words, or all
//! read the same.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::error::AccessKind;
use crate::memory::WideLock;
use crate::program::{Access, Base, Element, Extend, Slot, Space};

use super::access::{Memory, Place, Want};
use super::core::Core;
use super::registers::{FULL, each, keep32, keep64};
use super::trap::Trapped;

impl<'a> Core<'a> {
    pub(super) fn load(&mut self, access: &Access, active: Mask) -> Trapped<()> {
        if access.address.base == Base::Zero {
            let is_done = match access.space {
                Space::Local => self.load_frame(access, active),
                Space::Param => self.load_param(access, active),
                _ => false,
            };
            if is_done {
                return Ok(());
            }
        }
        self.addresses(access.space, access.address);
        if active == FULL && self.load_fast(access) {
            return Ok(());
        }
        let bytes = total_bytes(access);
        let want = Want { space: access.space, kind: AccessKind::Read, bytes, align: bytes };
        let mut rest = active;
        while rest != 0 {
            let (place, part) = self.locate(want, rest)?;
            self.load_part(access, place, part);
            rest &= !part;
        }
        Ok(())
    }

    /// A load by all lanes; false if its shape is not one of the fast ones.
    fn load_fast(&mut self, access: &Access) -> bool {
        let Element { bytes: 4, is_64: false, .. } = access.element else {
            return match (access.space, &access.slots[..]) {
                // A strong one must not be torn.
                (Space::Global | Space::Generic, [Some(slot)]) if !access.strong => {
                    self.load_neighbours(access.element, *slot)
                }
                _ => false,
            };
        };
        match (access.space, &access.slots[..]) {
            (Space::Shared, [Some(slot)]) => self.load_shared_words(*slot),
            (Space::Global | Space::Generic, slots) => self.load_global_words(slots),
            _ => false,
        }
    }

    fn load_shared_words(&mut self, slot: Slot) -> bool {
        let shared = &self.outside.shared[..];
        let addresses = &self.outside.scratch.addresses;
        let to = &mut self.r32[usize::from(slot)];
        let mut misfit = 0;
        for (to, address) in to.iter_mut().zip(addresses) {
            // An address too large for a word index wraps to one that is past the end as well, or is found below.
            match shared.get(super::index(*address >> 2)) {
                Some(word) => *to = *word,
                None => misfit |= 1,
            }
            misfit |= *address & 3;
        }
        // What was written so far is written again, or belongs to a launch that has failed.
        misfit == 0
    }

    /// Neighbouring or equal addresses in one allocation.
    fn load_global_words(&mut self, slots: &[Option<Slot>]) -> bool {
        let bytes = 4 * slots.len() as u64;
        let start = self.outside.scratch.addresses[0];
        let Some(stride) = stride(&self.outside.scratch.addresses) else { return false };
        if stride != 0 && stride != bytes || start & (bytes - 1) != 0 {
            return false;
        }
        let span = if stride == 0 { bytes } else { bytes * LANES as u64 };
        let Some(words) = self.global_words(start, span) else { return false };
        for (i, slot) in slots.iter().enumerate() {
            let Some(slot) = *slot else { continue };
            let to = &mut self.r32[usize::from(slot)];
            if stride == 0 {
                *to = [words[i].load(Ordering::Relaxed); LANES];
            } else {
                for (to, from) in to.iter_mut().zip(words[i..].iter().step_by(slots.len())) {
                    *to = from.load(Ordering::Relaxed);
                }
            }
        }
        true
    }

    /// The words of a range in global memory; none if it is not inside one allocation.
    pub(super) fn global_words(&mut self, start: u64, bytes: u64) -> Option<&'a [AtomicU32]> {
        let index = self.hit(start, 4)?;
        let allocation = &self.grid.allocations[index];
        let offset = start - allocation.address();
        if allocation.bytes() - offset < bytes {
            return None;
        }
        let word = super::index(offset / 4);
        self.words(index).get(word..word + super::index(bytes / 4))
    }

    /// A load of whole words from the kernel's parameters, by name: the same in all lanes. False if its shape is
    /// another.
    fn load_param(&mut self, access: &Access, active: Mask) -> bool {
        let (Element { bytes: 4, is_64: false, .. } | Element { bytes: 8, .. }) = access.element else {
            return false;
        };
        let start = access.address.offset.cast_unsigned();
        let bytes = u64::from(total_bytes(access));
        let end = start.checked_add(bytes);
        if !start.is_multiple_of(bytes) || end.is_none_or(|end| end > self.grid.param_bytes) {
            return false;
        }
        let (kept, mut words) =
            (self.kept(active), self.grid.params[super::index(start / 4)..].iter().copied());
        let mut word = || words.next().unwrap_or(0);
        for slot in &access.slots {
            let low = word();
            if access.element.bytes == 4 {
                let Some(slot) = *slot else { continue };
                keep32(&mut self.r32[usize::from(slot)], &[low; LANES], kept);
            } else {
                let value = wide(low, word());
                let Some(slot) = *slot else { continue };
                keep64(&mut self.r64[usize::from(slot)], &[value; LANES], kept);
            }
        }
        true
    }

    /// A load of whole words from the frame's own variables, by name: whole rows. False if its shape is another.
    fn load_frame(&mut self, access: &Access, active: Mask) -> bool {
        let Some(row) = self.frame_row(access) else { return false };
        let words = usize::from(access.element.bytes / 4);
        for (i, slot) in access.slots.iter().enumerate() {
            let Some(slot) = slot.map(usize::from) else { continue };
            let row = row + i * words;
            if words == 1 {
                let to = &mut self.r32[slot];
                keep32(to, &self.local[row], active);
            } else {
                let (low, high) = (&self.local[row], &self.local[row + 1]);
                let to = &mut self.r64[slot];
                each(active, |lane| to[lane] = wide(low[lane], high[lane]));
            }
        }
        true
    }

    /// The first row of an access by name that moves whole words into registers of their width.
    pub(super) fn frame_row(&self, access: &Access) -> Option<usize> {
        let (Base::Zero, Element { bytes: 4, is_64: false, .. } | Element { bytes: 8, .. }) =
            (access.address.base, access.element)
        else {
            return None;
        };
        let bytes = u64::from(total_bytes(access));
        let start = access.address.offset.cast_unsigned().checked_add(self.frame_local.into())?;
        let end = start.checked_add(bytes)?;
        (start.is_multiple_of(bytes) && end <= self.local_end.into()).then_some(super::index(start / 4))
    }

    /// Loads for lanes whose addresses were found to be inside of `place`.
    fn load_part(&mut self, access: &Access, place: Place, part: Mask) {
        let addresses = &self.outside.scratch.addresses;
        let mut to = Loading { r32: self.r32, r64: self.r64, addresses, access, place, part };
        match place.memory {
            Memory::Global(allocation) => {
                let words = self.grid.allocations[allocation].words();
                let word = |_, index: usize| words[index].load(Ordering::Relaxed);
                if access.strong {
                    to.load(word, |lane, index| {
                        let _lock = WideLock::of(index as u64 / 2 * 8);
                        wide(word(lane, index), word(lane, index + 1))
                    });
                } else {
                    to.load(word, |lane, index| wide(word(lane, index), word(lane, index + 1)));
                }
            }
            Memory::Shared => {
                let words = &self.outside.shared[..];
                to.load(|_, index| words[index], |_, index| wide(words[index], words[index + 1]));
            }
            Memory::Local => {
                let rows = &*self.local;
                to.load(|lane, i| rows[i][lane], |lane, i| wide(rows[i][lane], rows[i + 1][lane]));
            }
            Memory::Param => {
                let words = &self.grid.params[..];
                to.load(|_, index| words[index], |_, index| wide(words[index], words[index + 1]));
            }
        }
    }
}

/// A load from one place.
struct Loading<'a> {
    r32: &'a mut [Lanes32],
    r64: &'a mut [Lanes64],
    addresses: &'a Lanes64,
    access: &'a Access,
    place: Place,
    part: Mask,
}

impl Loading<'_> {
    /// `word` and `pair` give what is at a word's index, for a lane.
    #[inline(always)]
    fn load(&mut self, word: impl Fn(usize, usize) -> u32, pair: impl Fn(usize, usize) -> u64) {
        let Element { bytes, extend, is_64 } = self.access.element;
        for (i, slot) in self.access.slots.iter().enumerate() {
            let Some(slot) = slot.map(usize::from) else { continue };
            let delta = i * usize::from(bytes);
            let offset = |lane: usize| self.place.offset(self.addresses[lane]) + delta;
            match bytes {
                8 => {
                    let to = &mut self.r64[slot];
                    each(self.part, |lane| to[lane] = pair(lane, offset(lane) / 4));
                }
                4 if !is_64 => {
                    let to = &mut self.r32[slot];
                    each(self.part, |lane| to[lane] = word(lane, offset(lane) / 4));
                }
                _ => {
                    for lane in super::registers::lanes(self.part) {
                        let offset = offset(lane);
                        let value = extended(word(lane, offset / 4) >> (offset % 4 * 8), bytes, extend);
                        if is_64 {
                            self.r64[slot][lane] = value;
                        } else {
                            self.r32[slot][lane] = super::low32(value);
                        }
                    }
                }
            }
        }
    }
}

/// How many bytes a load or store moves in each lane.
pub(super) fn total_bytes(access: &Access) -> u32 {
    u32::from(access.element.bytes) * u32::try_from(access.slots.len()).unwrap_or(u32::MAX)
}

pub(super) fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The lowest bytes of a word, extended to 64 bits.
pub(super) fn extended(word: u32, bytes: u8, extend: Extend) -> u64 {
    let unused = 64 - 8 * u32::from(bytes);
    let value = u64::from(word) << unused;
    match extend {
        Extend::Zero => value >> unused,
        Extend::Sign => (value.cast_signed() >> unused).cast_unsigned(),
    }
}

/// The distance between the addresses of neighbouring lanes, if it is the same for all.
#[inline]
pub(super) fn stride(addresses: &Lanes64) -> Option<u64> {
    let stride = addresses[1].wrapping_sub(addresses[0]);
    let (mut expected, mut wrong) = (addresses[0], 0);
    for address in addresses {
        wrong |= address ^ expected;
        expected = expected.wrapping_add(stride);
    }
    (wrong == 0).then_some(stride)
}
