//! [`acquire_preemptible_training_lease`]: the GPU, for a short time.

use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuLease};

use crate::error::TrainingError;

/// A lease on a GPU of the ambient host with at least `min_vram` bytes of memory, for `lease_secs` seconds. While a
/// session of it is open, nobody else has a session on the device.
///
/// Short is good: a process that dies without a word blocks the device no longer than that, and the lease is
/// [renewed](GpuLease::renew_if_due) as long as all is well. On the local host memory is taken from the machine only
/// as it is written, so 16 GiB can be had on a small one.
///
/// ```
/// use cookbook_recipe_52_clean_preemptible_gpu_training::acquire_preemptible_training_lease;
/// # let home = tempfile::tempdir()?;
/// # let host = grafos_std::host::LocalHost::builder().home(home.path()).open()?;
/// # host.scope(|| -> Result<(), Box<dyn std::error::Error>> {
///
/// let lease = acquire_preemptible_training_lease(16 * 1024 * 1024 * 1024, 120)?;
/// assert!(lease.vram_bytes() >= 16 * 1024 * 1024 * 1024);
/// # Ok(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TrainingError::Fabric`] with what [`GpuBuilder::acquire`] says: the device is held, or has too little memory.
pub fn acquire_preemptible_training_lease(min_vram: u64, lease_secs: u64) -> Result<GpuLease, TrainingError> {
    let lease = GpuBuilder::new()
        .min_vram(min_vram)
        .lease_secs(lease_secs)
        .exclusivity(GpuExclusivityClass::SessionExclusive)
        .acquire()?;
    Ok(lease)
}
