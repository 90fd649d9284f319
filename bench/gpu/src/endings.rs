//! Revocation under a running kernel, and what is left afterwards.

use std::sync::Arc;
use std::thread;

use fabricbios_core::clock::SystemClock;
use grafos_bench_support::timed;
use grafos_gpu_cuda::CudaHost;
use grafos_std::error::{FabricError, Result};
use grafos_std::gpu::{GpuBuilder, GpuSession, KernelArgs};
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{GpuHost, Host};

use crate::report::{Section, Verdict, table};

/// Runs until so many ticks of the clock have passed.
const PTX: &str = r"
.version 6.3
.target sm_70
.address_size 64
.visible .entry busy(.param .u64 ticks)
{
    .reg .pred %p<2>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [ticks];
    mov.u64 %rd2, %clock64;
AGAIN:
    mov.u64 %rd3, %clock64;
    sub.s64 %rd4, %rd3, %rd2;
    setp.lt.u64 %p1, %rd4, %rd1;
    @%p1 bra AGAIN;
    ret;
}
";
const BYTES: u64 = 64 << 20;
const SECRET: u8 = 0xA5;

pub(crate) fn section(host: &CudaHost, is_standin: bool) -> Result<Section> {
    // About two seconds, on a device of today and on the virtual machine.
    let ticks = if is_standin { 10_000_000 } else { 3_000_000_000 };
    let block = Arc::new(RamBlockHost::new(Arc::new(SystemClock)));
    let front = Host::builder().block(block).gpu(Arc::new(host.clone())).build()?;
    let lease = GpuBuilder::new().on(&front).min_vram(2 * BYTES).acquire()?;
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX)?;
    let memory = session.mem_alloc(BYTES)?;
    session.mem_fill(&memory, 0, SECRET, BYTES)?;
    session.launch_with_args(&module, "busy", [1; 3], [1; 3], KernelArgs::new().push_u64(1))?;
    session.sync()?;
    session.launch_with_args(&module, "busy", [1; 3], [1; 3], KernelArgs::new().push_u64(ticks))?;

    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| timed(|| session.sync()));
        let revoked = timed(|| front.revoke(lease.lease_id()));
        (revoked, waiting.join())
    });
    let ((revoked, revoke_secs), waited) = waiting;
    let outcome = revoked?;
    let Ok((waited, wait_secs)) = waited else {
        return Ok(Section::judging(
            "Revocation and cleanup",
            Verdict::Failed,
            "The thread that waited panicked.",
        ));
    };
    let left = host.usage()?;
    let (idle, idle_secs) = timed(|| wait_until_idle(host));
    idle?;
    let lost = host.lost_contexts();
    drop((memory, module, session, lease));

    let next = GpuBuilder::new().on(&front).min_vram(2 * BYTES).acquire()?;
    let mut session = GpuSession::new(&next);
    let memory = session.mem_alloc(BYTES)?;
    let is_clean = session.mem_read(&memory, 0, BYTES)?.iter().all(|byte| *byte == 0);
    session.close()?;
    drop(next);
    let is_idle = host.usage()?.is_idle();

    let is_closed = matches!(waited, Err(FabricError::Revoked { .. }));
    let rows = [
        ("outcome of the revocation", format!("{outcome:?}")),
        ("a `sync` that waited was told", format!("{is_closed}, after {:.1} ms", wait_secs * 1e3)),
        ("the revocation returned", format!("after {:.1} ms", revoke_secs * 1e3)),
        ("sessions that a running kernel kept alive then", left.sessions.to_string()),
        ("everything was freed", format!("{:.1} ms later", idle_secs * 1e3)),
        ("contexts that could not be destroyed", lost.to_string()),
        ("memory of the next lease reads as zeros", is_clean.to_string()),
        ("nothing is left at the end", is_idle.to_string()),
    ]
    .map(|(what, found)| vec![what.to_owned(), found]);
    let verdict = Verdict::of(is_closed && is_clean && is_idle && lost == 0);
    let body = format!(
        "A kernel that runs for a second or more, another thread that waits for it, and a revocation. No call of the \
         driver stops a kernel, so memory is freed when it has ended.\n\n{}",
        table(&["", ""], &rows)
    );
    Ok(Section::judging("Revocation and cleanup", verdict, body))
}

fn wait_until_idle(host: &CudaHost) -> Result<()> {
    while !host.usage()?.is_idle() {
        thread::yield_now();
    }
    Ok(())
}
