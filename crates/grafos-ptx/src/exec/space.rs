//! Where the state spaces lie among generic addresses.
//!
//! ```text
//! 0x0001_0000_0000 .. 0x7f00_0000_0000   global memory, addresses as they are; constants among them
//! 0x7f01_0000_0000 .. + 4 GiB            shared memory of the block
//! 0x7f02_0000_0000 .. + 4 GiB            local memory of the thread
//! 0x7f03_0000_0000 .. + 4 GiB            parameters of the kernel
//! 0x7f04_0000_0000 .. + 4 GiB            not memory: numbers of functions
//! ```
//!
//! So a generic address is the address within its space plus a number that depends on the space alone (and for
//! constants on the module), all stay below 2^47 as on a device, and none is null.

use crate::error::MemorySpace;
use crate::memory::{GLOBAL_END, GLOBAL_START};
use crate::program::Space;

pub(super) const SHARED_WINDOW: u64 = 0x7f01_0000_0000;
pub(super) const LOCAL_WINDOW: u64 = 0x7f02_0000_0000;
pub(super) const PARAM_WINDOW: u64 = 0x7f03_0000_0000;
pub(crate) const FUNCTION_WINDOW: u64 = 0x7f04_0000_0000;
const WINDOW_BYTES: u64 = 1 << 32;

/// The space that a generic address belongs to, [`Space::Global`] if to none of the windows; and its window's start.
pub(super) fn of_generic(address: u64) -> (Space, u64) {
    for (space, window) in
        [(Space::Shared, SHARED_WINDOW), (Space::Local, LOCAL_WINDOW), (Space::Param, PARAM_WINDOW)]
    {
        if address.wrapping_sub(window) < WINDOW_BYTES {
            return (space, window);
        }
    }
    (Space::Global, 0)
}

/// What to call the space of a generic address that nothing lies at.
pub(super) fn name_of_generic(address: u64) -> MemorySpace {
    if (GLOBAL_START..GLOBAL_END).contains(&address) { MemorySpace::Global } else { MemorySpace::Generic }
}

/// As faults name it.
pub(super) fn name(space: Space) -> MemorySpace {
    match space {
        Space::Generic => MemorySpace::Generic,
        Space::Global => MemorySpace::Global,
        Space::Shared => MemorySpace::Shared,
        Space::Local => MemorySpace::Local,
        Space::Const => MemorySpace::Const,
        Space::Param => MemorySpace::Param,
    }
}

/// What is added to an address within a space to make it generic. `constants` is where those of the module lie.
pub(super) fn window(space: Space, constants: u64) -> u64 {
    match space {
        Space::Generic | Space::Global => 0,
        Space::Shared => SHARED_WINDOW,
        Space::Local => LOCAL_WINDOW,
        Space::Param => PARAM_WINDOW,
        Space::Const => constants,
    }
}
