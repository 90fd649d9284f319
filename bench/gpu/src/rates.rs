//! How fast memory is copied: what a snapshot of a training run costs.

use std::collections::VecDeque;

use grafos_bench_support::timed;
use grafos_gpu_cuda::CudaHost;
use grafos_std::error::Result;
use grafos_std::gpu::{GpuBuilder, GpuMemHandle, GpuSession, StagingBuffer};
use grafos_std::host::{GpuHost, Host};

use crate::report::{Section, table};

/// How often each copy is timed; the median counts.
const ROUNDS: usize = 5;

pub(crate) fn section(host: &CudaHost, is_small: bool) -> Result<Section> {
    let memory = host.devices()?.first().map_or(0, |device| device.vram_bytes);
    let wanted: u64 = if is_small { 32 << 20 } else { 2 << 30 };
    let bytes = wanted.min(memory / 4);
    // Of the size that a snapshot is hashed and written in.
    let chunk = usize::try_from(if is_small { 4 << 20 } else { 32 << 20_u64 }).unwrap_or(usize::MAX);
    let front = Host::builder().gpu(std::sync::Arc::new(host.clone()));
    let front = front.block(std::sync::Arc::new(grafos_std::host::testing::RamBlockHost::new(
        std::sync::Arc::new(fabricbios_core::clock::SystemClock),
    )));
    let lease = GpuBuilder::new().on(&front.build()?).min_vram(2 * bytes).acquire()?;
    let mut session = GpuSession::new(&lease);
    let (from, to) = (session.mem_alloc(bytes)?, session.mem_alloc(bytes)?);
    let mut host_bytes = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let mut ring: VecDeque<StagingBuffer> = VecDeque::new();
    for _ in 0..3 {
        ring.push_back(session.staging_alloc(chunk)?);
    }
    let mut rows = Vec::new();
    let mut row = |what: &str, gb_per_s: f64| rows.push(vec![what.to_owned(), format!("{gb_per_s:.2}")]);
    row(
        "device to device",
        median(bytes, || {
            session.mem_copy(&to, 0, &from, 0, bytes)?;
            session.sync()
        })?,
    );
    row(
        "setting to zero",
        median(bytes, || {
            session.mem_zero(&to, 0, bytes)?;
            session.sync()
        })?,
    );
    row(
        "device to host, page-locked buffers in a ring",
        median(bytes, || drain(&session, &from, bytes, &mut ring))?,
    );
    row(
        "device to host, `mem_read_into`",
        median(bytes, || session.mem_read_into(&from, 0, &mut host_bytes))?,
    );
    row("host to device, `mem_write`", median(bytes, || session.mem_write(&to, 0, &host_bytes))?);
    let body = format!(
        "{} MiB at a time, chunks of {} MiB in the ring; the median of {ROUNDS}, after one that does not count.\n\n{}",
        bytes >> 20,
        chunk >> 20,
        table(&["copy", "GB/s"], &rows)
    );
    Ok(Section::stating("Rates", body))
}

/// Gigabytes a second.
fn median(bytes: u64, mut copy: impl FnMut() -> Result<()>) -> Result<f64> {
    copy()?;
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (done, secs) = timed(&mut copy);
        done?;
        all.push(secs);
    }
    all.sort_by(f64::total_cmp);
    Ok(bytes as f64 / 1e9 / all[ROUNDS / 2])
}

/// Copies all of it through the ring, as a snapshot does that is written while it is copied.
fn drain(
    session: &GpuSession,
    from: &GpuMemHandle,
    bytes: u64,
    ring: &mut VecDeque<StagingBuffer>,
) -> Result<()> {
    let stream = session.default_stream();
    let mut under_way = VecDeque::new();
    let mut offset = 0;
    while offset < bytes {
        let buffer = match ring.pop_front() {
            Some(buffer) => buffer,
            None => match under_way.pop_front() {
                Some(copy) => grafos_std::gpu::GpuCopy::wait(copy)?,
                None => break,
            },
        };
        let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        under_way.push_back(session.copy_to_staging(&stream, from, offset, buffer, len)?);
        offset += len as u64;
    }
    for copy in under_way {
        ring.push_back(copy.wait()?);
    }
    Ok(())
}
