//! Addresses of an access, and where in the machine they lead.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::compute::{LANES, Mask};
use crate::error::{AccessKind, FaultKind, MemorySpace};
use crate::memory::{Allocation, Purpose};
use crate::program::{Address, Base, Space};

use super::core::{Core, HITS};
use super::registers::first;
use super::space;
use super::trap::{Trap, Trapped};

/// What an instruction wants at each of its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) space: Space,
    pub(super) kind: AccessKind,
    /// How many bytes; addresses must be a multiple of `align`.
    pub(super) bytes: u32,
    pub(super) align: u32,
}

/// Memory of one kind, in which some lanes have their addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) memory: Memory,
    /// What is taken from an address to count within the memory.
    pub(super) origin: u64,
    /// How long the memory is.
    bytes: u64,
    /// The space, and what is taken from an address to count within it.
    space: MemorySpace,
    space_origin: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    /// An index into [`Grid::allocations`](super::grid::Grid::allocations).
    Global(usize),
    Shared,
    Local,
    Param,
}

impl<'a> Core<'a> {
    /// Computes the addresses of all lanes into the scratch.
    pub(super) fn addresses(&mut self, space: Space, address: Address) {
        let addresses = &mut self.outside.scratch.addresses;
        let offset = address.offset.cast_unsigned();
        match address.base {
            Base::Zero => {
                let frame = if space == Space::Local { u64::from(self.frame_local) } else { 0 };
                *addresses = [offset.wrapping_add(frame); LANES];
            }
            Base::Reg64(slot) => {
                for (address, base) in addresses.iter_mut().zip(&self.r64[usize::from(slot)]) {
                    *address = base.wrapping_add(offset);
                }
            }
            // Within a space of 32-bit addresses sums wrap at 32 bits.
            Base::Reg32(slot) if !matches!(space, Space::Global | Space::Generic) => {
                let offset = super::low32(offset);
                for (address, base) in addresses.iter_mut().zip(&self.r32[usize::from(slot)]) {
                    *address = base.wrapping_add(offset).into();
                }
            }
            Base::Reg32(slot) => {
                for (address, base) in addresses.iter_mut().zip(&self.r32[usize::from(slot)]) {
                    *address = u64::from(*base).wrapping_add(offset);
                }
            }
        }
    }

    /// The memory that the address of the first of `lanes` is in, and which of the lanes have theirs in it too. Lanes
    /// whose access would fault there are left out; a fault of the first one is the result.
    pub(super) fn locate(&mut self, want: Want, lanes: Mask) -> Trapped<(Place, Mask)> {
        let lane = first(lanes);
        let address = self.outside.scratch.addresses[lane];
        let place = self.place(want, address).map_err(|kind| Trap::new(lanes, kind))?;
        let mut part = 0;
        if let Some(last) = place.bytes.checked_sub(want.bytes.into()) {
            let misfit = u64::from(want.align) - 1;
            for (lane, address) in self.outside.scratch.addresses.iter().enumerate() {
                let offset = address.wrapping_sub(place.origin);
                part |=
                    Mask::from((offset <= last) & (address.wrapping_sub(place.space_origin) & misfit == 0))
                        << lane;
            }
        }
        part &= lanes;
        if part & (1 << lane) == 0 {
            return Err(Trap::new(lanes, place.refusal(want, address)));
        }
        Ok((place, part))
    }

    /// The memory that an address leads to.
    fn place(&mut self, want: Want, address: u64) -> Result<Place, FaultKind> {
        let (space, window) = match want.space {
            Space::Generic => space::of_generic(address),
            space => (space, 0),
        };
        let (memory, bytes) = match space {
            Space::Generic | Space::Global => return self.global_place(want, address),
            Space::Shared => (Memory::Shared, u64::from(self.grid.shared_bytes)),
            Space::Local => (Memory::Local, u64::from(self.local_end)),
            Space::Param => (Memory::Param, self.grid.param_bytes),
            Space::Const => return self.const_place(want, address),
        };
        let place = Place { memory, origin: window, bytes, space: space::name(space), space_origin: window };
        if space == Space::Param && want.kind != AccessKind::Read {
            return Err(place.read_only(want, address));
        }
        Ok(place)
    }

