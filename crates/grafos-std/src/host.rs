//! Where resources come from: the traits that backends implement, and the one place where an application chooses.
//!
//! The builders take no backend. They ask the ambient [`Host`]:
//! 1. the innermost [`Host::scope`] of the calling thread, which is what tests use;
//! 2. else what the application [installed](Host::install), once, early in `main` (libraries never install);
//! 3. else the persistent [local host](LocalHost) of the user.
//!
//! A backend is a value, never a feature flag. To write one, implement [`BlockHost`], [`MemHost`] or [`GpuHost`] and run the
//! suites in `testing` (a feature of this crate) over it.

mod ambient;
mod block_host;
mod gpu_host;
mod grant;
mod local;
mod mem_host;
mod staging_memory;
#[cfg(feature = "testing")]
pub mod testing;
mod volume_name;

pub use ambient::{AlreadyInstalled, Host, HostBuilder};
pub use block_host::{BlockGrant, BlockHost, BlockRequest, LeasedBlocks};
pub use gpu_host::{
    DeviceLaunch, DevicePtr, DeviceSession, EventId, GpuGrant, GpuHost, GpuRequest, GpuUsage, KernelId,
    KernelLayout, KernelParam, LeasedGpu, ModuleId, StreamId,
};
pub use grant::{LeaseGrant, RevokeOutcome};
pub use local::{
    IoMode, LocalBlockHost, LocalGpuHost, LocalGpuHostBuilder, LocalHost, LocalHostBuilder, LocalMemHost,
    VolumeListing, VolumeState,
};
pub use mem_host::{LeasedMemory, MemGrant, MemHost, MemRequest};
pub use staging_memory::{PendingCopy, StagingMemory};
pub use volume_name::VolumeName;
