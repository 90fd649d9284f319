//! The local host: volumes as files of the user's own, memory of this process, GPUs that are the processor.
//!
//! - `home`: where the files lie, and that nobody else can touch them (`dir` enters directories without following
//!   links).
//! - `lease_record`, `lease_file`: the record of a volume's lease and epoch, its bytes and its lock.
//! - `volume_dir`: how a volume comes to be, is found and goes.
//! - `data_file`, `direct_io`: the blocks themselves.
//! - `block_host`, `leased_volume`, `mem_host`, `gpu_host`: the backends.
//!
//! Invariants: one live holder per volume, which the operating system's lock sees to; no epoch is granted twice;
//! missing or damaged bookkeeping is an error and never a new, empty volume. `docs/local-host.md` has the layout of
//! the files and why a power cut at any moment leaves them whole.

mod block_host;
mod boot;
mod builder;
mod data_file;
mod dir;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod direct_io;
mod gpu_host;
mod home;
mod lease_file;
mod lease_record;
mod leased_volume;
mod mem_host;
mod sector;
mod volume_dir;

#[cfg(test)]
mod tests;

pub use block_host::{LocalBlockHost, VolumeListing, VolumeState};
pub use builder::{IoMode, LocalHost, LocalHostBuilder};
pub use gpu_host::{LocalGpuHost, LocalGpuHostBuilder};
pub use mem_host::LocalMemHost;
