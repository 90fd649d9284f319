//! Bytes, half words and 64-bit values that neighbouring lanes read or write next to each other in global memory: whole
//! words at a time, with the bounds checked once for the warp.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::compute::LANES;
use crate::memory::Purpose;
use crate::program::{Element, Slot};

use super::core::Core;
use super::load::{extended, stride, wide};
use super::low32;

impl<'a> Core<'a> {
    /// A load by all lanes; false if the addresses in the scratch are no neighbours, or the element is another.
    pub(super) fn load_neighbours(&mut self, element: Element, slot: Slot) -> bool {
        let Element { bytes, extend, is_64 } = element;
        let Some(words) = self.neighbours(bytes.into()) else { return false };
        let words = words.iter().map(|word| word.load(Ordering::Relaxed));
        let slot = usize::from(slot);
        match (bytes, is_64) {
            (1 | 2, false) => {
                for (to, mut word) in self.r32[slot].chunks_exact_mut(4 / usize::from(bytes)).zip(words) {
                    for to in to {
                        *to = low32(extended(word, bytes, extend));
                        word >>= 8 * u32::from(bytes);
                    }
                }
            }
            (8, _) => {
                let mut words = words;
                let mut word = || words.next().unwrap_or(0);
                for to in &mut self.r64[slot] {
                    let low = word();
                    *to = wide(low, word());
                }
            }
            _ => return false,
        }
        true
    }

    /// A store by all lanes; false if the addresses in the scratch are no neighbours, or the element is another.
    pub(super) fn store_neighbours(&mut self, element: Element, slot: Slot) -> bool {
        let Element { bytes, is_64, .. } = element;
        let Some(words) = self.neighbours(bytes.into()) else { return false };
        let Some(allocation) = self.hit(self.outside.scratch.addresses[0], 4) else { return false };
        if self.grid.allocations[allocation].purpose() == Purpose::Constants {
            return false;
        }
        let slot = usize::from(slot);
        match (bytes, is_64) {
            (1 | 2, false) => {
                let bits = 8 * u32::from(bytes);
                let lowest = (1 << bits) - 1;
                for (word, parts) in words.iter().zip(self.r32[slot].chunks_exact(4 / usize::from(bytes))) {
                    let whole = parts.iter().rev().fold(0, |whole: u32, part| whole << bits | part & lowest);
                    word.store(whole, Ordering::Relaxed);
                }
            }
            (8, _) => {
                for (words, value) in words.chunks_exact(2).zip(&self.r64[slot]) {
                    words[0].store(low32(*value), Ordering::Relaxed);
                    words[1].store(low32(*value >> 32), Ordering::Relaxed);
                }
            }
            _ => return false,
        }
        true
    }

    /// The words that all lanes together access, `bytes` each, if they begin with a whole one.
    fn neighbours(&mut self, bytes: u64) -> Option<&'a [AtomicU32]> {
        let addresses = &self.outside.scratch.addresses;
        let start = addresses[0];
        if stride(addresses) != Some(bytes) || !start.is_multiple_of(bytes.max(4)) {
            return None;
        }
        self.global_words(start, bytes * LANES as u64)
    }
}
