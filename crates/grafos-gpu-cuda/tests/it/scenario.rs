//! [`Scenario`]: a short life with everything in it, to be disturbed at every call.

use std::sync::Arc;

use grafos_gpu_cuda::CudaHost;
use grafos_std::error::Result;
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuSession, KernelArgs};
use grafos_std::host::testing::RamBlockHost;
use grafos_std::host::{Host, RevokeOutcome};

use fabricbios_core::clock::SystemClock;

/// `data[i] = data[i] * factor + addend` for `n` words; `trap` traps.
pub(crate) const PTX: &str = include_str!("scenario.ptx");

/// Bytes of the buffers: more than one transfer buffer holds.
const BYTES: u64 = 5 << 20;
/// Words at their start that kernels work on.
const WORDS: u32 = 4096;

/// What a program would use.
pub(crate) fn front(host: &CudaHost) -> Result<Host> {
    let block = Arc::new(RamBlockHost::new(Arc::new(SystemClock)));
    Host::builder().block(block).gpu(Arc::new(host.clone())).build()
}

/// A lease, a session, memory, streams, events, copies of all kinds, launches; all results are checked.
///
/// # Panics
/// If anything succeeds with a wrong result.
pub(crate) fn run(host: &CudaHost) -> Result<()> {
    let front = front(host)?;
    let builder = GpuBuilder::new().on(&front).min_vram(64 << 20);
    let lease = builder.exclusivity(GpuExclusivityClass::DeviceExclusive).acquire()?;
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX)?;
    let words: Vec<u8> = (0..WORDS).flat_map(u32::to_le_bytes).collect();
    let bytes: Vec<u8> = words.iter().copied().cycle().take(usize::try_from(BYTES).unwrap()).collect();
    let data = session.mem_alloc(BYTES)?;
    session.mem_write(&data, 0, &bytes)?;
    let args = || KernelArgs::new().push_buffer(&data).push_u32(WORDS).push_u32(3).push_u32(1);
    session.launch_with_args(&module, "affine", [WORDS.div_ceil(256), 1, 1], [256, 1, 1], args())?;
    session.sync()?;
    let found = session.mem_read(&data, 0, BYTES)?;
    check(&found, 3, 1);
    assert!(found[words.len()..] == bytes[words.len()..], "the rest is as it was written");

    // A snapshot on a stream of its own, behind an event.
    let snapshot = session.mem_alloc(BYTES)?;
    session.mem_copy(&snapshot, 0, &data, 0, BYTES)?;
    let copied = session.event_record(&session.default_stream())?;
    session.launch_with_args(&module, "affine", [WORDS.div_ceil(256), 1, 1], [256, 1, 1], args())?;
    let stream = session.stream_create()?;
    session.stream_wait(&stream, &copied)?;
    let len = usize::try_from(WORDS).unwrap() * 4;
    let staging = session.staging_alloc(len)?;
    let staging = session.copy_to_staging(&stream, &snapshot, 0, staging, len)?.wait()?;
    check(&staging, 3, 1);
    let back = session.copy_from_staging(&stream, &snapshot, 0, staging, len)?;
    let is_done = back.is_done();
    drop(back.wait()?);
    let abandoned = session.staging_alloc(4096)?;
    drop(session.copy_to_staging(&stream, &snapshot, 0, abandoned, 4096)?);
    session.event_sync(&copied)?;
    assert!(session.event_is_done(&copied)?, "after a sync (copy done: {is_done})");
    session.stream_sync(&stream)?;
    session.mem_zero(&snapshot, 0, BYTES)?;
    assert!(session.mem_read(&snapshot, 0, 4096_u64)?.iter().all(|byte| *byte == 0));
    check(&session.mem_read(&data, 0, u64::from(WORDS) * 4)?, 9, 4);

    drop(copied);
    session.stream_destroy(stream)?;
    session.mem_free(snapshot)?;
    session.module_unload(module)?;
    session.close()?;
    let mut second = GpuSession::new(&lease);
    second.mem_alloc(4096)?;
    let outcome = front.revoke(lease.lease_id())?;
    // Fenced where the context could not be destroyed.
    assert!(matches!(outcome, RevokeOutcome::TornDown | RevokeOutcome::Fenced), "{outcome:?}");
    Ok(())
}

#[track_caller]
fn check(bytes: &[u8], factor: u32, addend: u32) {
    for (index, word) in (0..WORDS).zip(bytes.chunks_exact(4)) {
        let found = u32::from_le_bytes(word.try_into().unwrap());
        assert_eq!(found, index.wrapping_mul(factor).wrapping_add(addend), "word {index}");
    }
}

/// The least that shows that a session works.
pub(crate) fn run_shortly(host: &CudaHost) -> Result<()> {
    let lease = GpuBuilder::new().on(&front(host)?).min_vram(1 << 20).acquire()?;
    let mut session = GpuSession::new(&lease);
    let module = session.module_load(PTX)?;
    let data = session.mem_alloc(256)?;
    let args = KernelArgs::new().push_buffer(&data).push_u32(64).push_u32(1).push_u32(7);
    session.launch_with_args(&module, "affine", [1; 3], [64, 1, 1], args)?;
    assert_eq!(session.mem_read(&data, 0, 256_u64)?, [7, 0, 0, 0].repeat(64));
    session.close()
}
