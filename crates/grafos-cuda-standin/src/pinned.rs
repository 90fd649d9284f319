//! [`Pinned`]: host memory that the caller has page-locked, which asynchronous copies look at when they run.
//!
//! The memory is the caller's, so it is touched only while it is registered: unregistering waits for a copy that
//! runs, and a copy that comes later is a mistake of the caller, which is counted and does not happen.

use std::sync::Mutex;

use crate::code::{Answer, UNKNOWN};
use crate::driver::Driver;
use crate::sync::locked;

/// A range of the caller's memory.
pub(crate) struct Pinned {
    place: *mut u8,
    len: usize,
    is_registered: Mutex<bool>,
}

// SAFETY: `place` is only followed in `with`, while the range is registered; registering it is the caller's promise
// that the memory is there and that it leaves it alone while a copy is under way (`cuMemHostRegister`,
// `cuMemcpyHtoDAsync`), whichever thread copies. Breaking that is a data race with a real device, too.
unsafe impl Send for Pinned {}
// SAFETY: as above; copies take turns by the lock.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// # Safety
    /// `place` is the start of `len` bytes that stay readable and writable until [`unregister`](Self::unregister).
    pub(crate) unsafe fn new(place: *mut u8, len: usize) -> Self {
        Self { place, len, is_registered: Mutex::new(true) }
    }

    /// Where `address` lies in it, if `len` bytes from there on do.
    pub(crate) fn offset_of(&self, address: usize, len: usize) -> Option<usize> {
        let offset = address.checked_sub(self.place.addr())?;
        (offset.checked_add(len)? <= self.len).then_some(offset)
    }

    /// From now on the memory is not touched. Waits for a copy that runs.
    pub(crate) fn unregister(&self) {
        *locked(&self.is_registered) = false;
    }

    /// What it holds at `offset`.
    pub(crate) fn read(&self, offset: usize, len: usize) -> Answer<Vec<u8>> {
        self.with(offset, len, |place| {
            // SAFETY: `with` gives `len` readable bytes.
            unsafe { std::slice::from_raw_parts(place, len) }.to_vec()
        })
    }

    /// Puts `from` at `offset`.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Answer {
        self.with(offset, from.len(), |place| {
            // SAFETY: `with` gives `from.len()` writable bytes; `from` is memory of ours, so they don't overlap.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), place, from.len()) }
        })
    }

    /// Runs `work` on the start of `len` bytes at `offset`, which are the caller's until it returns.
    fn with<T>(&self, offset: usize, len: usize, work: impl FnOnce(*mut u8) -> T) -> Answer<T> {
        let is_registered = locked(&self.is_registered);
        if !*is_registered || offset.checked_add(len).is_none_or(|end| end > self.len) {
            Driver::this().mistake(1);
            return Err(UNKNOWN);
        }
        // SAFETY: `offset` is inside the range, which is registered as long as the lock is held.
        Ok(work(unsafe { self.place.add(offset) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_by_address_and_none_outside_or_afterwards() {
        let mut memory = [0_u8; 16];
        let start = memory.as_ptr().addr();
        // SAFETY: `memory` outlives `pinned`, and is not touched in between.
        let pinned = unsafe { Pinned::new(memory.as_mut_ptr(), 16) };
        assert_eq!(pinned.offset_of(start + 4, 12), Some(4));
        assert_eq!(pinned.offset_of(start + 4, 13), None);
        assert_eq!(pinned.offset_of(start.wrapping_sub(1), 1), None);
        pinned.write(4, &[1, 2, 3]).unwrap();
        assert_eq!(pinned.read(3, 5).unwrap(), [0, 1, 2, 3, 0]);
        pinned.unregister();
        assert_eq!(pinned.read(3, 5), Err(UNKNOWN));
        assert_eq!(memory[4..7], [1, 2, 3]);
    }
}