    fn global_place(&mut self, want: Want, address: u64) -> Result<Place, FaultKind> {
        let Some(index) = self.hit(address, want.bytes) else {
            let space = match want.space {
                Space::Generic => space::name_of_generic(address),
                space => space::name(space),
            };
            return Err(FaultKind::OutOfBounds { access: want.kind, space, address, bytes: want.bytes });
        };
        let allocation: &Allocation = &self.grid.allocations[index];
        let constant = allocation.purpose() == Purpose::Constants;
        let place = Place {
            memory: Memory::Global(index),
            origin: allocation.address(),
            bytes: allocation.bytes(),
            space: if constant { MemorySpace::Const } else { MemorySpace::Global },
            space_origin: if constant { allocation.address() } else { 0 },
        };
        if constant && want.kind != AccessKind::Read {
            return Err(place.read_only(want, address));
        }
        Ok(place)
    }

    fn const_place(&self, want: Want, address: u64) -> Result<Place, FaultKind> {
        let (memory, bytes) = match self.grid.constants_index {
            Some(index) => (Memory::Global(index), self.grid.allocations[index].bytes()),
            None => (Memory::Param, 0),
        };
        let place = Place { memory, origin: 0, bytes, space: MemorySpace::Const, space_origin: 0 };
        if want.kind != AccessKind::Read {
            return Err(place.read_only(want, address));
        }
        Ok(place)
    }

    /// The allocation that holds an address: the one that this instruction has hit last, or looked up. With an
    /// address in none, the one before it, if the access begins within.
    #[inline]
    pub(super) fn hit(&mut self, address: u64, bytes: u32) -> Option<usize> {
        let hit = &mut self.outside.scratch.hits[self.pc as usize % HITS];
        let index = *hit as usize;
        if let Some(allocation) = self.grid.allocations.get(index)
            && address.wrapping_sub(allocation.address()) < allocation.bytes()
        {
            return Some(index);
        }
        let after = self.grid.allocations.partition_point(|allocation| allocation.address() <= address);
        let index = after.checked_sub(1)?;
        let allocation = &self.grid.allocations[index];
        // A range that begins before its end runs over it: that is found when all bytes are looked at.
        let within = address - allocation.address() < allocation.bytes();
        *hit = u32::try_from(index).unwrap_or(u32::MAX);
        (within && bytes > 0).then_some(index)
    }

    /// One byte at a generic address, as a lane sees it.
    pub(super) fn peek(&mut self, address: u64, lane: usize) -> Option<u8> {
        let want = Want { space: Space::Generic, kind: AccessKind::Read, bytes: 1, align: 1 };
        let place = self.place(want, address).ok()?;
        let offset = usize::try_from(address.wrapping_sub(place.origin)).ok()?;
        if offset as u64 >= place.bytes {
            return None;
        }
        let index = offset / 4;
        let word = match place.memory {
            Memory::Global(allocation) => self.words(allocation)[index].load(Ordering::Relaxed),
            Memory::Shared => self.outside.shared[index],
            Memory::Local => self.local[index][lane],
            Memory::Param => self.grid.params[index],
        };
        Some(word.to_le_bytes()[offset % 4])
    }

    /// The words of an allocation.
    pub(super) fn words(&self, allocation: usize) -> &'a [AtomicU32] {
        self.grid.allocations[allocation].words()
    }
}

impl Place {
    /// The offset of an address that [`Core::locate`] has found to be inside.
    #[inline]
    pub(super) fn offset(&self, address: u64) -> usize {
        super::index(address.wrapping_sub(self.origin))
    }

    fn refusal(&self, want: Want, address: u64) -> FaultKind {
        let begins_inside = address.wrapping_sub(self.origin) < self.bytes;
        let address = address.wrapping_sub(self.space_origin);
        let Want { kind: access, bytes, align, .. } = want;
        if begins_inside && !address.is_multiple_of(align.into()) {
            FaultKind::Misaligned { access, space: self.space, address, bytes }
        } else {
            FaultKind::OutOfBounds { access, space: self.space, address, bytes }
        }
    }

    fn read_only(&self, want: Want, address: u64) -> FaultKind {
        FaultKind::ReadOnly {
            access: want.kind,
            space: self.space,
            address: address.wrapping_sub(self.space_origin),
            bytes: want.bytes,
        }
    }
}
