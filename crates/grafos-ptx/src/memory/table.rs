//! [`Table`]: which addresses are allocated; [`Snapshot`]: the same as a running kernel sees it.
//!
//! Addresses are numbers: gaps between allocations cost nothing. They lie where those of a device do, far from zero
//! and below 2^47.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::allocation::{Allocation, Purpose};
use super::{GRANULE, MemoryError};

/// Addresses from here on ...
pub(crate) const GLOBAL_START: u64 = 0x0001_0000_0000;
/// ... to here are those of global memory.
pub(crate) const GLOBAL_END: u64 = 0x7f00_0000_0000;
/// Nothing lies this far behind an allocation.
const GUARD_BYTES: u64 = 1 << 20;

/// All allocations that a kernel can see, by address. It keeps them alive.
pub(crate) type Snapshot = Arc<[Arc<Allocation>]>;

#[derive(Debug)]
pub(super) struct Table {
    limit: u64,
    used: u64,
    /// Where the next address is looked for.
    next: u64,
    /// End of each taken range, without its guard, by its start. Reserved ranges have no allocation yet.
    ranges: BTreeMap<u64, u64>,
    allocations: BTreeMap<u64, Arc<Allocation>>,
    snapshot: Option<Snapshot>,
}

impl Table {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            next: GLOBAL_START,
            ranges: BTreeMap::new(),
            allocations: BTreeMap::new(),
            snapshot: None,
        }
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used
    }

    pub(super) fn available_bytes(&self) -> u64 {
        self.limit - self.used
    }

    pub(super) fn len(&self) -> usize {
        self.allocations.len()
    }

    /// Takes a range of addresses. Gives its start and how much was accounted for it.
    pub(super) fn reserve(&mut self, bytes: u64, align: u64) -> Result<(u64, u64), MemoryError> {
        let none = MemoryError::OutOfMemory { requested: bytes, available: self.available_bytes() };
        let accounted = bytes.max(1).checked_next_multiple_of(GRANULE).ok_or(none)?;
        if accounted > self.available_bytes() {
            return Err(none);
        }
        let align = align.max(GRANULE);
        let address = self
            .place(self.next, accounted, align)
            .or_else(|| self.place(GLOBAL_START, accounted, align))
            .ok_or(none)?;
        self.next = address + accounted + GUARD_BYTES;
        self.ranges.insert(address, address + accounted);
        self.used += accounted;
        Ok((address, accounted))
    }

    /// The first free range at or above `from`.
    fn place(&self, from: u64, bytes: u64, align: u64) -> Option<u64> {
        let mut start = from.checked_next_multiple_of(align)?;
        // The one range that may begin below and reach up to here.
        if let Some((_, end)) = self.ranges.range(..start).next_back() {
            start = start.max((end + GUARD_BYTES).checked_next_multiple_of(align)?);
        }
        for (taken, end) in self.ranges.range(start..) {
            if start.checked_add(bytes)?.checked_add(GUARD_BYTES)? <= *taken {
                break;
            }
            start = (end + GUARD_BYTES).checked_next_multiple_of(align)?;
        }
        (start.checked_add(bytes)?.checked_add(GUARD_BYTES)? <= GLOBAL_END).then_some(start)
    }

    pub(super) fn unreserve(&mut self, address: u64, accounted: u64) {
        self.ranges.remove(&address);
        self.used -= accounted;
    }

    pub(super) fn insert(&mut self, allocation: Allocation) {
        self.allocations.insert(allocation.address(), Arc::new(allocation));
        self.snapshot = None;
    }

    /// Takes out what starts at `address`, if its purpose is right.
    pub(super) fn remove(
        &mut self,
        address: u64,
        may: impl FnOnce(Purpose) -> bool,
    ) -> Option<(Arc<Allocation>, Option<Snapshot>)> {
        let allocation = self.allocations.get(&address)?;
        if !may(allocation.purpose()) {
            return None;
        }
        let allocation = self.allocations.remove(&address)?;
        if let Some(end) = self.ranges.remove(&address) {
            self.used -= end - address;
        }
        Some((allocation, self.snapshot.take()))
    }

    /// The allocation that holds the whole range, and where in it the range starts.
    pub(super) fn find(&self, address: u64, bytes: u64) -> Option<(Arc<Allocation>, usize)> {
        let (_, allocation) = self.allocations.range(..=address).next_back()?;
        let offset = allocation.offset_of(address, bytes)?;
        Some((Arc::clone(allocation), offset))
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        let allocations = &self.allocations;
        Arc::clone(self.snapshot.get_or_insert_with(|| allocations.values().cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_address_the_first_gap_is_used() {
        let mut table = Table::new(u64::MAX);
        let (first, _) = table.reserve(1000, 256).unwrap();
        let (second, _) = table.reserve(1000, 256).unwrap();
        let (third, _) = table.reserve(1000, 1 << 21).unwrap();
        assert_eq!((first, third % (1 << 21)), (GLOBAL_START, 0));
        assert_eq!(second, first + 1024 + GUARD_BYTES);
        table.next = GLOBAL_END - GUARD_BYTES - 512;
        let (last, _) = table.reserve(512, 256).unwrap();
        assert_eq!(last, GLOBAL_END - GUARD_BYTES - 512);
        table.unreserve(second, 1024);
        // What does not fit between its neighbours goes behind them.
        let (large, _) = table.reserve(4 << 20, 256).unwrap();
        assert_eq!(large, third + 1024 + GUARD_BYTES);
        table.next = GLOBAL_END;
        let (again, _) = table.reserve(1024, 256).unwrap();
        assert_eq!(again, second);
        assert_eq!(table.used_bytes(), 4 * 1024 - 512 + (4 << 20));
    }

    #[test]
    fn no_range_reaches_the_end_of_the_addresses() {
        let mut table = Table::new(u64::MAX);
        let room = GLOBAL_END - GLOBAL_START - GUARD_BYTES;
        assert!(table.reserve(room + 1, 256).is_err());
        assert!(table.reserve(room, 256).is_ok());
        assert!(table.reserve(1, 256).is_err());
        assert_eq!(table.used_bytes(), room);
    }
}
