//! Stores. Bytes and half words are merged with those of neighbouring lanes before they go to memory.

use std::sync::atomic::Ordering;

use crate::compute::{LANES, Lanes32, Lanes64, Mask};
use crate::error::AccessKind;
use crate::memory::{WideLock, update_bits};
use crate::program::{Access, Base, Element, Slot, Space};

use super::access::{Memory, Place, Want};
use super::core::Core;
use super::load::{stride, total_bytes};
use super::low32;
use super::registers::{FULL, each, keep32, lanes};
use super::trap::Trapped;

impl Core<'_> {
    pub(super) fn store(&mut self, access: &Access, active: Mask) -> Trapped<()> {
        if access.strong {
            std::sync::atomic::fence(Ordering::Release);
        }
        if (access.space, access.address.base) == (Space::Local, Base::Zero)
            && self.store_frame(access, active)
        {
            return Ok(());
        }
        self.addresses(access.space, access.address);
        if active == FULL && self.store_fast(access) {
            return Ok(());
        }
        let bytes = total_bytes(access);
        let want = Want { space: access.space, kind: AccessKind::Write, bytes, align: bytes };
        let mut rest = active;
        while rest != 0 {
            let (place, part) = self.locate(want, rest)?;
            self.store_part(access, place, part);
            rest &= !part;
        }
        Ok(())
    }

    /// A store by all lanes; false if its shape is not one of the fast ones.
    fn store_fast(&mut self, access: &Access) -> bool {
        let [Some(slot)] = access.slots[..] else { return false };
        match (access.space, access.element) {
            (Space::Shared, Element { bytes: 4, is_64: false, .. }) => self.store_shared_words(slot),
            (Space::Global | Space::Generic, Element { bytes: 4, is_64: false, .. }) => {
                self.store_global_words(slot)
            }
            // A strong one must not be torn.
            (Space::Global | Space::Generic, element) if !access.strong => {
                self.store_neighbours(element, slot)
            }
            _ => false,
        }
    }

    fn store_shared_words(&mut self, slot: Slot) -> bool {
        let len = self.outside.shared.len() as u64 * 4;
        let (mut misfit, addresses) = (0, &self.outside.scratch.addresses);
        for address in addresses {
            misfit |= address & 3 | u64::from(*address >= len);
        }
        if misfit != 0 {
            return false;
        }
        for (address, value) in addresses.iter().zip(&self.r32[usize::from(slot)]) {
            self.outside.shared[super::index(address / 4)] = *value;
        }
        true
    }

    fn store_global_words(&mut self, slot: Slot) -> bool {
        let start = self.outside.scratch.addresses[0];
        if stride(&self.outside.scratch.addresses) != Some(4) || start & 3 != 0 {
            return false;
        }
        let value = self.r32[usize::from(slot)];
        let Some(index) = self.hit(start, 4) else { return false };
        if self.grid.allocations[index].purpose() == crate::memory::Purpose::Constants {
            return false;
        }
        let Some(words) = self.global_words(start, 4 * LANES as u64) else { return false };
        for (word, value) in words.iter().zip(value) {
            word.store(value, Ordering::Relaxed);
        }
        true
    }

    /// A store of whole words to the frame's own variables, by name. False if its shape is another.
    fn store_frame(&mut self, access: &Access, active: Mask) -> bool {
        let Some(row) = self.frame_row(access) else { return false };
        let words = usize::from(access.element.bytes / 4);
        for (i, slot) in access.slots.iter().enumerate() {
            let Some(slot) = slot.map(usize::from) else { continue };
            let row = row + i * words;
            if words == 1 {
                keep32(&mut self.local[row], &self.r32[slot], active);
            } else {
                let value = &self.r64[slot];
                each(active, |lane| self.local[row][lane] = low32(value[lane]));
                each(active, |lane| self.local[row + 1][lane] = low32(value[lane] >> 32));
            }
        }
        true
    }

    /// Stores for lanes whose addresses were found to be inside of `place`.
    fn store_part(&mut self, access: &Access, place: Place, part: Mask) {
        let addresses = &self.outside.scratch.addresses;
        let from = Storing { r32: self.r32, r64: self.r64, addresses, access, place, part };
        match place.memory {
            Memory::Global(allocation) => {
                let words = self.grid.allocations[allocation].words();
                let set = |_: usize, index: usize, bits, value| update_bits(&words[index], bits, value);
                if access.strong {
                    from.store(set, |lane, index, low, high| {
                        let _lock = WideLock::of(index as u64 / 2 * 8);
                        set(lane, index, u32::MAX, low);
                        set(lane, index + 1, u32::MAX, high);
                    });
                } else {
                    from.store_words(set);
                }
            }
            Memory::Shared => {
                let words = &mut self.outside.shared[..];
                from.store_words(|_, index, bits, value| replace(&mut words[index], bits, value));
            }
            Memory::Local => {
                let rows = &mut *self.local;
                from.store_words(|lane, index, bits, value| replace(&mut rows[index][lane], bits, value));
            }
            // `locate` refuses to write there.
            Memory::Param => {}
        }
    }
}

