//! Block volumes: storage in blocks of [`BLOCK_SIZE`] bytes that outlives the lease on it.
//!
//! [`BlockBuilder`] finds or makes a volume, [`BlockLease`] is the right to use it, [`BlockHandle`] reads and
//! writes. All checks that do not depend on the backend are made here, once: the lease is active, addresses lie
//! inside the volume, buffers hold whole blocks, no earlier write has failed.

mod aligned_buf;
mod builder;
mod handle;
mod held;
mod lease;

pub(crate) use builder::at_least_one;

pub use aligned_buf::AlignedBuf;
pub use builder::BlockBuilder;
pub use handle::BlockHandle;
pub use lease::BlockLease;

/// The size of a block in bytes: the unit of addresses, and the most that is written all or nothing.
pub const BLOCK_SIZE: usize = 512;
