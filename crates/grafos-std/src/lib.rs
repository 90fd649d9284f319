//! Leased resources that fail closed.
//!
//! A program asks a builder for what it needs, gets a *lease*, and works through the lease's handle until it
//! releases the lease, the time runs out, or the host takes it back. From that moment every operation on the
//! handle is refused, and the handle never comes back to life.
//!
//! ```
//! use grafos_std::block::{BLOCK_SIZE, BlockBuilder};
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
//!
//! let lease = BlockBuilder::new().volume("sim-state").min_blocks(64).acquire()?;
//! let block = lease.block();
//! block.write_block(3, &[7; BLOCK_SIZE])?;
//! block.flush()?; // durable from here on
//! lease.release()?;
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where the resources come from is one choice of the application: see [`host`]. With no choice made, blocks are
//! files in the user's state directory.

pub mod block;
pub mod error;
pub mod gpu;
pub mod host;
pub mod mem;

mod lease;

pub use error::{FabricError, Result};
pub use fabricbios_core as core;
