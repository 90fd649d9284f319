//! Leased GPUs: sessions, device memory, kernels in PTX.
//!
//! [`GpuBuilder`] takes a [`GpuLease`], on which [`GpuSession`]s are opened. A session allocates device memory, loads
//! modules and launches their kernels. Everything belongs to the session, and the session to the lease: on every end,
//! memory is zeroed and freed, and whatever handle is left fails closed.
//!
//! Without a GPU the [local host](crate::host::LocalGpuHost) runs the same PTX on the processor, with every access
//! checked. Which host it is, the application chooses: see [`crate::host`].
//!
//! ```
//! use grafos_std::gpu::{GpuBuilder, GpuSession};
//! # let home = tempfile::tempdir()?;
//! # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
//! # host.scope(|| -> grafos_std::Result<()> {
//!
//! let lease = GpuBuilder::new().min_vram(1 << 20).lease_secs(60).acquire()?;
//! let mut session = GpuSession::new(&lease);
//! let memory = session.mem_alloc(1024)?;
//! session.mem_write(&memory, 16, b"partial sum")?;
//! assert_eq!(session.mem_read(&memory, 16, 11)?, b"partial sum");
//! session.mem_free(memory)?;
//! lease.release()?;
//! # Ok(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod args;
mod builder;
mod device;
mod error;
mod exclusivity;
mod handles;
mod launch;
mod lease;
mod open_session;
mod session;
mod staging;

pub use args::KernelArgs;
pub use builder::GpuBuilder;
pub use device::GpuDeviceInfo;
pub use error::{GpuError, GpuFault, KernelFault, KernelFaultKind, UnavailableReason};
pub use exclusivity::GpuExclusivityClass;
pub use handles::{GpuEvent, GpuMemHandle, GpuModule, GpuStream};
pub use launch::LaunchConfig;
pub use lease::GpuLease;
pub(crate) use lease::resource;
pub use session::{ByteCount, GpuSession};
pub use staging::{GpuCopy, StagingBuffer};