/// Puts `value` in place of some bits of a word.
pub(super) fn replace(word: &mut u32, bits: u32, value: u32) {
    *word = (*word & !bits) | (value & bits);
}

/// A store to one place.
struct Storing<'a> {
    r32: &'a [Lanes32],
    r64: &'a [Lanes64],
    addresses: &'a Lanes64,
    access: &'a Access,
    place: Place,
    part: Mask,
}

impl Storing<'_> {
    /// `set` replaces bits of the word at an index, for a lane.
    #[inline(always)]
    fn store_words(&self, mut set: impl FnMut(usize, usize, u32, u32)) {
        if self.access.element.bytes == 8 {
            self.each_element(|lane, offset, value| {
                set(lane, offset / 4, u32::MAX, low32(value));
                set(lane, offset / 4 + 1, u32::MAX, low32(value >> 32));
            });
        } else {
            self.store(set, |_, _, _, _| {});
        }
    }

    /// `set_pair` sets the two words of a 64-bit value.
    #[inline(always)]
    fn store(
        &self,
        mut set: impl FnMut(usize, usize, u32, u32),
        mut set_pair: impl FnMut(usize, usize, u32, u32),
    ) {
        match self.access.element.bytes {
            8 => self.each_element(|lane, offset, value| {
                set_pair(lane, offset / 4, low32(value), low32(value >> 32));
            }),
            4 => self.each_element(|lane, offset, value| set(lane, offset / 4, u32::MAX, low32(value))),
            bytes => {
                let element = if bytes == 1 { 0xff } else { 0xffff };
                // What was collected for one word, of one lane where lanes have memory of their own.
                let (mut at, mut bits, mut collected) = ((0, 0), 0, 0);
                let own = matches!(self.place.memory, Memory::Local);
                self.each_element(|lane, offset, value| {
                    let here = (if own { lane } else { 0 }, offset / 4);
                    if here != at && bits != 0 {
                        set(at.0, at.1, bits, collected);
                        (bits, collected) = (0, 0);
                    }
                    at = here;
                    let shift = offset % 4 * 8;
                    replace(&mut collected, element << shift, low32(value) << shift);
                    bits |= element << shift;
                });
                if bits != 0 {
                    set(at.0, at.1, bits, collected);
                }
            }
        }
    }

    /// Calls `f` with lane, offset and value of each element, lane by lane.
    #[inline(always)]
    fn each_element(&self, mut f: impl FnMut(usize, usize, u64)) {
        for lane in lanes(self.part) {
            let mut offset = self.place.offset(self.addresses[lane]);
            for slot in self.access.slots.iter().flatten() {
                f(lane, offset, self.value(*slot, lane));
                offset += usize::from(self.access.element.bytes);
            }
        }
    }

    fn value(&self, slot: Slot, lane: usize) -> u64 {
        if self.access.element.is_64 {
            self.r64[usize::from(slot)][lane]
        } else {
            self.r32[usize::from(slot)][lane].into()
        }
    }
}
