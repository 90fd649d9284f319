//! The GPU's part of a step: from input to output on a leased device, with nothing left behind.

use grafos_std::error::GrafosError;
use grafos_std::gpu::{GpuLease, GpuSession, KernelArgs};

use super::TrainingBatch;

/// Runs the kernel in a session of its own. On an error the session is dropped, and with it what it has on the device.
pub(super) fn run(
    lease: &GpuLease,
    module: &[u8],
    kernel: &str,
    batch: &TrainingBatch,
) -> Result<Vec<u8>, GrafosError> {
    let mut session = GpuSession::new(lease);
    let input = session.mem_alloc(batch.input.len() as u64)?;
    session.mem_write(&input, 0, &batch.input)?;
    let module = session.module_load(module)?;
    let args = KernelArgs::new().push_u64(batch.step).push_u32(batch.output_len).push_buffer(&input);
    session.launch_with_args(&module, kernel, [1, 1, 1], [1, 1, 1], args)?;
    session.sync()?;
    let output = session.mem_read(&input, 0, batch.output_len)?;
    session.module_unload(module)?;
    session.mem_free(input)?;
    session.close()?;
    Ok(output)
}
