//! Leased memory: fast, volatile, and gone with its lease.
//!
//! ```
//! use grafos_std::mem::MemBuilder;
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
//!
//! let lease = MemBuilder::new().min_bytes(1024).lease_secs(60).acquire()?;
//! let mem = lease.mem();
//! mem.write(16, b"partial sum")?;
//! assert_eq!(mem.read(16, 11)?, b"partial sum");
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod handle;
mod lease;

pub use builder::MemBuilder;
pub use handle::MemHandle;
pub use lease::MemLease;
