//! [`Allocation`]: the words of one range of addresses.
//!
//! Words are atomics that are read and written relaxed, so kernels on several cores and the host may race without
//! undefined behaviour. A value of 64 bits is two words; accesses that must not tear hold its [`WideLock`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::to_len;

/// Blocks of memory above this size go back to the operating system when they are freed, with every allocator in use:
/// touching their pages to clear them would only take memory first.
const CLEARED_WORDS: usize = (32 << 20) / 4;

/// What an allocation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Whatever its owner wants.
    Data,
    /// A variable of a module.
    Variable,
    /// The constants of a module, which kernels can't write.
    Constants,
}

/// One range of addresses.
#[derive(Debug)]
pub(crate) struct Allocation {
    address: u64,
    bytes: u64,
    purpose: Purpose,
    words: Box<[AtomicU32]>,
}

impl Allocation {
    /// Zeros; none if the machine has no room.
    pub(super) fn zeroed(address: u64, bytes: u64, purpose: Purpose) -> Option<Self> {
        let words = usize::try_from(bytes.div_ceil(4)).ok()?;
        let words = bytemuck::allocation::try_zeroed_slice_box(words).ok()?;
        Some(Self { address, bytes, purpose, words })
    }

    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The words; the last one may reach past the end.
    pub(crate) fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// Where in it a range starts; none if the range is not inside.
    pub(super) fn offset_of(&self, address: u64, bytes: u64) -> Option<usize> {
        let offset = address.checked_sub(self.address)?;
        (offset.checked_add(bytes)? <= self.bytes).then(|| to_len(offset))
    }

    pub(super) fn read(&self, offset: usize, into: &mut [u8]) {
        let (head, body) = into.split_at_mut(into.len().min(offset.wrapping_neg() % 4));
        self.read_within_word(offset, head);
        let word = (offset + head.len()) / 4;
        let (chunks, tail) = body.as_chunks_mut::<4>();
        for (chunk, word) in chunks.iter_mut().zip(&self.words[word..]) {
            *chunk = word.load(Ordering::Relaxed).to_le_bytes();
        }
        self.read_within_word((word + chunks.len()) * 4, tail);
    }

    pub(super) fn write(&self, offset: usize, from: &[u8]) {
        let (head, body) = from.split_at(from.len().min(offset.wrapping_neg() % 4));
        self.write_within_word(offset, head);
        let word = (offset + head.len()) / 4;
        let (chunks, tail) = body.as_chunks::<4>();
        for (chunk, word) in chunks.iter().zip(&self.words[word..]) {
            word.store(u32::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        self.write_within_word((word + chunks.len()) * 4, tail);
    }

    pub(super) fn fill(&self, offset: usize, byte: u8, bytes: usize) {
        let head = bytes.min(offset.wrapping_neg() % 4);
        let few = [byte; 4];
        self.write_within_word(offset, &few[..head]);
        let (start, words) = ((offset + head) / 4, (bytes - head) / 4);
        for word in &self.words[start..start + words] {
            word.store(u32::from_le_bytes(few), Ordering::Relaxed);
        }
        self.write_within_word((start + words) * 4, &few[..(bytes - head) % 4]);
    }

    /// Bytes that don't cross into the next word.
    fn read_within_word(&self, offset: usize, into: &mut [u8]) {
        if !into.is_empty() {
            let word = self.words[offset / 4].load(Ordering::Relaxed).to_le_bytes();
            into.copy_from_slice(&word[offset % 4..offset % 4 + into.len()]);
        }
    }

    fn write_within_word(&self, offset: usize, from: &[u8]) {
        if !from.is_empty() {
            let (mut bits, mut value) = ([0; 4], [0; 4]);
            bits[offset % 4..offset % 4 + from.len()].fill(0xff);
            value[offset % 4..offset % 4 + from.len()].copy_from_slice(from);
            update_bits(&self.words[offset / 4], u32::from_le_bytes(bits), u32::from_le_bytes(value));
        }
    }
}

impl Drop for Allocation {
    /// The next owner of the pages may be anybody in this process.
    fn drop(&mut self) {
        if self.words.len() > CLEARED_WORDS {
            return;
        }
        for word in &self.words {
            // Pages that were never written are not taken just to be cleared.
            if word.load(Ordering::Relaxed) != 0 {
                word.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// Puts `value` in place of some bits of a word; its other bits may change meanwhile and are kept.
pub(crate) fn update_bits(word: &AtomicU32, bits: u32, value: u32) {
    if bits == u32::MAX {
        word.store(value, Ordering::Relaxed);
        return;
    }
    let mut old = word.load(Ordering::Relaxed);
    while let Err(now) =
        word.compare_exchange_weak(old, (old & !bits) | value, Ordering::Relaxed, Ordering::Relaxed)
    {
        old = now;
    }
}

const STRIPES: usize = 64;
static STRIPE_LOCKS: [Mutex<()>; STRIPES] = [const { Mutex::new(()) }; STRIPES];

/// Held while the two words of a 64-bit value are read or changed as one.
pub(crate) struct WideLock {
    _guard: MutexGuard<'static, ()>,
}

impl WideLock {
    pub(crate) fn of(address: u64) -> Self {
        let stripe = to_len(address / 8 % STRIPES as u64);
        Self { _guard: STRIPE_LOCKS[stripe].lock().unwrap_or_else(PoisonError::into_inner) }
    }
}
