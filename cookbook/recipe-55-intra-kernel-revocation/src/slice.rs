//! [`Walk`]: the work, cut into slices; one slice on a leased GPU.
//!
//! Each of [`WALKERS`] threads goes through the numbers of a linear congruential generator (x = x · 1664525 + 1013904223
//! modulo 2³², Numerical Recipes), so that nothing can be left out, done twice or done in another order unnoticed.

use std::thread;

use grafos_std::Result;
use grafos_std::gpu::{GpuLease, GpuMemHandle, GpuSession, KernelArgs, LaunchConfig};
use grafos_std::host::Host;

/// How many threads walk.
pub const WALKERS: u32 = 64;

/// Where each of them begins.
pub const FIRST_STATE: [u8; 4 * WALKERS as usize] = [1; 4 * WALKERS as usize];

const WALK: &[u8] = include_bytes!("walk.ptx");

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// How many slices: kernels with a checkpoint behind them.
    pub slices: u64,
    /// How many rounds each half of a slice has.
    pub rounds: u32,
}

impl Default for Walk {
    /// Six slices, each of a fraction of a second on one core.
    fn default() -> Self {
        Self { slices: 6, rounds: 100_000 }
    }
}

/// What a kernel finds in the middle of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// The kernel waits there until its lease is revoked, so that the revocation hits it in the middle, always.
    Shut,
}

/// Does one slice, from `state` on, and returns the state after it.
pub(crate) fn run(host: &Host, lease: &GpuLease, walk: Walk, state: &[u8], gate: Gate) -> Result<Vec<u8>> {
    let mut session = GpuSession::new(lease);
    let memory = session.mem_alloc(state.len() as u64)?;
    session.mem_write(&memory, 0, state)?;
    let (gate_word, half) = (session.mem_alloc(4)?, session.mem_alloc(4)?);
    session.mem_write(&gate_word, 0, &u32::from(gate == Gate::Open).to_le_bytes())?;
    let module = session.module_load(WALK)?;
    // A stream of its own: the reads below must not queue up behind the kernel.
    let stream = session.stream_create()?;
    let config = LaunchConfig::new([1; 3], [WALKERS, 1, 1]).stream(&stream);
    let args = KernelArgs::new()
        .push_buffer(&memory)
        .push_u32(walk.rounds)
        .push_buffer(&gate_word)
        .push_buffer(&half);
    session.launch_with_config(&module, "walk", &config, args)?;
    if gate == Gate::Shut {
        wait_for(&session, &half)?;
        host.revoke(lease.lease_id())?;
    }
    session.sync()?;
    let state = session.mem_read(&memory, 0, state.len())?;
    session.close()?;
    Ok(state)
}

/// Waits until the kernel is in the middle. It gets there, or the session fails.
fn wait_for(session: &GpuSession, half: &GpuMemHandle) -> Result<()> {
    while session.mem_read(half, 0, 4)? == [0; 4] {
        thread::yield_now();
    }
    Ok(())
}
